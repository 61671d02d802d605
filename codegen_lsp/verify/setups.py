"""What children of all kinds are told and given: limits, environment."""

from __future__ import annotations

import platform

from codegen_lsp.verify.job import Limits, Setup

CALM = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX")
"""Libraries of arithmetic, and malloc, otherwise take address space for every processor or thread."""
MAX_TASKS = 64


def plain(limits: Limits, parent: int, result: int) -> Setup:
    """A child with limits and nothing else."""
    return {
        "result": result,
        "parent": parent,
        "namespaces": False,
        "mounts": [],
        "scratch": "",
        "scratch_options": scratch_options(limits),
        "remount": False,
        "landlock": False,
        "readable": [],
        "writable": [],
        "filter": b"",
        "limits": rlimits(limits),
        "output": limits.output,
    }


def rlimits(limits: Limits) -> list[tuple[int, int]]:
    """RLIMIT_* and figures for every child; the module is not there on Windows."""
    import resource

    return [
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        # macOS maps more than any limit from the start; there, what is resident is watched.
        *([] if platform.system() == "Darwin" else [(resource.RLIMIT_AS, limits.memory)]),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_NOFILE, limits.descriptors),
        (resource.RLIMIT_CORE, 1),  # not 0, with which the kernel still starts the program that cores are piped to
    ]


def tasks() -> tuple[int, int]:
    """The limit of processes and threads, which counts a user's in a namespace: outside of one it would count all."""
    import resource

    return resource.RLIMIT_NPROC, MAX_TASKS


def scratch_options(limits: Limits) -> str:
    return f"size={limits.scratch},nr_inodes={limits.scratch_files},mode=0700"


def environment(scratch: str) -> dict[str, str]:
    """All variables of a child; nothing of ours is among them."""
    home = {"HOME": scratch, "TMPDIR": scratch} if scratch else {"HOME": "/"}
    fixed = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "USER": "nobody"}
    return {**fixed, **home, **dict.fromkeys(CALM, "1")}
