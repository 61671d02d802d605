"""The code action "Implement from docstring": bodies are judged; what is known of the one offered is said and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from codegen_lsp.core import Completion, IntentKind, Snapshot
from codegen_lsp.server.asks import Ask
from codegen_lsp.server.convert import NOTEBOOK_CELL, file_path
from codegen_lsp.server.model import Loaded
from codegen_lsp.server.suggestions import Key
from codegen_lsp.settings import Settings
from codegen_lsp.text import Edit, Span, apply_all, insertions

if TYPE_CHECKING:  # They are imported where they are used: before the first action nobody should wait for them.
    from codegen_lsp.bench import Bench
    from codegen_lsp.implement import Candidate, Implementation
    from codegen_lsp.server.session import Session
    from codegen_lsp.syntax.stubs import Stub
    from codegen_lsp.verify.jail import Jail, Job, Report
    from codegen_lsp.verify.judge import Judge

NUM_UNVERIFIABLE = 3
"""Bodies that are tried where none could be verified, until one is not refused."""
MAX_KEPT = 8
NOWHERE = Span(0, 0)
NOT_RUN = "examples are not run (setting verify.run_examples)"


@dataclass(frozen=True)
class Result:
    """What an action comes to."""

    ask: Ask
    settings: Settings
    edits: tuple[Edit, ...] = ()
    """Of the text that was asked about; none when every body was refused."""
    place: Span = NOWHERE
    """Of the function."""
    name: str = ""
    verdict: str = ""
    """What is known of the body, "verified 3/3 examples" or "unverified: no examples"; "" when it was not judged."""
    completion: Completion | None = None
    """How the body came about."""

    @property
    def mark(self) -> str:
        """The verdict without its reason, as a title has room for."""
        return self.verdict.partition(":")[0]

    @property
    def message(self) -> str:
        """One sentence for the user; "" when there is nothing to say."""
        return f"{self.name}: {self.verdict.replace(': ', ', ', 1)}" if self.verdict else ""


class Implementing:
    """Writes functions for one session, and keeps what came of them for as long as their documents stay as they are."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: list[Result] = []
        self._runs = set[object]()
        self.bench: Bench | None = None
        """Where examples are run. Its sandbox is looked for once."""

    @property
    def is_running(self) -> bool:
        """Whether something is in a sandbox. It cannot be called back, but it ends with this process."""
        return bool(self._runs)

    def known(self, ask: Ask) -> Result | None:
        """What came of the function at a place, if it was written and nothing has changed since."""
        offset, settings = ask.snapshot.offset, self._session.settings
        for each in self._kept:
            is_ours = each.ask.document is ask.document and each.ask.is_current and each.settings == settings
            if is_ours and _is_at(offset, each.place, ask.snapshot.text):
                return each
        return None

    async def write(self, ask: Ask, kind: object) -> Result | None:
        """What an order comes to; None when the model is not there or has nothing. Raises EngineError.

        Judged are bodies that a docstring asks for (`kind`), in a Python file of its own that parses.
        """
        stub = _stub_at(ask) if kind == IntentKind.DOCSTRING and _is_module(ask) else None
        if stub and (known := self.known(ask)):
            return known
        judge = await self._judge(ask, stub) if stub else None
        if stub is None or judge is None:
            loaded = await self._session.prepare(ask, None)
            answer = await self._session.answer(ask, loaded) if loaded else None
            edits = (answer.edit,) if answer and answer.edit else ()
            return self._expected(Result(ask, self._session.settings, edits, completion=answer)) if edits else None
        result = await self._implemented(ask, stub, judge)
        if result and result.edits:
            self._kept = [*[each for each in self._kept if each.ask.is_current][1 - MAX_KEPT :], result]
            self._expected(result)
        return result

    def _expected(self, result: Result) -> Result:
        """A result whose text will be seen when the editor applies it: it may ask for an edit and not take it."""
        from codegen_lsp.postprocess.edit import minimal

        snapshot = result.ask.snapshot
        whole = minimal(Edit(Span(0, len(snapshot.text)), apply_all(result.edits, snapshot.text)), snapshot.text)
        self._session.suggestions.put(snapshot, whole, Key(result), result.completion, result.verdict)
        return result

    async def _judge(self, ask: Ask, stub: Stub) -> Judge | None:
        """The judge of a function, None when its file cannot be judged."""
        path = file_path(ask.document.uri)
        roots = [root for uri in self._session.roots if (root := file_path(uri))]
        return await asyncio.to_thread(_judge, await self._bench(), path, ask.snapshot.text, stub, _root(path, roots))

    async def _bench(self) -> Bench:
        """Where the examples of one action are run."""
        await asyncio.to_thread(import_module, "codegen_lsp.bench")  # It takes long, the first time.
        from codegen_lsp.bench import Bench

        if not self._session.settings.verify.run_examples:
            return Bench(why_none=NOT_RUN)
        self.bench = self.bench or Bench()
        jail, why_none = await asyncio.to_thread(self.bench.jail)
        return Bench(_Leash(jail, self._runs) if jail else None, why_none)

    async def _implemented(self, ask: Ask, stub: Stub, judge: Judge) -> Result | None:
        """Write a function: several bodies, of which the best is chosen."""
        from codegen_lsp.implement import Job, Plan, implement

        settings, text = self._session.settings, ask.snapshot.text
        if (loaded := await self._session.prepare(ask, None)) is None:
            return None
        num = settings.verify.candidates
        plan = Plan(num if judge.can_verify else min(num, NUM_UNVERIFIABLE))
        asking = _Asking(self._session, ask, loaded)
        job = Job(text, ask.snapshot.path, asking, lambda text, line, words: judge)
        try:
            _, (done,) = await implement(job, [stub], plan)
        finally:
            if isinstance(judge.jail, _Leash):
                judge.jail.is_let_go = True
        return _result(ask, settings, done, asking.answers) if done.candidates else None


@dataclass(frozen=True)
class _Asking:
    """implement.Ask of a session."""

    session: Session
    ask: Ask
    loaded: Loaded
    answers: list[Completion] = field(default_factory=list)
    """All that came."""

    async def __call__(self, snapshot: Snapshot, temperature: float, seed: int | None) -> Completion:
        here = replace(snapshot, version=self.ask.snapshot.version)
        ask = replace(self.ask, snapshot=here)
        answer = await self.session.answer(ask, self.loaded, parses_whole=True, temperature=temperature, seed=seed)
        self.answers.append(answer)
        return answer


class _Leash:
    """A sandbox in which nothing is begun any more once nobody waits for it."""

    def __init__(self, jail: Jail, runs: set[object]) -> None:
        """`runs` gets something for each run under way."""
        self._jail, self._runs = jail, runs
        self.is_let_go = False

    @property
    def name(self) -> str:
        return self._jail.name

    def run(self, job: Job) -> Report:
        from codegen_lsp.verify.jail import JailError

        if self.is_let_go:
            raise JailError("nobody waits for it")
        run = object()
        self._runs.add(run)
        try:
            return self._jail.run(job)
        finally:
            self._runs.discard(run)


def _judge(bench: Bench, path: Path | None, text: str, stub: Stub, root: Path | None) -> Judge | None:
    """Make a judge; takes long, since the examples are run without a body, and what the module imports is looked up."""
    from codegen_lsp.implement import parseable, words_of
    from codegen_lsp.verify.judge import Unjudgeable

    try:
        return bench.judge(path, parseable(text), stub.line, words_of(stub, text), root)
    except Unjudgeable:
        return None


def _result(ask: Ask, settings: Settings, done: Implementation, answers: Sequence[Completion]) -> Result:
    edits = edits_of(ask.snapshot.text, done.stub.whole, done.chosen) if done.chosen else ()
    how = next((answer for answer in answers if done.chosen and answer.text == done.chosen.body), None)
    return Result(ask, settings, edits, done.stub.whole, done.stub.name, done.verdict.words, how)


def edits_of(text: str, place: Span, chosen: Candidate) -> tuple[Edit, ...]:
    """The edits of a module that make it a candidate's: the body at a function's place, then each import it lacked.

    One edit for all where that is not all that has changed.
    """
    from codegen_lsp.postprocess.edit import minimal

    plain, tail = chosen.plain, len(text) - place.end
    body = minimal(Edit(place, plain[place.start : max(place.start, len(plain) - tail)]), text)
    shift = len(plain) - len(text)
    edits = (
        body,
        *(_moved(edit, shift if edit.span.start > place.start else 0) for edit in insertions(plain, chosen.text)),
    )
    if apply_all(edits, text) == chosen.text:
        return edits
    return (minimal(Edit(Span(0, len(text)), chosen.text), text),)


def _moved(edit: Edit, shift: int) -> Edit:
    """An edit of a text in which `shift` fewer characters stand before it."""
    start = max(0, edit.span.start - shift)
    return Edit(Span(start, start), edit.text)


def _is_module(ask: Ask) -> bool:
    """Whether a document is a Python module: a cell alone is not, it is judged by what stands above it."""
    is_cell = ask.document.home != ask.document.uri or ask.document.uri.startswith(NOTEBOOK_CELL)
    return ask.snapshot.language == "python" and not is_cell


def _stub_at(ask: Ask) -> Stub | None:
    """The function at a place that is still to be written."""
    from codegen_lsp.syntax.stubs import find_stubs

    text = ask.snapshot.text
    stubs = find_stubs(text, ask.snapshot.path)
    return next((stub for stub in stubs if _is_at(ask.snapshot.offset, stub.whole, text)), None)


def _is_at(offset: int, place: Span, text: str) -> bool:
    """Whether an offset is in a function, or in the blank lines below it."""
    return place.start <= offset and not text[place.end : offset + 1].strip()


def _root(path: Path | None, roots: Sequence[Path]) -> Path | None:
    """The workspace folder that holds a file."""
    return next((root for root in roots if path and path.is_relative_to(root)), None)
