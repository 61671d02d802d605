"""Definitions as a stub file has them: the header, the first line of the docstring, and three dots for the rest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from codegen_lsp.index.modules import Known
from codegen_lsp.syntax.definitions import MAX_HEADER

MAX_CHARS = 800
"""Of a piece: what the bundled model was trained with."""
MAX_OVERLOADS = 2
INDENT = "    "


def stub(each: Known, *, has_doc: bool = True) -> str:
    """A function, a method, or a constant."""
    definition = each.definition
    if definition.kind not in ("function", "method", "class"):
        return definition.signature
    header = _header(each)
    if not has_doc or not definition.doc:
        return f"{header}: ..."
    return f"{header}:\n{_indented(_doc(definition.doc))}\n{INDENT}..."


def class_stub(owner: Known, members: Sequence[Known], wanted: Collection[str] = ()) -> str:
    """A class with as many members as there is room for: those wanted first, then how it is made, then the public."""
    definition, fields = owner.definition, owner.fields or {}
    lines = [f"{_header(owner)}:", *([_indented(_doc(definition.doc))] if definition.doc else [])]
    lines += _fitting(map(_indented, fields.values()), _room(lines))
    places = {
        _indented(stub(each, has_doc=each.definition.name in wanted)): each.definition.span.start
        for each in _in_turn(members, wanted)
    }
    lines += sorted(_fitting(places, _room(lines)), key=lambda each: places[each])
    return "\n".join(lines if len(lines) > 1 else [*lines, f"{INDENT}..."])


def members_stub(owner: Known, members: Sequence[Known]) -> str:
    """Some members in their class, at least one."""
    lines = [f"{_header(owner)}:"]
    shown = _fitting((_indented(stub(each)) for each in members), _room(lines))
    return "\n".join([*lines, *(shown or [_indented(stub(members[0], has_doc=False))])])


def meant(found: Iterable[Known]) -> list[Known]:
    """Of definitions of one name those that are shown: a getter, not its setter; what is overloaded, not its overloads.

    Where there is nothing but overloads, as in a stub file, the first of them.
    """
    every = list(found)
    return [each for each in every if "overload" not in each.marks][:1] or every[:MAX_OVERLOADS]


def _in_turn(members: Sequence[Known], wanted: Collection[str]) -> Iterator[Known]:
    names = [each.definition.name for each in members]
    public = [name for name in names if not name.startswith("_")]
    for name in dict.fromkeys((*(name for name in names if name in wanted), "__init__", *public)):
        yield from meant(each for each in members if each.definition.name == name)


def _fitting(parts: Iterable[str], room: int) -> list[str]:
    """Those of some parts that there is room for, one after the other."""
    kept = list[str]()
    for part in parts:
        if len(part) < room:
            kept.append(part)
            room -= len(part) + 1
    return kept


def _room(lines: Sequence[str]) -> int:
    return MAX_CHARS - len("\n".join(lines))


def _header(each: Known) -> str:
    """Its decorators and its header."""
    signature = each.definition.signature
    is_cut = len(signature) >= MAX_HEADER - 1 and "(" in signature
    return "".join(f"@{mark}\n" for mark in each.marks) + (_mended(signature) if is_cut else signature)


def _mended(signature: str) -> str:
    """A header that was cut, with the parameters that it has whole."""
    shown = signature
    while ", " in shown:
        shown = shown.rpartition(", ")[0]
        if shown.count("[") == shown.count("]") and shown.count("(") == shown.count(")") + 1:
            return f"{shown}, ...)"
    return f"{signature.partition('(')[0]}(...)"


def _doc(line: str) -> str:
    shown = line.replace('"""', "'''").rstrip("\\")
    return f'"""{shown}"""'


def _indented(text: str) -> str:
    return "\n".join(f"{INDENT}{line}" for line in text.split("\n"))
