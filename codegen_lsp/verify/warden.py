"""The parent's side of a run: starts a child, gives it one example at a time, and keeps the clock and the caps.

Nothing that a child sends is more than bytes of a capped length, which become strings. What is expected of an example
is not known here, let alone there.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.util
import marshal
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import CodeType

from codegen_lsp.verify.job import JailError, Job, Limits, Outcome, Report, Setup

CHILD = """
import marshal, os
channel = open(0, "rb")
codes, setup = marshal.loads(channel.read(int.from_bytes(channel.read(4), "big")))
seal, runner = ({"__name__": name} for name in ("seal", "runner"))
exec(codes[0], seal)
exec(codes[1], runner)
try:
    seal["seal"](setup)
except Exception as error:
    text = b"F" + str(getattr(error, "strerror", None) or error).encode()
    os.write(setup["result"], len(text).to_bytes(4, "big") + text)
    os._exit(1)
runner["serve"](channel, setup)
"""
"""The child's program: what it runs comes to it as bytecode, so it reads no file of ours."""
FLAGS = ("-s", "-S", "-P", "-B", "-X", "utf8")
"""Nothing of the user's, nothing of a folder. Not -I, which ignores PYTHONHASHSEED: the environment is ours anyway."""
SETUP_SECONDS = 10.0
GRACE_SECONDS = 1.0
"""How long the end of a child may take that is known to end."""
KILL_SECONDS, WATCH_SECONDS = 0.05, 0.05
MAX_LINE = 200
MAX_FRAME = 16 << 10
"""Bytes of a frame besides what was printed."""


@dataclass(frozen=True)
class Start:
    """How a kind of child is started and what it is told; one runs at a time."""

    command: Callable[[list[str]], list[str]]
    """The command, of Python's own."""
    environment: dict[str, str]
    setup: Callable[[int, int], Setup]
    """Of the child's number and of the descriptor for its results."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_guarded: bool = False
    """Whether the process that is started is not the one that runs the job, and kills that one on SIGTERM."""
    resident: Callable[[int], int] | None = None
    """Bytes of memory that a process has, for a system that does not limit them."""


class Over(Exception):
    """A run is over before its end; `str()` is what the user is told."""


class Gone(Exception):
    """The child has closed its end."""


def run(start: Start, interpreter: str, job: Job, limits: Limits) -> Report:
    """Run a job in a child of this kind. JailError when the child could not lock itself up."""
    outcomes: list[Outcome] = []
    problem = ""
    began = time.monotonic()
    with start.lock, started(start, interpreter, job.seed, limits) as child:
        introduce(child, start)
        seconds = min(limits.wall_seconds, job.seconds)
        child.deadline = time.monotonic() + seconds
        try:
            for outcome in converse(child, job, limits):
                outcomes.append(outcome)
            child.wait(GRACE_SECONDS)
        except TimeoutError:
            problem = f"It took longer than {seconds:.3g} s."
        except Gone:
            problem = ending(child, limits)
        except Over as over:
            problem = str(over)
        return Report(tuple(outcomes), problem, (time.monotonic() - began) * 1000)


class Child:
    """A process, with frames to and from it. All waiting ends at `deadline`, with a TimeoutError."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: tuple[int, int], start: Start, limits: Limits) -> None:
        assert process.stdin
        self.process, self.deadline = process, time.monotonic() + SETUP_SECONDS
        self._in, self._out, self.result_end = process.stdin.fileno(), *pipe
        self._start, self._limits = start, limits
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    def send(self, frame: bytes) -> None:
        """Write a frame; Gone when nobody will read it."""
        rest = memoryview(len(frame).to_bytes(4, "big") + frame)
        try:
            while rest:
                self._wait(self._in, select.POLLOUT)
                rest = rest[os.write(self._in, rest) :]
        except BrokenPipeError:
            raise Gone from None

    def receive(self, cap: int) -> tuple[bytes, bytes]:
        """A frame's kind and the rest. Gone at the end of the stream, Over when it is longer than `cap`."""
        length = int.from_bytes(self._read(4), "big")
        if not 0 < length <= cap:
            raise Over("It sent what no run sends.")
        frame = self._read(length)
        return frame[:1], frame[1:]

    def wait(self, seconds: float) -> tuple[int, float] | None:
        """How it ended (a signal's number is negative) and its processor time in seconds; None while it runs."""
        until = time.monotonic() + seconds
        while self.process.returncode is None:
            try:
                number, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            except ChildProcessError:  # whoever started us ignores SIGCHLD
                self.process.returncode = 0
                return None
            if number:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                return self.process.returncode, usage.ru_utime + usage.ru_stime
            if time.monotonic() > until:
                break
            time.sleep(0.001)
        return None

    def end(self) -> None:
        """Kill all that is left, and see it gone."""
        if self.process.returncode is None and self._start.is_guarded:
            self.process.send_signal(signal.SIGTERM)
            self.wait(GRACE_SECONDS)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
            self.wait(GRACE_SECONDS)
            # Until there is none left in the group, which no process can leave; but init may be slow to bury its dead.
            until = time.monotonic() + KILL_SECONDS
            while time.monotonic() < until:
                os.killpg(self.process.pid, 0)
                time.sleep(0.001)

    def _read(self, num: int) -> bytes:
        data = b""
        while len(data) < num:
            self._wait(self._out, select.POLLIN)
            piece = os.read(self._out, num - len(data))
            if not piece:
                raise Gone
            data += piece
        return data

    def _wait(self, descriptor: int, event: int) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        while (left := self.deadline - time.monotonic()) > 0:
            if poll.poll((min(left, WATCH_SECONDS) if self._start.resident else left) * 1000):
                return
            if self._start.resident and self._start.resident(self.process.pid) > self._limits.memory:
                raise Over(too_large(self._limits))
        raise TimeoutError


@contextmanager
def started(start: Start, interpreter: str, seed: int, limits: Limits) -> Iterator[Child]:
    """A child in a session of its own, with no descriptors but its pipes; gone at the end."""
    result, result_end = os.pipe()
    command = start.command([interpreter, *FLAGS, "-c", CHILD])
    try:
        process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**start.environment, "PYTHONHASHSEED": str(seed % (1 << 32))},
            pass_fds=(result_end,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(result)
        raise JailError(f"{command[0]}: {error.strerror}") from None
    finally:
        os.close(result_end)
    child = Child(process, (result, result_end), start, limits)
    try:
        yield child
    finally:
        child.end()
        os.close(result)
        if process.stdin:
            process.stdin.close()


def introduce(child: Child, start: Start) -> None:
    """Tell the child what it is, and wait until it is locked up."""
    codes = tuple(code_of(f"codegen_lsp.verify.{name}") for name in ("seal", "runner"))
    try:
        child.send(marshal.dumps((codes, dict(start.setup(child.process.pid, child.result_end)))))
        kind, text = child.receive(MAX_FRAME)
    except (Gone, Over, TimeoutError) as error:
        raise JailError(f"the child did not start ({type(error).__name__})") from None
    if kind != b"S":
        raise JailError(text.decode("utf-8", "replace"))


@functools.cache
def code_of(module: str) -> CodeType:
    """Its bytecode, from the cache if there is one; the module is not imported."""
    spec = importlib.util.find_spec(module)
    assert spec
    assert isinstance(spec.loader, importlib.abc.InspectLoader)
    code = spec.loader.get_code(module)
    assert code
    return code


def converse(child: Child, job: Job, limits: Limits) -> Iterator[Outcome]:
    """The outcomes, one after the other: an example is sent when the one before has ended."""
    cap = limits.output + MAX_FRAME
    parts = {"source": job.source, "name": job.name, "file": job.file, "search": list(job.search)}
    child.send(b"J" + marshal.dumps(parts))
    expect(child.receive(cap), b"M", limits)
    room = limits.output
    for example in job.examples:
        child.send(b"X" + example.encode("utf-8", "surrogatepass"))
        rest = expect(child.receive(cap), b"O", limits)
        length = int.from_bytes(rest[:4], "big")
        room -= length
        if room < 0:
            raise Over(too_much(limits))
        yield Outcome(text_of(rest[4 : 4 + length]), text_of(rest[4 + length :]))
    child.send(b".")
    expect(child.receive(cap), b"E", limits)


def expect(frame: tuple[bytes, bytes], wanted: bytes, limits: Limits) -> bytes:
    """The rest of a frame of this kind; another kind is the end."""
    kind, rest = frame
    if kind == wanted:
        return rest
    if kind == b"I":
        raise Over(f"The module cannot be imported: {in_a_sentence(text_of(rest))}")
    if kind == b"L":
        raise Over(too_large(limits))
    raise Over(too_much(limits) if kind == b"W" else "It sent what no run sends.")


def too_much(limits: Limits) -> str:
    return f"It wrote more than {limits.output >> 10} KB."


def too_large(limits: Limits) -> str:
    return f"It used more than {limits.memory >> 20} MB."


def text_of(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Over("It sent what no run sends.") from None


def in_a_sentence(text: str) -> str:
    """What a user can be shown in a line: code may raise what it likes."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…"


def ending(child: Child, limits: Limits) -> str:
    """Why a child is gone, for the user."""
    code, seconds = child.wait(GRACE_SECONDS) or (0, 0.0)
    number = -code if code < 0 else code - 128
    if number in (signal.SIGKILL, signal.SIGXCPU):
        # The kernel counts in ticks for the limit, and exactly for this figure.
        is_cpu = seconds > limits.cpu_seconds / 2
        return f"It used more than {limits.cpu_seconds} s of processor time." if is_cpu else "It was killed."
    if number in set(signal.Signals):
        return f"It crashed ({signal.Signals(number).name})."
    return "It ended the process."
