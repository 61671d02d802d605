"""Snapshot and intent to Context: what the model sees of the file, fitted to real tokens."""

from __future__ import annotations

from collections.abc import Sequence

from codegen_lsp.context.budget import (
    CHARS_PER_TOKEN,
    HEAD_SHARE,
    HEADER_SHARE,
    SNIPPET_SHARE,
    SUFFIX_CAP,
    SUFFIX_SHARE,
    CountTokens,
    fit_snippets,
    nearest_after,
    nearest_before,
    that_fit,
)
from codegen_lsp.context.scope import enclosing, imports
from codegen_lsp.core import Context, Intent, Snapshot, Snippet
from codegen_lsp.syntax.parse import Tree
from codegen_lsp.text import LineIndex, Span, with_newlines


def build(
    snapshot: Snapshot,
    intent: Intent,
    tree: Tree,
    budget_tokens: int,
    *,
    count_tokens: CountTokens,
    snippets: Sequence[Snippet] = (),
) -> Context:
    """The context of an intent in at most `budget_tokens` tokens of text (path and control tokens not counted).

    `count_tokens` is asked about pieces near the cursor only, never about a whole large file.
    """
    target = intent.target
    chosen = fit_snippets(snippets, int(budget_tokens * SNIPPET_SHARE), count_tokens)
    budget = budget_tokens - sum(count_tokens(f"{one.path}\n{one.text}\n") + 1 for one in chosen)
    before = with_newlines(snapshot.text[max(0, target.start - _reach(budget)) : target.start] + intent.lead)
    after = with_newlines(snapshot.text[target.end : target.end + _reach(budget)])
    whole = target.start <= _reach(budget)
    # Two fixed shares, not "what the prefix leaves": else every key would change the suffix.
    fits = whole and _fits(before, int(budget * (1 - SUFFIX_CAP)), count_tokens)
    suffix = nearest_after(after, int(budget * (SUFFIX_CAP if fits else SUFFIX_SHARE)), count_tokens)
    room = budget - count_tokens(suffix.text)
    prefix, lost = (before, 0) if fits else _tight_prefix(snapshot, intent, tree, room, count_tokens)
    missing = len(snapshot.text) - target.end - len(after) + suffix.dropped
    seen = [one for one in chosen if one.path == snapshot.path and (one.text in prefix or one.text in suffix.text)]
    chosen = tuple(one for one in chosen if one not in seen)
    dropped = [f"{lost} characters before the cursor"] if lost else []
    dropped += [f"{missing} characters behind the cursor"] if suffix.dropped else []
    dropped += [f"snippet {one.path}" for one in snippets if one not in chosen and one not in seen]
    return Context(snapshot.path, snapshot.language, prefix, suffix.text, chosen, tuple(dropped))


def _reach(budget: int) -> int:
    """Characters beyond which no text can fit."""
    return CHARS_PER_TOKEN * max(budget, 0)


def _fits(text: str, budget: int, count: CountTokens) -> bool:
    return len(text) <= _reach(budget) and count(text) <= budget


def _tight_prefix(snapshot: Snapshot, intent: Intent, tree: Tree, budget: int, count: CountTokens) -> tuple[str, int]:
    """Imports and headers of the enclosing definitions, then the nearest lines; and how much was left out."""
    start = intent.target.start
    text = with_newlines(snapshot.text[:start] + intent.lead)
    if _fits(text, budget, count):
        return text, 0
    spans = (enclosing(tree.page, start), imports(tree))
    # All imports and a fixed room for headers, though some may turn out to be near and headers change with the
    # column of the cursor: so the cut does not move to and fro.
    most = int(budget * HEAD_SHARE)
    head_room = min(most, count(_head(snapshot.text, spans[1:], most, count)) + int(budget * HEADER_SHARE))
    near = nearest_before(text, budget - head_room, count)
    above = near.dropped
    if "\r" in snapshot.text:  # then offsets differ where line ends have two characters
        above = LineIndex(snapshot.text).line_span(text.count("\n", 0, near.dropped)).start
    unseen = [[span for span in group if span.end < above] for group in spans]
    head = _head(snapshot.text, unseen, head_room, count)
    return head + near.text, near.dropped - len(head)


def _head(text: str, groups: Sequence[Sequence[Span]], budget: int, count: CountTokens) -> str:
    """The spans that fit, a line end behind each, in the order of the file; the first group has the first claim."""
    taken: dict[int, str] = {}
    for spans in groups:
        wanted = [span for span in spans if span.start not in taken]
        room = budget - (count("".join(taken.values())) if taken else 0)
        lines = that_fit([with_newlines(span.of(text)) + "\n" for span in wanted], room, count)
        taken.update(zip((span.start for span in wanted), lines, strict=False))
    return "".join(taken[start] for start in sorted(taken))
