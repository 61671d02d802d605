"""The decode loop and its KV cache, against transformers' own forward without any cache."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from machines import CODE, KINDS, ask, forward, fresh, ids_of, naive, slow
from tiny import CONTEXT, make_tiny

from codegen_lsp import registry
from codegen_lsp.errors import ModelError
from codegen_lsp.host.cache import Forward, common_prefix, run
from codegen_lsp.host.decode import decode
from codegen_lsp.host.load import Loaded, _weights, load, load_compiled, load_model, load_runner
from codegen_lsp.host.params import Request
from codegen_lsp.host.runners import Part, logits_of
from codegen_lsp.host.runners import compiled as compiled_module
from codegen_lsp.host.runners.build import Build
from codegen_lsp.host.runners.general import GeneralRunner
from codegen_lsp.host.runners.int8 import quantised
from codegen_lsp.host.runners.llama import LlamaRunner, shape_of
from codegen_lsp.host.runners.static import StaticRunner

pytest_plugins = ["machines"]

COMPILED = ("wide", "qwen2", "qwen3")


@pytest.fixture(scope="module")
def compiled_runners(folders: dict[str, Path]) -> dict[str, tuple[Any, Any]]:
    """The compiled runner, and torch's with the very same weights widened to float32, by kind."""
    build = Build()
    if build.library() is None:
        pytest.skip("no C compiler (cc)")
    return {kind: (load_compiled(folders[kind], build), widened(folders[kind])) for kind in COMPILED}


def widened(folder: Path) -> LlamaRunner:
    """LlamaRunner on weights that went through int8."""
    shape = shape_of(registry.read_config(folder))
    assert shape is not None
    get = _weights(folder, "cpu", torch.float32)

    def through_int8(name: str, *size: int, optional: bool = False) -> Any:
        weight = get(name, *size, optional=optional)
        return quantised(weight).restored() if len(size) == 2 else weight

    return LlamaRunner(shape, through_int8)


# The cache


@pytest.mark.parametrize("kind", KINDS)
def test_typing_traces_give_the_ids_of_the_uncached_loop(
    kind: str, folders: dict[str, Path], loaded_models: dict[str, Loaded]
) -> None:
    oracle = load_model(folders[kind], "cpu", torch.float32)
    loaded = fresh(loaded_models[kind], max_slots=2)
    machine, rng = loaded.machine, random.Random(kind)
    marks = [loaded.tokenizer.special(f"<|fim_{name}|>") for name in ("prefix", "suffix", "middle")]
    assert None not in marks
    prefix, suffix = dict.fromkeys("abc", ""), dict.fromkeys("abc", " return result\n")
    shared = loaded.tokenizer.encode("import self\n" * 9)
    reused = 0
    for step in range(60):
        document = rng.choice("aaabbc")
        kind_of_edit = rng.random()
        if kind_of_edit < 0.7:
            prefix[document] += rng.choice(CODE) + rng.choice([" ", "\n    ", "é", ""])
        elif kind_of_edit < 0.9:
            prefix[document] = prefix[document][: -rng.randint(1, 6)]
        else:
            suffix[document] = " " + rng.choice(CODE)
        text = [*loaded.tokenizer.encode(suffix[document]), marks[2], *loaded.tokenizer.encode(prefix[document][-150:])]
        prompt = [n for n in (*shared, *marks[:2], *text) if n is not None]
        pieces = ask(machine, prompt, document=document, max_tokens=5)
        assert pieces[-1].finish in ("length", "stop"), step
        generated = naive(oracle, prompt, 5, end=0)
        cut = next((n for n, i in enumerate(generated) if i in machine.end_ids), len(generated))
        assert ids_of(pieces) == generated[:cut], step
        assert machine.cache.problems() == []
        assert len(machine.cache.sizes) <= 2
        reused += int(pieces[-1].usage["cached_tokens"])
    assert reused > 60 * 30


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_the_fast_path_equals_transformers(kind: str, folders: dict[str, Path]) -> None:
    """Logits, through prefill in pieces, single steps, a crop and a fork; biases as large as weights."""
    general = GeneralRunner(load_model(folders[kind], "cpu", torch.float32))
    fast = load_runner(folders[kind], "cpu", torch.float32)
    assert type(fast).__name__ == "LlamaRunner"
    rng = random.Random(kind)
    stores: list[Any] = [fast.new_kv(), general.new_kv()]
    for step in range(40):
        length = general.kv_length(stores[1])
        if length > 200 or (length > 4 and rng.random() < 0.3):
            kept = rng.randint(1, length - 1)
            if step % 2:
                stores = [fast.fork(stores[0], kept), general.fork(stores[1], kept)]
            else:
                assert fast.crop(stores[0], kept)
                assert general.crop(stores[1], kept)
        ids = [rng.randrange(400) for _ in range(rng.choice([1, 1, 2, 30]))]
        ours, theirs = forward(fast, ids, stores[0]), forward(general, ids, stores[1])
        torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)
        assert fast.kv_length(stores[0]) == general.kv_length(stores[1])


@pytest.mark.parametrize("kind", COMPILED)
def test_the_compiled_step_equals_torch_on_its_weights(kind: str, compiled_runners: dict[str, Any]) -> None:
    """Logits, through prefill in pieces, single steps, drafts, a crop and a fork."""
    compiled, widened = compiled_runners[kind]
    rng = random.Random(kind)
    stores: list[Any] = [compiled.new_kv(), widened.new_kv()]
    for step in range(60):
        length = widened.kv_length(stores[1])
        if length > 150 or (length > 4 and rng.random() < 0.3):
            kept = rng.randint(1, length - 1)
            if step % 2:
                stores = [compiled.fork(stores[0], kept), widened.fork(stores[1], kept)]
            else:
                assert compiled.crop(stores[0], kept)
                assert widened.crop(stores[1], kept)
        ids = [rng.randrange(400) for _ in range(rng.choice([1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 30]))]
        num_logits = rng.randint(1, len(ids))
        rows = [
            runner.run([Part(ids, kv, num_logits)])[0] for runner, kv in zip((compiled, widened), stores, strict=True)
        ]
        ours, theirs = (torch.stack([each.values for each in found]) for found in rows)
        assert ours.shape == (num_logits, compiled.vocab_size)
        for row, computed in zip(rows[0], logits_of(ours), strict=True):
            assert row.best == computed.best
            assert row.total == pytest.approx(computed.total, abs=1e-5)
        # What int16 with one scale a position and float16 keys lose, through random weights that amplify it.
        assert (ours - theirs).abs().max() < 1e-2 * theirs.abs().max()
        assert compiled.kv_length(stores[0]) == widened.kv_length(stores[1])


@pytest.mark.parametrize("is_int8", [False, True])
@pytest.mark.parametrize("kind", ["llama", *COMPILED])
def test_padded_steps_equal_torch(kind: str, is_int8: bool, folders: dict[str, Path]) -> None:
    """The steps of a GPU, run here without graphs: several sequences at once, prompts, drafts, crops, forks."""
    shape = shape_of(registry.read_config(folders[kind]))
    assert shape is not None
    static = StaticRunner(shape, _weights(folders[kind], "cpu", torch.float32), max_rows=8, is_int8=is_int8)
    plain = widened(folders[kind]) if is_int8 else load_runner(folders[kind], "cpu", torch.float32)
    rng = random.Random(kind)
    stores: list[tuple[Any, Any]] = [(static.new_kv(), plain.new_kv()) for _ in range(4)]
    for step in range(30):
        for n, (ours, theirs) in enumerate(stores):
            length = plain.kv_length(theirs)
            if length > 150 or (length > 4 and rng.random() < 0.2):
                kept = rng.randint(1, length - 1)
                if step % 2:
                    stores[n] = static.fork(ours, kept), plain.fork(theirs, kept)
                else:
                    assert static.crop(ours, kept)
                    assert plain.crop(theirs, kept)
                del ours, theirs
        parts = []
        for ours, theirs in rng.sample(stores, rng.randint(1, 4)):
            ids = [rng.randrange(400) for _ in range(rng.choice([1, 1, 2, 4, 6, 8, 20, 60]))]
            num_logits = rng.choice([1, rng.randint(1, len(ids))])
            parts.append((Part(ids, ours, num_logits), Part(ids, theirs, num_logits)))
        got, expected = static.run([pair[0] for pair in parts]), plain.run([pair[1] for pair in parts])
        for mine, yours in zip(got, expected, strict=True):
            for row, other in zip(mine, yours, strict=True):
                torch.testing.assert_close(row.values, other.values, atol=4e-3, rtol=2e-3)
        assert [static.kv_length(ours) for ours, _ in stores] == [plain.kv_length(theirs) for _, theirs in stores]
    for ids in ([400], [-1], [5] * 300):
        with pytest.raises(IndexError):
            static.run([Part(ids, stores[0][0])])
    held = [static.new_kv() for _ in range(len(static._free))]
    with pytest.raises(MemoryError):
        static.new_kv()
    assert static.fork(stores[0][0], 1) is None
    held.clear()
    assert static.new_kv().length == 0, "a row that nobody holds is free again"


def test_a_prompt_that_says_the_same_over_and_over(
    compiled_runners: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces that are equal are still as many."""
    monkeypatch.setattr(compiled_module, "PIECE", 64)
    compiled, torch_runner = compiled_runners["wide"]
    stores = compiled.new_kv(), torch_runner.new_kv()
    beside = compiled.new_kv()
    ours, _ = compiled.run([Part([25] * 250, stores[0]), Part([25] * 200, beside)])
    theirs = forward(torch_runner, [25] * 250, stores[1])
    assert (ours[0].values - theirs).abs().max() < 1e-2 * theirs.abs().max()
    assert (stores[0].length, beside.length) == (250, 200)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_compiled_step_gives_the_same_bits_however_it_is_cut(
    threads: int, compiled_runners: dict[str, Any], folders: dict[str, Path]
) -> None:
    compiled, _ = compiled_runners["qwen3"]
    torch.set_num_threads(threads)
    try:
        other = load_compiled(folders["qwen3"], Build())
    finally:
        torch.set_num_threads(1)
    assert other is not None
    rng, ids = random.Random(threads), [random.Random(5).randrange(400) for _ in range(200)]
    whole = compiled.new_kv()
    (expected,) = compiled.run([Part(ids, whole, len(ids))])
    kv, done = other.new_kv(), 0
    while done < len(ids):
        size = rng.randint(1, 9)
        # Beside others' positions, in any order.
        beside = [Part([rng.randrange(400)] * rng.randint(1, 4), other.new_kv()) for _ in range(rng.randrange(3))]
        parts = [*beside, Part(ids[done : done + size], kv, size)]
        rng.shuffle(parts)
        got = next(rows for part, rows in zip(parts, other.run(parts), strict=True) if part.kv is kv)
        for row, same in zip(got, expected[done : done + size], strict=True):
            assert torch.equal(row.values, same.values)
            assert row[1:] == same[1:]
        done += size


def test_without_a_compiler_torch_does_it(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = tmp_path / "cc"
    failing.write_text("#!/bin/sh\necho 'no headers here' >&2\nexit 1\n")
    failing.chmod(0o700)
    for compiler in ("/nowhere/cc", str(failing)):
        monkeypatch.setenv("CC", compiler)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        info = registry.find(str(folders["wide"]))
        assert load(info, "cpu").machine.runner.dtype == "float32"
        with pytest.raises(ModelError, match="C compiler"):
            load(info, "cpu", "int8")
        assert not list(tmp_path.glob("cache/**/*.so"))


def test_a_library_that_is_none_is_not_used(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library = Build().library()
    if library is None:
        pytest.skip("no C compiler (cc)")
    library.write_bytes(b"half")
    assert load(registry.find(str(folders["wide"])), "cpu").machine.runner.dtype == "float32"


def test_what_the_compiled_step_refuses(compiled_runners: dict[str, Any]) -> None:
    """C would read beyond its tables."""
    compiled, _ = compiled_runners["wide"]
    kv = compiled.new_kv()
    for ids in ([-1], [compiled.vocab_size], [5] * 300):
        with pytest.raises(IndexError):
            forward(compiled, ids, kv)
    assert kv.length <= CONTEXT


def test_weights_lie_by_columns_on_a_cpu(loaded: Loaded) -> None:
    """By rows, the product with one new token costs twice the time (a vocabulary of 16,384: 1.7 ms against 0.6)."""
    runner: Any = loaded.machine.runner
    layer = runner._layers[0]
    for weight in (runner._head, layer.qkv, layer.out, layer.up, layer.down):
        assert weight.t().is_contiguous()


def test_shapes_that_the_fast_path_leaves_alone(folders: dict[str, Path]) -> None:
    config = json.loads((folders["llama"] / "config.json").read_text())
    assert shape_of(config) is not None
    for other in (
        {"model_type": "granite"},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1.0}},
        {"rope_scaling": {"type": "linear"}, "rope_parameters": None},
        {"sliding_window": 24},
        {"mlp_bias": True},
        {"layer_types": ["full_attention", "sliding_attention"]},
    ):
        assert shape_of(config | other) is None, other


def test_match_never_mutates_and_never_takes_the_last_token(loaded: Loaded) -> None:
    machine = loaded.machine
    ask(machine, range(20, 60), max_tokens=1)
    before = machine.cache.sizes
    assert machine.cache.match(list(range(20, 60)), "a").length == 39
    assert machine.cache.match(list(range(20, 30)), "b").length == 9
    assert machine.cache.match([1, 2], "a").slot is None
    assert machine.cache.sizes == before


def test_a_locked_slot_is_left_alone(loaded: Loaded) -> None:
    cache, ids = loaded.machine.cache, list(range(20, 40))
    with cache.use(ids, "a") as first:
        run(loaded.machine.runner, [Forward(first, ids)])
        assert cache.match(ids, "b").slot is None
        with cache.use(ids, "b") as second:
            assert second is not first
        cache.clear()
        assert cache.sizes == [20]
    assert cache.problems() == []


def test_another_documents_prefix_is_copied_not_taken(loaded: Loaded) -> None:
    machine, shared = loaded.machine, list(range(20, 90))
    ask(machine, [*shared, 100], document="a", max_tokens=1)
    pieces = ask(machine, [*shared, 101, 102], document="b", max_tokens=1)
    assert pieces[-1].usage["cached_tokens"] == 70
    assert sorted(machine.cache.sizes) == [71, 72]
    again = ask(machine, [*shared, 100, 103], document="a", max_tokens=1)
    assert again[-1].usage["cached_tokens"] == 71


def test_least_recently_used_goes_first(loaded_models: dict[str, Loaded]) -> None:
    machine = fresh(loaded_models["llama"], max_slots=3, max_tokens=100).machine
    for document, start in zip("abcd", (20, 60, 100, 140), strict=True):
        ask(machine, range(start, start + 20), document=document, max_tokens=1)
    assert machine.cache.match([*range(20, 40)], "a").length == 0
    assert machine.cache.match([*range(60, 80)], "b").length == 19
    ask(machine, range(200, 290), document="e", max_tokens=1)
    assert machine.cache.sizes == [90]


def test_a_failed_forward_drops_its_slot(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = loaded.machine
    ask(machine, range(20, 40))
    real = machine.runner.run

    def fail(parts: Sequence[Part]) -> list[torch.Tensor]:
        real(parts)
        raise RuntimeError("out of luck")

    monkeypatch.setattr(machine.runner, "run", fail)
    with pytest.raises(RuntimeError):
        ask(machine, range(20, 45))
    monkeypatch.undo()
    assert machine.cache.sizes == []
    assert ids_of(ask(machine, range(20, 40))) == ids_of(ask(fresh(loaded).machine, range(20, 40)))


def test_common_prefix_by_brute_force() -> None:
    rng = random.Random(5)
    for _ in range(500):
        left = [rng.randint(0, 1) for _ in range(rng.randint(0, 12))]
        right = [rng.randint(0, 1) for _ in range(rng.randint(0, 12))]
        expected = next(
            (n for n, (x, y) in enumerate(zip(left, right, strict=False)) if x != y), min(len(left), len(right))
        )
        assert common_prefix(left, right) == expected


# Decoding


def test_cancel_is_seen_before_the_next_token(loaded: Loaded) -> None:
    machine = slow(loaded)[0].machine
    runner: Any = machine.runner
    flags: list[bool] = []
    stream = decode(Request((20, 21, 22), 50, 0.0), machine, lambda: bool(flags))
    assert [next(stream).finish for _ in range(3)] == [None] * 3
    flags.append(True)
    before = runner.num_forwards
    rest = list(stream)
    assert rest[-1].finish == "cancelled"
    assert runner.num_forwards <= before + 1
    assert machine.cache.problems() == []


def test_cancel_is_seen_between_chunks(tmp_path: Path) -> None:
    long = load(registry.find(str(make_tiny(tmp_path / "long", context=2048))), "cpu", "float32")
    machine = slow(long)[0].machine
    runner: Any = machine.runner
    prompt = [20 + n % 300 for n in range(5 * runner.chunk)]
    pieces = ask(machine, prompt, is_cancelled=lambda: runner.num_forwards >= 2)
    assert [piece.finish for piece in pieces if piece.finish or piece.text] == ["cancelled"]
    assert machine.cache.sizes == [2 * runner.chunk]
    assert ask(machine, prompt)[-1].usage["cached_tokens"] == 2 * runner.chunk


def test_closing_the_generator_frees_the_slot(loaded: Loaded) -> None:
    machine = loaded.machine
    stream = decode(Request((20, 21, 22), 50, 0.0, ignore_eos=True), machine, lambda: False)
    next(stream)
    stream.close()
    assert machine.cache.match([20, 21, 22], "").length == 2
    assert machine.cache.problems() == []


def test_length_limits(loaded: Loaded) -> None:
    machine = slow(loaded)[0].machine
    assert ask(machine, range(20, 30), max_tokens=0)[-1].usage["completion_tokens"] == 0
    assert machine.cache.sizes == [10]
    full = ask(machine, [20 + n for n in range(250)], max_tokens=100)
    assert (full[-1].finish, full[-1].usage["completion_tokens"]) == ("length", 6)


def test_stop_ids(loaded: Loaded) -> None:
    machine = slow(loaded)[0].machine
    generated = ids_of(ask(machine, range(20, 40), max_tokens=12))
    pieces = ask(machine, range(20, 40), max_tokens=12, stop_ids=frozenset({generated[5]}))
    assert ids_of(pieces) == generated[: generated.index(generated[5])]
    assert pieces[-1].finish == "stop"
