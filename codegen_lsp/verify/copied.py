"""Does a body pass its examples by other means than by what it returns? By repeating them, or by printing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from codegen_lsp.verify.examples import Example
from codegen_lsp.verify.flow import own
from codegen_lsp.verify.module import Function

RECEIVERS = ("self", "cls")
SMALL = 2
"""Numbers up to this size, and empty things, are in too much code to be a sign of anything."""
_ANSWERS = {"True", "False", "None"}
_PRINTS = re.compile(r"\b(?:print|show|display|writ|output|log|echo|say|emit|report|draw|dump)\w*", re.IGNORECASE)
"""Words of a docstring that ask for a function that prints."""


def is_copy(function: Function, examples: Sequence[Example]) -> str:
    """Why examples that pass say nothing of a body, "" when they do.

    Either it reads none of its parameters, or arguments and results of at least half of the examples stand in it.
    """
    params = _params(function.node.args)
    names = {node.id for each in function.statements for node in ast.walk(each) if isinstance(node, ast.Name)}
    if params and not names & {*params, *RECEIVERS, "locals", "vars", "super"}:
        return "it passes its examples, but reads none of its parameters"
    literals = {_key(node) for each in function.statements for node in ast.walk(each) if isinstance(node, ast.expr)}
    repeated = sum(_stands_in(example, literals - {None}) for example in examples)
    if repeated and 2 * repeated >= len(examples):
        return "it passes its examples, but they stand in it"
    return ""


def is_one_answer(examples: Sequence[Example]) -> str:
    """Why passing all examples would say next to nothing of a body, "" when it would say something.

    What they show is the same True (False, None) for all, and not of a comparison: whatever always says so passes them.
    """
    wants = {example.want.strip() for example in examples}
    if len(wants) != 1 or not wants <= _ANSWERS or any(each.error or not _is_asked(each) for each in examples):
        return ""
    return f"all its examples expect {wants.pop()}, so whatever always says that passes them"


def _is_asked(example: Example) -> bool:
    """Whether what an example shows is what the function itself says."""
    try:
        node = ast.parse(example.source, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return isinstance(node, ast.Call | ast.Attribute | ast.Await)


def only_prints(function: Function, examples: Sequence[Example]) -> str:
    """Why a function that was asked for a value has printed it, "" when it has not, or when it may be meant so.

    At Python's prompt a printed number looks like a returned one.
    """
    nodes = list(own(function.node))
    returns = [node.value for node in nodes if isinstance(node, ast.Return)]
    has_value = not all(value is None or _is_nothing(value) for value in returns)
    is_printing = any(isinstance(node, ast.Call) and _is_print(node.func) for node in nodes)
    if has_value or not is_printing or any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        return ""
    words = function.docstring.partition(">>>")[0]
    if _PRINTS.search(words) or _PRINTS.search(function.name) or not any(map(_is_of_value, examples)):
        return ""
    return "it prints what its examples show, and returns nothing"


def _is_nothing(value: ast.expr) -> bool:
    return (isinstance(value, ast.Constant) and value.value is None) or (
        isinstance(value, ast.Call) and _is_print(value.func)
    )


def _is_print(called: ast.expr) -> bool:
    return isinstance(called, ast.Name) and called.id == "print"


def _is_of_value(example: Example) -> bool:
    """Whether what an example shows is written as a value is: 3, and not Hello."""
    try:
        ast.literal_eval(example.want.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _params(args: ast.arguments) -> list[str]:
    some = [args.vararg, args.kwarg]
    found = [each.arg for each in (*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, some))]
    return [name for name in found if name not in RECEIVERS]


def _stands_in(example: Example, literals: set[str | None]) -> bool:
    """Whether both an argument of an example and its result are literals of a body."""
    try:
        want = ast.parse(example.want.strip(), mode="eval").body
        calls = [node for node in ast.walk(ast.parse(example.source)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    given = [_key(value) for call in calls for value in (*call.args, *(each.value for each in call.keywords))]
    return _key(want) in literals and any(key in literals for key in _known(given))


def _known(keys: Iterable[str | None]) -> list[str]:
    return [key for key in keys if key is not None]


def _key(node: ast.expr) -> str | None:
    """A literal that says something, for comparison; None for everything else."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if value is None or isinstance(value, bool) or (isinstance(value, int | float) and abs(value) <= SMALL):
        return None
    return f"{type(value).__name__} {value!r}" if isinstance(value, int | float) or value else None
