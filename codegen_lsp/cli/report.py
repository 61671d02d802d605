"""What `implement` and `hook` say about functions, for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from codegen_lsp.cli.terminal import paint
from codegen_lsp.cli.work import Outcome
from codegen_lsp.implement import Candidate, Implementation
from codegen_lsp.text import printable
from codegen_lsp.verify.judge import Status

STYLES = {"verified": "green", "unverified": "yellow", "refused": "red", "left": "red"}


def lines(outcomes: Sequence[Outcome], stream: TextIO) -> Iterator[str]:
    """One line a function, below its file's name; files with nothing to do are not mentioned."""
    for outcome in outcomes:
        if outcome.error:
            yield paint(printable(f"{outcome.source.name}: {outcome.error}"), "red", stream)
        elif outcome.done:
            yield paint(printable(outcome.source.name), "bold", stream)
            width = max(len(each.stub.name) for each in outcome.done)
            yield from (_line(each, width, stream) for each in outcome.done)


def _line(done: Implementation, width: int, stream: TextIO) -> str:
    words = paint(printable(f"{_word(done)}{_detail(done)}{_sureness(done)}"), STYLES[_word(done)], stream)
    added = f"; added at the top: {', '.join(done.chosen.imports)}" if done.chosen and done.chosen.imports else ""
    cost = (
        f" ({done.num_asked} candidate{'s' if done.num_asked > 1 else ''}, {done.seconds:.1f} s)"
        if done.num_asked
        else ""
    )
    return f"  {done.stub.line:>5} {done.stub.name:<{width}}  {words}{added}{paint(cost, 'dim', stream)}"


def _word(done: Implementation) -> str:
    """One word for what came of a function: "left" when it was not written and nothing was refused."""
    if done.chosen is not None or done.verdict.status is Status.REFUSED:
        return str(done.verdict.status)
    return "left"


def _detail(done: Implementation) -> str:
    if done.chosen is not None and done.verdict.status is Status.VERIFIED:
        return done.verdict.words.removeprefix(str(Status.VERIFIED))
    prefix = (
        "unverified: " if done.chosen is None and done.verdict.status is Status.UNVERIFIED and done.candidates else ""
    )
    return f": {prefix}{done.verdict.reason}"


def _sureness(done: Implementation) -> str:
    """How sure the model is, where nothing else speaks for a body."""
    if done.chosen is None or done.verdict.status is Status.VERIFIED or not done.chosen.confidence:
        return ""
    return f"; the model is {done.chosen.confidence:.0%} sure"


def summary(outcomes: Sequence[Outcome], *, is_writing: bool) -> str:
    """One line for all."""
    counts = Counter(_word(each) for outcome in outcomes for each in outcome.done)
    parts = ", ".join(f"{counts[word]} {word}" for word in STYLES if counts[word])
    num_files = sum(outcome.is_written for outcome in outcomes)
    end = (
        f"{num_files} file{'s' if num_files != 1 else ''} changed."
        if is_writing
        else "nothing was written (--write does)."
    )
    return "; ".join(filter(None, (parts, end)))


def as_json(outcomes: Sequence[Outcome], sandbox: str) -> dict[str, Any]:
    """All of it; `sandbox` is the name of what examples ran in, "" for none."""
    functions = [(outcome, each) for outcome in outcomes for each in outcome.done]
    counts = Counter(_word(each) for _, each in functions)
    return {
        "sandbox": sandbox or None,
        "counts": {word: counts[word] for word in STYLES},
        "files": [
            {
                "path": outcome.source.name,
                "is_written": outcome.is_written,
                "error": str(outcome.error) if outcome.error else None,
                "functions": [_function(each) for each in outcome.done],
            }
            for outcome in outcomes
        ],
    }


def _function(done: Implementation) -> dict[str, Any]:
    return {
        "name": done.stub.name,
        "line": done.stub.line,
        "status": _word(done),
        "examples": {"passed": done.verdict.passed, "total": done.verdict.total},
        "reason": done.verdict.reason or None,
        "body": done.chosen.body if done.chosen else None,
        "imports": list(done.chosen.imports) if done.chosen else [],
        "confidence": round(done.chosen.confidence, 4) if done.chosen else None,
        "num_asked": done.num_asked,
        "seconds": round(done.seconds, 3),
        "candidates": [_candidate(each) for each in done.candidates],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    verdict = candidate.verdict
    return {
        "body": candidate.body,
        "status": str(verdict.status),
        "examples": {"passed": verdict.passed, "total": verdict.total},
        "reason": verdict.reason or None,
        "confidence": round(candidate.confidence, 4),
        "temperature": candidate.temperature,
        "imports": list(candidate.imports),
    }
