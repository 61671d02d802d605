"""implement(): the functions of a module that are still to be written, each written, judged, and chosen.

As pipeline.complete is for a cursor: the one composition, used by the command line, the hook, the server and tests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from codegen_lsp.core import Completion, Shape, Snapshot
from codegen_lsp.syntax.stubs import Stub, find_stubs, opened
from codegen_lsp.text import LineIndex, apply_all, insertions, with_newlines
from codegen_lsp.trace import Clock
from codegen_lsp.verify.judge import Judge, Judged, Status, Unjudgeable, Verdict

TOGETHER = 4
"""Candidates that are written at the same time, in one pass over the weights."""
COOLEST, HOTTEST = 0.3, 1.0
"""Temperatures of the second candidate and of the last; the first one is greedy."""
RANKS = (Status.REFUSED, Status.UNVERIFIED, Status.VERIFIED)
OUT_OF_TIME = "the time limit was reached"


class Ask(Protocol):
    """Asks the model: pipeline.complete with all but these given, and with `Options.parses_whole`."""

    def __call__(self, snapshot: Snapshot, temperature: float, seed: int | None) -> Awaitable[Completion]: ...


@dataclass(frozen=True)
class Plan:
    """How much is tried, and what is good enough."""

    num_candidates: int = 1
    require: Status = Status.UNVERIFIED
    """The least that is put into the module."""
    until: float = float("inf")
    """By `clock`."""
    clock: Clock = time.monotonic

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self.left() <= 0

    def left(self) -> float:
        """Seconds."""
        return self.until - self.clock()

    def is_enough(self, verdict: Verdict) -> bool:
        """Whether a body may be put into the module."""
        return RANKS.index(verdict.status) >= RANKS.index(self.require)


@dataclass(frozen=True)
class Candidate:
    """One body, as the model wrote it."""

    body: str
    text: str
    """The module with it, and with the imports that it lacked."""
    plain: str
    """The module with it and without those imports."""
    verdict: Verdict
    confidence: float
    temperature: float
    imports: tuple[str, ...] = ()

    @property
    def rank(self) -> tuple[int, int, float]:
        """The better the higher: passed most, then the surest."""
        return RANKS.index(self.verdict.status), self.verdict.passed, self.confidence


@dataclass(frozen=True)
class Implementation:
    """What came of one function."""

    stub: Stub
    candidates: tuple[Candidate, ...]
    """Without those that say the same, the best first."""
    chosen: Candidate | None
    """What was put into the module."""
    verdict: Verdict
    """Of what was chosen; of the best candidate when none was good enough."""
    num_asked: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Job:
    """A module, and what is needed to write in it."""

    text: str
    path: str
    ask: Ask
    judge: Callable[[str, int, str], Judge]
    """(text, line of a `def`, its comment where it has no docstring) to its judge. Raises Unjudgeable."""
    accept: Callable[[str, str], Awaitable[str]] | None = None
    """(module before, module after) to why it is not to be had, "" when it is: the user's own tests."""
    tell: Callable[[Stub, str], None] = field(default=lambda stub, state: None)
    """Hears what is being done."""


async def implement(job: Job, stubs: Sequence[Stub], plan: Plan) -> tuple[str, list[Implementation]]:
    """The module with those of its stubs written that were written well enough, and what came of each, in order.

    Later functions see earlier ones; one whose examples failed is tried again when others have been written since, as
    it may call them. Never raises for any text; engine errors pass through.
    """
    found: dict[int, Implementation] = {}
    text, lines = job.text, [stub.line for stub in stubs]
    waiting = list(range(len(stubs)))
    while waiting:
        num_written = 0
        for number in waiting:
            if plan.is_over():  # before a large file is parsed once more for each of its functions
                found[number] = _left(stubs[number], OUT_OF_TIME)
                continue
            stub = _stub_at(text, job.path, lines[number])
            done = await _one(replace(job, text=text), stub or stubs[number], plan)
            found[number] = replace(done, stub=stubs[number])
            if done.chosen is not None:
                lines = _moved(lines, number, text, done.chosen)
                text = done.chosen.text
                num_written += 1
        again = [number for number in waiting if _may_change(found[number])]
        waiting = again if num_written and len(again) < len(waiting) else []
    return text, [found[number] for number in range(len(stubs))]


def parseable(text: str) -> str:
    """The text as Python can read it: functions that have nothing but a comment get a statement in its place.

    As long as before, and with the same lines.
    """
    for stub in find_stubs(text):
        if stub.docstring is None and not len(stub.body) and stub.comments:
            last = stub.comments[-1]
            text = text[: last.start] + "0".ljust(len(last)) + text[last.end :]
    return text


def words_of(stub: Stub, text: str) -> str:
    """What says in words what is wanted, where it is a comment: without its marks."""
    if stub.docstring is not None or stub.order is None:
        return ""
    return "\n".join(
        line.strip().lstrip("#").removeprefix(" ") for line in with_newlines(stub.order.of(text)).split("\n")
    )


def _may_change(done: Implementation) -> bool:
    """Whether a function was refused for what it does: it may do otherwise when what it calls has been written."""
    return done.chosen is None and done.verdict.total > 0 and done.verdict.reason != OUT_OF_TIME


def _stub_at(text: str, path: str, line: int) -> Stub | None:
    return next((stub for stub in find_stubs(text, path) if stub.line == line), None)


def _moved(lines: list[int], number: int, before: str, chosen: Candidate) -> list[int]:
    """Lines of the functions after one of them was written."""
    num_before, num_plain, num_after = (LineIndex(each).num_lines for each in (before, chosen.plain, chosen.text))
    num_imports, num_body = num_after - num_plain, num_plain - num_before  # blank lines around imports are counted
    return [line + num_imports + (num_body if line > lines[number] else 0) for line in lines]


async def _one(job: Job, stub: Stub, plan: Plan) -> Implementation:
    """Write one function."""
    began = plan.clock()
    if plan.is_over():
        return _left(stub, OUT_OF_TIME)
    job.tell(stub, "reading")
    try:
        judge = await asyncio.to_thread(job.judge, parseable(job.text), stub.line, words_of(stub, job.text))
    except Unjudgeable as error:
        return _left(stub, str(error))
    if plan.is_over():  # what could not be run in time says nothing
        return _left(stub, OUT_OF_TIME, len(judge.examples))
    if plan.require is Status.VERIFIED and not judge.can_verify:
        return _left(stub, judge.doubt or judge.weakness, len(judge.examples))
    candidates, num_asked = list[Candidate](), 0
    for batch in _batches(plan.num_candidates):
        if plan.is_over():
            break
        job.tell(stub, f"writing {num_asked + 1} of {plan.num_candidates}" if plan.num_candidates > 1 else "writing")
        num_asked += len(batch)
        written = await _written(job, stub, batch, plan)
        job.tell(stub, "judging")
        await _judge(judge, written, candidates, plan)
        if any(_is_best(candidate.verdict, judge) for candidate in candidates):
            break
    candidates.sort(key=lambda candidate: candidate.rank, reverse=True)
    chosen, verdict = await _choose(job, candidates, plan)
    if not candidates:
        reason = OUT_OF_TIME if plan.is_over() else "the model has nothing to offer"
        verdict = Verdict(Status.UNVERIFIED, reason, 0, len(judge.examples))
    return Implementation(stub, tuple(candidates), chosen, verdict, num_asked, plan.clock() - began)


def _is_best(verdict: Verdict, judge: Judge) -> bool:
    return verdict.status is (Status.VERIFIED if judge.can_verify else Status.UNVERIFIED)


def _left(stub: Stub, reason: str, num_examples: int = 0) -> Implementation:
    return Implementation(stub, (), None, Verdict(Status.UNVERIFIED, reason, 0, num_examples))


def _batches(num_candidates: int) -> list[list[tuple[float, int | None]]]:
    """(temperature, seed) of the candidates: the greedy one by itself, often enough, then a few at a time."""
    num_others = num_candidates - 1
    step = (HOTTEST - COOLEST) / max(1, num_others - 1)
    others: list[tuple[float, int | None]] = [
        (round(COOLEST + step * number, 3), number + 1) for number in range(num_others)
    ]
    return [[(0.0, None)], *[others[start : start + TOGETHER] for start in range(0, num_others, TOGETHER)]]


async def _written(
    job: Job, stub: Stub, batch: Sequence[tuple[float, int | None]], plan: Plan
) -> list[tuple[str, float, Completion]]:
    """(module with the answer, temperature, answer) of those that came in time and say something."""
    text, offset = opened(job.text, stub)
    snapshot = Snapshot(job.path, "python", text, offset)
    asked = [asyncio.ensure_future(job.ask(snapshot, heat, seed)) for heat, seed in batch]
    try:
        left = plan.left()
        await asyncio.wait(asked, timeout=None if left == float("inf") else max(0.0, left))
        answers = [(heat, each.result()) for (heat, _), each in zip(batch, asked, strict=True) if each.done()]
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    return [(answer.edit.apply(text), heat, answer) for heat, answer in answers if answer.edit and _is_body(answer)]


def _is_body(answer: Completion) -> bool:
    """Whether a body was asked for. In the middle of a large file the order may not be seen, and a line is."""
    return answer.intent is None or answer.intent.shape is not Shape.LINE


async def _judge(
    judge: Judge, written: Sequence[tuple[str, float, Completion]], into: list[Candidate], plan: Plan
) -> None:
    """Judge the modules that were not judged yet, as far as the time goes: code that never ends takes seconds each."""
    known = {candidate.body for candidate in into}
    for text, heat, answer in written:
        if answer.text in known:
            continue
        if plan.is_over():
            break
        known.add(answer.text)
        shown = parseable(text)
        judged: Judged = await asyncio.to_thread(judge.judge, shown)
        if plan.is_over() and judged.verdict.status is Status.REFUSED:  # perhaps for want of time
            break
        whole = apply_all(insertions(shown, judged.text), text)  # what is shown of it is as long as it is
        into.append(Candidate(answer.text, whole, text, judged.verdict, answer.confidence, heat, judged.imports))


async def _choose(job: Job, candidates: Sequence[Candidate], plan: Plan) -> tuple[Candidate | None, Verdict]:
    """The best candidate that is good enough and that the user's tests accept; and the verdict to be reported."""
    verdict = candidates[0].verdict if candidates else Verdict(Status.REFUSED)
    for candidate in candidates:
        if not plan.is_enough(candidate.verdict):
            break
        reason = await job.accept(job.text, candidate.text) if job.accept else ""
        if not reason:
            return candidate, candidate.verdict
        verdict = replace(candidate.verdict, status=Status.REFUSED, reason=reason)
    return None, verdict
