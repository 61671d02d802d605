"""Kinds of values, as far as source says them: what an annotation takes, and what an expression surely is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Set
from types import MappingProxyType

Kinds = frozenset[str]

NOTHING: Kinds = frozenset({"None"})
_TAKES = """
None: None
bool: bool compared
int: int bool compared
float: float int bool compared
complex: complex float int bool compared
str: str
Text: str
bytes: bytes
bytearray: bytes
list List MutableSequence: list
dict Dict Mapping MutableMapping: dict
set MutableSet: set
frozenset FrozenSet: frozenset
Set AbstractSet: set frozenset
tuple Tuple: tuple
range: range
Sequence: list tuple str bytes range compared
Collection Container Sized Reversible: list tuple str bytes range dict set frozenset compared
Iterable: list tuple str bytes range dict set frozenset iterator generator compared
Iterator Generator: iterator generator
AsyncIterable AsyncIterator AsyncGenerator: async-generator
Hashable: int float complex bool str bytes tuple frozenset None range function type compared
Callable: function type
NoReturn Never:
"""
_GIVES = """
int: len int ord hash id
float: float
complex: complex
bool: bool isinstance issubclass callable hasattr any all
str: str repr chr hex oct bin ascii format input
bytes: bytes bytearray
list: list sorted dir
dict: dict
set: set
frozenset: frozenset
tuple: tuple
range: range
iterator: enumerate zip map filter reversed iter
None: print
"""
_HOMES = frozenset({"typing", "typing_extensions", "t", "collections", "abc", "builtins"})
"""What a dotted annotation may begin with: `typing.List`, `collections.abc.Iterator`."""
_TEXT_METHODS = frozenset({"join", "format", "strip", "replace", "lower", "upper"})


def _rows(table: str) -> Iterator[tuple[list[str], list[str]]]:
    for row in table.strip().split("\n"):
        first, _, second = row.partition(":")
        yield first.split(), second.split()


_TAKEN: Mapping[str, Kinds] = MappingProxyType(
    {name: frozenset(kinds) for names, kinds in _rows(_TAKES) for name in names}
)
_GIVEN: Mapping[str, str] = MappingProxyType({name: kinds[0] for kinds, names in _rows(_GIVES) for name in names})
_PLAIN = frozenset({"Optional", "Union", *_HOMES, *_TAKEN})
_WORD = re.compile(r"\w+")


def taken(annotation: ast.expr | None) -> Kinds | None:
    """The kinds of values that an annotation takes; None where that cannot be told (Any, other classes, variables).

    Numbers as PEP 484 has them: an int will do for a float.
    """
    match annotation:
        case ast.Constant(value=None):
            return NOTHING
        case ast.Constant(value=str(text)):
            return _taken_in_quotes(text)
        case ast.Name(id=name):
            return _TAKEN.get(name)
        case ast.Attribute(attr=name, value=ast.Name(id=home) | ast.Attribute(attr=home)) if home in _HOMES:
            return _TAKEN.get(name)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([left, right])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inside):
            return _taken_inside(annotation.value, name, inside)
        case _:
            return None


def is_plain(annotation: ast.expr | None) -> bool:
    """Whether an annotation has nothing but Python's own types in it, so that operators are Python's own, too."""
    return annotation is not None and all(word in _PLAIN for word in _WORD.findall(ast.unparse(annotation)))


def _taken_in_quotes(text: str) -> Kinds | None:
    try:
        return taken(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _taken_inside(base: ast.expr, name: str, inside: ast.expr) -> Kinds | None:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    match name:
        case "Optional":
            return _either([inside, ast.Constant(None)])
        case "Union":
            return _either(parts)
        case "Annotated":
            return taken(parts[0]) if parts else None
        case "Literal":
            kinds = [kind for part in parts for kind in surely(part, {})]
            return frozenset(kinds) if len(kinds) == len(parts) else None
        case _:
            return taken(base)


def _either(parts: list[ast.expr]) -> Kinds | None:
    found = [taken(part) for part in parts]
    known = [kinds for kinds in found if kinds is not None]
    return frozenset[str]().union(*known) if len(known) == len(found) else None


def surely(value: ast.expr, known: Mapping[str, ast.expr], *, shadowed: Set[str] = frozenset()) -> Iterator[str]:
    """The kind of an expression, of each of its arms where it has several; nothing of what cannot be told.

    known: local names that have one value throughout. shadowed: names that are not Python's own here.
    """
    match value:
        case ast.Constant(value=constant):
            if constant is not ...:
                yield "None" if constant is None else type(constant).__name__
        case ast.IfExp(body=body, orelse=other):
            yield from surely(body, known, shadowed=shadowed)
            yield from surely(other, known, shadowed=shadowed)
        case ast.BoolOp(values=[*_, last]):
            yield from surely(last, known, shadowed=shadowed)
        case ast.NamedExpr(value=inner):
            yield from surely(inner, known, shadowed=shadowed)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=ast.Constant(value=int() | float() | complex() as number)):
            yield type(number).__name__
        case ast.Name(id=name) if name in known:
            yield from surely(known[name], {}, shadowed=shadowed)
        case ast.Call(func=ast.Name(id=name)) if name in _GIVEN and name not in shadowed:
            yield _GIVEN[name]
        case _:
            yield from _by_form(value)


def _by_form(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.JoinedStr():
            yield "str"
        case ast.BinOp(left=ast.Constant(value=str()) | ast.JoinedStr(), op=ast.Mod() | ast.Add()):
            yield "str"
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr=name)) if name in _TEXT_METHODS:
            yield "str"
        case ast.Compare(ops=ops):
            is_plain = all(isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in ops)
            yield "bool" if is_plain else "compared"
        case ast.UnaryOp(op=ast.Not()):
            yield "bool"
        case ast.List() | ast.ListComp():
            yield "list"
        case ast.Dict() | ast.DictComp():
            yield "dict"
        case ast.Set() | ast.SetComp():
            yield "set"
        case ast.Tuple():
            yield "tuple"
        case ast.GeneratorExp():
            yield "generator"
        case ast.Lambda():
            yield "function"
        case _:
            pass
