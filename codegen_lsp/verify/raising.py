"""Whether a Python function can raise an exception, as far as its source says."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from codegen_lsp.verify.flow import Function
from codegen_lsp.verify.kinds import is_plain

_ANY = "anything"
_ALWAYS = frozenset({"BaseException", "Exception", "KeyboardInterrupt", "MemoryError", "RecursionError", "SystemError"})
"""What may come from anywhere, or says too little."""
_HARMLESS = """
abs all any bool callable enumerate filter frozenset isinstance issubclass len list map print repr reversed set sorted
str sum tuple zip
"""
_QUIET = frozenset(_HARMLESS.split())
"""Calls that raise TypeError at most, of plain values."""
_METHODS = """
add append capitalize casefold clear copy count discard endswith extend get insert isalnum isalpha isdecimal isdigit
islower isnumeric isspace isupper items join keys lower lstrip replace reverse rstrip setdefault sort splitlines
startswith strip swapcase title upper values
"""
_QUIET_METHODS = frozenset(_METHODS.split())
"""The same of methods."""


def can_raise(function: Function, name: str) -> bool:
    """Whether a function can raise an exception of this name (without its module) or one that is a kind of it.

    Almost anything can raise almost anything, so the answer is no only where all parameters are annotated with Python's
    own types and the body has nothing but operators, displays, conditions, and calls that are harmless.
    """
    if name in _ALWAYS or name == "TypeError":
        return True
    has_plain = all(map(_is_plain, _params(function)))
    nodes = [node for statement in function.body for node in _nodes(statement, has_plain)]
    return any(_is_it(source, name) for node in nodes for source in _sources(node, has_plain))


def _params(function: Function) -> Iterator[ast.arg]:
    args = function.args
    yield from (*args.posonlyargs, *args.args, *args.kwonlyargs)
    yield from filter(None, (args.vararg, args.kwarg))


def _nodes(node: ast.AST, has_plain: bool) -> Iterator[ast.AST]:
    """A node and those in it, without harmless calls of methods, whose objects and arguments are all that matters."""
    match node:
        case ast.Call(func=ast.Attribute(value=owner, attr=name), args=args, keywords=[]) if (
            has_plain and name in _QUIET_METHODS
        ):
            children: list[ast.AST] = [owner, *args]
        case _:
            yield node
            children = list(ast.iter_child_nodes(node))
    for child in children:
        yield from _nodes(child, has_plain)


def _is_plain(arg: ast.arg) -> bool:
    return arg.arg in ("self", "cls") or is_plain(arg.annotation)


def _sources(node: ast.AST, has_plain: bool) -> Iterator[str]:
    """Names of what a node may raise."""
    match node:
        case ast.Raise(exc=None):
            yield _ANY
        case ast.Raise(exc=ast.expr() as error):
            yield _raised(error)
        case ast.Call(func=ast.Name(id=name)) if name in _QUIET and has_plain:
            yield "TypeError"
        case ast.Call(func=ast.Name(id=name)) if _exception(name):
            pass
        case ast.Call() | ast.Attribute() | ast.Await() | ast.Yield() | ast.YieldFrom():
            yield _ANY
        case ast.With() | ast.AsyncWith() | ast.AsyncFor() | ast.Import() | ast.ImportFrom() | ast.ClassDef():
            yield _ANY
        case ast.Assert():
            yield "AssertionError"
        case _:
            yield from _plain_sources(node) if has_plain else _other_sources(node)


def _plain_sources(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Subscript() | ast.Delete():
            yield from ("KeyError", "IndexError", "ValueError")
        case ast.BinOp() | ast.AugAssign():
            yield from ("ZeroDivisionError", "OverflowError", "ValueError" if _is_choosy(node.op) else "TypeError")
        case ast.Tuple(ctx=ast.Store()) | ast.List(ctx=ast.Store()):
            yield "ValueError"
        case ast.JoinedStr():
            yield "ValueError"
        case _:
            pass


def _is_choosy(operator: ast.operator) -> bool:
    """Whether an operator refuses some values of the right type: a negative shift, a wrong format."""
    return isinstance(operator, ast.LShift | ast.RShift | ast.Mod | ast.Pow | ast.MatMult)


def _other_sources(node: ast.AST) -> Iterator[str]:
    """Of values of an unknown class each operator may be a method, which may raise anything."""
    kinds = (
        ast.Subscript,
        ast.Delete,
        ast.BinOp,
        ast.AugAssign,
        ast.UnaryOp,
        ast.BoolOp,
        ast.Compare,
        ast.comprehension,
    )
    more = (ast.For, ast.If, ast.While, ast.IfExp, ast.JoinedStr, ast.Starred, ast.Match, ast.Tuple, ast.List)
    if isinstance(node, (*kinds, *more)):
        yield _ANY


def _raised(error: ast.expr) -> str:
    """The name of what is raised; a variable, or what a function gives, may be anything."""
    match error:
        case ast.Call(func=called):
            return _raised(called)
        case ast.Name(id=name) | ast.Attribute(attr=name) if name[:1].isupper():
            return name
        case _:
            return _ANY


def _is_it(source: str, name: str) -> bool:
    """Whether what is raised is of a kind: by name, by Python's own tree, or by one that is not known here."""
    if source in (_ANY, name):
        return True
    raised, asked = _exception(source), _exception(name)
    return raised is None or (asked is not None and issubclass(raised, asked))


def _exception(name: str) -> type[BaseException] | None:
    """Python's own exception of a name."""
    found = getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
