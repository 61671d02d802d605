"""The decode loop: prefill what the cache does not hold, then one token at a time.

It runs no forward itself: it yields what it wants run and is sent the logits, so that answers which are under way at
the same time can share a pass over the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from time import perf_counter

from codegen_lsp.host.answer import Answer, Piece, Token
from codegen_lsp.host.cache import Forward, KVCache, Slot, run
from codegen_lsp.host.candidates import Judge, Scored, encoded
from codegen_lsp.host.draft import Steps
from codegen_lsp.host.heal import Healing, plan
from codegen_lsp.host.params import Request
from codegen_lsp.host.runners import Logits, Runner
from codegen_lsp.host.sample import Sampler, log_probabilities
from codegen_lsp.host.vocabulary import Vocabulary


@dataclass(frozen=True)
class Machine:
    """A loaded model and what decoding needs around it."""

    runner: Runner
    cache: KVCache
    vocabulary: Vocabulary
    context_window: int
    end_ids: frozenset[int]
    """Ids at which an answer ends unless the request says `ignore_eos`."""
    encode: Callable[[str], Sequence[int]]
    """The tokenizer's, for candidates; it remembers what it was asked for."""


HOPE = 16
"""Tokens of a line, for which nothing more than certainty can be hoped."""

Writes = Generator[Piece | Forward, list[Logits] | None, None]
"""What an answer yields, and is sent."""


def decode(
    request: Request, machine: Machine, is_cancelled: Callable[[], bool], choice: int = 0
) -> Generator[Piece, None, None]:
    """`answer` by itself: a piece for each token."""
    steps = answer(request, machine, is_cancelled, choice)
    sent: list[Logits] | None = None
    try:
        while True:
            item = steps.send(sent)
            sent = None
            if isinstance(item, Forward):
                sent = run(machine.runner, [item])[0]
            else:
                yield item
    except StopIteration:
        return
    finally:
        steps.close()


def answer(request: Request, machine: Machine, is_cancelled: Callable[[], bool], choice: int = 0) -> Writes:
    """Answer number `choice` of a request: a piece for each token, the last one with `finish`, and between them what
    has to be run; the logits of that are to be sent.

    The flag is looked at before each token and between chunks of prefill; closing the generator frees the slot.
    """
    healing = plan(request.ids, machine.vocabulary) if request.heal else None
    ids = request.ids[:-1] if healing else request.ids
    clock = _Clock(len(request.ids))
    with machine.cache.use(ids, request.document) as slot:
        clock.cached = len(slot.ids)
        logits = None
        for start in range(len(slot.ids), len(ids), machine.runner.chunk):
            if is_cancelled():
                logits = None
                break
            rows = yield Forward(slot, ids[start : start + machine.runner.chunk])
            logits = None if rows is None else rows[-1]
        clock.prefilled()
        writing = _Writing(request, machine, slot, clock, is_cancelled, choice)
        if logits is not None and request.candidates and request.temperature == 0 and request.max_tokens:
            yield from _with_candidates(writing, logits, healing)
        else:
            yield from writing.go(ids, logits, healing)


def _with_candidates(writing: _Writing, logits: Logits, healing: Healing | None) -> Writes:
    """An answer whose first line is a candidate where one is likelier than what the model says by itself."""
    slot, request, machine = writing.slot, writing.request, writing.machine
    prompt = tuple(slot.ids)
    owed = healing.owed if healing else b""
    judge = Judge(slot, machine.runner, logits, machine.vocabulary.pauses, request.candidate_confidence)
    held: list[Piece] = []
    said = writing.go(prompt, logits, healing)
    sent: list[Logits] | None = None
    while not held or not (held[-1].finish or writing.has_line or writing.is_hopeless):
        item, sent = said.send(sent), None
        if isinstance(item, Forward):
            sent = yield item
        else:
            held.append(item)
    answered = slot.ids[len(prompt) :]
    offered = {} if held[-1].finish == "cancelled" else encoded(request.candidates, owed, machine.encode)
    room = min(request.max_tokens, machine.context_window - len(prompt) - 2)
    offered = {ids: bonus for ids, bonus in offered.items() if len(ids) <= room}
    least = -math.inf if writing.is_hopeless else writing.told
    best = yield from judge.best(offered, least, writing.is_cancelled)
    writing.clock.runs = judge.num_runs
    if best is not None:
        said.close()
        slot.cut(machine.runner, len(prompt))
        yield Forward(slot, best.ids)
        yield from writing.take(prompt, best, owed)
        return
    if judge.num_runs and answered:
        slot.cut(machine.runner, len(prompt))
        yield Forward(slot, answered)  # as it was before the candidates
    yield from held
    if not held[-1].finish:
        yield from said


@dataclass
class _Writing:
    """An answer that is being written into a slot."""

    request: Request
    machine: Machine
    slot: Slot
    clock: _Clock
    is_cancelled: Callable[[], bool]
    choice: int
    told: float = 0.0
    """The log-probability of the first line so far, its end included."""
    has_line: bool = False
    """Whether the first line is over."""

    def __post_init__(self) -> None:
        request, choice = self.request, self.choice
        seed = None if request.seed is None else request.seed + choice
        self._sampler = Sampler(request.temperature, request.top_p, seed)
        self._said = Answer(request.stop)
        self._ends = request.stop_ids | (frozenset() if request.ignore_eos else self.machine.end_ids)

    @property
    def is_hopeless(self) -> bool:
        """Whether its first line would not be sure enough if all that is still to come were certain."""
        least = self.request.least_confidence
        return bool(least) and not self.has_line and self.told < HOPE * math.log(least)

    def take(self, prompt: Sequence[int], found: Scored, owed: bytes) -> Writes:
        """Write a candidate, which is in the slot already, then go on behind it."""
        self._said = Answer(self.request.stop)
        self.clock.completed = self.clock.copied = 0
        for number, logits in zip(found.ids, found.logits, strict=False):
            raw = self.machine.vocabulary.bytes_of(number)
            beyond, owed = raw[len(owed) :], owed[len(raw) :]
            if beyond:
                self.clock.copied += 1
                yield self._piece(number, beyond, logits, None)
            if self._said.is_stopped:
                yield Piece("", (), "stop", self.clock.usage(None))
                return
        yield from self.go((*prompt, *found.ids), found.logits[-1], None, found.end)

    def go(
        self, ids: Sequence[int], logits: Logits | None, healing: Healing | None, forced: int | None = None
    ) -> Writes:
        """Write token by token from the logits after `ids`; `forced` is the first one, where it is known."""
        request, machine, clock = self.request, self.machine, self.clock
        is_greedy = request.temperature == 0 and not request.is_background
        steps = Steps(
            self.slot, machine.runner, ids, machine.context_window, machine.vocabulary.pauses if is_greedy else None
        )
        finish = None if request.max_tokens else "length"
        while not finish:
            if logits is None or self.is_cancelled():
                finish = "cancelled"
                break
            if healing and healing.is_active:
                chosen, raw = healing.pick(logits, self._sampler)
            else:
                chosen = self._sampler.pick(logits) if forced is None else forced
                raw = machine.vocabulary.bytes_of(chosen)
                healing = forced = None
            self._tell(chosen, logits)
            if chosen in self._ends:
                finish = "stop"
                break
            # A token that only repeats the prompt's own bytes is no part of the answer.
            if raw or healing is None:
                yield self._piece(chosen, raw, logits, steps)
            if self._said.is_stopped:
                finish = "stop"
            elif clock.completed >= request.max_tokens or steps.length + 1 >= machine.context_window:
                finish = "length"
            else:
                logits = yield from steps.after(chosen, request.max_tokens - clock.completed)
        text, tokens = self._said.flush()
        yield Piece(text, tokens, finish, clock.usage(steps))

    def _piece(self, chosen: int, raw: bytes, logits: Logits, steps: Steps | None) -> Piece:
        self.clock.completed += 1
        token = _token(chosen, raw, logits, self.request, self.machine.vocabulary)
        text, tokens = self._said.feed(raw, token)
        return Piece(text, tokens, usage=self.clock.usage(steps))

    def _tell(self, chosen: int, logits: Logits) -> None:
        """Add a token to what is known of the first line."""
        if self.request.candidates and not self.has_line:
            self.told += float(logits.values[chosen]) - logits.total
            self.has_line = bool(self.machine.vocabulary.pauses[chosen]) or chosen in self._ends


def _token(chosen: int, raw: bytes, logits: Logits, request: Request, vocabulary: Vocabulary) -> Token:
    """What `logprobs` says of a token; only its text when the request did not ask."""
    text = raw.decode("utf-8", "replace")
    if request.logprobs is None:
        return Token(chosen, text)
    logprob, top = log_probabilities(logits, chosen, request.logprobs)
    shown = ((vocabulary.bytes_of(number).decode("utf-8", "replace"), value) for number, value in top)
    return Token(chosen, text, logprob, tuple(shown))


class _Clock:
    """Counts and times of one answer."""

    def __init__(self, num_prompt: int) -> None:
        self.num_prompt = num_prompt
        self.cached = 0
        self.completed = 0
        self.runs = self.copied = 0
        """Forwards for candidates, and tokens of the one that was taken."""
        self._steps = (0, 0)
        self._start = self._middle = perf_counter()

    def prefilled(self) -> None:
        """The prompt is in; decoding begins."""
        self._middle = perf_counter()

    def usage(self, steps: Steps | None) -> dict[str, float]:
        """Tokens, and milliseconds."""
        if steps:
            self._steps = steps.num_drafted, steps.num_accepted
        offered = {"candidate_runs": self.runs, "copied_tokens": self.copied} if self.runs else {}
        return {
            **offered,
            "prompt_tokens": self.num_prompt,
            "cached_tokens": self.cached,
            "completion_tokens": self.completed,
            "drafted_tokens": self._steps[0],
            "accepted_tokens": self._steps[1],
            "prefill_ms": round((self._middle - self._start) * 1000, 3),
            "decode_ms": round((perf_counter() - self._middle) * 1000, 3),
        }
