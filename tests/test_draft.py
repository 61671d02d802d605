"""Draft and verify: nothing but the time may change."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from machines import ask, fresh, ids_of

from codegen_lsp import registry
from codegen_lsp.host.draft import Lookup
from codegen_lsp.host.load import Loaded, load

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
        ([1, 2, 3, 9, 1, 2, 4, 9, 1, 2], (2, 9, 9), [4, 9]),  # the latest place
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


def drafting(loaded: Loaded, num: int) -> Any:
    """A machine that drafts so many tokens, its cache empty."""
    machine = fresh(loaded).machine

    class Drafting:
        draft_tokens = (num, num, num)

        def __getattr__(self, name: str) -> Any:
            return getattr(machine.runner, name)

    return replace(machine, runner=Drafting())


@pytest.mark.parametrize("kind", ["llama", "wide", "gpt2", "compiled"])
def test_answers_stay_the_same(kind: str, folders: dict[str, Path], loaded_models: dict[str, Loaded]) -> None:
    """Greedy, sampled, healed; prompts that repeat themselves, and documents that are asked again further on."""
    if kind == "compiled":
        loaded = load(registry.find(str(folders["wide"])), "cpu")
        if loaded.machine.runner.dtype != "int8":
            pytest.skip("no C compiler (cc)")
    else:
        loaded = loaded_models[kind]
    rng = random.Random(kind)
    plain, ahead = drafting(loaded, 0), drafting(loaded, 5)
    usages: list[Any] = []
    prompt, answered = list[int](), list[int]()
    for step in range(40):
        prompt = [rng.randrange(20, 60) for _ in range(12)] * 3 if step % 4 == 0 else prompt + answered[: step % 4]
        how = {
            "max_tokens": 20, "heal": step % 5 == 0, "temperature": 0.7 if step % 3 == 0 else 0.0, "seed": step,
            "document": rng.choice("ab"), "ignore_eos": step % 2 == 0,
        }  # fmt: skip
        expected, got = ask(plain, prompt, **how), ask(ahead, prompt, **how)
        answered = ids_of(got)
        assert answered == ids_of(expected), step
        assert got[-1].finish == expected[-1].finish
        assert ahead.cache.problems() == []
        usages.append(got[-1].usage)
    assert 0 < sum(usage["accepted_tokens"] for usage in usages) <= sum(usage["drafted_tokens"] for usage in usages)


def test_a_draft_stays_within_the_window(loaded: Loaded) -> None:
    machine = replace(drafting(loaded, 5), context_window=64)
    pieces = ask(machine, [21, 22, 23, 24] * 12, max_tokens=100, ignore_eos=True)
    assert pieces[-1].finish == "length"
    assert max(machine.cache.sizes) <= 64
