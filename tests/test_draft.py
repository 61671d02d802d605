"""Draft and verify: nothing but the time may change."""

from __future__ import annotations

import random
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from machines import ask, fresh, ids_of

from codegen_lsp import registry
from codegen_lsp.host.draft import Lookup
from codegen_lsp.host.load import Loaded, load
from codegen_lsp.host.runners import Greedy, Part

pytest_plugins = ["machines"]


@pytest.mark.parametrize(
    ("ids", "most", "expected"),
    [
        ([], (3, 3, 3), []),
        ([1], (3, 3, 3), []),
        ([1, 2, 3], (3, 3, 3), []),
        ([1, 2, 3, 1, 2], (3, 9, 9), [3, 1, 2]),
        ([1, 2, 3, 1, 2], (1, 9, 9), [3]),
        ([1, 2, 3, 1, 2], (0, 0, 0), []),
        ([1, 2, 3, 9, 1, 2, 4, 9, 1, 2], (2, 2, 9), [4, 9]),  # the latest place
        ([7, 1, 2, 3, 9, 8, 1, 2, 4, 7, 1, 2], (9, 1, 9), [3]),  # the longest run
        ([1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5], (1, 2, 3), [6, 7, 8]),  # a long run
        ([5, 5, 5], (3, 9, 9), [5]),
        ([256, 1, 0, 65536, 77, 1, 256], (2, 9, 9), []),  # bytes that agree across tokens are no match
        ([2**24, 2, 2**24 + 1, 2**24, 2], (1, 9, 9), [2**24 + 1]),
    ],
)
def test_what_followed_before(ids: list[int], most: tuple[int, int, int], expected: list[int]) -> None:
    whole, grown = Lookup(ids), Lookup(())
    for number in ids:
        grown.add(number)
    assert whole.following(most) == grown.following(most) == expected


def drafting(loaded: Loaded, num: int, *, goes_on: bool = False) -> Any:
    """A machine that drafts so many tokens, its cache empty; whether its runner may go on by itself."""
    machine = fresh(loaded).machine
    may_go_on = goes_on

    class Drafting:
        draft_tokens = (num, num, num)
        goes_on = may_go_on

        def __getattr__(self, name: str) -> Any:
            return getattr(machine.runner, name)

    return replace(machine, runner=Drafting())


@pytest.mark.parametrize("kind", ["llama", "wide", "gpt2", "compiled", "going on"])
def test_answers_stay_the_same(kind: str, folders: dict[str, Path], loaded_models: dict[str, Loaded]) -> None:
    """Greedy, sampled, healed; prompts that repeat themselves, and documents that are asked again further on."""
    if kind in ("compiled", "going on"):
        loaded = load(registry.find(str(folders["wide"])), "cpu")
        if loaded.machine.runner.dtype != "int8":
            pytest.skip("no C compiler (cc)")
    else:
        loaded = loaded_models[kind]
    rng = random.Random(kind)
    plain, ahead = drafting(loaded, 0), drafting(loaded, 5, goes_on=kind == "going on")
    usages: list[Any] = []
    prompt, answered = list[int](), list[int]()
    for step in range(40):
        prompt = [rng.randrange(20, 60) for _ in range(12)] * 3 if step % 4 == 0 else prompt + answered[: step % 4]
        how = {
            "max_tokens": 20, "heal": step % 5 == 0, "temperature": 0.7 if step % 3 == 0 else 0.0, "seed": step,
            "document": rng.choice("ab"), "logprobs": 0, "ignore_eos": step % 2 == 0,
        }  # fmt: skip
        expected, got = ask(plain, prompt, **how), ask(ahead, prompt, **how)
        answered = ids_of(got)
        assert answered == ids_of(expected), step
        logprobs = [[token.logprob for piece in pieces for token in piece.tokens] for pieces in (got, expected)]
        exactly = loaded.machine.runner.dtype == "int8"
        assert logprobs[0] == (logprobs[1] if exactly else pytest.approx(logprobs[1], abs=1e-4)), step
        assert got[-1].finish == expected[-1].finish
        assert ahead.cache.problems() == []
        usages.append(got[-1].usage)
    assert 0 < sum(usage["accepted_tokens"] for usage in usages) <= sum(usage["drafted_tokens"] for usage in usages)


def test_a_draft_stays_within_the_window(loaded: Loaded) -> None:
    machine = replace(drafting(loaded, 5), context_window=64)
    pieces = ask(machine, [21, 22, 23, 24] * 12, max_tokens=100, ignore_eos=True)
    assert pieces[-1].finish == "length"
    assert max(machine.cache.sizes) <= 64


def test_a_runner_that_goes_on_stops_where_it_is_told(folders: dict[str, Path]) -> None:
    """At its steps, at a pause, at the most ids."""
    runner = load(registry.find(str(folders["wide"])), "cpu").machine.runner
    if not runner.goes_on:
        pytest.skip("no C compiler (cc)")
    ids = [21, 22, 23, 24] * 8
    for most, pauses, num_steps in ((30, b"\0", 4), (30, b"\1", 1), (2, b"\0", 2), (1, b"\0", 1)):
        kv = runner.new_kv()
        runner.run([Part(ids, kv)])
        told = Greedy(array("I", [*ids, 21]).tobytes(), most, pauses * runner.vocab_size)
        (rows,) = runner.run([Part([21], kv, 1, told)])
        assert len(rows) == len(told.appended) == runner.kv_length(kv) - len(ids)
        assert len(rows) <= most
        assert len(rows) - told.num_accepted == num_steps
        plain = runner.new_kv()
        runner.run([Part(ids, plain)])
        expected = [row for number in told.appended for row in runner.run([Part([number], plain)])[0]]
        assert list(told.appended[1:]) == [row.best for row in expected[:-1]]
        assert [row[1:] for row in rows] == [row[1:] for row in expected]
        assert all(torch.equal(row.values, other.values) for row, other in zip(rows, expected, strict=True))
