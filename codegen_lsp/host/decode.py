"""The decode loop: prefill what the cache does not hold, then one token at a time.

It runs no forward itself: it yields what it wants run and is sent the logits, so that answers which are under way at
the same time can share a pass over the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from time import perf_counter

from codegen_lsp.host.answer import Answer, Piece, Token
from codegen_lsp.host.cache import Forward, KVCache, run
from codegen_lsp.host.draft import Steps
from codegen_lsp.host.heal import plan
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


def answer(
    request: Request, machine: Machine, is_cancelled: Callable[[], bool], choice: int = 0
) -> Generator[Piece | Forward, list[Logits] | None, None]:
    """Answer number `choice` of a request: a piece for each token, the last one with `finish`, and between them what
    has to be run; the logits of that are to be sent.

    The flag is looked at before each token and between chunks of prefill; closing the generator frees the slot.
    """
    sampler = Sampler(request.temperature, request.top_p, None if request.seed is None else request.seed + choice)
    said = Answer(request.stop)
    healing = plan(request.ids, machine.vocabulary) if request.heal else None
    ids = request.ids[:-1] if healing else request.ids
    ends = request.stop_ids | (frozenset() if request.ignore_eos else machine.end_ids)
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
        is_greedy = request.temperature == 0 and not request.is_background
        pauses = machine.vocabulary.pauses if is_greedy else None
        steps = Steps(slot, machine.runner, ids, machine.context_window, pauses)
        finish = None if request.max_tokens else "length"
        while not finish:
            if logits is None or is_cancelled():
                finish = "cancelled"
                break
            if healing and healing.is_active:
                chosen, raw = healing.pick(logits, sampler)
            else:
                chosen = sampler.pick(logits)
                raw = machine.vocabulary.bytes_of(chosen)
                healing = None
            if chosen in ends:
                finish = "stop"
                break
            # A token that only repeats the prompt's own bytes is no part of the answer.
            if raw or healing is None:
                clock.completed += 1
                text, tokens = said.feed(raw, _token(chosen, raw, logits, request, machine.vocabulary))
                yield Piece(text, tokens, usage=clock.usage(steps))
            if said.is_stopped:
                finish = "stop"
            elif clock.completed >= request.max_tokens or steps.length + 1 >= machine.context_window:
                finish = "length"
            else:
                logits = yield from steps.after(chosen, request.max_tokens - clock.completed)
    text, tokens = said.flush()
    yield Piece(text, tokens, finish, clock.usage(steps))


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
        self._start = self._middle = perf_counter()

    def prefilled(self) -> None:
        """The prompt is in; decoding begins."""
        self._middle = perf_counter()

    def usage(self, steps: Steps) -> dict[str, float]:
        """Tokens, and milliseconds."""
        return {
            "prompt_tokens": self.num_prompt,
            "cached_tokens": self.cached,
            "completion_tokens": self.completed,
            "drafted_tokens": steps.num_drafted,
            "accepted_tokens": steps.num_accepted,
            "prefill_ms": round((self._middle - self._start) * 1000, 3),
            "decode_ms": round((perf_counter() - self._middle) * 1000, 3),
        }
