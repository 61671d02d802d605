"""Eight things that no sandbox may let code do, tried before one is trusted, and judged from outside."""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codegen_lsp.verify.job import Jail, JailError, Job, Limits
from codegen_lsp.verify.readable import interpreter

MODULE = '''
import os, signal, socket, time

def tell(action, *arguments):
    """Print whether something can be done."""
    try:
        print("done", action(*arguments))
    except (OSError, MemoryError):
        print("stopped")

def read(path):
    with open(path) as file:
        return file.read()

def write(path):
    with open(path, "w") as file:
        file.write("")

def connect(kind, address):
    with socket.socket(kind, socket.SOCK_STREAM) as made:
        made.connect(address)

def start_process():
    if os.fork() == 0:
        os._exit(0)
    os.wait()

def take_memory(num):
    taken = b"x" * num
    time.sleep(1)  # where it is not refused, it is seen
'''
CONTROL = ("print(sum(range(10)))\n", "45\n")
"""What works in every sandbox: one in which nothing does proves nothing."""


@dataclass(frozen=True)
class Canaries:
    """What the probes go for: a file with a secret in a folder, listeners, a process."""

    folder: Path
    secret: str
    port: int
    victim: subprocess.Popen[bytes]
    listeners: tuple[socket.socket, socket.socket]

    @property
    def file(self) -> Path:
        return self.folder / self.secret[:8]

    @property
    def socket(self) -> str:
        return str(self.folder / "s")

    def probes(self, limits: Limits) -> dict[str, str]:
        """What is tried, and the example that tries it: it prints "stopped" when it is stopped."""
        return {
            "read a file": f"tell(read, {str(self.file)!r})\n",
            "write a file": f"tell(write, {str(self.file)!r})\n",
            "list a folder": f"tell(os.listdir, {str(self.folder)!r})\n",
            "connect to a port": f"tell(connect, socket.AF_INET, ('127.0.0.1', {self.port}))\n",
            "connect to a socket": f"tell(connect, socket.AF_UNIX, {self.socket!r})\n",
            "kill a process": f"tell(os.kill, {self.victim.pid}, signal.SIGKILL)\n",
            "start a process": "tell(start_process)\n",
            "take more memory": f"tell(take_memory, {limits.memory})\n",
        }

    def harmed(self) -> str:
        """What has happened to them, for a sentence with "it let code …"; "" for nothing."""
        if not self.file.exists() or self.file.read_text() != self.secret:
            return "write a file"
        for listener, name in zip(self.listeners, ("connect to a port", "connect to a socket"), strict=True):
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()
                return name
        return "kill a process" if self.victim.poll() is not None else ""


def weakness(jail: Jail, limits: Limits) -> str:
    """Why a sandbox is not to be trusted, "" when it is."""
    try:
        with laid_out() as canaries:
            got_out = escapes(jail, canaries, limits)
    except (JailError, OSError) as error:
        return str(error)
    return f"it let code {got_out[0]}" if got_out else ""


def escapes(jail: Jail, canaries: Canaries, limits: Limits) -> list[str]:
    """What the probes could do, in one run of all of them. JailError when the sandbox does not work."""
    probes = canaries.probes(limits)
    report = jail.run(Job(MODULE, (CONTROL[0], *probes.values())))
    outputs = [outcome.output for outcome in report.outcomes]
    if len(outputs) == len(probes) and report.problem.startswith("It used more"):
        outputs.append("stopped\n")  # the last one, with its process
    if len(outputs) != 1 + len(probes) or outputs[0] != CONTROL[1]:
        raise JailError(f"ordinary code does not run in it ({report.problem or 'wrong output'})")
    found = [name for name, output in zip(probes, outputs[1:], strict=True) if output != "stopped\n"]
    harmed = canaries.harmed()
    return [*found, harmed] if harmed and harmed not in found else found


@contextlib.contextmanager
def laid_out() -> Iterator[Canaries]:
    """Canaries, taken away at the end."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codegen-")))
        port, local = (
            stack.enter_context(socket.socket(kind, socket.SOCK_STREAM)) for kind in (socket.AF_INET, socket.AF_UNIX)
        )
        port.bind(("127.0.0.1", 0))
        local.bind(str(folder / "s"))
        for listener in (port, local):
            listener.listen()
            listener.setblocking(False)
        # It waits for the end of its input, so it cannot outlive us.
        victim = subprocess.Popen([interpreter(), "-I", "-S", "-c", "input()"], stdin=-1, stdout=-3, stderr=-3)
        stack.callback(end, victim)
        canaries = Canaries(folder, secrets.token_hex(16), port.getsockname()[1], victim, (port, local))
        canaries.file.write_text(canaries.secret)
        yield canaries


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()
