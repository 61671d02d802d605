"""What the text of an installed module says: at a glance what it may define or hands on, by a parse what it defines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from codegen_lsp.core import Definition
from codegen_lsp.index.imports import bound, module_of, stars
from codegen_lsp.syntax.definitions import definitions
from codegen_lsp.syntax.parse import parse_whole

STUBS = "-stubs"
"""What the folder of a package's stubs has at the end of its name."""
MAX_FIELDS, MAX_FIELD = 20, 100
"""Of a class: number, and characters of each."""

_DEFINED = re.compile(r"^[ \t]*(?:async[ \t]+def|def|class|type)[ \t]+(\w+)|^(\w+)[ \t]*[:=]", re.MULTILINE)
_ALIAS = re.compile(
    r"^(?P<name>\w+)[ \t]*(?::[^=\r\n]{1,80})?=[ \t]*(?P<value>[^\W\d]\w*(?:\.[^\W\d]\w*){0,5})[ \t]*(?:#.*)?\r?$",
    re.MULTILINE,
)
_ALL = re.compile(r"^__all__[ \t]*(?::[^=\r\n]*)?=[ \t]*[\[(]([^\])]*)[\])]", re.MULTILINE)
_QUOTED = re.compile(r"[\"'](\w+)[\"']")
_MARK = re.compile(r"@(?:\w+\.)*(property|cached_property|classmethod|staticmethod|overload|dataclass|define|frozen)\b")
_HEADER = re.compile(r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]", re.MULTILINE)
_METHOD = re.compile(r"^[ \t]+(?:async[ \t]+)?def[ \t]", re.MULTILINE)
_STRING = re.compile(r"(\"{3}|'{3}).*?(?:\1|\Z)", re.DOTALL)
_FIELD = re.compile(
    r"^(?P<indent>[ \t]+)(?P<line>(?P<name>[^\W\d_]\w*)[ \t]*[:=](?!=)[ \t]*[^\s#][^\r\n#]*)", re.MULTILINE
)


class File(NamedTuple):
    """A module's file as the disk describes it now; one that has changed is another."""

    path: str
    """Relative to its site folder, with `/`."""
    place: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Source:
    """What a file's text says without a parse."""

    file: File
    module: str
    names: Mapping[str, tuple[str, str]]
    """(module, name there) of what it hands on from elsewhere, or has under a second name."""
    stars: tuple[str, ...]
    defines: frozenset[str]
    """What it may define; names of methods are among them."""
    shared: frozenset[str] | None
    """What it gives those that take all of its names, where it says so in one place."""


@dataclass(frozen=True)
class Known:
    """A definition, with what its signature does not say."""

    definition: Definition
    marks: tuple[str, ...] = ()
    """Names of the decorators that change how it is used."""
    fields: Mapping[str, str] | None = None
    """Of a class that has no __init__ of its own: the lines that give its fields."""


def glance(file: File, text: str) -> Source:
    """What can be seen without a parse."""
    path = file.path.replace(f"{STUBS}/", "/", 1)
    module = module_of(path)
    second = {match["name"]: (module, match["value"]) for match in _ALIAS.finditer(text)}
    defines = frozenset(name or other for name, other in _DEFINED.findall(text)) - second.keys()
    names = {**second, **bound(text, path)}
    return Source(file, module, names, tuple(stars(text, path)), defines, _shared(text))


def _shared(text: str) -> frozenset[str] | None:
    match = _ALL.search(text) if text.count("__all__") == 1 else None
    return frozenset(_QUOTED.findall(match[1])) if match else None


def known(file: File, text: str) -> Iterator[Known]:
    """What a file defines, in order."""
    found = definitions(parse_whole(text, "python"), file.path)
    made = {each.parent for each in found if each.name == "__init__"}
    for each in found:
        shown = each.span.of(text)
        if each.kind == "class":
            yield Known(each, _marks(shown), None if each.name in made else _fields(shown))
        else:
            yield Known(each, _marks(shown))


def _marks(text: str) -> tuple[str, ...]:
    """The decorators that matter at the beginning of a definition."""
    header = _HEADER.search(text) if text.startswith("@") else None
    return tuple(_MARK.findall(text, 0, header.start())) if header else ()


def _fields(text: str) -> dict[str, str]:
    """What a class gives values or types before its first method."""
    method = _METHOD.search(text)
    found = list(_FIELD.finditer(_STRING.sub("", text[: method.start()] if method else text)))
    own = [match for match in found if match["indent"] == found[0]["indent"]]
    return {match["name"]: _whole(match["line"].rstrip()) for match in own[:MAX_FIELDS]}


def _whole(line: str) -> str:
    """A line of its own: a value that goes on in the next line is left out."""
    if len(line) <= MAX_FIELD and all(line.count(one) == line.count(other) for one, other in ("()", "[]", "{}")):
        return line
    return re.split(r"\s*=", line, maxsplit=1)[0][:MAX_FIELD] + " = ..."
