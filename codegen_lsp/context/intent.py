"""What does the cursor ask for? Which comment or docstring is the order, and which span is to be written?

Four places where a cursor can stand: in a comment, in a string, on a blank line, in code. Each has one function. A
request nobody made (Trigger.AUTOMATIC) is answered only where an answer is likely to be wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen_lsp.context.orders import is_order
from codegen_lsp.context.places import (
    Place,
    below,
    comment_above,
    comment_block,
    comment_lines,
    fill,
    inside_braces,
    span_of,
)
from codegen_lsp.core import Intent, IntentKind, Shape, Snapshot, Trigger
from codegen_lsp.syntax.page import Line, Page, width
from codegen_lsp.syntax.parse import Tree
from codegen_lsp.text import Span, line_end_of


def find_intent(snapshot: Snapshot, tree: Tree) -> Intent | None:
    """The intent of a cursor; None when there is nothing to ask the model for. `tree` is of `snapshot.text`."""
    offset = snapshot.offset
    if snapshot.text[max(0, offset - 1) : offset + 1] == "\r\n":
        offset -= 1  # between the two characters of one line end
    here = _Here(tree.page, offset, tree.page.index(offset), snapshot.trigger is Trigger.AUTOMATIC)
    if (here.automatic and not snapshot.text.strip()) or (tree.is_cut and not here.row):
        return None
    intent = _at(here)
    return intent if intent and intent.target.start >= snapshot.floor else None


def _at(here: _Here) -> Intent | None:
    comment = here.line.comment
    if comment is not None and (here.offset > comment or (here.line.is_comment and not here.automatic)):
        return _in_comment(here)
    if here.page.string_at(here.offset):
        return _in_string(here)
    return _on_blank_line(here) if here.line.is_blank else _in_code(here)


@dataclass(frozen=True)
class _Here:
    """A cursor on a page."""

    page: Page
    offset: int
    row: int
    automatic: bool

    @property
    def line(self) -> Line:
        return self.page.lines[self.row]

    @property
    def rest(self) -> str:
        """From the cursor to the end of its line."""
        return self.page.text[self.offset : self.line.end]

    @property
    def typed(self) -> str:
        """From the start of its line to the cursor."""
        return self.page.text[self.line.start : self.offset]


# -- in a comment


def _in_comment(here: _Here) -> Intent | None:
    rows = comment_block(here.page, here.row)
    order = span_of(here.page, rows)
    if here.automatic and (here.rest.strip() not in ("", "*/") or here.row != rows[-1]):
        return None  # still being typed
    if not is_order(comment_lines(here.page, rows), here.automatic):
        return None if here.automatic else _mid_line(here)
    if not here.line.is_comment:
        return _trailing(here, order)
    return _of_function_below(here, rows[-1], order) or _below_comment(
        here, rows[-1], here.page.lines[rows[0]].indent, IntentKind.COMMENT_ABOVE, order
    )


def _of_function_below(here: _Here, row: int, order: Span) -> Intent | None:
    """The body of the function that a comment right above it is about, if it is still to be written."""
    page = here.page
    header = page.header(row + 1) if row + 1 < len(page.lines) and not page.language.docstrings else None
    if header is None:
        return None
    opener, last = header
    body = page.body(last, opener)
    return None if body and page.stub(body) is None else _open_block(here, last, opener, IntentKind.DOCSTRING, order)


def _trailing(here: _Here, order: Span) -> Intent | None:
    """A comment behind code: behind a block opener it asks for the body, behind a statement for the next one."""
    page, row = here.page, here.row
    opener = page.opener(row)
    if opener is not None:
        return _open_block(here, row, opener, IntentKind.COMMENT_TRAILING, order)
    first = page.lines[page.statement(row)]
    inside = here.line.depth_after > 0
    indent = (here.line if inside else first).indent
    if inside and here.line.code.endswith(("(", "[", "{")):
        indent += page.unit()
    return _below_comment(here, row, indent, IntentKind.COMMENT_TRAILING, order)


def _below_comment(here: _Here, row: int, indent: str, kind: IntentKind, order: Span) -> Intent | None:
    """Write below line `row`. Code that stands there already is what the comment describes, unless the user asks."""
    following = here.page.after(row)
    is_taken = following == row + 1 and here.page.lines[following].width >= width(indent)
    place = _over_stub(here, row, indent) or below(here.page, row, indent)
    if is_taken and here.automatic:
        return None
    return Intent(kind, _shape(here, row, indent), place.target, place.lead, indent, order)


def _shape(here: _Here, row: int, indent: str) -> Shape:
    """A block; but one line where a block stands below `row` already that has no header: it is wanted, and no more."""
    following = here.page.after(row)
    if following is None or here.page.language.closer.match(here.page.lines[following].code):
        return Shape.BLOCK
    return Shape.LINE if here.page.lines[following].width > width(indent) else Shape.BLOCK


# -- in a string


def _in_string(here: _Here) -> Intent | None:
    rest = here.rest.strip().strip("\"'")
    if here.automatic and rest:
        return None
    intent = _docstring(here, here.row)
    if intent or here.automatic:
        return intent
    return _mid_line(here)


def _docstring(here: _Here, row: int) -> Intent | None:
    """The order of the docstring at line `row`, if its body is still to be written."""
    page = here.page
    found = page.docstring(row)
    if found is None:
        return None
    first, opener = found
    last, indent = page.string_end(first), page.lines[first].indent
    if page.string_at(page.lines[last].end):
        return None  # not closed: it is the docstring that is being written
    body = page.body(last, opener)
    stub = page.stub(body)
    if body and stub is None:
        return None
    order = Span(page.lines[first].start + len(indent), page.lines[last].end)
    place = _on_line(here, indent) if here.line.is_blank and here.row > last else below(page, last, indent)
    if stub:
        place = _covering(here, indent, stub)
    shape = Shape.BLOCK if opener is None else Shape.BODY
    return Intent(IntentKind.DOCSTRING, shape, place.target, place.lead, indent, order)


# -- on a blank line


def _on_blank_line(here: _Here) -> Intent | None:
    page, typed = here.page, here.typed
    above = page.before(here.row)
    if above is None:
        return _line(here, typed)
    if here.line.depth:
        return _comment_order(here, above) or _line(here, typed or page.lines[above].indent)
    return _comment_order(here, above) or _docstring_order(here, above) or _after(here, above)


def _comment_order(here: _Here, above: int) -> Intent | None:
    """The comment above a blank line, if it is an order for this line."""
    if not here.page.lines[above].is_comment:
        return None
    rows = comment_block(here.page, above)
    line = here.page.lines[rows[0]]
    if _is_dedented(here, line.indent, above):
        return None
    if not is_order(comment_lines(here.page, rows), here.automatic):
        return None
    place = _over_stub(here, here.row, line.indent) or _on_line(here, line.indent)
    order = span_of(here.page, rows)
    shape = _shape(here, here.row, line.indent)
    return Intent(IntentKind.COMMENT_ABOVE, shape, place.target, place.lead, line.indent, order)


def _docstring_order(here: _Here, above: int) -> Intent | None:
    page = here.page
    found = page.docstring(above)
    if found is None and not here.automatic and page.stub([above]):
        # Below a stub, which is below its docstring.
        above = page.before(above) or 0
        found = page.docstring(above)
    if found is None or _is_dedented(here, page.lines[found[0]].indent, above):
        return None
    return _docstring(here, above)


def _after(here: _Here, above: int) -> Intent | None:
    """A blank line after code: the body of an opener, else the next statement."""
    page = here.page
    opener = page.opener(above)
    if opener is not None and not page.body(above, opener):
        comment = page.lines[above].comment
        if comment is not None and is_order([page.text[comment : page.lines[above].end]], here.automatic):
            order = Span(comment, page.lines[above].end)
            return _open_block(here, above, opener, IntentKind.COMMENT_TRAILING, order)
        return _open_block(here, above, opener, IntentKind.SIGNATURE, None)
    return _line(here, here.typed or _inferred_indent(page, here.row, above, opener))


def _inferred_indent(page: Page, row: int, above: int, opener: int | None) -> str:
    """Indentation of an empty line between two statements of one block."""
    below = page.after(row)
    if below is None or row - above > 2:
        return ""
    after, before = page.lines[below], page.lines[page.statement(above)]
    same = after.width > before.width if opener is not None else after.width == before.width
    return after.indent if same else ""


def _line(here: _Here, indent: str) -> Intent:
    """A statement at the cursor's column. At column 0 `indent` is only likely (an `except` may be meant, or a new
    function), so the model is left to write it."""
    place = _on_line(here, here.typed)
    return Intent(IntentKind.LINE, Shape.LINE, place.target, place.lead, indent)


def _is_dedented(here: _Here, indent: str, above: int) -> bool:
    """Whether the user went back to an outer block, away from the order at line `above`."""
    if here.typed:
        return width(here.typed) < width(indent)
    return bool(indent) and here.automatic and here.row - above > 1


# -- in code


def _in_code(here: _Here) -> Intent | None:
    page, row = here.page, here.row
    if not here.rest.strip():
        if page.docstring(row):
            intent = _docstring(here, row)
            if intent or here.automatic:
                return intent
        opener = page.opener(row)
        if opener is not None and here.line.comment is None:
            body = page.body(row, opener)
            if not body or (page.stub(body) and not here.automatic):
                return _open_block(here, row, opener, IntentKind.SIGNATURE, None)
            if here.automatic:
                return None
    if not here.automatic:
        return _at_stub(here) or _mid_line(here)
    follows = here.rest[:1]
    is_inside_word = follows.isalnum() or follows == "_"
    return None if is_inside_word or not here.typed.strip() else _mid_line(here)


def _at_stub(here: _Here) -> Intent | None:
    """The cursor on the `pass` below a docstring, or below a header with a comment above it."""
    page, above = here.page, here.page.before(here.row)
    if above is None or not page.stub([here.row]):
        return None
    opener = page.opener(above)
    if opener is not None and comment_above(page, opener):
        return _open_block(here, above, opener, IntentKind.SIGNATURE, None)
    return _docstring(here, above)


def _mid_line(here: _Here) -> Intent:
    end = here.offset if here.rest.strip() else here.line.end
    return Intent(IntentKind.MID_LINE, Shape.LINE, Span(here.offset, end), "", here.line.indent)


# -- places


def _open_block(here: _Here, last: int, opener: int, kind: IntentKind, order: Span | None) -> Intent | None:
    """The body of a block opener that ends at line `last`; in front of its statements when it has some already."""
    page = here.page
    rows = comment_above(page, opener) if order is None else []
    if rows and is_order(comment_lines(page, rows), here.automatic):
        kind, order = IntentKind.DOCSTRING, span_of(page, rows)
    body = page.body(last, opener)
    stub = page.stub(body)
    if body and stub is None:
        indent = page.lines[body[0]].indent
        if here.automatic:
            return None
        place = below(page, last, indent)
        return Intent(kind, Shape.BLOCK, place.target, place.lead, indent, order)
    indent = page.lines[opener].indent + page.unit()
    if stub:
        indent = page.lines[body[0]].indent
        place = _covering(here, indent, stub)
    elif here.row > last:
        if width(here.typed) > page.lines[opener].width:
            indent = here.typed
        place = _on_line(here, indent)
    else:
        place = below(page, last, indent)
        if empty := inside_braces(page, last, opener):
            place = Place(empty, line_end_of(page.text) + indent)
    return Intent(kind, Shape.BODY, place.target, place.lead, indent, order)


def _on_line(here: _Here, indent: str) -> Place:
    """At `indent` on the cursor's blank line."""
    return fill(here.line, here.page.text, indent)


def _over_stub(here: _Here, row: int, indent: str) -> Place | None:
    """In place of the stub that is all that follows below `row` in its block."""
    lines = here.page.lines
    following = here.page.after(row)
    if following is None or not indent or lines[following].indent != indent:
        return None
    rest = [following]
    for number in range(following + 1, len(lines)):
        line = lines[number]
        if not line.is_blank and not line.continues and line.width < width(indent):
            break
        if not line.is_blank:
            rest.append(number)
    stub = here.page.stub(rest)
    return _covering(here, indent, stub) if stub else None


def _covering(here: _Here, indent: str, stub: Span) -> Place:
    """Over a stub, and over the blank lines between it and the cursor's."""
    if not here.line.is_blank:
        return Place(stub, "")
    place = _on_line(here, indent)
    if place.target.start < stub.start:
        return Place(Span(place.target.start, stub.end), place.lead)
    return Place(Span(stub.start, max(stub.end, here.line.end)), "")
