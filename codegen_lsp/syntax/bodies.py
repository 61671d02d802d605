"""What stands in a Python function before it is written, and a cheap look that tells texts where nothing does.

`read` has a function's node; the look (`may_be_unwritten`) has the text alone, and costs a twentieth of a parse. Where
it does not understand a header it leaves it to the parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import tree_sitter

from codegen_lsp.syntax.page import width
from codegen_lsp.syntax.pattern import Pattern
from codegen_lsp.text import Span

MAX_PARTS = 100
"""Statements and comments of a body: what has more is written, whatever it says."""
MAX_INDENT = 400
"""Characters before a `def` that the cheap look looks at."""

_COMMENT = re.compile(r"#[^\r\n]*")
_OPENING = re.compile(r"(?:async[ \t\f]+)?def\b")
_BLANK = re.compile(r"[ \t\f]*")
_REST = re.compile(r"[ \t\f;]*(?:#[^\r\n]*)?")
_BETWEEN = re.compile(r"(?:[ \t\f\r\n;]|#[^\r\n]*)*")
_LINE = Pattern(r"(?:\r\n?|\n)(?P<indent>[ \t\f]*)(?P<comment>#[^\r\n]*)?")
_PLAIN_LITERAL = re.compile(r"[rRuU]?[\"']")


class Body(NamedTuple):
    """A body that is still to be written. Offsets are characters."""

    colon: int
    """Behind the header's colon."""
    docstring: Span | None
    placeholders: tuple[Span, ...]
    comments: tuple[Span, ...]
    """All between the colon and the end, those inside a placeholder's brackets left out."""
    end: int
    does_raise: bool


def read(function: tree_sitter.Node, text: str) -> Body | None:
    """What stands for the body of a function definition; None when it is written, or cannot be read for certain."""
    block = function.child_by_field_name("body")
    if block is None or block.named_child_count > MAX_PARTS or not _OPENING.match(text, function.start_byte):
        return None
    statements = [child for child in block.named_children if child.type != "comment"]
    docstring = _docstring(statements[0], text) if statements else None
    placeholders = statements[1:] if docstring else statements
    if not all(_is_placeholder(each, text) for each in placeholders):
        return None
    colon = next((child.end_byte for child in function.children if child.type == ":"), None)
    indent = indent_at(text, function.start_byte)
    if colon is None or indent is None or function.has_error:
        return None
    end = _end(text, statements[-1].end_byte if statements else colon, width(indent))
    spans = tuple(Span(each.start_byte, each.end_byte) for each in placeholders)
    gaps = None if end is None else _gaps(text, colon, [*([docstring] if docstring else []), *spans], end)
    if end is None or gaps is None:
        return None
    comments = tuple(Span(*match.span()) for gap in gaps for match in _COMMENT.finditer(text, gap.start, gap.end))
    return Body(colon, docstring, spans, comments, end, any(each.type == "raise_statement" for each in placeholders))


def indent_at(text: str, offset: int) -> str | None:
    """What stands before an offset in its line, None when that is not only indentation."""
    before = text[line_start(text, offset) : offset]
    return before if _BLANK.fullmatch(before) else None


def line_start(text: str, offset: int) -> int:
    """Where the line of an offset begins."""
    start = text.rfind("\n", 0, offset) + 1
    return max(start, text.rfind("\r", start, offset) + 1)


def line_above(text: str, start: int) -> Span | None:
    """The line above the one that begins at `start`, without its line end."""
    if not start:
        return None
    end = start - (2 if text.endswith("\r\n", 0, start) else 1)
    return Span(line_start(text, end), end)


def first_of(node: tree_sitter.Node) -> tree_sitter.Node | None:
    """The first named child."""
    return node.named_child(0) if node.named_child_count else None


def _docstring(statement: tree_sitter.Node, text: str) -> Span | None:
    """One literal by itself, as the intent and Python see it."""
    string = first_of(statement) if statement.type == "expression_statement" else None
    if string is None or string.type != "string":
        return None
    return Span(string.start_byte, string.end_byte) if _PLAIN_LITERAL.match(text, string.start_byte) else None


def _is_placeholder(statement: tree_sitter.Node, text: str) -> bool:
    if statement.type == "raise_statement":
        return _is_not_implemented(statement, text)
    if statement.type == "expression_statement":
        return statement.child_count == 1 and statement.children[0].type == "ellipsis"
    return statement.type == "pass_statement"


def _is_not_implemented(statement: tree_sitter.Node, text: str) -> bool:
    """`raise NotImplementedError`, called or not, from nothing."""
    cause, raised = statement.child_by_field_name("cause"), first_of(statement)
    called = raised.child_by_field_name("function") if raised and raised.type == "call" else raised
    is_alone = cause is None or cause.type == "none"
    return is_alone and called is not None and text[called.start_byte : called.end_byte] == "NotImplementedError"


def _end(text: str, start: int, limit: int) -> int | None:
    """The end of the last comment that belongs to a body whose last statement ends at `start`.

    None when code follows that is indented by more than `limit` columns: where a file is broken, the parser may have
    left out a part of the body.
    """
    rest = _REST.match(text, start)
    place = rest.end() if rest else start
    end, is_inside = start + len(text[start:place].rstrip()), True
    while place < len(text):
        line = _LINE.match(text, place)
        if line is None:
            return None
        place = line.end()
        is_blank = place == len(text) or text[place] in "\r\n"
        if line["comment"]:
            is_inside = is_inside and width(line["indent"]) > limit
            end = line.start("comment") + len(line["comment"].rstrip()) if is_inside else end
        elif not is_blank:
            return end if width(line["indent"]) <= limit else None
    return end


def _gaps(text: str, start: int, statements: list[Span], end: int) -> list[Span] | None:
    """What is between the statements; None when it is more than comments."""
    edges = [Span(start, start), *statements, Span(end, end)]
    gaps = [Span(above.end, max(above.end, below.start)) for above, below in pairwise(edges)]
    return gaps if all(_BETWEEN.fullmatch(text, gap.start, gap.end) for gap in gaps) else None


# -- the cheap look

_DEF = re.compile(r"def\b")
_BEFORE_DEF = re.compile(r"(?P<indent>[ \t\f]*)(?:async[ \t\f]+)?")
_STRING = r"(?<![fFtTrR])(?:\"(?!\"\")[^\"\\\r\n]*+\"|'(?!'')[^'\\\r\n]*+')"
_FLAT = r"[^()\[\]{}\"'#\\]++"


def _brackets(depth: int) -> str:
    """Brackets with what is in them, nested so deep."""
    inner = f"|{_brackets(depth - 1)}" if depth else ""
    return rf"[(\[{{](?:{_FLAT}|{_STRING}|#[^\r\n]*+{inner})*+[)\]}}]"


_HEADER = Pattern(
    rf"[ \t\f]++\w++[ \t\f]*+(?:(?=\[){_brackets(2)})?+[ \t\f]*+(?=\(){_brackets(3)}[ \t\f]*+"
    rf"(?:->(?:[^:()\[\]{{}}\"'#\\\r\n]++|{_STRING}|{_brackets(3)})*+)?+:"
)
_GAP = Pattern(r"(?:[ \t\f]*+(?:#[^\r\n]*+)?+[\r\n]++)*+(?P<indent>[ \t\f]*+)(?:#[^\r\n]*+)?+")
_PLACEHOLDER = Pattern(r"\.\.\.|pass\b|raise\b(?:[ \t\f]+NotImplementedError\b|[ \t\f]*\\)|;")
_LITERAL = Pattern(
    r"[rRuU]?(?:"
    r'"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+"""'
    r"|'''[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+'''"
    r'|"(?!"")[^"\\\r\n]*+(?:\\.[^"\\\r\n]*+)*+"'
    r"|'(?!'')[^'\\\r\n]*+(?:\\.[^'\\\r\n]*+)*+')",
    re.DOTALL,
)


def may_be_unwritten(text: str) -> bool:
    """False only where no function of a text can have a body for which `read` says that it is to be written."""
    return any(_may_be(text, match.start()) for match in _DEF.finditer(text))


def _may_be(text: str, start: int) -> bool:
    near = text[max(0, start - MAX_INDENT) : start]
    before = _BEFORE_DEF.fullmatch(near, max(near.rfind("\n"), near.rfind("\r")) + 1)
    if before is None:
        return False
    if len(before.group()) == MAX_INDENT:
        return True  # where its line begins was not looked for
    header = _HEADER.match(text, start + len("def"))
    if header is None or "lambda" in header.group():
        return True  # where its colon is cannot be told
    return any(_is_open(text, gap, before["indent"]) for gap in _first_gaps(text, header.end()))


def _first_gaps(text: str, place: int) -> Iterator[re.Match[str]]:
    """What stands between the header and the first statement, and behind the docstring when that is the first."""
    first = _GAP.match(text, place)
    literal = first and _LITERAL.match(text, first.end())
    second = literal and _GAP.match(text, literal.end())
    yield from filter(None, (first, second))


def _is_open(text: str, gap: re.Match[str], indent: str) -> bool:
    """Whether what follows a gap is a placeholder, or belongs to no body of a function with this indentation."""
    place = gap.end()
    is_odd = _PLAIN_LITERAL.match(text, place) and not _LITERAL.match(text, place)
    if place == len(text) or is_odd or _PLACEHOLDER.match(text, place):
        return True
    is_below = "\n" in gap.group() or "\r" in gap.group()
    is_deeper = gap["indent"].startswith(indent) and len(gap["indent"]) > len(indent)
    return is_below and not is_deeper
