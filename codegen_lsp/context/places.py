"""Places on a page where an answer can go, and blocks of comment lines."""

from __future__ import annotations

from dataclasses import dataclass

from codegen_lsp.syntax.page import Line, Page
from codegen_lsp.text import Span, line_end_of


@dataclass(frozen=True)
class Place:
    """Where an answer goes; target and lead as in core.Intent."""

    target: Span
    lead: str


def fill(line: Line, text: str, indent: str) -> Place:
    """At `indent` on a blank line; what the line has of it stays, what is too much goes."""
    blank = text[line.start : line.end]
    kept = 0
    while kept < min(len(blank), len(indent)) and blank[kept] == indent[kept]:
        kept += 1
    return Place(Span(line.start + kept, line.end), indent[kept:])


def below(page: Page, row: int, indent: str) -> Place:
    """On a new line below `row`; a line of nothing but indentation that stands there is used instead.

    An empty line is not used: it separates, and an edit at the cursor's own line can be shown by every editor.
    """
    if row + 1 < len(page.lines):
        following = page.lines[row + 1]
        if following.is_blank and following.end > following.start:
            return fill(following, page.text, indent)
    end = page.lines[row].end
    return Place(Span(end, end), line_end_of(page.text) + indent)


def comment_block(page: Page, row: int) -> list[int]:
    """The consecutive comment lines around a line that are one comment, or have the same indentation.

    The line alone when it has code too.
    """
    lines = page.lines
    if not lines[row].is_comment:
        return [row]
    first = last = row
    while first > 0 and _belong(lines[first - 1], lines[first]):
        first -= 1
    while last + 1 < len(lines) and _belong(lines[last], lines[last + 1]):
        last += 1
    return list(range(first, last + 1))


def _belong(above: Line, line: Line) -> bool:
    """Whether two lines are of one comment."""
    return above.is_comment and line.is_comment and (line.in_comment or above.indent == line.indent)


def comment_above(page: Page, opener: int) -> list[int]:
    """The comment lines above a definition's header that are about it, where there is no place for them inside."""
    language, row = page.language, opener
    if row and language.joins.match(page.lines[row].code):
        row = page.statement(row - 1)
    if language.docstrings or not language.definition.match(page.lines[row].code):
        return []
    while row and language.decorator.match(page.lines[row - 1].code):
        row = page.statement(row - 1)
    return comment_block(page, row - 1) if row and page.lines[row - 1].is_comment else []


def inside_braces(page: Page, last: int, opener: int) -> Span | None:
    """From the end of an opener's last line to the line that closes its block, when only blank lines are between."""
    closing = page.after(last)
    if closing is None or page.lines[closing].width != page.lines[opener].width:
        return None
    is_empty = page.language.closer.match(page.lines[closing].code)
    return Span(page.lines[last].end, page.lines[closing - 1].end) if is_empty else None


def comment_lines(page: Page, rows: list[int]) -> list[str]:
    """The text of comments, markers included."""
    return [page.text[page.lines[row].comment or 0 : page.lines[row].end] for row in rows]


def span_of(page: Page, rows: list[int]) -> Span:
    """From the first marker to the end of the last comment."""
    return Span(page.lines[rows[0]].comment or 0, page.lines[rows[-1]].end)
