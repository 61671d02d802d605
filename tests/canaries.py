"""What escaping code would go for, laid out outside of a sandbox, and how to see from there that it got there."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PRELUDE = '''
import os
def escaped(*what): print("ESCAPED", *what)
def syscall(number, *arguments):
    """A system call by its number on x86_64, with pointers as bytes."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = libc.syscall(ctypes.c_long(number), *given)
    if result == -1:
        raise OSError(ctypes.get_errno(), "syscall")
    return result
'''


@dataclass
class Canaries:
    """Files, listeners and processes; `harm` says what has happened to them."""

    folder: Path
    secret: str
    listeners: dict[str, socket.socket]
    victim: subprocess.Popen[bytes]
    held: int
    received: list[str] = field(default_factory=list)
    before: dict[str, object] = field(default_factory=dict)

    @property
    def readable(self) -> Path:
        """The one file that code in the sandbox is allowed to read."""
        return self.folder / "readable.txt"

    @property
    def outside(self) -> list[Path]:
        """Files that code would make in folders that everybody may write to."""
        return [Path(folder) / self.secret[-12:] for folder in ("/tmp", "/var/tmp", "/dev/shm", "/", str(LIB))]

    def names(self) -> str:
        """A module's first lines: everything a probe needs to know."""
        ports = {f"PORT_{name.upper()}": each.getsockname() for name, each in self.listeners.items()}
        known = {
            "FOLDER": str(self.folder),
            "SECRET": str(self.folder / self.secret[:12]),
            "TARGET": str(self.folder / "target.txt"),
            "READABLE": str(self.readable),
            "TOKEN": self.secret[-12:],
            "VICTIM": self.victim.pid,
            "PARENT": os.getpid(),
            "HELD": self.held,
            "OUTSIDE": [str(path) for path in self.outside],
            **ports,
        }
        return PRELUDE + "".join(f"{name} = {value!r}\n" for name, value in known.items())

    def look(self) -> dict[str, object]:
        """Everything that code could have changed."""
        seen: dict[str, object] = {}
        for path in sorted([self.folder, *self.folder.rglob("*")]):
            status = path.lstat()
            kind = (status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns, status.st_nlink)
            text = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            seen[str(path)] = (kind, text, os.listxattr(path, follow_symlinks=False), path.is_mount())
        seen["outside"] = [path.exists() for path in self.outside]
        seen["victim"] = self.victim.poll()
        with contextlib.suppress(ProcessLookupError):
            seen["affinity"] = os.sched_getaffinity(self.victim.pid)
            seen["nice"] = os.getpriority(os.PRIO_PROCESS, self.victim.pid)
            state = Path(f"/proc/{self.victim.pid}/stat").read_text().rpartition(")")[2].split()[0]
            seen["stopped"] = state in "TtZ"
        return seen

    def harm(self) -> list[str]:
        """What has changed, and who has been heard."""
        now = self.look()
        changed = [name for name in {*now, *self.before} if now.get(name) != self.before.get(name)]
        return [*changed, *self.received, *(name for name, each in self.listeners.items() if is_heard(each))]


LIB = Path(os.__file__).parent


def is_heard(listener: socket.socket) -> bool:
    """Whether somebody has connected, or sent something."""
    with contextlib.suppress(BlockingIOError):
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(100)
        else:
            listener.accept()[0].close()
        return True
    return False


@contextlib.contextmanager
def laid_out() -> Iterator[Canaries]:
    """Canaries, and nothing of them afterwards."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="canaries-")))
        secret = secrets.token_hex(24)
        os.environ[f"CANARY_{secret[-6:]}"] = secret
        stack.callback(os.environ.pop, f"CANARY_{secret[-6:]}")
        for name in (secret[:12], "target.txt", "readable.txt", "sub/file.txt"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(f"{secret}\n" if name == secret[:12] else "untouched\n")
        held = os.open(folder / secret[:12], os.O_RDONLY)
        stack.callback(os.close, held)
        listeners = {name: stack.enter_context(each) for name, each in listening(folder, secret)}
        waits = "import sys; print(flush=True); sys.stdin.read()"
        victim = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", waits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"CANARY": secret},
            start_new_session=True,
        )
        stack.callback(end, victim)
        assert victim.stdout
        victim.stdout.readline()
        canaries = Canaries(folder, secret, listeners, victim, held)
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGURG):
            old = signal.signal(number, lambda number, _: canaries.received.append(signal.Signals(number).name))
            stack.callback(signal.signal, number, old)
        canaries.before = canaries.look()
        yield canaries
        for path in canaries.outside:
            path.unlink(missing_ok=True)


def listening(folder: Path, secret: str) -> Iterator[tuple[str, socket.socket]]:
    """Sockets of every family that is there, waiting for somebody."""
    kinds = (
        ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
        ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        ("stream", socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "stream")),
        ("packets", socket.AF_UNIX, socket.SOCK_SEQPACKET, str(folder / "packets")),
        ("datagram", socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "datagram")),
        ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{secret[-12:]}"),
    )
    for name, family, kind, address in kinds:
        made = socket.socket(family, kind)
        try:
            made.bind(address)
        except OSError:
            made.close()
            if family == socket.AF_INET6:
                continue  # a machine without it
            raise
        made.setblocking(False)
        if kind != socket.SOCK_DGRAM:
            made.listen()
        yield name, made


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def running(seed: int) -> list[int]:
    """Processes that were started with this PYTHONHASHSEED, and what they have started."""
    mark = f"PYTHONHASHSEED={seed}\0".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes() + b"\0":
                found.append(int(folder.name))
    return found
