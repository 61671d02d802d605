"""What a reader must know of the lines that do not fit: the file's imports, and in which definitions the cursor is."""

from __future__ import annotations

from codegen_lsp.syntax.page import Page
from codegen_lsp.syntax.parse import Tree
from codegen_lsp.text import Span

HEAD = 16 * 1024
"""Characters at the top of a file that are searched for imports."""


def imports(tree: Tree) -> list[Span]:
    """Top-level import statements near the top, whole lines without their line end, in order."""
    page = Page(tree.text, tree.language, Span(0, min(len(tree.text), HEAD))) if tree.window.start else tree.page
    found = list[Span]()
    for number, line in enumerate(page.lines):
        if line.start >= HEAD:
            break
        if not line.continues and not line.indent and tree.language.imports.match(line.code):
            found.append(_statement(page, number))
    return found


def enclosing(page: Page, offset: int) -> list[Span]:
    """Headers (decorators, `class` or `def` to its colon) of the definitions around an offset, outermost first."""
    row = page.index(offset)
    start = page.lines[row].start
    # On a blank line the column of the cursor says in which block it is.
    limit = len(page.text[start:offset].expandtabs(8)) if page.lines[row].is_blank else page.lines[row].width
    found = list[Span]()
    for number in range(row - 1, -1, -1):
        line = page.lines[number]
        if not line.code or line.continues or line.width >= limit:
            continue
        limit = line.width
        if page.language.definition.match(line.code) and not page.language.decorator.match(line.code):
            found.append(Span(page.lines[_first_decorator(page, number)].start, _statement(page, number).end))
        if not limit:
            break
    return found[::-1]


def _statement(page: Page, number: int) -> Span:
    """The lines of the statement that begins in a line."""
    last = number
    while last + 1 < len(page.lines) and page.lines[last + 1].continues:
        last += 1
    return Span(page.lines[number].start, page.lines[last].end)


def _first_decorator(page: Page, number: int) -> int:
    first = number
    while first > 0:
        above = page.statement(first - 1)
        if not page.language.decorator.match(page.lines[above].code):
            break
        first = above
    return first
