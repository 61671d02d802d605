"""A Python function's own statements: the names that they bind, and whether what is behind the last one is reached."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from codegen_lsp.syntax.names import bound_by

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | Function
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)
_INNER = (*FUNCTIONS, ast.ClassDef, ast.Lambda)
_ENDLESS = frozenset({"count", "cycle", "repeat", "iter"})
"""What may be iterated over for ever."""
_COMES_BACK = frozenset(
    {"print", "append", "extend", "add", "update", "insert", "sort", "reverse", "debug", "info", "warning", "exception"}
)
"""Calls that are known to return. Of any other that ends a path the point may be that it raises (`self.fail(…)`)."""


def own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function's body (or a statement's parts), without those inside functions and classes in it."""
    parts = scope.body if isinstance(scope, Scope) else ast.iter_child_nodes(scope)
    left: list[ast.AST] = list(parts)[::-1]
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, _INNER):
            left += list(ast.iter_child_nodes(node))[::-1]


def bound(node: ast.AST) -> Iterator[str]:
    """Names that a node by itself gives a value, or takes it away from."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del):
        yield node.id
    yield from bound_by(node)


def says_nothing(statement: ast.stmt) -> bool:
    """Whether a statement only says that something is to be written."""
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Raise(exc=ast.expr() as error):
            return last_name(error) == "NotImplementedError"
        case _:
            return False


def last_name(node: ast.expr) -> str:
    """`b` of `a.b`, also where that is called."""
    match node:
        case ast.Call(func=called):
            return last_name(called)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def falls_off(body: Sequence[ast.stmt]) -> bool:
    """Whether the end of some statements is surely reached on some path, whatever the conditions say.

    Sure as an author is, not as a graph: where the last word is a call that may raise, a chain of conditions or a
    `match` that may be exhaustive, or a loop that raises when it has tried enough, nothing is said.
    """
    return not leaves(body) and not _may_stop(body[-1])


def leaves(body: Sequence[ast.stmt]) -> bool:
    """Whether the end of some statements is never reached: each path returns, raises, or goes on for ever."""
    return any(map(_stops, body))


def _stops(statement: ast.stmt) -> bool:
    """Whether what stands behind a statement is never reached."""
    match statement:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.Assert(test=ast.Constant(value=value)):
            return not value
        case ast.If(body=body, orelse=other):
            return bool(other) and leaves(body) and leaves(other)
        case ast.With(body=body) | ast.AsyncWith(body=body):
            return leaves(body)
        case ast.Try() | ast.TryStar():
            return _try_leaves(statement)
        case ast.Match(cases=cases):
            return any(_is_open(case) for case in cases) and all(leaves(case.body) for case in cases)
        case ast.While(test=ast.Constant(value=value)) if value:
            return not _breaks(statement)
        case _:
            return False


def _try_leaves(statement: ast.Try | ast.TryStar) -> bool:
    is_through = leaves(statement.body) or leaves(statement.orelse)
    return leaves(statement.finalbody) or (is_through and all(leaves(each.body) for each in statement.handlers))


def _is_open(case: ast.match_case) -> bool:
    """Whether a case takes whatever comes."""
    pattern = case.pattern
    return case.guard is None and isinstance(pattern, ast.MatchAs) and pattern.pattern is None


def _breaks(loop: ast.stmt) -> bool:
    """Whether a loop has a `break` of its own."""
    left = list(ast.iter_child_nodes(loop))
    while left:
        node = left.pop()
        if isinstance(node, ast.Break):
            return True
        if isinstance(node, LOOPS):
            left += node.orelse
        elif not isinstance(node, _INNER):
            left += ast.iter_child_nodes(node)
    return False


def _may_stop(last: ast.stmt) -> bool:
    """Whether a last statement never lets its end be reached, or may be meant so."""
    if _stops(last):
        return True
    match last:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))):
            return name not in _COMES_BACK
        case ast.Expr(value=ast.Await() | ast.Yield() | ast.YieldFrom()):
            return True
        case ast.If(test=ast.Call(func=ast.Name(id="isinstance")), body=body, orelse=[]):
            return _all_may_stop([body])  # the last of the types that there may be
        case ast.If():
            return _chain_may_stop(last)
        case ast.With(body=body) | ast.AsyncWith(body=body):
            return _all_may_stop([body])
        case ast.Try() | ast.TryStar():
            through = last.orelse or last.body
            return _all_may_stop([through, *(each.body for each in last.handlers)]) or _all_may_stop([last.finalbody])
        case ast.Match(cases=cases):
            return _all_may_stop([case.body for case in cases])
        case ast.For() | ast.AsyncFor() | ast.While():
            return _loop_may_stop(last)
        case _:
            return False


def _all_may_stop(bodies: Sequence[Sequence[ast.stmt]]) -> bool:
    return all(body and (leaves(body) or _may_stop(body[-1])) for body in bodies)


def _chain_may_stop(chain: ast.If) -> bool:
    """A chain of at least two conditions may be exhaustive; one alone without `else` has another way."""
    arms, other = [chain.body], chain.orelse
    while len(other) == 1 and isinstance(other[0], ast.If):
        arms.append(other[0].body)
        other = other[0].orelse
    return _all_may_stop([*arms, other] if other else arms) and (bool(other) or len(arms) > 1)


def _loop_may_stop(loop: ast.For | ast.AsyncFor | ast.While) -> bool:
    """A loop may be meant to be left by `return` or `raise` alone: it tries again, or never ends."""
    if _breaks(loop):
        return False
    if any(isinstance(node, ast.Raise) for node in own(loop)) or (loop.orelse and _all_may_stop([loop.orelse])):
        return True
    match loop:
        case ast.For(iter=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))) if name in _ENDLESS:
            return True
        case ast.While():
            return False
        case _:
            return isinstance(loop, ast.AsyncFor) or _takes_first(loop)


def _takes_first(loop: ast.For) -> bool:
    """Whether a loop is left in its first round: its author knows that there is one."""
    last = loop.body[-1]
    return leaves(loop.body) or (isinstance(last, ast.For) and _takes_first(last))
