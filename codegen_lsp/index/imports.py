"""Imports of Python: what a name of a file stands for, and in which files of a workspace that may be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

_FROM = re.compile(r"^[ \t]*from[ \t]++([\w.]*+)[ \t]++import\b[ \t]*+(\([^)]{0,20000}\)|[^\r\n(]+)", re.MULTILINE)
_COMMENT = re.compile(r"#[^\r\n]*")
_IMPORT = re.compile(r"^[ \t]*import\s+([\w., \t]+)", re.MULTILINE)


def imports(text: str, path: str) -> Iterator[tuple[str, str, str]]:
    """(name here, module, name there) of each import; the last is "" where the name is the module itself."""
    for module, names in _FROM.findall(text):
        whole = _absolute(module, path)
        for part in _COMMENT.sub("", names).strip("()").replace("\n", " ").split(","):
            name, alias = _aliased(part)
            if name and name != "*":
                yield alias, whole, name
    for names in _IMPORT.findall(text):
        for part in names.split(","):
            module, alias = _aliased(part)
            if module:
                yield alias, module, ""


def bound(text: str, path: str) -> dict[str, tuple[str, str]]:
    """(module, name there) by the name that an import gives it in this file: `import a.b` gives `a`."""
    return {
        name.partition(".")[0]: (module.partition(".")[0] if "." in name else module, there)
        for name, module, there in imports(text, path)
    }


def stars(text: str, path: str) -> list[str]:
    """The modules all of whose names a file takes."""
    found = _FROM.findall(text)
    return [_absolute(module, path) for module, names in found if _COMMENT.sub("", names).strip("() \t\r\n") == "*"]


def module_of(path: str) -> str:
    """The dotted name of a file from the root: `a/b/__init__.py` is a.b."""
    parts = PurePosixPath(path).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _aliased(part: str) -> tuple[str, str]:
    words: Sequence[str] = part.split()
    if not words:
        return "", ""
    return words[0], words[2] if len(words) == 3 and words[1] == "as" else words[0]


def _absolute(module: str, path: str) -> str:
    """A relative module as a dotted one."""
    dots = len(module) - len(module.lstrip("."))
    if not dots:
        return module
    folders = PurePosixPath(path).parts[:-1]
    base = folders[: max(0, len(folders) - (dots - 1))]
    return ".".join((*base, module.lstrip("."))).rstrip(".")
