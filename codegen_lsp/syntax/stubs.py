"""The Python functions whose bodies are still to be written, and the place where each body goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

import tree_sitter

from codegen_lsp.syntax.bodies import Body, first_of, indent_at, line_above, line_start, may_be_unwritten, read
from codegen_lsp.syntax.languages import find
from codegen_lsp.syntax.off import is_off
from codegen_lsp.syntax.page import Page, width
from codegen_lsp.syntax.parse import MAX_WHOLE, parse_whole
from codegen_lsp.syntax.remarks import find_order, is_saying, says_nothing_is_done
from codegen_lsp.text import LineIndex, Span, line_end_of, split_lines

MAX_DEPTH = 200
"""Functions inside more nodes than these are not looked for; Python allows 100 blocks."""

MAX_ANCESTORS = 50
"""Of a class, that are looked up in its file."""

_ABSTRACT = {"abstractmethod", "abstractproperty", "abstractclassmethod", "abstractstaticmethod", "overload"}
_DISPATCH = {"singledispatch", "singledispatchmethod"}
"""Decorators of functions that may well raise for what nobody has registered."""
_DEFINITIONS = {"function_definition", "class_definition", "decorated_definition"}
_THROUGH = {
    *("block", "if_statement", "elif_clause", "else_clause", "for_statement", "while_statement", "with_statement"),
    *("try_statement", "except_clause", "except_group_clause", "finally_clause", "match_statement", "case_clause"),
    "ERROR",
}
"""Nodes that may have functions inside and are none."""
_INNER = {"call": "function", "subscript": "value", "attribute": "attribute"}
"""The field of a node that its name is in: `typing.Protocol[T]` is a Protocol."""


@dataclass(frozen=True)
class Stub:
    """A function whose body is still to be written. Offsets are characters."""

    name: str
    """Qualified, without <locals>: "area", "Basket.total", "outer.inner"."""
    line: int
    """Of its `def`, from 1."""
    whole: Span
    """From the decorators to the end of the body."""
    docstring: Span | None
    """The literal, quotes included."""
    order: Span | None
    """What says in words what is wanted: the docstring, else comments in the body, else the comment right above."""
    body: Span
    """What stands for the body besides the docstring and comments with words; empty when nothing does."""
    colon: int = 0
    """Behind the header's colon."""
    comments: tuple[Span, ...] = ()
    """Those behind the docstring, or the colon where there is none, that are left when the body is opened."""

    @property
    def is_wordless(self) -> bool:
        """Whether nothing says what is wanted but the header."""
        return self.order is None


def find_stubs(text: str, path: str = "x.py", exclude: Sequence[str] = ()) -> tuple[Stub, ...]:
    """The functions of a Python file whose bodies are to be written, in order of where they begin. Never fails.

    A body is to be written when it is nothing but a docstring, `...`, `pass`, `raise NotImplementedError` and comments.
    Not those that are meant so: abstract methods, also by convention (they raise, or say nothing, and a class of the
    same file overrides them), overloads, members of a Protocol, what is under `if TYPE_CHECKING:`, all of a .pyi file,
    and what says `codegen: off`. `exclude` are patterns (fnmatch) of qualified or plain names.
    """
    if path.endswith(".pyi") or len(text) > MAX_WHOLE or is_off(text) or not may_be_unwritten(text):
        return ()
    root = parse_whole(text, "python").root
    if root is None:
        return ()
    walk = _Walk(text)
    found = list(walk.inside(root, _Around()))
    overridden = _overridden(walk.classes)
    return tuple(
        each.stub
        for each in found
        if not (each.is_bare and each.owner and each.name in overridden.get(each.owner.name, ()))
        and not any(fnmatchcase(name, pattern) for pattern in exclude for name in (each.stub.name, each.name))
    )


def opened(text: str, stub: Stub) -> tuple[str, int]:
    """(the text with a blank line where the body goes instead of what stands for it, offset of that line's end).

    An invoked completion there writes the body. Comments with words stay, on lines of their own behind a docstring or
    the header; below such a comment a block is asked for (core.Shape), else a body. A docstring in the header's line
    moves below it. Everything outside of `stub.whole` stays as it is.
    """
    indent, line_end = _body_indent(text, stub), line_end_of(text)
    head, start = text[: stub.colon], stub.colon
    if stub.docstring:
        start = stub.docstring.end
        between = text[stub.colon : stub.docstring.start]
        head += (between if between.strip(" \t\f") else line_end + indent) + stub.docstring.of(text)
    head += line_end.join([*_kept(text, start, stub, indent), indent])
    return head + text[stub.whole.end :], len(head)


def _kept(text: str, start: int, stub: Stub, indent: str) -> Iterator[str]:
    """What stays of the lines from `start` on, which is in a line of code: comments, and blank lines as they are."""
    comments = iter(stub.comments)
    ahead = next(comments, None)
    for number, line in enumerate(split_lines(text[start : stub.whole.end])):
        comment = ahead if ahead and ahead.start < start + len(line) else None
        if comment:
            yield (indent if number else _space_before(text, comment)) + comment.of(text)
            ahead = next(comments, None)
        elif not number:
            yield ""
        elif not line.strip() and not stub.body.start < start < stub.body.end:
            yield line.rstrip("\r\n")
        start += len(line)


def _space_before(text: str, comment: Span) -> str:
    """The space before a comment in a line of code, two blanks where there is none."""
    before = text[line_start(text, comment.start) : comment.start]
    return before[len(before.rstrip(" \t\f")) :] or "  "


def _body_indent(text: str, stub: Stub) -> str:
    """The indentation of a stub's body: that of the first thing in it which has a line of its own, else one step."""
    header = LineIndex(text).line_span(stub.line - 1).of(text)
    outer = header[: len(header) - len(header.lstrip())]
    for place in filter(None, (stub.docstring, stub.body, *stub.comments)):
        indent = indent_at(text, place.start)
        if indent and width(indent) > width(outer):
            return indent
    return outer + Page(text, find("python"), Span(0, len(text))).unit()


# -- finding them


class _Class(NamedTuple):
    """A class, as far as it matters for its members."""

    name: str
    bases: tuple[str, ...]
    methods: set[str]


class _Around(NamedTuple):
    """What is known of a place from the nodes that it is in."""

    names: tuple[str, ...] = ()
    owner: _Class | None = None
    """The class of which a function here would be a method."""
    depth: int = 0


class _Found(NamedTuple):
    """A stub, and what is needed to tell whether it is abstract by convention."""

    stub: Stub
    owner: _Class | None
    is_bare: bool
    """It raises, or says nothing."""

    @property
    def name(self) -> str:
        return self.stub.name.rpartition(".")[2]


class _Walk:
    """One walk over a tree. Offsets of nodes are characters, since the parser saw one byte for each."""

    def __init__(self, text: str) -> None:
        self.classes: list[_Class] = []
        self._text = text
        self._has_switch = "codegen:" in text.lower()

    def inside(self, node: tree_sitter.Node, around: _Around) -> Iterator[_Found]:
        """The stubs among what is in a node."""
        if around.depth > MAX_DEPTH:
            return
        left_out = self._left_out(node)
        for child in node.named_children:
            kind = child.type
            if kind in _DEFINITIONS:
                yield from self._defined(child, around)
            elif kind in _THROUGH and child != left_out:
                yield from self.inside(child, around._replace(depth=around.depth + 1))

    def _defined(self, outer: tree_sitter.Node, around: _Around) -> Iterator[_Found]:
        """The stubs of a function or class, itself included; `outer` has its decorators too."""
        inner = outer.child_by_field_name("definition") if outer.type == "decorated_definition" else outer
        named = inner and inner.child_by_field_name("name")
        block = inner and inner.child_by_field_name("body")
        if not inner or not named or not block or self._is_off(outer.start_byte, block.start_byte):
            return
        name = self._of(named)
        names = (*around.names, name)
        if inner.type == "class_definition":
            owner = _Class(name, tuple(self._bases(inner)), set())
            self.classes.append(owner)
            yield from self.inside(block, _Around(names, owner, around.depth + 1))
            return
        if around.owner:
            around.owner.methods.add(name)
        body = None if self._is_meant(outer, around) else read(inner, self._text)
        if body is None:
            yield from self.inside(block, _Around(names, None, around.depth + 1))
            return
        stub = self._stub(outer, inner, ".".join(names), body)
        if not self._is_done(stub, body, outer):
            yield _Found(stub, around.owner, body.does_raise or stub.is_wordless)

    def _left_out(self, node: tree_sitter.Node) -> tree_sitter.Node | None:
        """The branch that only a type checker sees."""
        condition = node.child_by_field_name("condition") if node.type in ("if_statement", "elif_clause") else None
        is_for_checker = condition is not None and self._last_part(condition) == "TYPE_CHECKING"
        return node.child_by_field_name("consequence") if is_for_checker else None

    def _is_meant(self, outer: tree_sitter.Node, around: _Around) -> bool:
        """Whether a function is to have no body."""
        return bool(around.owner and "Protocol" in around.owner.bases) or bool(self._decorators(outer) & _ABSTRACT)

    def _is_done(self, stub: Stub, body: Body, outer: tree_sitter.Node) -> bool:
        """Whether what stands for a body is all that is wanted."""
        if body.does_raise and self._decorators(outer) & _DISPATCH:
            return True
        inside = stub.order if stub.order and stub.order.start > stub.colon else Span(0, 0)
        return says_nothing_is_done(inside.of(self._text)) or self._is_off(stub.whole.start, stub.whole.end)

    def _is_off(self, start: int, end: int) -> bool:
        """Whether a comment among some lines, or in the line above them, is the switch."""
        if not self._has_switch:
            return False
        first = line_start(self._text, start)
        above, lines = line_above(self._text, first), split_lines(self._text[first:end])
        if above and above.of(self._text).lstrip().startswith("#"):
            lines.append(above.of(self._text))
        return any(map(is_off, lines))

    def _decorators(self, outer: tree_sitter.Node) -> set[str]:
        nodes = outer.named_children if outer.type == "decorated_definition" else []
        return {self._last_part(first_of(each)) for each in nodes if each.type == "decorator"}

    def _bases(self, node: tree_sitter.Node) -> Iterator[str]:
        bases = node.child_by_field_name("superclasses")
        return filter(None, map(self._last_part, bases.named_children if bases else []))

    def _last_part(self, node: tree_sitter.Node | None) -> str:
        """The last name of what a node calls, subscribes or looks up; "" where there is none."""
        while node is not None and node.type in _INNER:
            node = node.child_by_field_name(_INNER[node.type])
        return self._of(node) if node is not None and node.type == "identifier" else ""

    def _of(self, node: tree_sitter.Node) -> str:
        return self._text[node.start_byte : node.end_byte]

    def _stub(self, outer: tree_sitter.Node, inner: tree_sitter.Node, name: str, body: Body) -> Stub:
        text = self._text
        start = body.docstring.end if body.docstring else body.colon
        comments = [each for each in body.comments if each.start >= start]
        kept = [each for each in comments if _stays(text, start, each)]
        gone = sorted({*body.placeholders, *comments} - {*kept}) or [Span(body.end, body.end)]
        return Stub(
            name,
            inner.start_point.row + 1,
            Span(outer.start_byte, body.end),
            body.docstring,
            find_order(text, outer.start_byte, body),
            Span(gone[0].start, gone[-1].end),
            body.colon,
            tuple(kept),
        )


def _stays(text: str, start: int, comment: Span) -> bool:
    """Whether a comment behind `start` is left: it says something, or ends the line of the header or the docstring."""
    between = text[start : comment.start]
    return not ("\n" in between or "\r" in between) or is_saying(comment.of(text))


def _overridden(classes: Sequence[_Class]) -> dict[str, set[str]]:
    """For each class the methods that classes of the same file which derive from it define, too."""
    bases = dict[str, set[str]]()
    for each in classes:
        bases.setdefault(each.name, set()).update(each.bases)
    found = dict[str, set[str]]()
    for each in classes:
        seen, ahead = set[str](), list(each.bases)
        while ahead and len(seen) < MAX_ANCESTORS:
            name = ahead.pop()
            if name not in seen and name != each.name:
                seen.add(name)
                found.setdefault(name, set()).update(each.methods)
                ahead += bases.get(name, ())
    return found
