"""sandbox-exec, the sandbox of macOS: a profile that denies all but reading what may be read."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from codegen_lsp.verify import readable, setups, warden
from codegen_lsp.verify.job import DEFAULTS, JailError, Job, Limits, Report, Setup

PROGRAM = "/usr/bin/sandbox-exec"
RULES = """
(version 1)
(deny default)
(allow sysctl-read)
(allow signal (target self))
(allow file-read-metadata)
(allow file-read-data file-write-data (literal "/dev/null"))
(allow file-read-data (literal "/dev/urandom") (literal "/dev/zero") (literal "/"))
(allow file-read* file-map-executable
    (subpath "/usr/lib") (subpath "/System/Library") (subpath "/System/Volumes/Preboot"))
"""
"""Nothing may be written: there is no file system in memory with a size to put a scratch folder on."""


@dataclass(frozen=True)
class Seatbelt:
    """sandbox-exec(1). No namespaces: whether a file exists can be found out."""

    limits: Limits = DEFAULTS
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    name: str = "sandbox-exec"

    def run(self, job: Job) -> Report:
        """See `Jail`."""
        if platform.system() != "Darwin" or not Path(PROGRAM).exists():
            raise JailError("only macOS has it")
        python = readable.interpreter()
        # Python as a framework is a program that starts another.
        inner = Path(sys.base_prefix) / "Resources/Python.app/Contents/MacOS/Python"
        text = profile(
            [*readable.standard(), str(Path(sys.base_prefix) / "Python"), *job.readable], [python, str(inner)]
        )
        start = warden.Start(
            lambda command: [PROGRAM, "-p", text, *command],
            setups.environment(""),
            partial(_setup, self.limits),
            self.lock,
            resident=resident,
        )
        return warden.run(start, python, job, self.limits)


def resident(pid: int) -> int:
    """Bytes of memory of a process, 0 when it is gone."""
    done = subprocess.run(["/bin/ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(done.stdout.strip() or 0) << 10


def profile(paths: Sequence[str], programs: Sequence[str]) -> str:
    """The rules, with what may be read and the programs that may be run, each where links lead."""
    lines = []
    for path in readable.there(paths):
        kind = "subpath" if Path(path).is_dir() else "literal"
        lines += [f"(allow file-read* file-map-executable ({kind} {quoted(each)}))" for each in both(path)]
    for program in programs:
        allowed = "process-exec file-read* file-map-executable"
        lines += [f"(allow {allowed} (literal {quoted(each)}))" for each in both(program)]
    return RULES + "\n".join(lines)


def both(path: str) -> list[str]:
    """A path as it is written and as the kernel sees it."""
    return sorted({path, str(Path(path).resolve())})


def quoted(path: str) -> str:
    """A string of the profile language (a Scheme)."""
    if any(ord(character) < 32 for character in path):
        raise JailError("a path has control characters")
    return '"' + path.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _setup(limits: Limits, pid: int, result: int) -> Setup:
    return setups.plain(limits, 0, result)
