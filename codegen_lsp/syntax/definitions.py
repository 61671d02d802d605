"""What a file defines: functions, classes and their methods, constants, types. Bodies of functions are not looked into.

A walk over the few nodes that may have definitions inside costs a sixtieth of the parse; a query, which looks at all
nodes, a quarter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import tree_sitter

from codegen_lsp.core import Definition
from codegen_lsp.syntax.outlines import OUTLINES, Outline, Part
from codegen_lsp.syntax.parse import Tree
from codegen_lsp.text import Span

MAX_VALUE = 120
"""Characters of a constant or a type that are shown."""
MAX_HEADER = 400
MAX_DOC = 200
MAX_DEPTH = 50
"""Definitions inside more nodes than these are not looked for."""

_LEAD = re.compile(r"[\w\s]*(?:<.*>\s*)?", re.DOTALL)
"""What may stand between the beginning of a wrapping and what is wrapped, if that is all that it wraps."""
_BODY = re.compile(r"\s*\{.*\}", re.DOTALL)
_OPENED = re.compile(r"(?<=[(\[{<])\s*\n\s*")
_CLOSING = re.compile(r",?\s*\n\s*(?=[)\]}>])")
_INNER = {"variable_declarator": "name"}
"""Nodes on the way to a name that do not have the next one in `declarator`."""
_OWNER = re.compile(r"\w+(?=\W*\Z)")
_MARKS = re.compile(r"\A\s*(?:/\*+!?|//[/!]?|\*+/?|#+!?|--+|[rRuU]?(?:\"{3}|'{3}|[\"']))|\s*(?:\*+/|\"+|'+)\s*\Z")
_LONE_CR = re.compile(r"\r(?!\n)")
_WORD = re.compile(r"[^\W_]")


def definitions(tree: Tree, path: str) -> list[Definition]:
    """What the parsed part of a text defines, in order. None for a language without a grammar; never fails."""
    root, outline = tree.root, OUTLINES.get(tree.language.id)
    return list(_Walk(tree, path, outline).inside(root, _Around())) if root and outline else []


@dataclass(frozen=True)
class _Around:
    """What is known of a place from the nodes that it is in."""

    parent: str = ""
    depth: int = 0
    wrap: tree_sitter.Node | None = None
    """The outermost of the nodes that only wrap what is inside."""
    doc: str = ""
    """The comment above `wrap`."""


class _Walk:
    """One walk over a tree. Offsets of nodes are characters, since the parser saw one byte for each."""

    def __init__(self, tree: Tree, path: str, outline: Outline) -> None:
        self._text = _LONE_CR.sub("\n", tree.window.of(tree.text))
        self._start = tree.window.start
        self._language = tree.language
        self._path = path
        self._outline = outline

    def inside(self, node: tree_sitter.Node, around: _Around, above: str = "") -> Iterator[Definition]:
        """The definitions among the children of a node; `above` is what a comment says of the first of them."""
        outline, comments, last = self._outline, list[tree_sitter.Node](), node
        for child in node.named_children:
            kind = child.type
            if comments and not self._touch(last, child):
                comments = []
            last = child
            if kind in outline.comments:
                comments = [*comments, child] if comments or self._is_alone(child) else []
            elif kind not in outline.left_out:
                doc = self._comment(comments) if comments else above
                comments, above = [], ""
                if kind in outline.parts:
                    yield from self._defined(child, around, doc)
                elif around.depth < MAX_DEPTH:
                    yield from self._through(child, around, doc)

    def _through(self, node: tree_sitter.Node, around: _Around, doc: str) -> Iterator[Definition]:
        """The definitions inside a node that defines nothing itself."""
        outline, kind, parent, depth = self._outline, node.type, around.parent, around.depth + 1
        if kind in outline.wraps:
            yield from self.inside(node, _Around(parent, depth, around.wrap or node, doc or around.doc))
        elif outline.owners and kind in outline.owners:
            yield from self.inside(node, _Around(self._owner(node, outline.owners[kind]), depth))
        elif kind in outline.through or kind == "ERROR":
            yield from self.inside(node, _Around(parent, depth), doc)

    def _defined(self, node: tree_sitter.Node, around: _Around, doc: str) -> Iterator[Definition]:
        """A definition, and what it has inside when it is a class."""
        start = first = self._beginning(node)
        outer = node
        if around.wrap and _LEAD.fullmatch(self._text, self._beginning(around.wrap), first):
            start, outer, doc = self._beginning(around.wrap), around.wrap, doc or around.doc
        part = self._part(node, start, around)
        found = part and self._name(node, part)
        if not part or not found:
            return
        parent = found[0] or around.parent
        yield Definition(
            path=self._path,
            name=found[1],
            kind="method" if part.kind == "function" and parent else part.kind,
            parent=parent,
            signature=self._signature(node, part, Span(start, outer.end_byte)),
            doc=self._docstring(node) or doc,
            span=Span(self._start + outer.start_byte, self._start + outer.end_byte),
        )
        if part.kind == "class" and not part.is_closed and around.depth < MAX_DEPTH:
            yield from self.inside(node, _Around(found[1], around.depth + 1))

    def _part(self, node: tree_sitter.Node, start: int, around: _Around) -> Part | None:
        """The part that a node is."""
        for part in self._outline.parts[node.type]:
            if part.is_top and around.parent:
                continue
            if part.only and not part.only.match(self._text, start, node.end_byte):
                continue
            if part.given and not _is_function(node.child_by_field_name(part.given)):
                continue
            if not part.declarator or any(way.type == part.declarator for way in _way(node, part.name)):
                return part
        return None

    def _name(self, node: tree_sitter.Node, part: Part) -> tuple[str, str] | None:
        """(parent as far as the name says, name)."""
        *_, named = (None, *_way(node, part.name))
        match = named and self._outline.name.fullmatch(self._of(named))
        if not match:
            return None
        return self._owner(node, part.owner) if part.owner else match["parent"] or "", match["name"]

    def _owner(self, node: tree_sitter.Node, field: str) -> str:
        """The name of a type, without what it points to and what it is made of."""
        owner = node.child_by_field_name(field)
        match = owner and _OWNER.search(re.split(r"[<\[]", self._of(owner), maxsplit=1)[0])
        return match.group() if match else ""

    def _beginning(self, node: tree_sitter.Node) -> int:
        """Where a node begins without its decorators."""
        for child in node.children:
            if child.type in self._outline.left_out or child.type in self._outline.comments:
                continue
            if child.type != "modifiers":
                return child.start_byte
            if (start := self._beginning(child)) < child.end_byte:
                return start
        return node.start_byte if not node.child_count else node.end_byte

    def _signature(self, node: tree_sitter.Node, part: Part, whole: Span) -> str:
        """The header, on one line."""
        body = self._body(node, part)
        if body:
            shown = self._text[whole.start : body.start_byte]
        elif part.kind == "class":
            shown = _BODY.sub("", whole.of(self._text))
        else:
            shown = whole.of(self._text)
        shown = shown[: 4 * MAX_HEADER]
        if "\n" in shown:
            shown = self._language.tokens.sub(_without_comment, shown)
            shown = " ".join(_CLOSING.sub("", _OPENED.sub("", shown)).split())
        most = MAX_HEADER if part.kind in ("function", "class") else MAX_VALUE
        return self._outline.tail.sub("", shown)[:most].rstrip()

    def _body(self, node: tree_sitter.Node, part: Part) -> tree_sitter.Node | None:
        """The body of a function or a class, unless it belongs to the header."""
        given = node.child_by_field_name(part.given) if part.given else node
        body = given.child_by_field_name("body") if given else None
        return body if body and body.type not in self._outline.shown else None

    def _docstring(self, node: tree_sitter.Node) -> str:
        body = node.child_by_field_name("body") if self._language.docstrings else None
        string = _first(_first(body))
        return _first_line(self._of(string)) if string and string.type == "string" else ""

    def _comment(self, comments: Sequence[tree_sitter.Node]) -> str:
        return _first_line(self._text[comments[0].start_byte : comments[-1].end_byte])

    def _touch(self, above: tree_sitter.Node, below: tree_sitter.Node) -> bool:
        """Whether one node begins in the line below the other's last; some comments include their line end."""
        end = above.start_byte + len(self._of(above).rstrip())
        between = self._text[end : below.start_byte]
        return not between.strip() and between.count("\n") <= 1

    def _is_alone(self, comment: tree_sitter.Node) -> bool:
        """Whether nothing stands before a comment in its line."""
        start = self._text.rfind("\n", 0, comment.start_byte) + 1
        return not self._text[start : comment.start_byte].strip()

    def _of(self, node: tree_sitter.Node) -> str:
        return self._text[node.start_byte : node.end_byte]


def _is_function(node: tree_sitter.Node | None) -> bool:
    return node is not None and node.child_by_field_name("body") is not None


def _first(node: tree_sitter.Node | None) -> tree_sitter.Node | None:
    return node.named_child(0) if node and node.named_child_count else None


def _way(node: tree_sitter.Node, field: str) -> Iterator[tree_sitter.Node]:
    """The nodes from one to its name, through the declarators of C: `*f(int a)` is about `f`."""
    inner = node.child_by_field_name(field)
    while inner:
        yield inner
        inner = (
            _first(inner)
            if inner.type == "reference_declarator"
            else inner.child_by_field_name(_INNER.get(inner.type, "declarator"))
        )


def _without_comment(match: re.Match[str]) -> str:
    return "" if match.lastgroup == "comment" else match.group()


def _first_line(comment: str) -> str:
    """The first line of a comment or docstring that says something, without its marks."""
    for line in comment.split("\n"):
        shown = _MARKS.sub("", line).strip()
        if _WORD.search(shown) and not line.startswith("#!"):
            return shown[:MAX_DOC].rstrip()
    return ""
