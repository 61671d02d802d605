"""Answer to Edit: only what leaves the document no more broken than it was, and no larger than it has to be."""

from __future__ import annotations

from codegen_lsp.core import Intent, IntentKind, Shape, Snapshot
from codegen_lsp.syntax.page import Page
from codegen_lsp.syntax.parse import MAX_ERRORS, Tree, parse
from codegen_lsp.text import Edit, Span, line_end_of

MAX_TRIES = 12
"""Shorter and shorter answers that are parsed before giving up."""


def fit(answer: str, snapshot: Snapshot, intent: Intent, tree: Tree) -> tuple[Edit, str] | None:
    """The edit that writes the longest beginning of an answer that parses, and that beginning (with \\n); None if none.

    "Parses": the document has no syntax error that it did not have before. Where it was broken already and errors
    cannot be compared, the written lines have to parse by themselves. `tree` is of `snapshot.text`.
    """
    lines = answer.rstrip().split("\n")
    num_lines = len(lines)
    for _ in range(MAX_TRIES):
        kept = "\n".join(lines[:num_lines]).rstrip()
        if not kept:
            return None
        whole = _whole_edit(kept, snapshot.text, intent)
        is_shortened = num_lines < len(lines)
        bad = _first_bad_line(kept, whole, snapshot, intent, tree)
        if bad is None and not (is_shortened and _ends_open(kept, intent, tree)):
            return minimal(whole, snapshot.text), kept
        num_lines = min(num_lines - 1, kept.count("\n") if bad is None else max(bad, 0))
        if num_lines <= 0:
            return None
    return None


def minimal(edit: Edit, text: str) -> Edit:
    """The same change without what stays the same at both ends."""
    old, new = edit.span.of(text), edit.text
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return Edit(Span(edit.span.start + start, edit.span.end - end), new[start : len(new) - end])


def at_cursor(edit: Edit, text: str, offset: int) -> Edit | None:
    """The edit as an insertion at the cursor, for a caller who can do nothing else; None when it deletes text.

    Blank space between the cursor and the edit is written again, so that the code stands where it should.
    """
    span = edit.span
    if offset < span.start:
        between = text[offset : span.start]
        return Edit(Span(offset, offset), between + edit.text) if not between.strip() and not len(span) else None
    before, after = text[span.start : min(offset, span.end)], text[min(offset, span.end) : span.end]
    if offset > span.end or after.strip() or not edit.text.startswith(before):
        return None
    return Edit(Span(offset, offset), edit.text[len(before) :].removesuffix(after))


def _whole_edit(code: str, text: str, intent: Intent) -> Edit:
    end = line_end_of(text)
    return Edit(intent.target, intent.lead + (code if end == "\n" else code.replace("\n", end)))


def _first_bad_line(code: str, edit: Edit, snapshot: Snapshot, intent: Intent, tree: Tree) -> int | None:
    """The line of `code` (0-based) before which it should be cut because of a new error; None when it is good."""
    text = edit.apply(snapshot.text)
    after = parse(text, snapshot.language, edit.span.start, tree, [edit])
    num_before, num_after = len(tree.errors), len(after.errors)
    start, end = edit.span.start + len(intent.lead), edit.span.start + len(edit.text)
    errors = after.errors
    if num_after <= num_before < MAX_ERRORS:
        if num_before or after.fault is None or not (start <= after.fault < end or _is_new(after.fault, tree, edit)):
            return None
        errors = (after.fault,)
    elif (
        num_before
        and intent.kind is not IntentKind.MID_LINE
        and not parse(intent.indent + code, snapshot.language).errors
    ):
        return None
    inside = [error for error in errors if start <= error < end]
    if num_before or not inside:
        # Where it lies cannot be told. Each try costs a parse of a broken file, so not line by line.
        return (code.count("\n") + 1) // 2
    return code.count("\n", 0, inside[0] - start)


def _is_new(fault: int, tree: Tree, edit: Edit) -> bool:
    """Whether a fault behind or before the edit is another than the one the text had: that one has only moved."""
    if tree.fault is None:
        return True
    moved = len(edit.text) - len(edit.span) if tree.fault >= edit.span.end else 0
    return fault < tree.fault + moved


def _ends_open(code: str, intent: Intent, tree: Tree) -> bool:
    """Whether the last line opens a block of which nothing is left."""
    if intent.shape is Shape.LINE:
        return False
    page = Page(code, tree.language, Span(0, len(code)))
    return page.opener(len(page.lines) - 1) is not None
