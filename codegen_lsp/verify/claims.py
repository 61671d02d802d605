"""What a Python function says of itself, its annotations and docstring, against what its body does; nothing is run.

Only what is certain enough to refuse a body: a false refusal costs a right one.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import chain

from codegen_lsp.verify.flow import Function, bound, falls_off, last_name, leaves, own, says_nothing
from codegen_lsp.verify.kinds import NOTHING, Kinds, surely, taken
from codegen_lsp.verify.raising import can_raise
from codegen_lsp.verify.sections import promised

_MAY_BE_NONE = re.compile(r"\b(?:None|Optional|Any|object|NoReturn|Never)\b")
_MAY_RAISE = re.compile(r"fail|error|abort|raise|exit|bail|die|panic|unreachable|never|throw", re.IGNORECASE)
"""Names of functions that need not come back."""
_WITHOUT_BODY = frozenset({"abstractmethod", "overload"})
_OPERATIONS = (ast.BinOp, ast.Compare, ast.UnaryOp)


@dataclass(frozen=True)
class _Body:
    """A function, and what was read from it once."""

    function: Function
    doc: str
    returns: tuple[ast.Return, ...]
    yields: tuple[ast.Yield | ast.YieldFrom, ...]
    takes: Kinds | None
    """What its annotation takes; None where that cannot be told."""

    @property
    def values(self) -> list[ast.Return]:
        """Its `return` statements that have a value other than a plain None."""
        return [each for each in self.returns if not _is_none(each.value)]

    @property
    def shown(self) -> str:
        """The annotation, as it is written."""
        return ast.unparse(self.function.returns) if self.function.returns else ""


def contradictions(function: Function) -> tuple[str, ...]:
    """What the body says against its own annotations and docstring sections, a sentence each; () when all may be well.

    Lines count from 1 in what the function was parsed from. Nothing is said of a stub: dots, `pass`, a docstring alone,
    or `raise NotImplementedError`.
    """
    try:
        body = _read(function)
        return () if _is_stub(function) else tuple(chain(_against_annotation(body), _against_docstring(body)))
    except RecursionError:  # a sum of a thousand terms, as one expression
        return ()


def _is_stub(function: Function) -> bool:
    """Whether a function says nothing but that it is to be written, or that others write it."""
    if any(last_name(mark) in _WITHOUT_BODY for mark in function.decorator_list):
        return True
    return all(map(says_nothing, function.body))


def _read(function: Function) -> _Body:
    nodes = list(own(function))
    return _Body(
        function=function,
        doc=inspect.cleandoc(ast.get_docstring(function, clean=False) or ""),
        returns=tuple(node for node in nodes if isinstance(node, ast.Return)),
        yields=tuple(node for node in nodes if isinstance(node, ast.Yield | ast.YieldFrom)),
        takes=taken(function.returns) if function.returns else None,
    )


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _against_annotation(body: _Body) -> Iterator[str]:
    if body.function.returns is None:
        return
    if body.yields:
        yield from _against_yields(body)
    elif body.takes is not None and not body.takes:
        yield from (f"returns (line {each.lineno}) where {body.shown} is annotated" for each in body.returns[:1])
    elif _is_without_value(body):
        yield f"never returns a value where {body.shown} is annotated"
    elif body.takes is not None:
        yield from _against_kinds(body, body.takes)


def _against_yields(body: _Body) -> Iterator[str]:
    """A decorator may make anything of a generator, as `contextmanager` and pytest's `fixture` do."""
    kind = "async-generator" if isinstance(body.function, ast.AsyncFunctionDef) else "generator"
    if body.takes is not None and kind not in body.takes and not body.function.decorator_list:
        yield f"yields (line {body.yields[0].lineno}) where {body.shown} is annotated"


def _is_without_value(body: _Body) -> bool:
    """Whether a value is annotated, and there is none on any path but those that raise."""
    if body.values or _only_raises(body) or "None" in body.doc:
        return False
    return not _MAY_BE_NONE.search(body.shown) if body.takes is None else "None" not in body.takes


def _only_raises(body: _Body) -> bool:
    """Whether a function ends in exceptions alone, or not at all, or with a call that may be there to raise one."""
    match body.function.body[-1]:
        case ast.Expr(value=ast.Call() as call) if _MAY_RAISE.search(last_name(call)):
            return True
        case _:
            return not body.returns and leaves(body.function.body)


def _against_kinds(body: _Body, takes: Kinds) -> Iterator[str]:
    """The first `return` of a kind that the annotation does not take; or an end without one."""
    known, shadowed = _known(body.function)
    says_none = "None" in body.doc
    for each in body.returns:
        kinds = surely(each.value, known, shadowed=shadowed) if each.value else iter(["None"])
        wrong = [kind for kind in kinds if kind not in takes and not (kind == "None" and says_none)]
        if not wrong and takes == NOTHING and isinstance(each.value, _OPERATIONS):
            wrong = ["a value"]
        if wrong:
            yield f"returns {wrong[0].replace('compared', 'bool')} (line {each.lineno}) where {body.shown} is annotated"
            return
    if "None" not in takes and not says_none and falls_off(body.function.body):
        yield f"may end without a value where {body.shown} is annotated"


def _known(function: Function) -> tuple[Mapping[str, ast.expr], Set[str]]:
    """Local names that have one value throughout, with it; and all local names."""
    nodes = [node for part in (function.args, *function.body) for node in ast.walk(part)]
    declared = [name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names]
    times = Counter([*declared, *(name for node in nodes for name in bound(node))])
    values = dict[str, ast.expr]()
    for node in own(function):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                values[name] = value
            case _:
                pass
    return {name: value for name, value in values.items() if times[name] == 1}, frozenset(times)


def _against_docstring(body: _Body) -> Iterator[str]:
    promise = promised(body.doc)
    has_outcome = bool(body.values or body.yields) or _only_raises(body)
    is_silent = body.function.returns is None and body.function.name != "__init__"
    if promise.has_value and not has_outcome and is_silent:
        yield "never returns a value, and the docstring says what is returned"
    if promise.has_items and not has_outcome:
        yield "never yields, and the docstring says what is yielded"
    for name in promise.raised:
        if not can_raise(body.function, name):
            yield f"cannot raise {name}, and the docstring says when it is raised"
