"""How a completion came about, in words: for a terminal, and for editors that have no page of their own for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from codegen_lsp.core import Completion, Segment, Snippet
from codegen_lsp.text import printable

WIDTH = 78
"""Columns that a line of token probabilities fills."""

SURE, UNSURE = 0.8, 0.4
"""Token probabilities above which a token is plain, and yellow; below both it is red."""

Paint = Callable[[str, str], str]
"""Text and style (plain, bold, dim, yellow, red) to text."""


def explain(
    answer: Completion,
    model: str,
    snippets: Sequence[Snippet] = (),
    *,
    budget: int = 0,
    paint: Paint = lambda text, _: text,
) -> Iterator[str]:
    """The lines: what was asked for, what was shown, said and done to it. `snippets`: what was found in other files.

    `budget`: the most tokens that a prompt may have; 0 when that is not known.
    """
    if answer.intent is None or answer.prompt is None:
        yield f"Nothing is asked for here ({answer.stop})."
        return
    yield paint(f"{model}: {answer.intent.kind}, one {answer.intent.shape}", "bold")
    yield f"\nprompt: {len(answer.prompt.ids)} tokens" + (f" of at most {budget}" if budget else "")
    yield from (_segment(part, paint) for part in answer.prompt.segments)
    yield from _found(answer, snippets)
    yield f"\nanswer: {len(answer.tokens)} tokens, ended by {answer.stop}, confidence {answer.confidence:.0%}"
    yield from _tokens(answer.tokens, paint)
    yield "\noffered:" + (_indented(answer.text) if answer.text else " nothing")
    yield "\nfilters: " + (", ".join(answer.filters) or "none fired")
    yield "times (ms): " + ", ".join(f"{name} {value:.1f}" for name, value in answer.timings_ms.items())
    yield "engine: " + ", ".join(f"{name} {value:g}" for name, value in answer.usage.items())
    if drafted := answer.usage.get("drafted_tokens"):
        accepted = answer.usage["accepted_tokens"]
        yield f"drafts: {accepted:.0f} of {drafted:.0f} tokens found in the text were right ({accepted / drafted:.0%})"


def found(answer: Completion, snippets: Sequence[Snippet]) -> list[dict[str, Any]]:
    """Every piece of another file that was found: from where, why, and as how many tokens; 0 when it did not fit."""
    segments = answer.prompt.segments if answer.prompt else ()
    shown = {part.text: part.num_tokens for part in segments if part.name.startswith("snippet ")}
    return [
        {"path": each.path, "reason": each.reason, "score": each.score}
        | {"tokens": shown.get(f"{each.path}\n{each.text}\n", 0)}
        for each in snippets
    ]


def _tokens(tokens: Iterable[tuple[str, float]], paint: Paint) -> Iterator[str]:
    """Tokens with their probabilities, in lines of at most WIDTH columns."""
    line, width = list[str](), 0
    for text, logprob in tokens:
        chance = math.exp(logprob)
        word = f"{text!r} {chance:.2f}"
        if line and width + 1 + len(word) > WIDTH:
            yield " ".join(line)
            line, width = [], 0
        line.append(paint(word, "plain" if chance > SURE else "yellow" if chance > UNSURE else "red"))
        width += len(word) + bool(width)
    if line:
        yield " ".join(line)


def _indented(text: str) -> str:
    return "".join(f"\n  {printable(line)}" for line in text.split("\n"))


def _found(answer: Completion, snippets: Sequence[Snippet]) -> Iterator[str]:
    for each in found(answer, snippets):
        what = f"{each['tokens']} tokens" if each["tokens"] else "no room"
        yield f"found: {printable(each['path'])} ({each['reason']}, score {each['score']:.2f}): {what}"


def _segment(part: Segment, paint: Paint) -> str:
    """A line for a part of the prompt: of the prefix its end, of others their beginning."""
    lines = [line.strip() for line in part.text.split("\n") if line.strip()] or [""]
    shown = lines[-1] if part.name == "prefix" else lines[0]
    return f"  {part.name:<16} {part.num_tokens:>5} tokens  {paint(printable(shown[:80]), 'dim')}"
