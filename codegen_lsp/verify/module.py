"""A module as Python's own parser sees it: its functions, another body for one, and without what examples expect."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from codegen_lsp.text import Encoding, LineIndex, Span, line_end_of
from codegen_lsp.verify.flow import FUNCTIONS, says_nothing

NOT_WRITTEN = "not written yet (codegen-lsp)"
"""What a function says that is run before it is written."""


@dataclass(frozen=True)
class Function:
    """A function of a module."""

    name: str
    """Qualified, without <locals>: "Basket.total"."""
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def statements(self) -> list[ast.stmt]:
        """Its body without its docstring."""
        return self.node.body[1:] if _docstring(self.node) else self.node.body

    @property
    def docstring(self) -> str:
        """The text of its docstring as it is written, "" when there is none."""
        found = _docstring(self.node)
        return found.value if found and isinstance(found.value, str) else ""


@dataclass(frozen=True)
class Module:
    """A text that parses."""

    text: str
    tree: ast.Module

    def functions(self) -> Iterator[Function]:
        """All functions, in the order in which they begin."""
        return _functions(self.tree, "")


def read(text: str) -> Module:
    """Parse a text; raises SyntaxError, also for what is too deep or holds a NUL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Module(text, ast.parse(text))
        except (ValueError, MemoryError, RecursionError) as error:
            raise SyntaxError(str(error) or "it is too deep") from error


def fault(text: str) -> str:
    """Why a text cannot be compiled, in words; "" when it can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(text, "<module>", "exec", dont_inherit=True)
        except SyntaxError as error:
            return f"{error.msg} (line {error.lineno})"
        except (ValueError, MemoryError, RecursionError) as error:
            return str(error) or "it is too deep"
    return ""


def is_stub(function: Function) -> bool:
    """Whether a body says nothing."""
    return all(says_nothing(statement) for statement in function.statements)


def without(module: Module, index: int) -> str:
    """A module, as text for comparison, as if its function number `index` had no body and no docstring."""
    tree = ast.parse(module.text)
    list(_functions(tree, ""))[index].node.body = [ast.Pass()]
    return ast.dump(tree)


def runnable(module: Module, index: int, *, is_written: bool) -> str:
    """The module's text as it may be run: without what its docstrings' examples expect, every line where it was.

    With `is_written` False function number `index` has a body that only says so (NOT_WRITTEN).
    """
    places, edits = _Places(module.text), list[tuple[Span, str]]()
    functions = list(module.functions())
    own = functions[index].node
    for owner in (
        module.tree,
        *(node for node in ast.walk(module.tree) if isinstance(node, (*FUNCTIONS, ast.ClassDef))),
    ):
        docstring = _docstring(owner)
        if docstring and (owner is own or ">>>" in str(docstring.value)):
            span = places.span(docstring)
            edits.append((span, '"""' + "\n" * (docstring.end_lineno - docstring.lineno) + '"""'))  # type: ignore[operator]
    text = module.text
    if not is_written:
        edits += [_raising(functions[index], places)]
    for span, new in sorted(edits, key=lambda edit: -edit[0].start):
        text = text[: span.start] + new.replace("\n", line_end_of(text)) + text[span.end :]
    return text


def _raising(function: Function, places: _Places) -> tuple[Span, str]:
    """The edit that puts the statement that it is not written in the place of a function's body."""
    statement = f"raise NotImplementedError({NOT_WRITTEN!r})"
    if not function.statements:
        end = places.span(function.node.body[0]).end
        return Span(end, end), f"; {statement}"
    first, last = function.statements[0], function.statements[-1]
    span = Span(places.start(first), places.span(last).end)
    return span, statement


def _functions(node: ast.AST, prefix: str) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FUNCTIONS):
            yield Function(prefix + child.name, child)
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif not isinstance(child, ast.expr):
            yield from _functions(child, prefix)


def _docstring(node: ast.AST) -> ast.Constant | None:
    body = getattr(node, "body", None)
    first = body[0] if isinstance(body, list) and body else None
    value = first.value if isinstance(first, ast.Expr) else None
    return value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


class _Places:
    """Line and column, in bytes as `ast` has them, to offset."""

    def __init__(self, text: str) -> None:
        self._index = LineIndex(text)

    def span(self, node: ast.expr | ast.stmt) -> Span:
        end = self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)
        return Span(self.start(node), end)

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Where a node begins, its decorators included."""
        first = min((node, *getattr(node, "decorator_list", ())), key=lambda each: (each.lineno, each.col_offset))
        shift = 1 if first is not node else 0  # the @
        return self._offset(first.lineno, first.col_offset) - shift

    def _offset(self, line: int, column: int) -> int:
        return self._index.offset(line - 1, column, Encoding.UTF8)
