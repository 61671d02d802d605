"""Which names a Python function reads that nothing defines: asked of Python's own parser and symbol table.

Files are rarely whole while someone writes them: other functions have a comment for a body, or half a line. So only
the top-level statement around a place is parsed; of the others every word counts as defined that could be, and no
parameter.
"""

from __future__ import annotations

import ast
import builtins
import re
import symtable
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from codegen_lsp.text import Encoding, LineIndex, Span

RECEIVERS = ("self", "cls")

_TOP_LEVEL = re.compile(r"^[^\s#)\]}]", re.MULTILINE)
"""The first character of a top-level statement, not of a bracket's last line."""
_DEFINITION = re.compile(r"(?:async\s+def|def|class)\s+(?P<name>\w+)")
_IMPORT_ALL = re.compile(r"^\s*from\s.*\bimport\s*\*", re.MULTILINE)
_WORD = re.compile(r"[^\W\d]\w*")
_INDENT = ("", " ", "\t")


@dataclass(frozen=True)
class Use:
    """One place where a name is read."""

    name: str
    span: Span
    is_called: bool
    is_owner: bool
    """Whether an attribute of it is wanted, as of a module: `name.attribute`."""


@dataclass(frozen=True)
class Function:
    """A function, as far as names go."""

    span: Span
    bound: tuple[str, ...]
    """Names that it gives a value, parameters first; those of functions inside it too."""
    spare: tuple[str, ...]
    """Parameters that its body never reads."""
    unknown: tuple[Use, ...]
    """Reads of names that neither it, nor what stands around it, nor the module, nor Python defines; in order."""


def lacking(text: str, place: Span) -> tuple[Function, ...]:
    """The functions at a place that read a name which nothing defines, in order of where they begin.

    `text` has \\n for line ends. None where the statements at the place do not parse, nor in a file with `import *`,
    where a name may come from anywhere.
    """
    if _IMPORT_ALL.search(text):
        return ()
    part = _statements(text, place)
    source = part.of(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = symtable.symtable(source, "", "exec")
            unbound = dict(_unbound(table, _defined(table) | _words_outside(text, part)))
            nodes = list(ast.walk(ast.parse(source))) if unbound else []
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return ()
    places = _Places(source, part.start)
    found = [
        _function(node, unbound[node.name, node.lineno], places)
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.name, node.lineno) in unbound
    ]
    return tuple(sorted(found, key=lambda function: function.span.start))


def _statements(text: str, place: Span) -> Span:
    """The top-level statements that a span touches, as whole lines; a decorator is one of its own."""
    starts = [match.start() for match in _TOP_LEVEL.finditer(text)]
    before, after = bisect_right(starts, place.start), bisect_left(starts, place.end)
    return Span(starts[before - 1] if before else 0, starts[after] if after < len(starts) else len(text))


def _words_outside(text: str, part: Span) -> frozenset[str]:
    """What the rest of a module may define: names of its functions and classes, and all words outside of those."""
    found, is_inside = set[str](), False
    for line in f"{text[: part.start]}\n{text[part.end :]}".split("\n"):
        code = line.partition("#")[0]
        if code[:1] not in _INDENT:
            definition = _DEFINITION.match(code)
            is_inside = definition is not None
            found.update([definition["name"]] if definition else _WORD.findall(code))
        elif not is_inside or "global " in code:
            found.update(_WORD.findall(code))
    return frozenset(found)


class _Places:
    """Line and column, in bytes as `ast` has them, to offset."""

    def __init__(self, text: str, start: int) -> None:
        self._index, self._start = LineIndex(text), start

    def offset(self, line: int, column: int) -> int:
        return self._start + self._index.offset(line - 1, column, Encoding.UTF8)

    def span(self, node: ast.stmt | ast.expr) -> Span:
        end = (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
        return Span(self.offset(node.lineno, node.col_offset), self.offset(*end))


def _defined(table: symtable.SymbolTable) -> frozenset[str]:
    """What any function may read: the names of what was parsed, those of `global` statements, and Python's own."""
    found = set(dir(builtins))
    for scope in _scopes(table):
        for symbol in scope.get_symbols():
            is_given = symbol.is_assigned() or symbol.is_imported() or symbol.is_annotated() or symbol.is_namespace()
            if is_given and (scope is table or symbol.is_declared_global()):
                found.add(symbol.get_name())
    return frozenset(found)


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def _unbound(table: symtable.SymbolTable, defined: frozenset[str]) -> Iterator[tuple[tuple[str, int], frozenset[str]]]:
    """(name, line) of each scope that, or inside which one, reads what nothing defines; and the names of that."""
    for scope in _scopes(table):
        read = {
            symbol.get_name()
            for inner in _scopes(scope)
            for symbol in inner.get_symbols()
            if symbol.is_referenced() and symbol.is_global()
        }
        if lacks := {name for name in read - defined if not name.startswith("__")}:
            yield (scope.get_name(), scope.get_lineno()), frozenset(lacks)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, unbound: frozenset[str], places: _Places) -> Function:
    inner = [part for statement in node.body for part in ast.walk(statement)]
    params = list(_params(node.args))
    read = {part.id for part in inner if isinstance(part, ast.Name)}
    bound = dict.fromkeys([*params, *(name for part in inner for name in bound_by(part))])
    owners = {id(part.value) for part in inner if isinstance(part, ast.Attribute)}
    called = {id(part.func) for part in inner if isinstance(part, ast.Call)}
    unknown = [
        Use(part.id, places.span(part), id(part) in called, id(part) in owners)
        for part in inner
        if isinstance(part, ast.Name) and part.id in unbound and part.id not in bound
    ]
    return Function(
        span=places.span(node),
        bound=tuple(bound),
        spare=tuple(name for name in params if name not in read and name not in RECEIVERS),
        unknown=tuple(sorted(unknown, key=lambda use: use.span.start)),
    )


def _params(args: ast.arguments) -> Iterator[str]:
    some = [args.vararg, args.kwarg]
    for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, some)):
        yield arg.arg


def bound_by(node: ast.AST) -> Iterator[str]:
    """Names that get a value at a node."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case _:
            pass
