"""Lines that are offered to the model: which are offered, and that the one is taken that it finds likeliest.

The oracle scores every candidate by a forward over everything, without cache, tree or bounds.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from fakes import MODEL, ByteTokenizer
from machines import CODE, KINDS, ask, fresh, ids_of, slow, text_of

from codegen_lsp.context.intent import find_intent
from codegen_lsp.context.lines import BONUS, MAX_CHARS, OWN_BONUS, candidates
from codegen_lsp.core import Delta, Snapshot, Snippet
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.host import candidates as candidates_module
from codegen_lsp.host.decode import decode
from codegen_lsp.host.load import Loaded, load_model
from codegen_lsp.host.params import Request
from codegen_lsp.pipeline import Options, complete
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.syntax.parse import parse

pytest_plugins = ["machines"]


# Which are offered


OTHER = "import os\n\n\ndef total(rows):\n    # adds them\n    return sum(row.price for row in rows)\n\n\nx = 1\n"


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("y = 2\n⟦⟧\n", OTHER, {"import os", "def total(rows):", "return sum(row.price for row in rows)"}),
        ("return s⟦⟧\n", OTHER, {"um(row.price for row in rows)"}),
        ("return ⟦⟧\n", OTHER, {"sum(row.price for row in rows)"}),
        ("value = ⟦⟧\n", OTHER, set[str]()),
        ("y = 2\n⟦⟧\n", "y = '" + "x" * MAX_CHARS + "'\n" + '"""A docstring of its own."""\n', set[str]()),
        ("def total(rows):\n    ⟦⟧\n", OTHER, set[str]()),  # a whole body is not one line
        ("# the sum\n⟦⟧\n", OTHER, set[str]()),  # nor what a comment asks for
    ],
)
def test_lines_of_what_was_retrieved(source: str, text: str, expected: set[str]) -> None:
    before, after = source.split("⟦⟧")
    assert dict.fromkeys(expected, BONUS) == offered(before, after, Snippet("b.py", text, "similar", 0.0))


def test_lines_of_the_file_itself_but_not_those_next_to_the_cursor() -> None:
    lines = [f"value_{number} = compute({number})\n" for number in range(9)]
    found = offered("".join(lines[:5]) + "y = 2\n", "\n" + "".join(lines[5:]), Snippet("b.py", lines[8], "", 0.0))
    assert sorted(found) == [line.strip() for line in (*lines[:4], *lines[7:])]
    assert found[lines[0].strip()] == OWN_BONUS
    assert found[lines[8].strip()] == max(OWN_BONUS, BONUS)


def offered(before: str, after: str, *snippets: Snippet) -> dict[str, float]:
    snapshot = Snapshot("a.py", "python", before + after, len(before))
    intent = find_intent(snapshot, parse(snapshot.text, "python", snapshot.offset))
    assert intent
    return dict(candidates(snapshot, intent, before, snippets))


# Which is taken


@torch.inference_mode()
def scored(model: Any, prompt: Sequence[int], ids: Sequence[int], pauses: bytes) -> float:
    """Log-probability of some ids behind a prompt, and of the likeliest token that ends the line."""
    rows = model(input_ids=torch.tensor([[*prompt, *ids]]), use_cache=False).logits[0].float().log_softmax(-1)
    told = sum(float(rows[len(prompt) - 1 + at, number]) for at, number in enumerate(ids))
    return told + max(float(value) for value, is_end in zip(rows[-1], pauses, strict=False) if is_end)


def line_of(model: Any, prompt: Sequence[int], answer: Sequence[int], pauses: bytes) -> float:
    """Log-probability of a greedy answer's first line, with its end."""
    size = next((at for at, number in enumerate(answer) if pauses[number]), len(answer) - 1) + 1
    rows = model(input_ids=torch.tensor([[*prompt, *answer[:size]]]), use_cache=False).logits[0].float().log_softmax(-1)
    return sum(float(rows[len(prompt) - 1 + at, number]) for at, number in enumerate(answer[:size]))


def lines(rng: random.Random, num: int) -> list[tuple[str, float]]:
    """Made-up lines, many with a beginning in common."""
    heads = ["return ", "self.", "value = ", ""]
    made = {rng.choice(heads) + " ".join(rng.choices(CODE, k=rng.randint(1, 5))) for _ in range(num)}
    return [(line, rng.choice([0.0, 2.0, 30.0])) for line in sorted(made)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_likeliest_candidate_is_taken(
    kind: str, folders: Any, loaded_models: dict[str, Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates_module, "MAX_RUNS", 1000)
    loaded, rng = fresh(loaded_models[kind]), random.Random(kind)
    machine, pauses = loaded.machine, loaded.machine.vocabulary.pauses
    oracle = load_model(folders[kind], "cpu", torch.float32)
    taken = 0
    for _ in range(12):
        prompt = loaded.tokenizer.encode("import self\n" * rng.randint(1, 9) + " ".join(rng.choices(CODE, k=8)))
        plain = ask(machine, prompt)
        some = lines(rng, 20)
        given = ask(machine, prompt, candidates=tuple(some))
        assert machine.cache.problems() == []
        with torch.inference_mode():
            best = line_of(oracle, prompt, [*ids_of(plain), *([0] if plain[-1].finish == "stop" else [])], pauses)
        expected = ids_of(plain)
        for text, bonus in some:
            ids = loaded.tokenizer.encode(text)
            if (value := scored(oracle, prompt, ids, pauses) + bonus) > best + 1e-4:
                best, expected = value, ids
        assert ids_of(given)[: len(expected)] == expected[: len(ids_of(given))]
        if expected == ids_of(plain):
            assert ids_of(given) == ids_of(plain)
            assert text_of(given) == text_of(plain)
        else:
            taken += 1
            assert given[-1].usage["copied_tokens"] == len(expected)
            again = ask(machine, (*prompt, *expected[:-1]), max_tokens=2)
            assert ids_of(again) == ids_of(ask(fresh(loaded).machine, (*prompt, *expected[:-1]), max_tokens=2))
    assert taken


def test_half_a_word_is_written_again_before_a_candidate_goes_on(loaded: Loaded) -> None:
    prompt = loaded.tokenizer.encode("import self\nret")
    given = ask(loaded.machine, prompt, heal=True, max_tokens=30, candidates=(("urn self.result", 500.0),))
    assert text_of(given).startswith("urn self.result")
    assert loaded.machine.cache.problems() == []
    stopped = ask(
        loaded.machine, prompt, heal=True, max_tokens=30, stop=("self",), candidates=(("urn self.result", 500.0),)
    )
    assert (text_of(stopped), stopped[-1].finish) == ("urn ", "stop")
    short = ask(loaded.machine, prompt, heal=True, max_tokens=2, candidates=(("urn self.result", 500.0),))
    assert not text_of(short).startswith("urn self"), "there is no room for it"


def test_few_are_run_and_none_that_cannot_win(loaded: Loaded) -> None:
    prompt = loaded.tokenizer.encode("import self\n")
    machine, runner = slow(fresh(loaded))
    plain = ask(machine.machine, prompt)
    num_plain = runner.num_forwards
    some = tuple((" ".join(words), -90.0) for words in itertools.pairwise(CODE))
    assert ids_of(ask(machine.machine, prompt, candidates=some)) == ids_of(plain)
    assert runner.num_forwards <= 2 * num_plain
    many = tuple((" ".join((*words, *words)), 90.0) for words in itertools.pairwise(CODE))
    ask(machine.machine, prompt, candidates=many)
    assert runner.num_forwards <= 3 * num_plain + candidates_module.MAX_RUNS + 10


def test_what_nobody_wants_is_not_written_to_its_end(loaded: Loaded) -> None:
    prompt, some = loaded.tokenizer.encode("import self\n"), (("self.result = value + 1", 500.0),)
    taken = ask(loaded.machine, prompt, max_tokens=30, candidates=some)
    assert text_of(taken).startswith("self.result")
    refused = ask(loaded.machine, prompt, max_tokens=30, candidates=some, candidate_confidence=0.9)
    assert ids_of(refused) == ids_of(ask(loaded.machine, prompt, max_tokens=30))
    assert loaded.machine.cache.problems() == []
    machine, runner = slow(fresh(loaded))
    answer = decode(
        Request(tuple(prompt), 30, 0.0, candidates=some, least_confidence=0.9, candidate_confidence=0.9),
        machine.machine,
        lambda: False,
    )
    next(answer)
    assert runner.num_forwards < 4, "given up at the first token, and so is the candidate"
    assert ids_of([*ask(machine.machine, prompt, max_tokens=30, candidates=some, least_confidence=0.9)])
    answer.close()


async def test_a_copied_line_is_half_as_doubtful() -> None:
    for copied, least, is_offered in ((3, 0.8, True), (0, 0.8, False), (3, 0.9, False)):
        engine = Copying(["value + 1"], copied)
        snapshot = Snapshot("a.py", "python", "x = \n", 4)
        options = Options(min_confidence=least)
        done = await complete(snapshot, engine, MODEL, BY_NAME["codegen"], ByteTokenizer(), options=options)
        assert (done.edit is not None) == is_offered
        assert round(done.confidence, 3) == (round(math.exp(-0.2), 3) if copied else round(math.exp(-0.4), 3))
        (_, params, _, _) = engine.requests[0]
        assert (params.least_confidence, round(params.candidate_confidence, 6)) == (least, round(least**2, 6))


class Copying(ScriptedEngine):
    """One that says how much of its answer it has copied, and is not sure."""

    def __init__(self, answers: list[str], copied: int) -> None:
        super().__init__(answers)
        self.copied = copied

    async def generate(self, *args: Any, **more: Any) -> AsyncGenerator[Delta, None]:
        async for delta in super().generate(*args, **more):
            logprobs = tuple(-0.4 for _ in delta.logprobs)
            yield replace(delta, logprobs=logprobs, usage={"copied_tokens": self.copied})


def test_a_request_that_samples_takes_none(loaded: Loaded) -> None:
    prompt = loaded.tokenizer.encode("import self\n")
    plain = ask(loaded.machine, prompt, temperature=0.7, seed=3)
    given = ask(loaded.machine, prompt, temperature=0.7, seed=3, candidates=(("return self", 50.0),))
    assert ids_of(given) == ids_of(plain)


def test_cancelled_while_candidates_are_run(loaded: Loaded) -> None:
    prompt, calls = loaded.tokenizer.encode("import self\n"), iter(range(1000))
    some = tuple((" ".join((*words, *words)), 90.0) for words in itertools.pairwise(CODE))
    for least in range(2, 30, 3):
        ask(loaded.machine, prompt, candidates=some, is_cancelled=lambda least=least: next(calls) % 30 > least)
        assert loaded.machine.cache.problems() == []
