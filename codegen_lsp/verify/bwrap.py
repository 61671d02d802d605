"""bubblewrap as the sandbox: it makes the namespaces and the root, and the child seals itself in there."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from codegen_lsp.verify import filter, readable, setups, warden
from codegen_lsp.verify.job import DEFAULTS, JailError, Job, Limits, Report, Setup

READ_ONLY = 1


@dataclass(frozen=True)
class Bwrap:
    """bwrap(1) of at least 0.8, which can limit the size of a tmpfs; the child limits its number of files."""

    limits: Limits = DEFAULTS
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    name: str = "bwrap"

    def run(self, job: Job) -> Report:
        """See `Jail`."""
        # Not a search along a PATH that a workspace's tools may have changed.
        program = shutil.which("bwrap", path="/usr/local/bin:/usr/bin:/bin")
        if not program:
            raise JailError("it is not installed")
        python = readable.interpreter()
        # The dynamic loader is where programs say it is, which may be a link.
        paths = readable.there([*readable.standard(), *job.readable, python, os.path.realpath(python)])
        scratch = readable.scratch_beside(paths)
        options = self._options(program, paths, scratch)

        def setup(_: int, result: int) -> Setup:
            return self._setup(scratch, result)

        start = warden.Start(lambda command: [*options, *command], setups.environment(scratch), setup, self.lock)
        return warden.run(start, python, job, self.limits)

    def _options(self, program: str, paths: Sequence[str], scratch: str) -> list[str]:
        # It is in a session of its own already, and stays in its group so that it can be killed with it.
        # The first process: with its end all others end. Its capability is for the limits of the scratch folder.
        options = [program, "--unshare-all", "--die-with-parent", "--as-pid-1", "--hostname", "jail"]
        options += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
        options += ["--size", str(self.limits.scratch), "--tmpfs", scratch]
        for path in paths:
            options += ["--ro-bind-try", path, path]
        for path in readable.DEVICES:
            options += ["--dev-bind-try", path, path]
        return [*options, "--remount-ro", "/", "--"]

    def _setup(self, scratch: str, result: int) -> Setup:
        """Sealed like ours, but for what bwrap has done."""
        setup = setups.plain(self.limits, 0, result)
        setup["scratch"] = scratch
        setup["remount"] = True
        # It has no option for devices on a read-only mount, and on another one root can change their mode.
        setup["mounts"] = [(path, READ_ONLY) for path in readable.there(readable.DEVICES)]
        setup["filter"] = filter.build(1, is_writable=True)
        setup["limits"].append(setups.tasks())
        return setup
