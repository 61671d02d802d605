"""Samples: a context with its answer, made from the corpus or from our own exercises.

Everything is put into the shape that the product asks for at inference (core.Intent): the prefix ends where the
first character of the answer goes, the suffix begins with the line end behind it.
"""

from __future__ import annotations

import ast
import functools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from codegen_lsp.core import Context, Snippet
from codegen_lsp.training.corpus import Document
from codegen_lsp.training.recipe import Mix

MAX_LINES = 12
MIN_PREFIX_CHARS = 200

_COMMENT = re.compile(
    r"^\s*# ?(?=[A-Za-z])(?!(?:noqa|type:|pylint|pragma|fmt:|isort|mypy|ruff|todo|fixme|xxx)\b)", re.I
)
_IMPORT = re.compile(r"^(?:import|from) [^\n]*\n", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """One training example. `middle` is what is learnt; an end token follows it."""

    prefix: str
    suffix: str
    middle: str
    path: str = ""
    snippets: tuple[Snippet, ...] = ()
    is_complete: bool = True
    """Whether the end token follows."""

    @property
    def context(self) -> Context:
        """As the product would have it."""
        return Context(self.path, "python", self.prefix, self.suffix, self.snippets)


@functools.lru_cache(maxsize=8_192)
def order_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Character spans of what answers a comment or a docstring. Kept: parsing costs more than drawing."""
    lines = text.split("\n")
    return (*_comment_spans(lines), *_docstring_spans(text, lines))


def from_document(document: Document, rng: random.Random, mix: Mix) -> Iterator[Sample]:
    """Comment→code, docstring→body and random-span samples of one file."""
    text = document.text.replace("\r\n", "\n")
    found = order_spans(text)
    spans = [_shifted(text, *span, rng) for span in rng.sample(found, min(len(found), mix.orders))]
    spans += [span for span in (_random_span(text, rng) for _ in range(mix.spans)) if span]
    for span in spans:
        yield _cut(document, text, span, rng, mix)
    for _ in range(mix.files):
        yield _piece(document, text, rng, mix.file_chars)


def _comment_spans(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Character spans of the code that follows a comment, to the end of its paragraph."""
    starts = _line_starts(lines)
    for n, line in enumerate(lines[:-1]):
        if not _COMMENT.match(line) or len(line.split()) < 3:
            continue
        depth, end = _indent(line), n + 1
        if _indent(lines[end]) != depth or lines[end].lstrip().startswith(("#", "@", '"', "'")):
            continue
        while end < len(lines) and lines[end].strip() and _indent(lines[end]) >= depth:
            if end > n + 1 and _indent(lines[end]) == depth and lines[end].lstrip().startswith("#"):
                break
            end += 1
        if 1 <= end - n - 1 <= MAX_LINES:
            yield starts[n + 1] + depth, starts[end - 1] + len(lines[end - 1].rstrip())


def _docstring_spans(text: str, lines: list[str]) -> Iterator[tuple[int, int]]:
    """Character spans of function bodies below a docstring."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    starts = _line_starts(lines)
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or len(node.body) < 2:
            continue
        first, end = node.body[1], node.end_lineno or 0
        if (
            ast.get_docstring(node)
            and 0 <= end - first.lineno < MAX_LINES
            and first.lineno > (node.body[0].end_lineno or 0)
        ):
            line = (node.body[0].end_lineno or 0) + 1
            while line < first.lineno and not lines[line - 1].strip():
                line += 1
            yield starts[line - 1] + _indent(lines[line - 1]), starts[end - 1] + len(lines[end - 1].rstrip())


def _shifted(text: str, start: int, end: int, rng: random.Random) -> tuple[int, int]:
    """One time in four the cursor already stands inside the first line: splits fall on any character."""
    first_end = text.find("\n", start, end)
    room = (first_end if first_end >= 0 else end) - start
    return (start + rng.randrange(room), end) if room > 4 and rng.random() < 0.25 else (start, end)


def _random_span(text: str, rng: random.Random) -> tuple[int, int] | None:
    """The rest of a line, a line, one to three lines, or random characters."""
    if len(text) < 200:
        return None
    start = rng.randrange(len(text) - 60)
    if rng.random() < 0.25:
        return start, start + rng.randrange(8, 120)
    if rng.random() < 0.4:
        start = text.rfind("\n", 0, start) + 1
        start += _indent(text[start : start + 60])
    end = text.find("\n", start)
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        end = text.find("\n", end + 1) if end >= 0 else end
    return (start, end) if end - start >= 4 else None


def _cut(document: Document, text: str, span: tuple[int, int], rng: random.Random, mix: Mix) -> Sample:
    start, end = span
    shown = int(MIN_PREFIX_CHARS * (mix.prefix_chars / MIN_PREFIX_CHARS) ** rng.random())
    prefix, suffix = text[max(0, start - shown) : start], text[end:]
    if len(prefix) < start:
        head = "".join(_IMPORT.findall(text[:start])[:12])[:400] if rng.random() < mix.imports else ""
        prefix = head + prefix[prefix.find("\n") + 1 :]
    suffix = suffix[: rng.randrange(0, mix.suffix_chars)] if rng.random() < 0.7 else ""
    suffix = suffix[: suffix.rfind("\n") + 1]
    # An answer that ends within a line is known to be complete only by what stands behind it.
    is_complete = bool(suffix.strip()) or text[end : end + 1] in ("\n", "")
    return Sample(prefix, suffix, text[start:end], document.path if rng.random() < 0.5 else "", (), is_complete)


def _piece(document: Document, text: str, rng: random.Random, num_chars: int) -> Sample:
    """A piece of a file, from its beginning every other time."""
    start = 0 if len(text) <= num_chars or rng.random() < 0.5 else text.find("\n", rng.randrange(len(text))) + 1
    piece = text[start : start + num_chars]
    return Sample("", "", piece, document.path, is_complete=start + len(piece) == len(text))


def _line_starts(lines: list[str]) -> list[int]:
    starts, at = [], 0
    for line in lines:
        starts.append(at)
        at += len(line) + 1
    return starts


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
