"""The nouns of a run: what is to be run, within which limits, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypedDict


@dataclass(frozen=True)
class Job:
    """A module and pieces of Python to be run in its namespace, one after the other, as doctest would.

    `examples` are compiled in mode "single"; names live on from one to the next. They get a copy of the module's
    namespace, so they cannot change what its functions see. What is expected of them must not be in `source`.
    """

    source: str
    examples: tuple[str, ...]
    name: str = "module"
    """Its `__name__`, dotted when it is in a package; never "__main__"."""
    file: str = "module.py"
    """Its `__file__`, and what tracebacks show. It need not exist."""
    search: tuple[str, ...] = ()
    """Folders for `sys.path`, after the standard library's, so that they cannot shadow it."""
    readable: tuple[str, ...] = ()
    """Files and folders that may be read besides the interpreter, its standard library and shared libraries.

    Links are followed, so a link that leads out of a workspace must not be named.
    """
    seed: int = 0
    """PYTHONHASHSEED."""
    seconds: float = float("inf")
    """Wall-clock time that it may take, where that is less than the sandbox's own limit."""


@dataclass(frozen=True)
class Outcome:
    """What one example did: what it printed, and what it raised as `traceback.format_exception_only` tells it."""

    output: str
    error: str = ""


@dataclass(frozen=True)
class Report:
    """What the examples that were run did, in order, and why not all were run: one sentence for the user, or ""."""

    outcomes: tuple[Outcome, ...]
    problem: str = ""
    milliseconds: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What a run may use. Sizes in bytes."""

    cpu_seconds: int = 5
    wall_seconds: float = 8
    memory: int = 512 << 20
    """Of address space; what lies in the scratch folder comes on top."""
    file: int = 1 << 20
    descriptors: int = 64
    output: int = 64 << 10
    """Of everything that all examples print, in UTF-8."""
    scratch: int = 16 << 20
    scratch_files: int = 1024


DEFAULTS = Limits()


class JailError(Exception):
    """The sandbox cannot be set up; nothing was run. `str()` says why, without a full stop."""


class Jail(Protocol):
    """A way to run a job where it can do no harm."""

    @property
    def name(self) -> str: ...

    def run(self, job: Job) -> Report:
        """Run it and wait. Whatever the job does ends in a report; JailError when it could not be locked up."""


class Setup(TypedDict):
    """What a child is told before it knows of a job (crosses as marshal data; the child has no module of ours)."""

    result: int
    """The descriptor that it writes results to."""
    parent: int
    """Process that it must not outlive; 0 for none."""
    namespaces: bool
    mounts: list[tuple[str, int]]
    """In namespaces: what there is in the new root, and the attributes (MOUNT_ATTR_*) it is mounted with. With
    `remount`: flags (MS_*) that are added to those of a mount."""
    scratch: str
    """The only folder that may be written, a file system of its own, and its options; "" for none."""
    scratch_options: str
    remount: bool
    """Whether the scratch folder is there and is only to be given these options, and `mounts` theirs."""
    landlock: bool
    readable: list[str]
    writable: list[str]
    filter: bytes
    """The seccomp program; empty for none."""
    limits: list[tuple[int, int]]
    """RLIMIT_* and its figure."""
    output: int
