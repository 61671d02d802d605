"""The seccomp program of a sealed child: an allowlist of system calls, some of them only with certain arguments.

Classic BPF over `struct seccomp_data` (linux/seccomp.h): nr at 0, arch at 4, six arguments of 64 bits from 16 on. Only
little-endian machines are in the tables. What is refused gets EPERM, which Python turns into an ordinary exception.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterable

from codegen_lsp.verify.job import JailError
from codegen_lsp.verify.syscalls import ABSENT, CHECKED, MACHINES, ORDINARY, WRITING

LOAD, AND, IS, HAS, RETURN = 0x20, 0x54, 0x15, 0x45, 0x06
KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
REFUSE = ERRNO | errno.EPERM

THREAD, THREAD_FLAGS = 0x00010000, 0x007D0F00
"""CLONE_THREAD, and all that C libraries pass to clone() for a thread: no namespace, no ptrace, no exit signal."""
PRCTL = (15, 16, 0x53564D41)
"""PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (names memory)."""
FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""Duplicate, flags, record locks, size of a pipe. Not F_SETOWN, which sends signals, nor leases."""
IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS and TIOCGWINSZ (is it a terminal?), FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""

Instruction = tuple[int, int, int, int]
"""Code, how far to jump if true, and if false, constant."""


def build(pid: int, *, is_writable: bool) -> bytes:
    """The program for a process that sees itself as `pid`. JailError for a machine that has no table."""
    column, arch = MACHINES.get(platform.machine(), (0, 0))
    if not arch:
        raise JailError(f"seccomp: no table of system calls for {platform.machine()}")
    program: list[Instruction] = [(LOAD, 0, 0, 4), (IS, 1, 0, arch), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    # Numbers of the x32 ABI have bit 30 set, so they are equal to none of these.
    for table in (ORDINARY, WRITING if is_writable else {}):
        for numbers in table.values():
            program += _case(numbers[column], [])
    for name, check in _checks(pid).items():
        program += _case(CHECKED[name][column], check)
    for name, numbers in ABSENT.items():
        answer = errno.ENOTSUP if "xattr" in name else errno.ENOSYS
        program += _case(numbers[column], [(RETURN, 0, 0, ERRNO | answer)])
    program.append((RETURN, 0, 0, REFUSE))
    return b"".join(struct.pack("<HBBI", *each) for each in program)


def _checks(pid: int) -> dict[str, list[Instruction]]:
    """What must be true of a call's arguments."""
    # O_TRUNC with O_RDONLY truncates what was opened to be read, and Landlock before Linux 6.2 lets it.
    read_only_truncate = 0x200
    return {
        "clone": [*_none_of(0, ~THREAD_FLAGS & 0xFFFFFFFF), (HAS, 1, 0, THREAD), (RETURN, 0, 0, REFUSE)],
        "kill": _one_of(0, (pid,)),
        "tgkill": _one_of(0, (pid,)),
        "prctl": _one_of(0, PRCTL),
        "prlimit64": [*_one_of(0, (0,)), *_null(2)],
        "fcntl": _one_of(1, FCNTL),
        "ioctl": _one_of(1, IOCTL),
        # A datagram socket of a pair could still write to any other by its path.
        "socketpair": [*_one_of(0, (1,)), *_masked(1, 0xF, 1, is_equal=True)],
        "sendto": _null(4),
        "open": _masked(1, 0x203, read_only_truncate, is_equal=False),
        "openat": _masked(2, 0x203, read_only_truncate, is_equal=False),
    }


def _case(number: int | None, check: list[Instruction]) -> list[Instruction]:
    """If the call has this number, and passes the check, it is allowed; none for a machine without the call."""
    if number is None:
        return []
    body: list[Instruction] = [*check, (RETURN, 0, 0, ALLOW)]
    return [(IS, 0, len(body), number), *body]


def _low(argument: int) -> Instruction:
    return (LOAD, 0, 0, 16 + 8 * argument)


def _one_of(argument: int, values: Iterable[int]) -> list[Instruction]:
    """These arguments are 32 bits wide for the kernel, too."""
    jumps = [(IS, 0, 0, value) for value in values]
    # Each jumps over those after it, and over the refusal.
    return [
        _low(argument),
        *((code, len(jumps) - place, 0, value) for place, (code, _, _, value) in enumerate(jumps)),
        (RETURN, 0, 0, REFUSE),
    ]


def _none_of(argument: int, bits: int) -> list[Instruction]:
    return [_low(argument), (HAS, 0, 1, bits), (RETURN, 0, 0, REFUSE)]


def _masked(argument: int, mask: int, value: int, *, is_equal: bool) -> list[Instruction]:
    jump = (IS, 1, 0, value) if is_equal else (IS, 0, 1, value)
    return [_low(argument), (AND, 0, 0, mask), jump, (RETURN, 0, 0, REFUSE)]


def _null(argument: int) -> list[Instruction]:
    """A pointer that must be NULL: both halves are 0."""
    low, high = 16 + 8 * argument, 20 + 8 * argument
    return [(LOAD, 0, 0, low), (IS, 0, 2, 0), (LOAD, 0, 0, high), (IS, 1, 0, 0), (RETURN, 0, 0, REFUSE)]
