"""Names that nothing defines become the parameter that they stand for.

A small model knows how a thing is done better than what it is called here: below `def shares(ledger):` it writes the
body for `values`, or it misspells (`ledgers`). The code is right up to the name, and which one was meant can be told:
one parameter of the function that is not used yet, or one that is spelled nearly the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from codegen_lsp.syntax.names import Function, Use
from codegen_lsp.syntax.row import Language
from codegen_lsp.text import Edit, Span

LIKE = 0.6
"""How alike a name and an unused parameter are (difflib's ratio) when that alone decides."""
ALIKE = 0.75
"""The same for a name that is used already."""
_MODULES = """
asyncio base64 bisect collections contextlib copy csv datetime functools glob gzip hashlib heapq http io itertools json
logging math operator os pathlib pickle platform pprint random re requests secrets shlex shutil signal socket sqlite3
statistics string struct subprocess sys tempfile textwrap threading time traceback urllib uuid yaml zipfile
np pd plt torch
"""
MODULES = frozenset(_MODULES.split())
"""What people forget to import: `json.dumps` below an unused parameter wants an import, not the parameter."""


def mend(before: str, code: str, after: str, language: Language) -> str:
    """`code` between two texts (line ends \\n), its unknown names replaced where it is clear what they stand for.

    Unchanged where the statement around it does not parse. What stands outside of `code` is never changed.
    """
    if language.lacking is None:
        return code
    span, text = Span(len(before), len(before) + len(code)), before + code
    edits = list[Edit]()
    for function in _written(language.lacking(text + after, span), span):
        unknown = [use for use in function.unknown if span.start <= use.span.start and use.span.end <= span.end]
        if any(use.span.of(text) != use.name for use in unknown):
            return code  # before 3.12 Python does not know where the names in an f-string stand
        meant = _meant(unknown, function)
        edits += [Edit(use.span, meant[use.name]) for use in unknown if use.name in meant]
    for edit in sorted(edits, key=lambda edit: -edit.span.start):
        text = edit.apply(text)
    return text[len(before) :]


def _written(functions: Sequence[Function], span: Span) -> list[Function]:
    """The function that a span is in; where it is in none, those that begin in it, without the ones inside them."""
    around = [function for function in functions if function.span.start < span.start < function.span.end]
    if around:
        return around[-1:]
    found = list[Function]()
    for function in functions:
        if span.start <= function.span.start < span.end and not (found and function.span.end <= found[-1].span.end):
            found.append(function)
    return found


def _meant(unknown: Iterable[Use], function: Function) -> dict[str, str]:
    """For each unknown name what it stands for, if that can be told."""
    uses = dict[str, list[Use]]()
    for use in unknown:
        uses.setdefault(use.name, []).append(use)
    found = dict[str, str]()
    variables = [name for name in uses if _is_variable(name) and not _is_from_elsewhere(uses[name])]
    for name in variables:
        if close := get_close_matches(name, function.spare, 1, LIKE):
            found[name] = close[0]
    left = [name for name in function.spare if name not in found.values()]
    for name in variables:
        if name in found:
            continue
        if len(left) == 1:
            found[name] = left[0]
        elif close := get_close_matches(name, function.bound, 1, ALIKE):
            found[name] = close[0]
    return found


def _is_variable(name: str) -> bool:
    """Whether a name looks like a variable's: not like a constant or a class."""
    return name.islower()


def _is_from_elsewhere(uses: Iterable[Use]) -> bool:
    """Whether a name is read as a function or a module is that someone forgot to import."""
    return all(use.is_called or (use.is_owner and use.name in MODULES) for use in uses)
