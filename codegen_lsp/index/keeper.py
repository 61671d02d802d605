"""Keep an index in step with the disk: what is told, what is seen, and a walk now and then for what is neither.

A watch misses things: what happens in a folder before it is watched, what overflows its queue, what another machine
writes. So whatever is told is only a hint where to look, and the walk is the truth.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from codegen_lsp.index.build import Builder, Counts
from codegen_lsp.index.files import Rules
from codegen_lsp.index.ignore import NAMES

WALK_EVERY_S = 60.0
UNWATCHED_S = 5.0
"""The same where the system cannot watch."""
WALK_SHARE = 200
"""A walk may take a two-hundredth of the time."""
AFTER_SWITCH_S = 0.5
"""From a change of branch to the walk that follows it; the changed files are told one by one before."""
MANY = 300
"""Paths that are not looked at one by one."""
GIT = ".git"


class FolderWatch(Protocol):
    """watch.Watch."""

    def cover(self, folders: Sequence[Path]) -> bool: ...


class Keeper:
    """The index of one folder. `work` does what is due; nothing happens in between."""

    def __init__(
        self,
        rules: Rules,
        builder: Builder,
        watch: FolderWatch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = rules.root
        self._rules = rules
        self._builder = builder
        self._watch = watch
        self._clock = clock
        self._touched: set[str] = set()
        self._covered: set[str] = set()
        self._walk_at = clock()
        self._is_watched = True

    def touch(self, paths: Iterable[str]) -> None:
        """Paths from the root, of files or folders, that may have changed."""
        for path in paths:
            folder, _, name = path.rpartition("/")
            if path == GIT or path.startswith(f"{GIT}/"):
                if name in ("HEAD", "exclude"):
                    self._walk_at = min(self._walk_at, self._clock() + AFTER_SWITCH_S)
            elif name in NAMES:
                self._touched.add(folder)  # other rules hold in all of it
            else:
                self._touched.add(path)

    def seen(self, paths: Iterable[Path]) -> None:
        """The same with whole paths, as a watch tells them."""
        inside = (path.relative_to(self._root) for path in paths if path.is_relative_to(self._root))
        self.touch(path.as_posix() if path.parts else "" for path in inside)

    @property
    def wait_s(self) -> float:
        """Seconds until something is due."""
        return 0.0 if self._touched else max(0.0, self._walk_at - self._clock())

    def work(self) -> Counts:
        """Do what is due. Whatever ends it early is raised; what was not done stays due."""
        if self._clock() >= self._walk_at or len(self._touched) > MANY or "" in self._touched:
            return self.walk()
        touched, counts = sorted(self._touched), Counts()
        self._cover_new(touched)
        for path in touched:
            self._touched.discard(path)  # before: it may be touched again meanwhile
            counts += self._builder.update([path])
        return counts

    def walk(self) -> Counts:
        """Look at everything."""
        began = self._clock()
        self._walk_at = began + UNWATCHED_S  # should it fail
        self._touched.clear()
        folders = set[str]()
        self._look_into("", folders)
        every = max(WALK_EVERY_S, WALK_SHARE * (self._clock() - began))
        self._cover(folders, is_new=bool(folders - self._covered) or not self._is_watched)
        counts = self._builder.reconcile()
        self._walk_at = self._clock() + (every if self._is_watched else UNWATCHED_S)
        return counts

    def _cover_new(self, paths: Sequence[str]) -> None:
        """Watch the folders that have come before they are read, or what is written meanwhile would be missed.

        What is told of a folder itself is that it came or went: a watch of what was there before is of no use.
        """
        folders, is_new = set(self._covered), False
        for path in paths:
            if (self._root / path).is_dir():
                self._look_into(path, folders)
                is_new = True
            elif path in folders:
                folders -= {each for each in folders if each == path or each.startswith(f"{path}/")}
        self._cover(folders, is_new=is_new)

    def _look_into(self, folder: str, folders: set[str]) -> None:
        for _ in self._rules.walk(folder, folders.add):
            pass

    def _cover(self, folders: set[str], *, is_new: bool) -> None:
        self._covered = folders
        if is_new:
            places = [self._root / folder for folder in (*sorted(folders), GIT)]
            self._is_watched = self._watch.cover([place for place in places if place.is_dir()])
