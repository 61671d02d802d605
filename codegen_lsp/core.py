"""The nouns, in the order in which they flow: Snapshot Intent Context Prompt SamplingParams Delta Completion.

No logic, standard library only. Offsets are characters (Python `str` indices) unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from codegen_lsp.text import Edit, Span


class Trigger(StrEnum):
    """Who asked: the editor on its own, or the user."""

    AUTOMATIC = "automatic"
    INVOKED = "invoked"


@dataclass(frozen=True)
class Snapshot:
    """What one request may read of a document: the text as the editor has it, and where the cursor is."""

    path: str
    """Shown to the model and in `explain`; relative to the workspace where there is one."""
    language: str
    """The LSP language id ("python")."""
    text: str
    offset: int
    """The cursor, 0 <= offset <= len(text)."""
    version: int = 0
    uri: str = ""
    trigger: Trigger = Trigger.INVOKED
    floor: int = 0
    """Characters at the beginning that can be read and not written: the earlier cells of a notebook."""


class IntentKind(StrEnum):
    """What the cursor asks for."""

    COMMENT_ABOVE = "comment-above"
    """A comment on its own line: the code that it describes is written below it."""
    COMMENT_TRAILING = "comment-trailing"
    """A comment behind a block opener (`def f(x):  # …`): its body is written below."""
    DOCSTRING = "docstring"
    """A docstring whose body is missing, or is only `pass`, `...` or `raise NotImplementedError`."""
    SIGNATURE = "signature"
    """A block opener (`def f(x):`) with nothing below it."""
    LINE = "line"
    """The cursor stands at an empty place where a statement begins, with no order next to it."""
    MID_LINE = "mid-line"
    """The cursor stands inside a line: its rest is written."""


class Shape(StrEnum):
    """How much is to be written."""

    LINE = "line"
    """To the end of the line."""
    BLOCK = "block"
    """Statements at the indentation of `Intent.indent`, to the end of what the comment describes."""
    BODY = "body"
    """All of a body: everything until a line is indented less than `Intent.indent`."""


@dataclass(frozen=True)
class Intent:
    """Which text is the order, and which span of the document the answer replaces.

    The model continues `text[:target.start] + lead`; what it writes is inserted after `lead`. So every order,
    wherever the cursor stood, looks the same to the model: the prefix ends where the first character of code goes.
    """

    kind: IntentKind
    shape: Shape
    target: Span
    """Replaced by lead + answer; most often empty, at the cursor."""
    lead: str = ""
    """Line end and indentation that have to stand before the code and do not yet."""
    indent: str = ""
    """Indentation of the block that is written; lines after the first carry it in full."""
    order: Span | None = None
    """The comment or docstring."""


@dataclass(frozen=True)
class Definition:
    """A named thing that a file defines, as others may use it."""

    path: str
    """Relative to the workspace, with `/`."""
    name: str
    kind: str
    """function, method, class, constant or type."""
    parent: str
    """The class that it is a member of, "" at the top level."""
    signature: str
    """Its header as the file has it, decorators left out, on one line where it was on several."""
    doc: str
    """The first line of its docstring or of the comment above it."""
    span: Span
    """All of it, body included."""


@dataclass(frozen=True)
class Snippet:
    """A piece of another file, with the reason for which it was chosen."""

    path: str
    text: str
    reason: str
    score: float = 0.0


@dataclass(frozen=True)
class Context:
    """What the model is to be shown, fitted to the budget. `prefix` ends where the answer begins."""

    path: str
    language: str
    prefix: str
    suffix: str
    snippets: tuple[Snippet, ...] = ()
    dropped: tuple[str, ...] = ()
    """What did not fit, in words, for `explain`."""


class Tokenizer(Protocol):
    """Text to ids and back. `encode` never yields control tokens, whatever stands in the text."""

    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def special(self, token: str) -> int | None:
        """The id of a control token, None when the vocabulary has no such token."""


@dataclass(frozen=True)
class Segment:
    """One part of a prompt, for `explain`: its name ("suffix"), text and number of tokens."""

    name: str
    text: str
    num_tokens: int


@dataclass(frozen=True)
class Prompt:
    """Token ids ready for the engine, and the ids at which it stops."""

    ids: tuple[int, ...]
    stop_ids: tuple[int, ...]
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class SamplingParams:
    """How to generate. Temperature 0 is greedy. `stop`: at most 4 strings (the API's limit)."""

    max_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    candidates: tuple[tuple[str, float], ...] = ()
    """(line that somebody has written, bonus in nats): an engine that can takes one for the answer's first line where
    its log-probability and the bonus are more than the log-probability of its own line."""
    least_confidence: float = 0.0
    """Mean token probability below which nobody wants the answer, and of a candidate's tokens, in the next field."""
    candidate_confidence: float = 0.0
    is_background: bool = False
    """Nobody waits for it: an engine that can does everything else first."""


class StopReason(StrEnum):
    """Why an answer ended."""

    END = "end"
    """The model said that it is done."""
    SYNTAX = "syntax"
    """The line, block or body was complete."""
    SUFFIX = "suffix"
    """It began to repeat what stands behind the cursor."""
    REPETITION = "repetition"
    LENGTH = "length"
    EMPTY = "empty"
    """Nothing was left after the filters, or there was nothing to ask."""


@dataclass(frozen=True)
class Delta:
    """A piece of a streamed answer. The last one carries `finish` ("stop" or "length") and may have no text."""

    text: str
    logprobs: tuple[float, ...] = ()
    """Natural logarithms, one for each token of `text` (empty when the engine does not say)."""
    tokens: tuple[str, ...] = ()
    finish: str | None = None
    usage: Mapping[str, float] = field(default_factory=dict)
    """On the last delta, as the engine says: {prompt,cached,completion}_tokens, prefill_ms, decode_ms …"""


@dataclass(frozen=True)
class ModelInfo:
    """A model that can be served."""

    id: str
    folder: str
    """Where tokenizer.json and config.json are; "" when the engine is not on this machine."""
    format: str
    """Name of a row of prompt.formats."""
    context_window: int
    """Tokens of prompt and answer together."""
    prompt_budget: int
    """Tokens a prompt should have at most: what the model was trained on and answers fast."""
    sure_from: float = 0.0
    """Confidence (0 to 1) from which on its answers are right often enough to be shown unasked; measured, not felt."""


@dataclass(frozen=True)
class Completion:
    """What is offered. `edit` is None when there is nothing; `text` is what the edit inserts, less the lead."""

    edit: Edit | None
    text: str
    stop: StopReason
    confidence: float
    """Mean token probability, exp(mean log-probability), 0 to 1; 0 when unknown."""
    intent: Intent | None = None
    prompt: Prompt | None = None
    tokens: tuple[tuple[str, float], ...] = ()
    """(token text, log-probability) as generated, before any filter."""
    filters: tuple[str, ...] = ()
    """The filters that changed the answer, in order, in words."""
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    usage: Mapping[str, float] = field(default_factory=dict)
