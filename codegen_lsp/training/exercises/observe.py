"""What an exercise's own asserts show of its function: the types of its arguments, and calls with their results.

The asserts call the function; a wrapper around it sees every call. So signatures can be annotated, and docstrings can
carry examples, that are true because they were executed, with nothing written by hand.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_EXAMPLES = 3
MAX_WIDTH = 70
"""Characters of a call or of a result that fit on a line of a docstring."""
NAMED = (bool, int, float, str, bytes, complex)
_UNSTEADY = re.compile(
    r"\b(?:random|secrets|uuid|time|today|now|getpid|environ|cwd|open|Path|os|shutil|glob|sqlite3|urllib|socket|input)\b"
)
"""Code whose results another run, or another machine, need not give."""

_VAGUE = re.compile(r"\[(?:, (?:\.\.\.)?)?\]")
"""The brackets of an empty container's type."""


@dataclass
class Observer:
    """Sees the calls of one function. `types` has the names of the types of each parameter, and of "return"."""

    name: str
    types: dict[str, set[str]] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    depth: int = 0

    def watch(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, observed; calls that it makes of itself are not."""

        @functools.wraps(function)
        def observed(*args: Any, **kwargs: Any) -> Any:
            if self.depth:
                return function(*args, **kwargs)
            call = _call(self.name, args, kwargs)  # before the function changes its arguments
            self._see_arguments(function, args, kwargs)
            self.depth += 1
            try:
                result = function(*args, **kwargs)
            finally:
                self.depth -= 1
            self._see_result(call, result)
            return result

        return observed

    def _see_arguments(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        try:
            bound = inspect.signature(function).bind(*args, **kwargs)
        except TypeError:
            return
        for name, value in bound.arguments.items():
            self.types.setdefault(name, set()).add(type_name(value))

    def _see_result(self, call: str | None, result: Any) -> None:
        self.types.setdefault("return", set()).add(type_name(result))
        shown = literal(result)
        if call and shown and result is not None and len(self.examples) < MAX_EXAMPLES:
            example = f"{call}\n{shown}"
            if example not in self.examples:
                self.examples.append(example)

    def annotations(self) -> tuple[str, ...]:
        """ "name: type" for every parameter, and for "return", whose type has a name."""
        merged = {name: merge(types) for name, types in self.types.items()}
        return tuple(f"{name}: {kind}" for name, kind in merged.items() if kind)


def is_steady(code: str) -> bool:
    """Whether what a piece of code returns may stand in a docstring: the same tomorrow."""
    return not _UNSTEADY.search(code)


def literal(value: Any) -> str | None:
    """The value as a short literal on one line that gives the value back; None when it has none."""
    shown = repr(value)
    if len(shown) > MAX_WIDTH or "\n" in shown or "\\" in shown or isinstance(value, set | frozenset):
        return None
    try:
        return shown if ast.literal_eval(shown) == value else None
    except (ValueError, SyntaxError, TypeError):
        return None


def _call(name: str, args: Iterable[Any], kwargs: Mapping[str, Any]) -> str | None:
    shown = [literal(value) for value in args]
    shown += [text and f"{key}={text}" for key, text in ((key, literal(value)) for key, value in kwargs.items())]
    if any(text is None for text in shown):
        return None
    call = f"{name}({', '.join(text for text in shown if text)})"
    return call if len(call) <= MAX_WIDTH else None


def type_name(value: Any) -> str:
    """The type of a value as an annotation, with what its items have in common; "?" when it has no plain name."""
    kind = type(value)
    if value is None:
        return "None"
    if kind in NAMED:
        return kind.__name__
    if kind in (list, set, frozenset):
        return f"{kind.__name__}[{_common(value)}]"
    if kind is dict:
        return f"dict[{_common(value)}, {_common(value.values())}]"
    if kind is tuple:
        return f"tuple[{', '.join(map(type_name, value))}]" if 0 < len(value) <= 3 else f"tuple[{_common(value)}, ...]"
    return "?"


def _common(values: Iterable[Any]) -> str:
    """The one type of all values; "" when there are none, "?" when they differ."""
    names = {type_name(value) for value in values}
    return "" if not names else merge(names) or "?"


def merge(names: Iterable[str]) -> str | None:
    """One annotation for several type names, such as `int | None`; None when there is no short one."""
    given = set(names)
    found = {name for name in given if not _VAGUE.search(name)} or given
    if found & {"int", "float"} == {"int", "float"}:
        found.discard("int")
    plain = sorted(found - {"None"})
    if len(plain) > 1 or any("?" in name for name in plain):
        return None
    kind = _VAGUE.sub("", (plain or ["None"])[0])
    return f"{kind} | None" if plain and "None" in found else kind
