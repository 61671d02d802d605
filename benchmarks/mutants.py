"""Subtly wrong bodies: a right one with one small change, as mutation testing makes them (DeMillo et al. 1978)."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.FloorDiv,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
SWAPPED_CALLS = {
    "sum": "max",
    "max": "min",
    "min": "max",
    "any": "all",
    "all": "any",
    "ceil": "floor",
    "floor": "ceil",
    "upper": "lower",
    "lower": "upper",
    "swapcase": "upper",
    "startswith": "endswith",
    "isupper": "islower",
    "islower": "isupper",
}
REMOVED_CALLS = ("abs", "sorted", "int", "set", "round", "len", "reversed", "list", "str")


@dataclass(frozen=True)
class Mutant:
    """A body with one change, indented as a module's function has it."""

    operator: str
    body: str


def mutants(text: str, name: str, num: int, seed: int) -> list[Mutant]:
    """At most `num` different mutants of the function `name` of a module, of as many operators as there are.

    The same for the same seed. One may mean what the original means: whether it is wrong, its tests tell.
    """
    function = _function(ast.parse(text), name)
    sites = [(kind, mutated) for kind, mutated in _all(function) if mutated]
    random.Random(f"{seed} {name}").shuffle(sites)
    found, seen = list[Mutant](), {_unparsed(function)}
    for kind, mutated in _in_turn(sites):
        if mutated not in seen and len(found) < num and _compiles(mutated):
            seen.add(mutated)
            found.append(Mutant(kind, mutated))
    return found


def _function(tree: ast.Module, name: str) -> ast.FunctionDef:
    """The function without its docstring."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name][-1]
    if ast.get_docstring(found, clean=False) is not None:
        found.body = found.body[1:]
    return found


def _in_turn(sites: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """One of each operator, then the next of each: most bodies have many constants, and few have a `not`."""
    left = {kind: [site for site in sites if site[0] == kind] for kind, _ in sites}
    while any(left.values()):
        for waiting in left.values():
            if waiting:
                yield waiting.pop(0)


def _all(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """(operator, body) of every change at every node."""
    for number, node in enumerate(_nodes(function)):
        for kind, operator in OPERATORS.items():
            for choice in range(len(list(operator(copy.deepcopy(node))))):
                yield kind, _unparsed(_changed(function, number, operator, choice))


def _changed(function: ast.FunctionDef, number: int, operator: Operator, choice: int) -> ast.FunctionDef:
    """A copy in which one node is what an operator makes of it."""
    copied = copy.deepcopy(function)
    old = _nodes(copied)[number]
    _Replace(old, list(operator(copy.deepcopy(old)))[choice]).visit(copied)
    return copied


def _nodes(function: ast.FunctionDef) -> list[ast.AST]:
    """All nodes of a body, without annotations and the text of f-strings."""
    hidden = {id(part) for node in ast.walk(function) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    return [node for each in function.body for node in ast.walk(each) if id(node) not in hidden]


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self._old, self._new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self._new if node is self._old else super().generic_visit(node)


def _unparsed(function: ast.FunctionDef) -> str:
    body = ast.unparse(ast.fix_missing_locations(ast.Module(function.body, [])))
    return "".join(f"    {line}\n" if line.strip() else "\n" for line in body.splitlines())


def _compiles(body: str) -> bool:
    try:
        compile(f"def f():\n{body}", "<mutant>", "exec")
    except (SyntaxError, ValueError):
        return False
    return True


# Operators: what a node may become


def _comparison(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        yield ast.Compare(node.left, [COMPARISONS[type(node.ops[0])](), *node.ops[1:]], node.comparators)


def _arithmetic(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in ARITHMETIC:
        node.op = ARITHMETIC[type(node.op)]()
        yield node


def _logic(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand


def _condition(node: ast.AST) -> Iterator[ast.AST]:
    """One part of a condition is forgotten."""
    if isinstance(node, ast.BoolOp):
        for left_out in range(len(node.values)):
            rest = [value for at, value in enumerate(node.values) if at != left_out]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)


def _constant(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield ast.Constant(node.value[:-1] if node.value else " ")


def _range(node: ast.AST) -> Iterator[ast.AST]:
    """range() that ends, or begins, one off."""
    if isinstance(node, ast.Call) and _called(node) == "range" and node.args:
        last = min(len(node.args), 2) - 1
        for at in {0, last}:
            for operator in (ast.Add(), ast.Sub()):
                args = list(node.args)
                args[at] = ast.BinOp(args[at], operator, ast.Constant(1))
                yield ast.Call(node.func, args, node.keywords)


def _slice(node: ast.AST) -> Iterator[ast.AST]:
    """A slice whose bounds are one off, or that lacks one."""
    if not isinstance(node, ast.Slice):
        return
    if node.upper:
        yield ast.Slice(node.lower, ast.BinOp(node.upper, ast.Add(), ast.Constant(1)), node.step)
        yield ast.Slice(node.lower, None, node.step)
    if node.lower:
        yield ast.Slice(ast.BinOp(node.lower, ast.Add(), ast.Constant(1)), node.upper, node.step)
        yield ast.Slice(None, node.upper, node.step)
    if not node.lower and not node.upper:
        yield ast.Slice(ast.Constant(1), None, node.step)


def _call(node: ast.AST) -> Iterator[ast.AST]:
    """Another function, none, or its arguments the other way round."""
    if not isinstance(node, ast.Call):
        return
    other = SWAPPED_CALLS.get(_called(node))
    if other and isinstance(node.func, ast.Name):
        yield ast.Call(ast.Name(other, ast.Load()), node.args, node.keywords)
    elif other and isinstance(node.func, ast.Attribute):
        yield ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args, node.keywords)
    if _called(node) in REMOVED_CALLS and isinstance(node.func, ast.Name) and node.args:
        yield node.args[0]
    if len(node.args) == 2 and _called(node) not in ("isinstance", "range"):
        yield ast.Call(node.func, node.args[::-1], node.keywords)


def _keyword(node: ast.AST) -> Iterator[ast.AST]:
    """A call that lacks a keyword: sorted() without its key."""
    if isinstance(node, ast.Call):
        for left_out in range(len(node.keywords)):
            rest = [keyword for at, keyword in enumerate(node.keywords) if at != left_out]
            yield ast.Call(node.func, node.args, rest)


def _guard(node: ast.AST) -> Iterator[ast.AST]:
    """The special case at the beginning is forgotten."""
    if (
        isinstance(node, ast.If)
        and not node.orelse
        and isinstance(node.body[-1], ast.Return | ast.Continue | ast.Raise)
    ):
        yield ast.Pass()


def _early(node: ast.AST) -> Iterator[ast.AST]:
    """A loop that ends with its first round."""
    if isinstance(node, ast.For | ast.While):
        node.body.append(ast.Break())
        yield node


def _filter(node: ast.AST) -> Iterator[ast.AST]:
    """A comprehension that takes everything."""
    if isinstance(node, ast.comprehension) and node.ifs:
        yield ast.comprehension(node.target, node.iter, [], node.is_async)


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


Operator = Callable[[ast.AST], Iterator[ast.AST]]
OPERATORS: dict[str, Operator] = {
    "comparison": _comparison,
    "arithmetic": _arithmetic,
    "logic": _logic,
    "condition": _condition,
    "constant": _constant,
    "range": _range,
    "slice": _slice,
    "call": _call,
    "keyword": _keyword,
    "guard": _guard,
    "early": _early,
    "filter": _filter,
}
"""Each is given a copy of a node and yields what may stand in its place."""
