"""Our own sandbox on Linux: Landlock and seccomp, and where they are allowed, namespaces with a root of their own."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from codegen_lsp.verify import filter, readable, setups, warden
from codegen_lsp.verify.job import DEFAULTS, JailError, Job, Limits, Report, Setup

READ_ONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8


@dataclass(frozen=True)
class Own:
    """The child locks itself up (`seal.py`).

    With namespaces it sees a root of its own: what may be read, and a scratch folder in memory. Without them nothing
    can be written, and it can find out whether a file is there, how large it is and whose (Landlock does not hide
    that), but read none. Without Landlock it needs namespaces.
    """

    limits: Limits = DEFAULTS
    has_namespaces: bool = True
    has_landlock: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def name(self) -> str:
        parts = {"landlock": self.has_landlock, "seccomp": True, "namespaces": self.has_namespaces}
        return "+".join(name for name, is_used in parts.items() if is_used)

    def run(self, job: Job) -> Report:
        """See `Jail`."""
        if not (self.has_namespaces or self.has_landlock):
            raise JailError("seccomp alone does not keep files apart")
        paths = readable.there([*readable.standard(), *job.readable])
        scratch = readable.scratch_beside(paths) if self.has_namespaces else ""

        def setup(pid: int, result: int) -> Setup:
            return self._setup(paths, scratch, pid, result)

        start = warden.Start(list, setups.environment(scratch), setup, self.lock, self.has_namespaces)
        return warden.run(start, readable.interpreter(), job, self.limits)

    def _setup(self, paths: Sequence[str], scratch: str, pid: int, result: int) -> Setup:
        setup = setups.plain(self.limits, os.getpid(), result)
        setup["landlock"] = self.has_landlock
        setup["readable"] = [*paths, *readable.DEVICES]
        setup["writable"] = ["/dev/null"]
        setup["filter"] = filter.build(1 if self.has_namespaces else pid, is_writable=self.has_namespaces)
        if self.has_namespaces:
            setup["namespaces"] = True
            setup["mounts"] = mounts(paths)
            setup["scratch"] = scratch
            setup["readable"] = ["/"]
            setup["writable"].append(scratch)
            setup["limits"].append(setups.tasks())
        return setup


def mounts(paths: Sequence[str]) -> list[tuple[str, int]]:
    """What there is in the new root, and how it is mounted there."""
    devices = readable.there(readable.DEVICES)
    return [
        *((path, READ_ONLY | NOSUID | NODEV) for path in paths),
        *((path, READ_ONLY | NOSUID | NOEXEC) for path in devices),
    ]
