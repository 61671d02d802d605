"""complete(): from a cursor to a completion. The one composition, used by server, CLI, hook, benchmark and tests."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from codegen_lsp.context.build import build
from codegen_lsp.context.intent import find_intent
from codegen_lsp.context.lines import candidates
from codegen_lsp.core import (
    Completion,
    Context,
    Delta,
    Intent,
    IntentKind,
    ModelInfo,
    Prompt,
    SamplingParams,
    Shape,
    Snapshot,
    Snippet,
    StopReason,
    Tokenizer,
    Trigger,
)
from codegen_lsp.engine.api import Engine
from codegen_lsp.postprocess.edit import at_cursor, fit
from codegen_lsp.postprocess.names import mend
from codegen_lsp.postprocess.site import Site
from codegen_lsp.postprocess.stream import Stream
from codegen_lsp.postprocess.trim import trim
from codegen_lsp.prompt.formats import Format
from codegen_lsp.prompt.render import render
from codegen_lsp.syntax.off import is_off
from codegen_lsp.syntax.parse import Tree, parse, parse_whole
from codegen_lsp.text import Edit, with_newlines
from codegen_lsp.trace import Clock, Stopwatch, Trace

OFF = "codegen: off"
"""In `Completion.filters` when the file itself says so."""
COPIED = 0.5
"""Power of a copied line's confidence: that somebody has written it takes away half of the doubt (of its logarithm).

Of held-out ends of lines, copied ones with a mean token probability of 0.6 and more were right in 16 of 24 cases, as
often as others from 0.78 on; below 0.6 they were right in 38 %, the others in 8 %.
"""
MAX_WHOLE = 128 * 1024
CONTROL_TOKENS = 16
"""Room in a prompt for control tokens and line ends."""
MAX_TOKENS = {Shape.LINE: 48, Shape.BLOCK: 256, Shape.BODY: 256}
HOPE = {Shape.LINE: 16, Shape.BLOCK: 48, Shape.BODY: 48}
"""An answer that would not be sure enough with so many tokens, all to come being certain, is given up.

Of 584 places while typing, none at which a suggestion was shown was lost; more than half of all tokens were saved.
"""


@dataclass(frozen=True)
class Options:
    """How to complete, as far as the user decides it."""

    max_tokens: int | None = None
    """Of an answer; None: by its shape (MAX_TOKENS)."""
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    min_confidence: float = 0.0
    """Mean token probability below which nothing is offered; an engine that gives none is not judged."""
    heal: bool = True
    """Let the engine take back half a token in the middle of a line."""
    is_background: bool = False
    """Nobody waits for it."""
    offers_lines: bool = True
    """Let the engine take a line of what was retrieved for the first one of its answer."""
    parses_whole: bool = False
    """Parse the whole text, up to MAX_WHOLE characters: what is parsed around a cursor may begin inside a docstring."""
    only_line: bool = False
    """Write one line where the place asks for more."""
    only_prefill: bool = False
    """Ask for nothing, so that the engine has the prompt when something is asked for here."""


@dataclass(frozen=True)
class _Request:
    """What was asked, and where."""

    snapshot: Snapshot
    intent: Intent
    tree: Tree
    prompt: Prompt
    options: Options


@dataclass
class _Answer:
    """What came from the engine."""

    pieces: list[tuple[str, float]] = field(default_factory=list)
    """(text, log-probability) of each token; one piece a delta, and 0.0, when the engine gives none."""
    has_logprobs: bool = False
    is_cut: bool = False
    is_cancelled: bool = False
    """A newer request took its place: what came is no answer."""
    is_hopeless: bool = False
    """It was given up, since it would not become sure enough to be offered."""
    usage: dict[str, float] = field(default_factory=dict)

    def take(self, delta: Delta) -> None:
        """Take one more piece."""
        if delta.logprobs:
            self.has_logprobs = True
            texts = delta.tokens if len(delta.tokens) == len(delta.logprobs) else (delta.text, "", *[""] * 64)
            self.pieces += zip(texts, delta.logprobs, strict=False)
        elif delta.text:
            self.pieces.append((delta.text, 0.0))
        self.usage.update(delta.usage)
        self.is_cut |= delta.finish == "length"
        self.is_cancelled |= delta.finish == "cancelled"

    @property
    def is_copied(self) -> bool:
        """Whether it is a line that stands elsewhere."""
        return self.usage.get("copied_tokens", 0) > 0

    def can_reach(self, confidence: float, shape: Shape) -> bool:
        """Whether enough certain tokens (HOPE) could still make it so sure."""
        if not confidence:
            return True
        if self.is_copied:
            confidence **= 1 / COPIED
        num = max(HOPE[shape], len(self.pieces))
        return sum(logprob for _, logprob in self.pieces) >= num * math.log(confidence)

    def confidence(self, num_chars: int) -> float:
        """exp(mean log-probability) of the tokens that make up the first characters; 0 when unknown."""
        kept, seen = list[float](), 0
        for text, logprob in self.pieces:
            if seen >= num_chars:
                break
            kept.append(logprob)
            seen += len(text)
        return math.exp(sum(kept) / len(kept)) if kept and self.has_logprobs else 0.0


async def complete(
    snapshot: Snapshot,
    engine: Engine,
    model: ModelInfo,
    fmt: Format,
    tokenizer: Tokenizer,
    *,
    options: Options = Options(),
    snippets: Sequence[Snippet] = (),
    tree: Tree | None = None,
    trace: Trace | None = None,
    clock: Clock = time.perf_counter,
    on_text: Callable[[str], None] | None = None,
) -> Completion:
    """The completion at a cursor. `tree` is of `snapshot.text`; parsed here when there is none.

    `on_text` is given the answer's text as it comes, before anything is done to it.

    Never raises for any text; engine errors (EngineUnavailable, EngineFailed) and cancellation pass through, and close
    the stream on their way.
    """
    watch = Stopwatch(clock)
    if is_off(snapshot.text):
        return Completion(None, "", StopReason.EMPTY, 0.0, filters=(OFF,), timings_ms=watch.totals())
    with watch.stage("parse"):
        if tree is None or not tree.window.start <= snapshot.offset <= tree.window.end:
            is_whole = options.parses_whole and len(snapshot.text) <= MAX_WHOLE
            tree = (parse_whole if is_whole else partial(parse, around=snapshot.offset))(
                snapshot.text, snapshot.language
            )
    with watch.stage("intent"):
        intent = find_intent(snapshot, tree)
        if intent is not None and options.only_line:
            intent = replace(intent, shape=Shape.LINE)
    if intent is None:
        completion = Completion(None, "", StopReason.EMPTY, 0.0, timings_ms=watch.totals())
        if trace is not None:
            trace.add(snapshot, model.id, None, completion)
        return completion
    max_tokens = options.max_tokens or MAX_TOKENS[intent.shape]
    with watch.stage("context"):
        budget = budget_of(model, max_tokens) - len(tokenizer.encode(snapshot.path))
        context = build(
            snapshot, intent, tree, budget, count_tokens=lambda text: len(tokenizer.encode(text)), snippets=snippets
        )
    with watch.stage("prompt"):
        prompt = render(context, fmt, tokenizer)
    params = _params(snapshot, intent, context, options, snippets)
    heal = options.heal and bool(context.prefix.rpartition("\n")[2].strip(" \t"))
    stream, answer = Stream(intent, Site.of(snapshot, intent, tree)), _Answer()
    with watch.stage("generate"):
        deltas = engine.generate(prompt, params, document=snapshot.uri or snapshot.path, heal=heal)
        await _read(deltas, stream, answer, lambda: answer.can_reach(options.min_confidence, intent.shape), on_text)
    with watch.stage("postprocess"):
        completion = _finish(_Request(snapshot, intent, tree, prompt, options), stream, answer)
    completion = replace(completion, timings_ms=watch.totals())
    if trace is not None:
        trace.add(snapshot, model.id, context, completion)
    return completion


def _params(
    snapshot: Snapshot, intent: Intent, context: Context, options: Options, snippets: Sequence[Snippet]
) -> SamplingParams:
    """How the engine is to answer."""
    num_asked = 0 if options.only_prefill else options.max_tokens or MAX_TOKENS[intent.shape]
    offered = candidates(snapshot, intent, context.prefix, snippets) if options.offers_lines and num_asked else ()
    return SamplingParams(
        num_asked,
        options.temperature,
        options.top_p,
        options.seed,
        candidates=offered,
        least_confidence=options.min_confidence,
        candidate_confidence=options.min_confidence ** (1 / COPIED),
        is_background=options.is_background,
    )


async def complete_text(  # noqa: PLR0917 - as complete(), with two texts for the snapshot
    prefix: str,
    suffix: str,
    path: str,
    engine: Engine,
    model: ModelInfo,
    fmt: Format,
    tokenizer: Tokenizer,
    *,
    language: str = "python",
    uri: str = "",
    options: Options = Options(),
    snippets: Sequence[Snippet] = (),
    trace: Trace | None = None,
    clock: Clock = time.perf_counter,
) -> tuple[str, Completion]:
    """What to insert between two texts, exactly there and with all of its indentation; and how it came about.

    Goes the way of an invoked completion at that place. Empty when the answer could only be written by deleting
    something (a `pass`).
    """
    snapshot = Snapshot(path, language, prefix + suffix, len(prefix), uri=uri, trigger=Trigger.INVOKED)
    completion = await complete(
        snapshot, engine, model, fmt, tokenizer, options=options, snippets=snippets, trace=trace, clock=clock
    )
    edit = completion.edit and at_cursor(completion.edit, snapshot.text, snapshot.offset)
    return edit.text if edit else "", completion


async def _read(
    deltas: AsyncGenerator[Delta, None],
    stream: Stream,
    answer: _Answer,
    is_hopeful: Callable[[], bool],
    on_text: Callable[[str], None] | None,
) -> None:
    """Feed the stream until it has enough, or there is no hope for the answer.

    Closes the generator, which cancels the generation, whatever happens.
    """
    async with aclosing(deltas):
        async for delta in deltas:
            answer.take(delta)
            if on_text is not None:
                on_text(delta.text)
            if delta.text and stream.feed(delta.text):
                break
            if not is_hopeful():
                answer.is_hopeless = True
                break


def _finish(request: _Request, stream: Stream, answer: _Answer) -> Completion:
    """Filters, the edit, and whether it is good enough to be offered."""
    intent = request.intent
    raw = "" if answer.is_cancelled or answer.is_hopeless else stream.flush(answer.is_cut)
    text, filters = trim(raw, intent, stream.site)
    fitted = _fit(text, request, stream.site)
    edit, kept = fitted or (None, "")
    if kept.strip() != text.strip():
        filters += ("syntax",)
    confidence = answer.confidence(sys.maxsize if answer.is_hopeless else len(kept))
    if answer.is_copied:
        confidence **= COPIED
    if edit and (mended := _mend(kept, request)) != kept and (again := _fit(mended, request, stream.site)):
        edit, kept = again
        filters += ("names",)
    if answer.is_hopeless or (edit and answer.has_logprobs and confidence < request.options.min_confidence):
        edit, filters = None, (*filters, "confidence")
    stop = stream.stop if edit and stream.stop else StopReason.EMPTY
    return Completion(
        edit=edit,
        text=kept if edit else "",
        stop=stop,
        confidence=confidence,
        intent=intent,
        prompt=request.prompt,
        tokens=tuple(answer.pieces),
        filters=filters,
        usage=answer.usage,
    )


def _fit(text: str, request: _Request, site: Site) -> tuple[Edit, str] | None:
    """The edit of an answer; at column 0 of an indented block, with the block's indentation if that parses."""
    snapshot, intent, tree = request.snapshot, request.intent, request.tree
    fitted = None
    if intent.kind is IntentKind.LINE and not site.opening and intent.indent and text and text[0] not in " \t)]}":
        fitted = fit(intent.indent + text, snapshot, intent, tree)
    return fitted or fit(text, snapshot, intent, tree)


def _mend(code: str, request: _Request) -> str:
    """An answer with its unknown names replaced where it is clear by what."""
    snapshot, intent, tree = request.snapshot, request.intent, request.tree
    if len(tree.window) != len(snapshot.text):
        return code
    text = snapshot.text
    before, after = text[: intent.target.start] + intent.lead, text[intent.target.end :]
    return mend(with_newlines(before), code, with_newlines(after), tree.language)


def budget_of(model: ModelInfo, max_tokens: int) -> int:
    """Tokens of text in a prompt, snippets included."""
    return max(0, min(model.prompt_budget, model.context_window - max_tokens) - CONTROL_TOKENS)
