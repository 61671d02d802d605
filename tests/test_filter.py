"""The seccomp program says what it should, on both machines: it is run here as the kernel would run it."""

from __future__ import annotations

import platform
import struct

import pytest

from codegen_lsp.verify import filter, seatbelt
from codegen_lsp.verify.jail import JailError

ALLOW, EPERM, ENOSYS, ENOTSUP, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x5005F, 0x80000000
ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PID = 1234


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """Classic BPF, as far as the program uses it (linux/filter.h)."""
    data = struct.pack("<iIQ6Q", number, arch, 0, *arguments, *[0] * (6 - len(arguments)))
    instructions = list(struct.iter_unpack("<HBBI", program))
    place, accumulator = 0, 0
    while True:
        code, if_true, if_false, value = instructions[place]
        place += 1
        if code == 0x06:
            return value
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif code == 0x54:
            accumulator &= value
        else:
            is_true = accumulator == value if code == 0x15 else bool(accumulator & value)
            assert code in (0x15, 0x45)
            place += if_true if is_true else if_false


AT, FAR = -100 & (1 << 64) - 1, 1 << 40
THREAD, FORK = 0x3D0F00, 17
Call = tuple[str, int, int | None, tuple[int, ...], int]
"""What it is, its number on x86_64 and on aarch64, its arguments, and the verdict."""
CALLS: list[Call] = [
    ("read", 0, 63, (), ALLOW),
    ("mmap", 9, 222, (), ALLOW),
    ("execve", 59, 221, (), EPERM),
    ("execveat", 322, 281, (), EPERM),
    ("socket", 41, 198, (2, 1), EPERM),
    ("connect", 42, 203, (), EPERM),
    ("sendmsg", 46, 211, (), EPERM),
    ("recvmsg", 47, 212, (), EPERM),
    ("ptrace", 101, 117, (), EPERM),
    ("mount", 165, 40, (), EPERM),
    ("io_uring_setup", 425, 425, (), EPERM),
    ("memfd_create", 319, 279, (), EPERM),
    ("setxattr", 188, 5, (), EPERM),
    ("flock", 73, 32, (), EPERM),
    ("a call of the future", 600, 600, (), EPERM),
    ("fork", 57, None, (), EPERM),
    ("vfork", 58, None, (), EPERM),
    ("clone of a thread", 56, 220, (THREAD,), ALLOW),
    ("clone of a thread, by musl", 56, 220, (0x7D0F00,), ALLOW),
    ("clone of a process", 56, 220, (FORK,), EPERM),
    ("clone of a process that shares memory", 56, 220, (0x4111,), EPERM),
    ("clone with a namespace", 56, 220, (THREAD | 0x10000000,), EPERM),
    ("clone that is traced", 56, 220, (THREAD | 0x2000,), EPERM),
    ("clone with a signal", 56, 220, (THREAD | 17,), EPERM),
    ("clone3", 435, 435, (), ENOSYS),
    ("openat2", 437, 437, (), ENOSYS),
    ("getxattr", 191, 8, (), ENOTSUP),
    ("kill itself", 62, 129, (PID, 9), ALLOW),
    ("kill another", 62, 129, (PID + 1, 9), EPERM),
    ("kill all", 62, 129, (-1 & (1 << 64) - 1, 9), EPERM),
    ("kill the group", 62, 129, (0, 9), EPERM),
    ("tgkill itself", 234, 131, (PID, PID, 6), ALLOW),
    ("tgkill another", 234, 131, (PID - 1, PID, 6), EPERM),
    ("tkill", 200, 130, (PID, 9), EPERM),
    ("name a thread", 157, 167, (15,), ALLOW),
    ("outlive the parent", 157, 167, (1,), EPERM),
    ("another filter", 157, 167, (22,), EPERM),
    ("read a limit", 302, 261, (0, 7, 0, FAR), ALLOW),
    ("set a limit", 302, 261, (0, 7, FAR, 0), EPERM),
    ("set a limit, at a low address", 302, 261, (0, 7, 8, 0), EPERM),
    ("read another's limit", 302, 261, (5, 7, 0, 0), EPERM),
    ("duplicate", 72, 25, (3, 1030), ALLOW),
    ("owner of signals", 72, 25, (3, 8), EPERM),
    ("lease", 72, 25, (3, 1024), EPERM),
    ("is it a terminal", 16, 29, (0, 0x5401), ALLOW),
    ("type into a terminal", 16, 29, (0, 0x5412), EPERM),
    ("owner of a socket", 16, 29, (0, 0x8901), EPERM),
    ("pair of streams", 53, 199, (1, 0x80801), ALLOW),
    ("pair of datagrams", 53, 199, (1, 2), EPERM),
    ("pair of packets", 53, 199, (1, 5), EPERM),
    ("pair of another family", 53, 199, (16, 1), EPERM),
    ("send", 44, 206, (3, FAR, 5, 0, 0, 0), ALLOW),
    ("send to", 44, 206, (3, FAR, 5, 0, FAR, 110), EPERM),
    ("open", 2, None, (FAR, 0), ALLOW),
    ("open to truncate only", 2, None, (FAR, 0x200), EPERM),
    ("openat", 257, 56, (AT, FAR, 0x80000), ALLOW),
    ("openat to write", 257, 56, (AT, FAR, 0x241), ALLOW),  # Landlock and mounts decide
    ("openat to truncate only", 257, 56, (AT, FAR, 0x80200), EPERM),
    ("number of x32", 0x40000000, None, (), EPERM),
]
WRITES = [("mkdirat", 258, 34), ("unlinkat", 263, 35), ("fchmod", 91, 52), ("truncate", 76, 45), ("utimensat", 280, 88)]


@pytest.mark.parametrize("machine", ARCHES)
@pytest.mark.parametrize("call", CALLS, ids=[call[0] for call in CALLS])
def test_calls(monkeypatch: pytest.MonkeyPatch, machine: str, call: Call) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    _, x86, arm, arguments, expected = call
    number = x86 if machine == "x86_64" else arm
    if number is not None:
        program = filter.build(PID, is_writable=False)
        assert hex(verdict(program, ARCHES[machine], number, *arguments)) == hex(expected)


@pytest.mark.parametrize("machine", ARCHES)
def test_files_are_changed_only_where_there_is_a_scratch_folder(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for _, x86, arm in WRITES:
        number = x86 if machine == "x86_64" else arm
        for is_writable, expected in ((True, ALLOW), (False, EPERM)):
            assert verdict(filter.build(1, is_writable=is_writable), ARCHES[machine], number) == expected


def test_calls_of_another_machine_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    program = filter.build(1, is_writable=True)
    assert verdict(program, 0x40000003, 20) == KILL  # i386
    assert verdict(program, ARCHES["aarch64"], 63) == KILL


def test_a_machine_without_a_table_has_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(JailError, match="riscv64"):
        filter.build(1, is_writable=True)


def test_paths_cannot_add_rules_to_a_profile() -> None:
    assert seatbelt.quoted('/a"b\\c') == '"/a\\"b\\\\c"'
    with pytest.raises(JailError):
        seatbelt.quoted("/a\n(allow default)")
    text = seatbelt.profile(["/usr"], ["/bin/sh"])
    assert text.index("(deny default)") < text.index('(subpath "/usr")') < text.index("process-exec")
    assert "network" not in text
    assert "file-write" not in text.replace('file-write-data (literal "/dev/null")', "")
