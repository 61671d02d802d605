"""Runs generated Python where it can do no harm, or not at all.

A child of our own interpreter locks itself up (`seal.py`), and is then told of a module and, one after the other, of
examples; what is expected of them stays with the caller. What no sandbox here promises: that a kernel has no holes,
that code cannot tell that it is watched, and, without namespaces, that it cannot find out which files there are.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from codegen_lsp.verify import readable, setups, warden
from codegen_lsp.verify.bwrap import Bwrap
from codegen_lsp.verify.job import DEFAULTS, Jail, JailError, Job, Limits, Outcome, Report, Setup
from codegen_lsp.verify.own import Own
from codegen_lsp.verify.seatbelt import Seatbelt
from codegen_lsp.verify.selftest import weakness

__all__ = ["Found", "Jail", "JailError", "Job", "Limits", "Outcome", "Report", "find_jail", "unprotected"]


@dataclass(frozen=True)
class Found:
    """The sandbox that works here, if any, and why each that was tried before it does not."""

    jail: Jail | None
    reasons: tuple[str, ...]


def find_jail(limits: Limits = DEFAULTS) -> Found:
    """The first sandbox that proves itself (`selftest.py`); each that is tried takes one run."""
    reasons: list[str] = []
    for jail in candidates(limits):
        reason = weakness(jail, limits)
        if not reason:
            return Found(jail, tuple(reasons))
        reasons.append(f"{jail.name}: {reason}")
    return Found(None, tuple(reasons) or ("sandbox: there is none for this system",))


def unprotected(limits: Limits = DEFAULTS) -> Jail:
    """The same child with nothing but limits: for who has said so on this very call, and never by default."""
    return Unprotected(limits)


def candidates(limits: Limits) -> Iterator[Jail]:
    """The sandboxes of this system, the preferred one first."""
    if sys.platform == "linux":
        yield Own(limits)
        yield Own(limits, has_landlock=False)
        yield Own(limits, has_namespaces=False)
        yield Bwrap(limits)
    elif sys.platform == "darwin":
        yield Seatbelt(limits)


@dataclass(frozen=True)
class Unprotected:
    """Code runs as this user, with limits, in a folder that is removed."""

    limits: Limits
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    name: str = "none"

    def run(self, job: Job) -> Report:
        """See `Jail`; JailError only when no process can be started."""
        with tempfile.TemporaryDirectory(prefix="codegen-", ignore_cleanup_errors=True) as folder:
            start = warden.Start(list, setups.environment(folder), partial(self._setup, folder), self.lock)
            return warden.run(start, readable.interpreter(), job, self.limits)

    def _setup(self, folder: str, _: int, result: int) -> Setup:
        return {**setups.plain(self.limits, os.getpid(), result), "scratch": folder}
