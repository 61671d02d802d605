"""What `implement` and `hook` share: writing the functions of files, and putting the files back on disk."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from codegen_lsp.bench import Bench
from codegen_lsp.cli.files import relative, write_text
from codegen_lsp.cli.sources import Source
from codegen_lsp.core import Completion, Snapshot
from codegen_lsp.errors import CodegenError, FileError
from codegen_lsp.implement import Implementation, Job, Plan, implement
from codegen_lsp.syntax.stubs import Stub
from codegen_lsp.verify.judge import Status, Verdict


@dataclass(frozen=True)
class Outcome:
    """What came of a file."""

    source: Source
    text: str
    done: tuple[Implementation, ...] = ()
    is_written: bool = False
    """Whether the file on disk is now `text`."""
    error: CodegenError | None = None


class Desks:
    """Asks the model, which is not started before it is asked for the first time."""

    def __init__(self, args: argparse.Namespace, stack: AsyncExitStack, *, has_index: bool) -> None:
        self._args, self._stack, self._has_index = args, stack, has_index
        self._opening: asyncio.Task[object] | None = None

    async def ask(self, path: Path, snapshot: Snapshot, temperature: float, seed: int | None) -> Completion:
        """One answer. Raises EngineError, ModelError."""
        from codegen_lsp import pipeline
        from codegen_lsp.cli import index
        from codegen_lsp.cli.ask import Desk, document_of

        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        desk = await asyncio.shield(self._opening)
        assert isinstance(desk, Desk)
        snippets = index.snippets_at(path, snapshot) if self._has_index else []
        options = pipeline.Options(self._args.max_tokens, temperature, seed=seed, parses_whole=True)
        return await pipeline.complete(
            replace(snapshot, uri=f"{document_of(snapshot.path)}:{seed or 0}"),
            desk.engine,
            desk.info,
            desk.fmt,
            desk.tokenizer,
            options=options,
            snippets=snippets,
            clock=time.perf_counter,
        )

    async def leave(self) -> None:
        """Stop waiting for a model that nobody asks any more."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)

    async def _open(self) -> object:
        from codegen_lsp.cli.ask import open_desk
        from codegen_lsp.engine import local

        return await self._stack.enter_async_context(open_desk(self._args, wire=local))


@asynccontextmanager
async def open_desks(args: argparse.Namespace, *, has_index: bool) -> AsyncIterator[Desks]:
    """A Desks, whose connection is dropped at the end."""
    async with AsyncExitStack() as stack:
        desks = Desks(args, stack, has_index=has_index)
        try:
            yield desks
        finally:
            await desks.leave()


@dataclass(frozen=True)
class Work:
    """How files are worked on."""

    desks: Desks
    bench: Bench
    plan: Plan
    is_writing: bool
    tests: str = ""
    """A command of the user's that has to succeed with each function that is written."""
    tell: Callable[[Source, Stub, str], None] = field(default=lambda source, stub, state: None)


async def carry_out(source: Source, work: Work) -> Outcome:
    """Write the functions of a file; what went wrong with it, or with the model, is in the outcome."""
    disk = _Disk(source)
    job = Job(
        source.text,
        relative(source.path),
        partial(work.desks.ask, source.path),
        partial(work.bench.judge, source.path),
        partial(_tested, disk, work) if work.tests else None,
        partial(work.tell, source),
    )
    try:
        try:
            text, done = await implement(job, source.stubs, work.plan)
            if work.is_writing and text != source.text:
                disk.put(text)
        finally:
            disk.settle()
    except CodegenError as error:
        return Outcome(source, source.text, is_written=disk.is_changed, error=error)
    except OSError as error:  # no memory or no descriptors for a process, a model's file that is gone
        fault = FileError(f"{source.name}: {error.filename or 'the system'}: {error.strerror or error}.")
        return Outcome(source, source.text, is_written=disk.is_changed, error=fault)
    return Outcome(source, text, tuple(done), work.is_writing and text != source.text)


def too_late(source: Source) -> Outcome:
    """A file to which the time limit did not leave anything."""
    late = Verdict(Status.UNVERIFIED, "the time limit was reached")
    return Outcome(source, source.text, tuple(Implementation(stub, (), None, late) for stub in source.stubs))


class _Disk:
    """A file of the user's: what it holds now, and what it holds when nothing more comes."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._now = self._kept = source.text

    @property
    def is_changed(self) -> bool:
        return self._now != self._source.text

    def put(self, text: str) -> None:
        """Write a text that is to stay. Raises FileError."""
        self.try_out(text)
        self._kept = text

    def try_out(self, text: str) -> None:
        """Write a text that goes again with `settle`, unless it is kept. Raises FileError."""
        if text != self._now:
            write_text(self._source.path, text, self._now, self._source.encoding)
            self._now = text

    def settle(self) -> None:
        """Put back what is to stay."""
        self.try_out(self._kept)


@contextmanager
def _put_back_when_ended(disk: _Disk) -> Iterator[None]:
    """Let a signal of `kill`, or of a terminal that is closed, end the tests and settle the file before this process.

    A body that is being tried out would stay. Only then: at other times, where the event loop may be busy, it ends at
    once.
    """
    loop, task, heard = asyncio.get_running_loop(), asyncio.current_task(), list[signal.Signals]()
    assert task

    def hear(number: signal.Signals) -> None:
        heard.append(number)
        task.cancel()

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]  # Windows has one of them
    numbers = [each for each in map(signal.Signals.__getitem__, names) if signal.getsignal(each) is signal.SIG_DFL]
    for number in numbers:
        with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            loop.add_signal_handler(number, hear, number)
    try:
        yield
    finally:
        for number in numbers:
            with suppress(NotImplementedError, RuntimeError, ValueError):
                loop.remove_signal_handler(number)
        if heard:
            disk.settle()
            signal.raise_signal(heard[0])


async def _tested(disk: _Disk, work: Work, before: str, after: str) -> str:
    """Why the user's tests do not accept a text, "" when they do: then it stays on disk."""
    with _put_back_when_ended(disk):
        return await _tried(disk, work, after)


async def _tried(disk: _Disk, work: Work, after: str) -> str:
    disk.try_out(after)
    left = work.plan.left()
    process = await asyncio.create_subprocess_shell(
        work.tests,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), None if left == float("inf") else max(0.1, left))
    except TimeoutError:
        disk.settle()
        return "the tests did not end within the time limit"
    finally:
        if process.returncode is None:
            _kill_group(process.pid)
            await process.wait()
    if process.returncode == 0:
        disk.put(after)
        return ""
    disk.settle()
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return f"the tests fail: {lines[-1][:100] if lines else f'exit code {process.returncode}'}"


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
