"""The files of a workspace that are read: source code that its repository counts as its own, and no secrets.

A folder is entered or not, a file is read or not; what is not is never opened, except ignore files and the first bytes
of those that may be too strange.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from codegen_lsp.index.ignore import NAMES, Rule, is_ignored, rules_of
from codegen_lsp.settings import Settings
from codegen_lsp.syntax.endings import LANGUAGES
from codegen_lsp.syntax.off import is_off

MAX_BYTES = 1 << 20
OWN_RULES = ".git/info/exclude"
"""A repository's rules that are not shared; what the others say goes before it."""
SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "bower_components"})
MAX_IGNORE_BYTES = 1 << 18
MAX_MEAN_LINE = 300
"""Characters: lines that are longer on average were written by a program."""
_GENERATED = re.compile(rb"@generated\b|code generated .{0,80}do not edit", re.IGNORECASE)
HEAD_BYTES = 8192


class Entry(NamedTuple):
    """A file as the disk describes it; `path` is relative to the root, with `/`."""

    path: str
    size: int
    mtime_ns: int

    @property
    def language(self) -> str:
        """The LSP language id."""
        return LANGUAGES[os.path.splitext(self.path)[1]]  # noqa: PTH122 - a Path a file would cost more than the rest


@dataclass(frozen=True)
class Rules:
    """What of a workspace may be read."""

    root: Path
    settings: Settings = field(default_factory=Settings)

    def walk(self, folder: str = "", entered: Callable[[str], None] = lambda folder: None) -> Iterator[Entry]:
        """The files below a folder of the root, in order of their paths; nothing when the folder itself is excluded.

        `entered` is told of each folder before its files come.
        """
        rules = self._above(folder)
        if rules is not None:
            yield from self._walk(folder, rules, entered)

    def entry(self, path: str) -> Entry | None:
        """One file, when it is there and may be read."""
        if not self.allows(path):
            return None
        try:
            found = (self.root / path).lstat()
        except (OSError, ValueError):
            return None
        is_file = (found.st_mode & 0o170000) == 0o100000
        return Entry(path, found.st_size, found.st_mtime_ns) if is_file and found.st_size <= MAX_BYTES else None

    def allows(self, path: str) -> bool:
        """Whether a file of this path may be read, were it there."""
        if path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
            return False  # it would lead out of the root
        folder, _, name = path.rpartition("/")
        rules = self._above(folder)
        return rules is not None and self._may_read(path, name, rules)

    def _above(self, folder: str) -> list[Rule] | None:
        """The rules that hold in a folder; None when it is excluded, or a link."""
        rules = self._rules_in("")
        path = ""
        for name in folder.split("/") if folder else ():
            path = f"{path}/{name}" if path else name
            place = self.root / path
            if name in ("", ".", "..") or place.is_symlink() or (place / "pyvenv.cfg").exists():
                return None
            if not self._may_enter(path, name, rules):
                return None
            rules = rules + self._rules_in(path)
        return rules

    def _walk(self, folder: str, rules: list[Rule], entered: Callable[[str], None]) -> Iterator[Entry]:
        try:
            with os.scandir(self.root / folder) as found:
                entries = sorted(found, key=lambda each: each.name)
        except OSError:
            return
        if folder and any(each.name == "pyvenv.cfg" for each in entries):
            return
        entered(folder)
        for each in entries:
            path = f"{folder}/{each.name}" if folder else each.name
            try:
                if each.is_dir(follow_symlinks=False):
                    if self._may_enter(path, each.name, rules):
                        yield from self._walk(path, rules + self._rules_in(path), entered)
                elif self._may_read(path, each.name, rules) and each.is_file(follow_symlinks=False):
                    stat = each.stat(follow_symlinks=False)
                    if stat.st_size <= MAX_BYTES:
                        yield Entry(path, stat.st_size, stat.st_mtime_ns)
            except OSError:
                continue

    def _may_enter(self, path: str, name: str, rules: list[Rule]) -> bool:
        return not (name.startswith(".") or name in SKIPPED or is_ignored(rules, path, is_folder=True))

    def _may_read(self, path: str, name: str, rules: list[Rule]) -> bool:
        language = LANGUAGES.get(os.path.splitext(name)[1])  # noqa: PTH122
        if language is None or name.startswith(".") or self.settings.refusal(language, path):
            return False
        return path.isprintable() and not is_ignored(rules, path, is_folder=False)

    def _rules_in(self, folder: str) -> list[Rule]:
        found: list[Rule] = []
        for name in NAMES if folder else (OWN_RULES, *NAMES):
            try:
                path = self.root / folder / name
                if not path.is_symlink() and path.stat().st_size <= MAX_IGNORE_BYTES:
                    found += rules_of(path.read_text(encoding="utf-8", errors="replace"), folder)
            except OSError:
                continue
        return found


class Content(NamedTuple):
    """What a file holds."""

    text: str
    digest: str
    """Of its bytes."""


def read(root: Path, entry: Entry) -> Content | None:
    """A file's text; None when it is gone, has grown too large, is no text, was written by a program, or says so."""
    try:
        with _opened(root, entry) as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        return None
    head = raw[:HEAD_BYTES]
    if len(raw) > MAX_BYTES or b"\0" in head or _GENERATED.search(head[:2048]) or is_off(_decoded(head)):
        return None
    if len(raw) > MAX_MEAN_LINE * (raw.count(b"\n") + 1):
        return None
    return Content(_decoded(raw), hashlib.sha256(raw).hexdigest()[:24])


def text_of(root: Path, entry: Entry) -> str | None:
    """The text of a file that was read before; None when it is not as `entry` says any more."""
    try:
        with _opened(root, entry) as file:
            found = os.fstat(file.fileno())
            is_same = (found.st_size, found.st_mtime_ns) == (entry.size, entry.mtime_ns)
            return _decoded(file.read(MAX_BYTES + 1)) if is_same else None
    except (OSError, ValueError):
        return None


def _opened(root: Path, entry: Entry) -> BinaryIO:
    # Not through a link that took the file's place, and not for ever from a pipe.
    return os.fdopen(os.open(f"{root}/{entry.path}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")


def _decoded(raw: bytes) -> str:
    return raw.decode("utf-8-sig", errors="replace")
