"""Runs in the sealed child: executes a module and its examples, one at a time. Standard library only.

Frames both ways: four bytes that say how long (big-endian), then a kind of one byte, then the rest:
  in    J the job without its examples, marshalled; X one example; . the end
  out   S sealed; M the module is there; I it cannot be imported, and why; O of an example: how long its output is (four
        bytes), output, error; L out of memory; W too much was printed; E the end
"""

# pathlib would take longer to import than all that is done here.
# ruff: noqa: PTH119, PTH120

from __future__ import annotations

import builtins
import io
import marshal
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any, BinaryIO

    from codegen_lsp.verify.job import Setup

FUTURE = 0x1FE0000
"""Flags of `__future__` imports in a code object."""
MAX_ERROR = 8192


def serve(channel: BinaryIO, setup: Setup) -> None:
    """Answer frames until the end, and end: no exit handlers run, and no other threads are waited for."""
    answer = Answers(setup["result"])
    try:
        answer_all(channel, setup["output"], answer)
    finally:
        answer.leave()


def answer_all(channel: BinaryIO, room: int, answer: Answers) -> None:
    answer.send(b"S")
    output = Output(room, answer)
    _, job = receive(channel)
    sys.stdout, sys.stderr, sys.stdin = output, Nothing(), io.StringIO()
    try:
        names, flags = execute(marshal.loads(job))
    except MemoryError:
        answer.last(b"L")
    except BaseException as error:
        answer.last(b"I" + encoded(told(error)))
    answer.send(b"M")
    while True:
        kind, source = receive(channel)
        if kind != b"X":
            answer.last(b"E")
        output.clear()
        sys.stdout = output
        raised = run_example(source.decode("utf-8", "surrogatepass"), names, flags, answer)
        printed = encoded(output.getvalue())
        answer.send(b"O" + len(printed).to_bytes(4, "big") + printed + encoded(raised))


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def receive(channel: BinaryIO) -> tuple[bytes, bytes]:
    """The next frame's kind and the rest; the end where there is none."""
    frame = channel.read(int.from_bytes(channel.read(4), "big")) or b"."
    return frame[:1], frame[1:]


def execute(job: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Import the module as far as anybody can tell; a copy of its names, and the flags of its `__future__`."""
    sys.path += job["search"]
    sys.modules["__main__"] = type(sys)("__main__")
    module = type(sys)(job["name"])
    is_package = os.path.basename(job["file"]) == "__init__.py"
    module.__file__ = job["file"]
    loader: Any = Source(job["source"])
    module.__loader__ = loader
    module.__package__ = job["name"] if is_package else job["name"].rpartition(".")[0]
    if is_package:
        module.__path__ = [os.path.dirname(job["file"])]
    spec: Any = type(sys.__spec__)
    module.__spec__ = spec(job["name"], loader, origin=job["file"], is_package=is_package)
    sys.modules[job["name"]] = module
    code: CodeType = compile(job["source"], job["file"], "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return dict(module.__dict__), code.co_flags & FUTURE


def run_example(source: str, names: dict[str, Any], flags: int, answer: Answers) -> str:
    """What it raised, in words."""
    sys.displayhook = sys.__displayhook__
    try:
        exec(compile(source, "<example>", "single", flags, True), names)
    except MemoryError:
        answer.last(b"L")
    except BaseException as error:
        return told(error)
    return ""


def told(error: BaseException) -> str:
    """An exception as `traceback.format_exception_only` has it; of a SyntaxError, which shows source, the last part."""
    try:
        import traceback

        lines = traceback.format_exception_only(type(error), error)
        if isinstance(error, SyntaxError):
            lines = lines[-1 - len(getattr(error, "__notes__", ())) :]
        return "".join(lines)[:MAX_ERROR]
    except BaseException as second:
        return f"{type(error).__name__}: <{type(second).__name__} while it was put into words>\n"


class Answers:
    """The way to the parent. It keeps what it needs, since a module may change what it finds in `os`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._write, self._exit = descriptor, os.write, os._exit
        self._spare = bytearray(1 << 16)

    def send(self, frame: bytes) -> None:
        frame = len(frame).to_bytes(4, "big") + frame
        while frame:
            frame = frame[self._write(self._descriptor, frame) :]

    def last(self, frame: bytes) -> None:
        """Send it, even if there is no more memory, and be gone."""
        self._spare.clear()
        self.send(frame)
        self.leave()

    def leave(self) -> None:
        self._exit(0)


class Output(io.StringIO):
    """Standard output, which ends the process when it has been given more than `room` bytes in all."""

    def __init__(self, room: int, answer: Answers) -> None:
        super().__init__()
        self._room, self._answer = room, answer

    def write(self, text: str, /) -> int:
        self._room -= len(encoded(text))
        if self._room < 0:
            self._answer.last(b"W")
        return super().write(text)

    def clear(self) -> None:
        self.seek(0)
        self.truncate()


class Nothing(io.TextIOBase):
    """Standard error, which nobody reads."""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        return len(text)


class Source:
    """The loader that a module has which was not read from its file: `inspect` and `linecache` ask it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: object) -> None:
        raise builtins.ImportError("it is there only once")

    def get_source(self, name: str) -> str:
        return self._text
