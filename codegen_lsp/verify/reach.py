"""What a module may see when it is run: the project's modules that it imports, one by one, and installed packages.

Nothing else of a project is shown to code that nobody has read: no data, no configuration, no secrets.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from codegen_lsp.verify.judge import World

MAX_FILES = 500
MAX_BYTES, MAX_ALL = 1 << 20, 4 << 20
"""Of a file, and of all together: what lies beyond is shown, but not read for imports. One MB can take seconds."""
MAX_NAMES, MAX_LENGTH = 5000, 250
"""Names that are looked for, and characters of one."""


def world_of(file: Path, text: str, root: Path, sites: Sequence[Path] = ()) -> World:
    """The world of a module of a project; `sites` are folders with installed packages."""
    file, root = file.resolve(), root.resolve()
    base, name = _place(file, root)
    folders = [folder for folder in dict.fromkeys((base, root, root / "src")) if folder.is_dir()]
    readable = _reached(name, file.name == "__init__.py", text, folders, root) - {file}
    return World(
        name=name,
        file=str(file),
        search=tuple(map(str, (*folders, *sites))),
        readable=tuple(map(str, (*sorted(readable), *sites))),
    )


def _place(file: Path, root: Path) -> tuple[Path, str]:
    """(folder from which a file is imported, its module's name)."""
    parts = [] if file.name == "__init__.py" else [file.stem]
    folder = file.parent
    while folder != root and folder.is_relative_to(root) and (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts) or file.parent.name


def _reached(name: str, is_package: bool, text: str, folders: Sequence[Path], root: Path) -> set[Path]:
    """The files that importing a module reads, as far as they are the project's."""
    found = set[Path]()
    package = name if is_package else name.rpartition(".")[0]
    waiting = [*_parents(name), *_imported(text, package)][:MAX_NAMES]
    known, room = set(waiting), MAX_ALL
    while waiting and len(found) < MAX_FILES:
        module = waiting.pop()
        for path in _files(module, folders, root):
            found.add(path)
            own = module if path.name == "__init__.py" else module.rpartition(".")[0]
            shown = _text(path, min(room, MAX_BYTES))
            room -= len(shown)
            new = [each for each in _imported(shown, own) if each not in known][: max(0, MAX_NAMES - len(known))]
            known.update(new)
            waiting += new
    return found


def _parents(name: str) -> Iterator[str]:
    """The packages that a module is in: a.b.c is in a and a.b."""
    parts = name.split(".")
    return (".".join(parts[:length]) for length in range(1, len(parts)))


def _imported(text: str, package: str) -> list[str]:
    """Names that may be modules, of all imports of a text, each with the packages that it is in."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return []
    names = dict.fromkeys(name for node in nodes for name in _named(node, package) if 0 < len(name) <= MAX_LENGTH)
    return list(dict.fromkeys(each for name in names for each in (*_parents(name), name)))


def _named(node: ast.AST, package: str) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    parts = package.split(".") if package else []
    if node.level > len(parts):
        return [] if node.level else _members(node.module or "", node)
    outer = parts[: len(parts) - node.level + 1] if node.level else []
    return _members(".".join([*outer, *([node.module] if node.module else [])]), node)


def _members(module: str, node: ast.ImportFrom) -> list[str]:
    return [module, *(f"{module}.{alias.name}" for alias in node.names if module and alias.name != "*")]


def _files(module: str, folders: Sequence[Path], root: Path) -> Iterator[Path]:
    """Where a module is: a file of the project, and no link out of it."""
    inner = Path(*module.split("."))
    for folder in folders:
        for path in (folder / inner / "__init__.py", folder / inner.with_name(inner.name + ".py")):
            if _is_inner(path, root):
                yield path


def _is_inner(path: Path, root: Path) -> bool:
    try:
        return path.is_file() and path.resolve() == path and path.is_relative_to(root)
    except (
        OSError,
        RuntimeError,
    ):  # a name that is too long, a folder that is not ours to look into, links in a circle
        return False


def _text(path: Path, most: int) -> str:
    """What is in a file; "" for one of more than so many bytes, half of which would not parse."""
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
            return "" if len(raw) > most else raw.decode("utf-8", "replace")
    except OSError:
        return ""
