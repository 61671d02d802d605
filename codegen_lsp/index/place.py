"""Where the index of a workspace is: in the user's private cache folder, never in the workspace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codegen_lsp.errors import FileError
from codegen_lsp.folders import cache_folder, make_private

try:
    import fcntl
except ImportError:  # not on Windows: there nothing keeps two builders apart but SQLite itself
    fcntl = None  # type: ignore[assignment]

MARKS = (".git", "pyproject.toml", "package.json", "go.mod", "Cargo.toml")
"""What the top folder of a project has."""


def database(root: Path) -> Path:
    """The database of a workspace folder. Raises FileError when there is no private folder for it."""
    folder = cache_folder() / "index"
    if not make_private(folder):
        raise FileError(f"{folder} is no private folder of yours; remove it, or set XDG_CACHE_HOME to one that is.")
    name = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    return folder / f"{name}.sqlite"


def workspace_of(path: Path) -> Path | None:
    """The nearest folder above a file that looks like the top of a project."""
    folders = path.resolve().parents
    return next((folder for folder in folders if any((folder / mark).exists() for mark in MARKS)), None)


@contextmanager
def only_writer(path: Path) -> Iterator[bool]:
    """Whether we are the one process that writes a database, for as long as the block lasts."""
    with path.with_suffix(".lock").open("w") as file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
