"""Where functions are judged: the sandbox that works here, and what a module of a project may see in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from codegen_lsp.verify.jail import Jail, Job, Report
from codegen_lsp.verify.judge import Judge, World

LEAST_S = 0.1
"""A run that has begun is given so many seconds."""


@dataclass(frozen=True)
class _Hurried:
    """A sandbox whose runs take no longer than there is time."""

    jail: Jail
    left: Callable[[], float]

    @property
    def name(self) -> str:
        return self.jail.name

    def run(self, job: Job) -> Report:
        """See `Jail`."""
        return self.jail.run(replace(job, seconds=min(job.seconds, max(LEAST_S, self.left()))))


class Bench:
    """Makes judges. The sandbox is looked for when there is something to be run."""

    def __init__(
        self,
        jail: Jail | None = None,
        why_none: str = "",
        environ: Mapping[str, str] = os.environ,
        left: Callable[[], float] | None = None,
    ) -> None:
        """`left`: seconds that a run may still take, where there is a limit."""
        self._jail, self._why_none, self._environ, self._left = jail, why_none, environ, left
        self.reasons: tuple[str, ...] = ()
        """Why each sandbox that was tried does not work, when none does."""

    def jail(self) -> tuple[Jail | None, str]:
        """The first sandbox that works here, and why there is none."""
        if self._jail is None and not self._why_none:
            from codegen_lsp.verify.jail import find_jail

            found = find_jail()
            self._jail = found.jail
            if found.jail is None:
                self._why_none = "no sandbox works here"
                self.reasons = found.reasons
        if self._jail and self._left:
            return _Hurried(self._jail, self._left), ""
        return self._jail, self._why_none

    @property
    def name(self) -> str:
        """Of the sandbox that was used; "" when there was none."""
        return self._jail.name if self._jail else ""

    @property
    def is_broken(self) -> bool:
        """Whether a sandbox was looked for, and none works here."""
        return self._jail is None and bool(self._why_none)

    def judge(self, path: Path | None, text: str, line: int, words: str = "", root: Path | None = None) -> Judge:
        """The judge of the function whose `def` stands in a line (from 1) of a file's text. Raises Unjudgeable.

        `words`: see Judge.of. `root` is the project's top folder, found above the file when it is not given. A text
        that is no file sees no other module but those of the standard library.
        """
        return Judge.of(text, line, self.jail, lambda: self._world(path, text, root), words)

    def _world(self, path: Path | None, text: str, root: Path | None) -> World:
        from codegen_lsp.index.packages import site_folders
        from codegen_lsp.index.place import workspace_of
        from codegen_lsp.verify.reach import world_of

        if path is None:
            return World()
        root = root or workspace_of(path) or path.resolve().parent
        return world_of(path, text, root, site_folders(root, self._environ))
