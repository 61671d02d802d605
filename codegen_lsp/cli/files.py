"""Files of the user's: read whole or not at all, written whole or not at all."""

from __future__ import annotations

import codecs
import os
import re
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from codegen_lsp.core import Snapshot
from codegen_lsp.errors import FileError
from codegen_lsp.syntax.endings import LANGUAGES
from codegen_lsp.text import Edit, LineIndex, Span

MAX_BYTES = 16 << 20
MAX_COOKIE = 1 << 12
"""Bytes of a line in which an encoding may be declared."""
UTF8 = "utf-8-sig"
"""UTF-8, with or without a byte-order mark."""

_PLACE = re.compile(r"(.+?):(\d{1,9})(?::(\d{1,9}))?", re.DOTALL)
_CELL_PLACE = re.compile(r"(.+?\.ipynb):(\d{1,9}):(\d{1,9})(?::(\d{1,9}))?", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """FILE:LINE[:COL] or NOTEBOOK.ipynb:CELL:LINE[:COL], 1-based; no column is the end of the line."""

    path: Path
    line: int
    column: int | None
    cell: int | None = None


def parse_place(text: str) -> Place:
    """Read a place; raises FileError."""
    match = _CELL_PLACE.fullmatch(text)
    found = match or _PLACE.fullmatch(text)
    if not match and found and found[1].endswith(".ipynb"):
        raise FileError(f"{text!r}: in a notebook a place is FILE:CELL:LINE, for example nb.ipynb:3:1.")
    if not found:
        raise FileError(f"{text!r} is not a place; write FILE:LINE or FILE:LINE:COLUMN, for example app.py:12.")
    path, *numbers = found.groups()
    cell, line, column = (int(each) if each else None for each in (numbers if match else (None, *numbers)))
    if cell == 0 or not line or column == 0:
        raise FileError(f"{text!r}: {'cells, ' if match else ''}lines and columns are counted from 1.")
    return Place(Path(path), line, column, cell)


@dataclass(frozen=True)
class Opened:
    """What a place is in: a file, or one cell of it."""

    path: Path
    name: str
    """As a diff says it."""
    snapshot: Snapshot
    own: str
    """The file's text, or the cell's: what an edit changes."""
    whole: str
    """The file's text."""
    put: Callable[[str], str]
    """The file's text with another own text."""

    def after(self, edit: Edit) -> str:
        """The own text with an edit of the snapshot's."""
        floor = self.snapshot.floor
        return Edit(Span(edit.span.start - floor, edit.span.end - floor), edit.text).apply(self.own)

    def write(self, edit: Edit) -> None:
        """Put an edit into the file; raises FileError."""
        write_text(self.path, self.put(self.after(edit)), self.whole)


def open_at(place: Place) -> Opened:
    """Read the file of a place; raises FileError, also when the place is outside of it."""
    if place.cell is not None:
        from codegen_lsp.cli.notebook import open_cell

        return open_cell(place, place.cell)
    snapshot = snapshot_at(place)
    return Opened(place.path, str(place.path), snapshot, snapshot.text, snapshot.text, lambda text: text)


def read_text(path: Path, encoding: str = UTF8) -> str:
    """The file's text, line ends as they are, without a byte-order mark; raises FileError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)  # a device has no end
        if len(raw) > MAX_BYTES:
            raise FileError(f"{path} is larger than {MAX_BYTES >> 20} MB.")
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == UTF8 else encoding
        raise FileError(f"{path} is not {name} (byte {error.start}); convert it first.") from error
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}.") from error


def source_encoding(path: Path) -> str:
    """How a Python file is encoded, as it says itself (PEP 263); raises FileError."""
    import tokenize

    try:
        with path.open("rb") as file:
            found, _ = tokenize.detect_encoding(lambda: file.readline(MAX_COOKIE))
        b"x".decode(found)  # there are codecs that are none of text
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}.") from error
    except (SyntaxError, LookupError, ValueError) as error:
        raise FileError(f"{path} is not UTF-8, nor declares what it is ({error}); convert it first.") from error
    return UTF8 if found in ("utf-8", UTF8) else found


def snapshot_at(place: Place) -> Snapshot:
    """The document with the cursor at a place; raises FileError when the place is outside it."""
    text = read_text(place.path)
    offset = offset_in(text, place, str(place.path))
    return Snapshot(path=relative(place.path), language=language_of(place.path), text=text, offset=offset)


def offset_in(text: str, place: Place, name: str) -> int:
    """The character offset of a place; raises FileError when it is outside the text, which is called `name`."""
    index = LineIndex(text)
    if place.line > index.num_lines:
        raise FileError(f"{name} has {index.num_lines} lines; line {place.line} is outside it.")
    span = index.line_span(place.line - 1)
    column = len(span) if place.column is None else place.column - 1
    if column > len(span):
        raise FileError(f"{name}:{place.line} has {len(span)} characters; column {place.column} is outside it.")
    return span.start + column


def language_of(path: Path) -> str:
    """The LSP language id for a path's ending; the ending itself when it is not known."""
    return LANGUAGES.get(path.suffix, path.suffix.lstrip("."))


def relative(path: Path) -> str:
    """The path as the model is shown it: relative to the working directory, else its name."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name


def write_text(path: Path, text: str, before: str, encoding: str = UTF8) -> None:
    """Replace a file's content: temporary file, fsync, rename; owner, mode and byte-order mark kept, links followed.

    Raises FileError, also when the file does not hold `before` any more: somebody has saved it meanwhile.
    """
    target = path.resolve()
    try:
        was = target.stat()
        # A rename asks the folder's permission only, and would put a file in a device's place.
        if not stat.S_ISREG(was.st_mode):
            raise FileError(f"{path} is no regular file; nothing was written.")
        if not was.st_mode & 0o222 or not os.access(target, os.W_OK):
            raise FileError(f"{path} is read-only; nothing was written.")
        raw = _encoded(text, encoding, target)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".codegen-lsp.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            with suppress(PermissionError):
                os.chown(name, was.st_uid, was.st_gid)
            Path(name).chmod(was.st_mode & 0o7777)
            if read_text(target, encoding) != before:
                raise FileError(f"{path} has changed meanwhile; nothing was written, run the command again.")
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror or error}; it is as it was.") from error


def _encoded(text: str, encoding: str, path: Path) -> bytes:
    if encoding == UTF8 and not _has_mark(path):
        return text.encode()
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        char = text[error.start]
        raise FileError(f"{path} is in {encoding}, which has no {char!r}; nothing was written.") from error


def _has_mark(path: Path) -> bool:
    """Whether a file begins with a byte-order mark."""
    with path.open("rb") as file:
        return file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
