"""The host's parts: sampling, text, healing, whose turn it is, loading."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from machines import CODE, ask, fresh, ids_of, text_of, until
from tiny import SPECIALS, make_tiny

from codegen_lsp import registry
from codegen_lsp.errors import ModelError
from codegen_lsp.host.answer import Answer, Token
from codegen_lsp.host.heal import plan
from codegen_lsp.host.load import Loaded, load, load_model
from codegen_lsp.host.runners import Logits, logits_of
from codegen_lsp.host.sample import Sampler, log_probabilities
from codegen_lsp.host.scheduler import Job, Scheduler, Sign
from codegen_lsp.host.vocabulary import Vocabulary

pytest_plugins = ["machines"]


# Sampling


def test_seeds_reproduce_and_differ(loaded: Loaded) -> None:
    machine = loaded.machine
    answers = [ids_of(ask(machine, range(20, 30), temperature=1.0, seed=seed, max_tokens=20)) for seed in (1, 1, 2, -1)]
    assert answers[0] == answers[1]
    assert len({tuple(answer) for answer in answers}) == 3


def of(values: torch.Tensor) -> Logits:
    return logits_of(values[None])[0]


def test_top_p_keeps_the_smallest_sufficient_set() -> None:
    logits = of(torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])))
    for top_p, kept in ((0.4, {0}), (0.5, {0}), (0.79, {0, 1}), (0.9, {0, 1, 2}), (1.0, {0, 1, 2, 3})):
        sampler = Sampler(1.0, top_p, seed=0)
        assert {sampler.pick(logits) for _ in range(400)} == kept


def test_temperature_sharpens() -> None:
    logits = of(torch.tensor([1.0, 0.0]))
    counts = [sum(Sampler(t, 1.0, seed).pick(logits) for seed in range(300)) for t in (0.2, 1.0, 2.0)]
    assert counts == sorted(counts)
    assert Sampler(0.0, 1.0, None).pick(logits) == 0


def test_logprobs_are_those_of_transformers(folders: dict[str, Path], loaded: Loaded) -> None:
    oracle = load_model(folders["llama"], "cpu", torch.float32)
    prompt = list(range(20, 50))
    tokens = [t for p in ask(loaded.machine, prompt, logprobs=3, temperature=0.8, seed=4) for t in p.tokens]
    sequence = [*prompt, *(token.id for token in tokens)]
    with torch.inference_mode():
        logprobs = torch.log_softmax(oracle(input_ids=torch.tensor([sequence])).logits[0].float(), dim=-1)
    for n, token in enumerate(tokens):
        row = logprobs[len(prompt) + n - 1]
        assert token.logprob == pytest.approx(float(row[token.id]), abs=1e-4)
        assert [v for _, v in token.top] == pytest.approx(row.topk(3).values.tolist(), abs=1e-4)


def test_log_probabilities_without_alternatives() -> None:
    value, top = log_probabilities(of(torch.zeros(4)), 2, 0)
    assert value == pytest.approx(-1.3862944)
    assert top == []


# Text


def test_answer_equals_a_whole_text_search() -> None:
    """Any split of any bytes: the text is what stands before the earliest stop string, and tokens go with it."""
    rng = random.Random(11)
    for _ in range(3000):
        text = "".join(rng.choice("ab\né🙂") for _ in range(rng.randint(0, 14)))
        stops = ["".join(rng.choice("ab\né") for _ in range(rng.randint(1, 3))) for _ in range(rng.randint(0, 3))]
        raw, answer, out, at = text.encode(), Answer(stops), "", 0
        tokens: list[Token] = []
        while at < len(raw) and not answer.is_stopped:
            size = rng.randint(1, 5)
            new, ready = answer.feed(raw[at : at + size], Token(at, ""))
            out, tokens, at = out + new, [*tokens, *ready], at + size
        ends = {stop: text.find(stop) for stop in stops if stop in text}
        new, ready = answer.flush()
        out += new
        assert answer.is_stopped == bool(ends)
        if ends:
            # Several may be completed by one token: the earliest beginning counts, as if seen byte by byte or not.
            assert text.startswith(out)
            assert out in {text[:at] for at in ends.values()}
        else:
            assert out == text
            assert len(tokens) + len(ready) == len({token.id for token in (*tokens, *ready)})


def test_half_a_character_at_the_end() -> None:
    answer = Answer(())
    assert answer.feed("é".encode()[:1], Token(1, ""))[0] == ""
    assert answer.flush() == ("�", (Token(1, ""),))


def test_stop_string_across_tokens(loaded: Loaded) -> None:
    machine, prompt = loaded.machine, loaded.tokenizer.encode("def value(self):\n")
    whole = text_of(ask(machine, prompt, max_tokens=60, temperature=1.0, seed=8))
    for start in range(2, len(whole) - 4, 3):
        stop = whole[start : start + 3]
        if "�" in stop:
            continue
        pieces = ask(machine, prompt, max_tokens=60, temperature=1.0, seed=8, stop=(stop,))
        assert text_of(pieces) == whole[: whole.find(stop)]
        assert pieces[-1].finish == "stop"


# Healing


def test_vocabulary_against_brute_force(loaded: Loaded) -> None:
    vocabulary, rng = loaded.machine.vocabulary, random.Random(2)
    everything = {n: vocabulary.bytes_of(n) for n in range(400) if vocabulary.bytes_of(n)}
    assert len(everything) == loaded.tokenizer.vocab_size - len(SPECIALS)
    texts = [*everything.values(), b"\xff", b"\xff\xff", b"zzz", *(rng.randbytes(2) for _ in range(50))]
    for text in texts:
        assert sorted(vocabulary.beginning_with(text)) == [n for n, raw in everything.items() if raw.startswith(text)]
        shorter = [n for n, raw in everything.items() if text.startswith(raw) and raw != text]
        assert sorted(vocabulary.within(text)) == sorted(shorter)
        assert vocabulary.can_extend(text) == any(raw.startswith(text) and raw != text for raw in everything.values())


def test_bytes_of_a_sentencepiece_vocabulary() -> None:
    data = {
        "model": {"vocab": [["<s>", 0], ["\u2581def", -1], ["<0x0A>", -2], ["é", -3]]},
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}]},
        "added_tokens": [{"id": 0, "content": "<s>", "special": True}],
    }
    vocabulary = Vocabulary(json.dumps(data), 6)
    assert [vocabulary.bytes_of(n) for n in range(6)] == [b"", b" def", b"\n", "é".encode(), b"", b""]
    assert vocabulary.is_control(0)


def test_healed_answers_continue_the_text(loaded: Loaded) -> None:
    """Whatever is healed, the prompt's bytes and the answer's together are what the model has read and written."""
    machine, rng = loaded.machine, random.Random(7)
    num_healed = 0
    for n in range(120):
        words = " ".join(rng.choice(CODE) for _ in range(6))
        prompt = loaded.tokenizer.encode(words[: rng.randint(1, len(words))] + rng.choice(["", "", "é", "\n", "("]))
        pieces = ask(machine, prompt, heal=True, max_tokens=4, temperature=rng.choice([0.0, 1.0]), seed=n, document="h")
        slot = machine.cache.match([*prompt, 0], "h").slot
        healing = plan(prompt, machine.vocabulary)
        if healing is None or slot is None:
            continue
        num_healed += 1
        kept = machine.vocabulary.bytes_of
        before = b"".join(map(kept, prompt))
        written = b"".join(kept(number) for number in slot.ids)
        last = [token.id for piece in pieces for token in piece.tokens][-1:]
        # The last id was never fed back, so it is not in the slot yet.
        full = written if len(ids_of(pieces)) == 0 else written + kept(last[0])
        assert full.startswith(before)
        assert full[len(before) :].decode("utf-8", "replace") == text_of(pieces)
    assert num_healed > 40


def test_healing_finds_the_longer_token(loaded: Loaded) -> None:
    machine, encode = loaded.machine, loaded.tokenizer.encode
    prompt = encode("def\n    retu")
    vocabulary = machine.vocabulary
    assert vocabulary.can_extend(vocabulary.bytes_of(prompt[-1]))
    first = next(token for piece in ask(machine, prompt, heal=True) for token in piece.tokens)
    taken = vocabulary.bytes_of(prompt[-1])
    assert vocabulary.bytes_of(first.id).startswith(taken) or taken.startswith(vocabulary.bytes_of(first.id))


def test_nothing_to_heal(loaded: Loaded) -> None:
    vocabulary, tokenizer = loaded.machine.vocabulary, loaded.tokenizer
    middle = tokenizer.special("<|fim_middle|>")
    assert middle is not None
    word = tokenizer.encode("d")
    assert plan([5, middle], vocabulary) is None
    assert plan(word, vocabulary) is None
    assert plan([middle, *word], vocabulary) is not None
    longest = max(range(400), key=lambda n: len(vocabulary.bytes_of(n)))
    assert plan([5, longest], vocabulary) is None


def test_an_unlikely_constraint_is_dropped(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, prompt = loaded.machine, loaded.tokenizer.encode("def\n    retu")
    plain = ask(machine, prompt)
    monkeypatch.setattr("codegen_lsp.host.heal.MIN_MASS", 2.0)
    assert ids_of(ask(fresh(loaded).machine, prompt, heal=True)) == ids_of(plain)


# Scheduling


class Recorder:
    """Jobs that wait for a word, and what they emitted."""

    def __init__(self) -> None:
        self.items: dict[str, list[Any]] = {}
        self.go = threading.Event()

    def job(self, name: str, document: str, num_steps: int = 3) -> Job:
        mine = self.items.setdefault(name, [])

        def run(job: Job) -> Iterator[Any]:
            for step in range(num_steps):
                self.go.wait(5)
                if job.is_cancelled:
                    yield "cancelled"
                    return
                yield step

        return Job(document, run, mine.append)


def test_newest_wins_and_documents_take_turns() -> None:
    recorder, scheduler = Recorder(), Scheduler(lambda: None)
    scheduler.begin()
    scheduler.submit(recorder.job("a1", "a"))
    until(lambda: scheduler.num_jobs == 1)
    time.sleep(0.02)
    for name, document in (("b1", "b"), ("a2", "a"), ("c1", "c"), ("b2", "b"), ("x", ""), ("y", "")):
        scheduler.submit(recorder.job(name, document))
    assert recorder.items["b1"] == [Sign.END]
    recorder.go.set()
    until(lambda: scheduler.num_jobs == 0)
    until(lambda: recorder.items["y"][-1:] == [Sign.END])
    done = [0, 1, 2, Sign.END]
    assert recorder.items == {
        "a1": ["cancelled", Sign.END], "b1": [Sign.END], "a2": done, "c1": done, "b2": done, "x": done, "y": done,
    }  # fmt: skip
    assert scheduler.stop(2)


def test_cancel_and_failure_leave_the_worker_alive() -> None:
    recorder, scheduler = Recorder(), Scheduler(lambda: None)
    scheduler.begin()

    def fail(job: Job) -> Iterator[Any]:
        yield 1
        raise ValueError("no")

    failed: list[Any] = []
    scheduler.submit(Job("", fail, failed.append))
    running, waiting = recorder.job("running", ""), recorder.job("waiting", "")
    scheduler.submit(running)
    scheduler.submit(waiting)
    scheduler.cancel(waiting)
    assert recorder.items["waiting"] == [Sign.END]
    until(lambda: len(failed) >= 1)
    scheduler.cancel(running)
    recorder.go.set()
    until(lambda: len(failed) == 2)
    until(lambda: recorder.items["running"] == ["cancelled", Sign.END] or recorder.items["running"] == [Sign.END])
    assert failed[0] == 1
    assert isinstance(failed[1], ValueError)
    assert scheduler.stop(2)


def test_a_step_each_in_turn_and_no_more_than_a_few_at_once() -> None:
    order: list[str] = []

    def job(name: str, num_steps: int, is_background: bool = False) -> Job:
        def run(job: Job) -> Iterator[Any]:
            for _ in range(num_steps):
                if job.is_cancelled:
                    return
                yield name

        return Job(name, run, lambda item: order.append(f"{name}." if item is Sign.END else item), is_background)

    scheduler = Scheduler(lambda: None)
    for name, is_background in (("z", True), ("a", False), ("b", False), ("c", False), ("d", False), ("e", False)):
        scheduler.submit(job(name, 5 if name == "e" else 2, is_background))
    scheduler.submit(job("z", 2, is_background=True))  # the newest of two
    scheduler.submit(job("e", 1, is_background=True))  # gives way to what somebody waits for
    assert order == ["z.", "e."]
    scheduler.begin()
    until(lambda: scheduler.num_jobs == 0 and order[-1] == "z.")
    # Four have begun; the fifth when they have ended; the one in the background at the end.
    assert "".join(order[2:]) == "abcdaa.bb.cc.dd.eeeeee.zzz."
    assert scheduler.stop(2)


def test_a_stop_ends_those_that_have_begun() -> None:
    recorder, scheduler = Recorder(), Scheduler(lambda: None)
    scheduler.begin()
    for name in "abc":
        scheduler.submit(recorder.job(name, name, num_steps=10**6))
    recorder.go.set()
    until(lambda: all(len(recorder.items[name]) > 2 for name in "abc"))
    assert scheduler.stop(2)
    assert all(recorder.items[name][-2:] == ["cancelled", Sign.END] for name in "abc")
    assert all(recorder.items[name].count(Sign.END) == 1 for name in "abc")


# Loading


def spoil_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model_type": "not-a-model"}, "unknown model_type"),
        ({"model_type": "vit"}, "no causal language model"),
        ({"hidden_size": 4096, "vocab_size": 100_000}, "lacks weights"),
        ({"num_hidden_layers": 3}, "lacks weights"),
        ({"model_type": "gpt2", "hidden_size": 4096}, "larger model than its weights"),
        ({"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "vocab_size": 99}, "lacks weights|cannot be loaded"),
        ({"hidden_act": "evil"}, "cannot be loaded"),
        ({"num_attention_heads": "many"}, "impossible|cannot be loaded"),
    ],
)
def test_configs_that_do_not_fit_are_refused(tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    folder = make_tiny(tmp_path / "bad")
    info = registry.find(str(folder))
    spoil_config(folder, **fields)
    with pytest.raises(ModelError, match=reason):
        load(info, "cpu")


def test_unknown_fields_are_inert(tmp_path: Path, loaded: Loaded) -> None:
    folder = make_tiny(tmp_path / "odd", seed=3)
    spoil_config(folder, forward="evil", to="evil", base_model_tp_plan={"layers.*": "evil"}, dtype="evil")
    odd = load(registry.find(str(folder)), "cpu", "float32")
    assert ids_of(ask(odd.machine, range(20, 40))) == ids_of(ask(loaded.machine, range(20, 40)))


@pytest.mark.parametrize(
    "text", ["{}", "", "[]", '{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": [["b", "c"]]}}']
)
def test_hostile_tokenizers_are_refused(tmp_path: Path, text: str) -> None:
    folder = make_tiny(tmp_path / "bad")
    info = registry.find(str(folder))
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match="not a tokenizer"):
        load(info, "cpu")


def test_bfloat16_and_missing_cuda(folders: dict[str, Path]) -> None:
    info = registry.find(str(folders["llama"]))
    assert load(info, "cpu", "bfloat16").machine.runner.dtype == "bfloat16"
    if not torch.cuda.is_available():
        with pytest.raises(ModelError, match="no CUDA device"):
            load(info, "cuda")
