"""What pyflakes is certain about: names that nothing defines, and code that fails or says nothing when it is run."""

from __future__ import annotations

import ast
import re
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pyflakes import checker

from codegen_lsp.verify.flow import FUNCTIONS, LOOPS, Scope, bound, own

_KINDS = """
ReturnOutsideFunction YieldOutsideFunction ContinueOutsideLoop BreakOutsideLoop DefaultExceptNotLast
DuplicateArgument TwoStarredExpressions TooManyExpressionsInStarredAssignment
LateFutureImport FutureFeatureNotDefined ImportStarNotPermitted
RaiseNotImplemented InvalidPrintSyntax
StringDotFormatMissingArgument StringDotFormatMixingAutomatic StringDotFormatInvalidFormat
StringDotFormatExtraPositionalArguments
PercentFormatInvalidFormat PercentFormatMixedPositionalAndNamed PercentFormatUnsupportedFormatCharacter
PercentFormatPositionalCountMismatch PercentFormatMissingArgument PercentFormatExpectedMapping
PercentFormatExpectedSequence PercentFormatStarRequiresSequence
IsLiteral IfTuple AssertTuple MultiValueRepeatedKeyLiteral
"""
_CERTAIN = frozenset(_KINDS.split())
"""Messages that mean: Python refuses it, it fails when it is run, or a condition or a value says nothing."""
_UNREADABLE = (SyntaxError, ValueError, MemoryError, RecursionError)
"""What the compiler answers for broken text, null bytes, and brackets nested too deeply."""
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where."""

    what: str
    line: int
    """From 1."""
    column: int
    """In bytes of UTF-8, as `ast` counts; with the line and the name it says which node is meant."""
    name: str = ""
    """The name that nothing defines, where that is what is wrong."""

    def __str__(self) -> str:
        return f"{self.what} (line {self.line})"


def unknown_names(before: str, after: str) -> tuple[str, ...]:
    """Names that `after` reads and nothing defines and that `before` did not already lack, in order (pyflakes).

    () where `after` does not parse or has an `import *`: then a name may come from anywhere.
    """
    return tuple(dict.fromkeys(fault.name for fault in _new(before, after) if fault.name))


def faults(before: str, after: str) -> tuple[str, ...]:
    """What pyflakes is certain about and `before` did not have, a sentence each.

    Style is no fault: only what fails when it is run, or says nothing. Code that merely moved is not new. Of text that
    does not parse the sentence says why.
    """
    try:
        return tuple(dict.fromkeys(map(str, _new(before, after, is_strict=True))))
    except SyntaxError as error:
        return (f"{error.msg} (line {error.lineno or 1})",)
    except _UNREADABLE as error:
        return (f"not readable as Python: {error}",)


def lacking(text: str) -> tuple[Fault, ...]:
    """Each read of a name that nothing defines, in order; () where the text does not parse."""
    try:
        return tuple(fault for fault in _faults(text) if fault.name)
    except _UNREADABLE:
        return ()


def parse(text: str) -> ast.Module:
    """The module, as `ast.parse` gives it (and what it raises), quietly; a byte order mark is no code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text.removeprefix("\ufeff"))


def _new(before: str, after: str, *, is_strict: bool = False) -> list[Fault]:
    """The faults of `after` that `before` lacks; raises what `parse` raises where `is_strict`."""
    try:
        found = _faults(after)
    except _UNREADABLE:
        if is_strict:
            raise
        return []
    try:
        old = _faults(before)
    except _UNREADABLE:
        return _on_new_lines(found, before, after)
    names, left = {fault.name for fault in old}, Counter(fault.what for fault in old)
    new = list[Fault]()
    for fault in found:
        if fault.name:
            # Once is enough: what the module reads without defining it, like gettext's `_`, someone else puts there.
            is_new = fault.name not in names
        else:
            left[fault.what] -= 1
            is_new = left[fault.what] < 0
        if is_new:
            new.append(fault)
    return new


def _on_new_lines(found: list[Fault], before: str, after: str) -> list[Fault]:
    """Where `before` does not parse (a function has nothing but a comment for a body): what stands on new lines."""
    old, lines = set(_LINE_END.split(before)), _LINE_END.split(after)
    return [fault for fault in found if fault.line > len(lines) or lines[fault.line - 1] not in old]


def _faults(text: str) -> list[Fault]:
    tree = parse(text)
    messages = sorted(checker.Checker(tree, withDoctest=False).messages, key=lambda each: (each.lineno, each.col))
    scopes = _Scopes(tree)
    return [fault for message in messages if (fault := _fault(message, scopes)) is not None]


def _fault(message: Any, scopes: _Scopes) -> Fault | None:
    kind = type(message).__name__
    what = str(message.message % message.message_args)
    if kind in ("UndefinedName", "UndefinedLocal"):
        name = message.message_args if isinstance(message.message_args, str) else message.message_args[0]
        return _unbound(name, message.lineno, message.col, scopes)
    return Fault(what, message.lineno, message.col) if kind in _CERTAIN else None


def _unbound(name: str, line: int, column: int, scopes: _Scopes) -> Fault | None:
    """pyflakes reads from top to bottom; what is bound further down may have come first where there is a loop."""
    binding = next((scope for scope in scopes.around(line, column) if name in scopes.bound(scope)), None)
    if binding is None:
        return Fault(f"undefined name {name!r}", line, column, name)
    for loop in own(binding):
        if isinstance(loop, LOOPS) and _holds(loop, line, column) and name in scopes.bound(loop):
            return None
    kind = "name" if isinstance(binding, ast.Module) else "local variable"
    return Fault(f"{kind} {name!r} is read before it is given a value", line, column)


class _Scopes:
    """The functions of a module, and which names each of them binds, asked for when it is needed."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
        self._bound = dict[int, frozenset[str]]()

    def around(self, line: int, column: int) -> list[Scope]:
        """The functions around a place, innermost first; the module where there are none."""
        found = [node for node in reversed(self._functions) if _holds(node, line, column)]
        return [*found] if found else [self._tree]

    def bound(self, scope: ast.AST) -> frozenset[str]:
        """Names that a scope (or a loop in it) gives a value or takes it away from, its parameters apart."""
        if id(scope) not in self._bound:
            nodes = list(own(scope))
            loops = [part for node in nodes if isinstance(node, ast.comprehension) for part in ast.walk(node.target)]
            hidden = {id(part) for part in loops}
            declared = {name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
            names = {name for node in nodes if id(node) not in hidden for name in bound(node)}
            self._bound[id(scope)] = frozenset(names - declared)
        return self._bound[id(scope)]


def _holds(node: ast.stmt, line: int, column: int) -> bool:
    end = (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
    return (node.lineno, node.col_offset) <= (line, column) < end
