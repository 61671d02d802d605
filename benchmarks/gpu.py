#!/usr/bin/env python3
"""The engine on a GPU, with random weights in the shapes of known models; on a CPU the same with a small shape.

usage: gpu.py [--shape NAME …] [--device cuda|cpu] [--dtype bfloat16|float32] [--answer N] [--rounds N]

For every shape: cold prefill of 2k and 8k tokens, decode of one sequence, a trace of typing (one to three tokens more,
then 16 new ones), and four sequences at once; ours, and transformers `generate` in the same run, medians of the rounds.
The limit is the time in which the weights can be read once, at the bandwidth that copying a large array has here. The
logits of both are compared first. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from codegen_lsp.host.runners import Logits, Part
from codegen_lsp.host.runners.llama import shape_of
from codegen_lsp.host.runners.static import StaticRunner

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {"vocab": 16_384, "hidden": 256, "inner": 704, "layers": 6, "heads": 4, "kv": 2, "positions": 4096},
    "seed": {"vocab": 16_384, "hidden": 512, "inner": 1280, "layers": 8, "heads": 8, "kv": 2, "positions": 16_384},
    # Qwen2.5-Coder's sizes
    "1.5B": {"vocab": 151_936, "hidden": 1536, "inner": 8960, "layers": 28, "heads": 12, "kv": 2, "positions": 16_384},
    "7B": {"vocab": 152_064, "hidden": 3584, "inner": 18_944, "layers": 28, "heads": 28, "kv": 4, "positions": 16_384},
}
TYPED, NEW = 30, 16


@dataclass(frozen=True)
class Engines:
    """Ours and transformers' model on the same weights."""

    ours: Any
    theirs: Any
    device: str


def make(sizes: dict[str, Any], device: str, dtype: torch.dtype) -> Engines:
    """Both engines; the weights are in memory once."""
    config = LlamaConfig(
        vocab_size=sizes["vocab"],
        hidden_size=sizes["hidden"],
        intermediate_size=sizes["inner"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        num_key_value_heads=sizes["kv"],
        max_position_embeddings=sizes["positions"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(1)
    with torch.device(device):
        model = LlamaForCausalLM._from_config(config, dtype=dtype).eval()
    weights = dict(model.named_parameters())

    def get(name: str, *_size: int, optional: bool = False) -> Any:
        return weights.get(name) if optional else weights[name].detach()

    shape = shape_of(config.to_dict())
    assert shape is not None
    # A CPU is served by other runners; the steps of a GPU run there for the rehearsal.
    return Engines(StaticRunner(shape, get, max_rows=6), model, device)


def timed(device: str, call: Callable[[], object], rounds: int) -> float:
    """Median milliseconds of a call, the first of them (graphs, kernels) left out."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        call()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[1:])


def greedy(runner: Any, kv: Any, ids: Sequence[int], num: int) -> list[int]:
    """`num` new ids behind some; one step each, no drafts."""
    found: list[int] = []
    logits = prefill(runner, kv, ids)
    while True:
        found.append(logits.best)
        if len(found) == num:
            return found
        logits = runner.run([Part(found[-1:], kv)])[0][-1]


def prefill(runner: Any, kv: Any, ids: Sequence[int]) -> Logits:
    """Logits after ids, run in pieces."""
    for at in range(0, len(ids), runner.chunk):
        logits = runner.run([Part(ids[at : at + runner.chunk], kv)])[0][-1]
    return logits


def generate(model: Any, ids: Sequence[int], num: int) -> None:
    """As a naive user does."""
    given = torch.tensor([list(ids)], device=model.device)
    model.generate(given, max_new_tokens=num, min_new_tokens=num, do_sample=False, pad_token_id=0)


def together(runner: Any, kvs: Sequence[Any], num: int) -> None:
    """`num` steps of several sequences at once."""
    last = [5] * len(kvs)
    for _ in range(num):
        rows = runner.run([Part([token], kv) for token, kv in zip(last, kvs, strict=True)])
        last = [each[-1].best for each in rows]


def agreement(engines: Engines, ids: Sequence[int]) -> float:
    """Largest difference of logits to transformers', as a share of the largest logit."""
    ours = prefill(engines.ours, engines.ours.new_kv(), ids).values
    with torch.inference_mode():
        theirs = engines.theirs(torch.tensor([list(ids)], device=engines.device)).logits[0, -1].float()
    return float((ours - theirs).abs().max() / theirs.abs().max())


def bandwidth(device: str) -> float:
    """Bytes per second read while copying, the best of five."""
    source = torch.ones((1 if device == "cpu" else 4) << 26, device=device)
    target = torch.empty_like(source)
    copied = timed(device, lambda: target.copy_(source), 5)
    return source.numel() * 4 / (copied / 1000)


def measure(engines: Engines, args: argparse.Namespace, positions: int) -> dict[str, float]:
    """The figures of one shape."""
    rng, runner = random.Random(1), engines.ours
    ids = [rng.randrange(10, runner.vocab_size) for _ in range(9000)]
    figures = {"logits_differ_by": round(agreement(engines, ids[:300]), 5)}
    kv = runner.new_kv()

    def ask(length: int, num: int) -> Callable[[], object]:
        def call() -> None:
            runner.crop(kv, 0)
            greedy(runner, kv, ids[:length], num)

        return call

    lengths = [length for length in (2048, 8192) if length + args.answer < min(positions, runner.positions)]
    for length in lengths or [256]:
        figures[f"prefill_{length}_ms"] = timed(engines.device, ask(length, 1), args.rounds)
        figures[f"prefill_{length}_generate_ms"] = timed(
            engines.device, lambda n=length: generate(engines.theirs, ids[:n], 1), args.rounds
        )
    at = min(1024, runner.positions // 2)
    prefill(runner, kv, ids[: runner.crop(kv, 0) and at])

    def decode() -> None:
        runner.crop(kv, at)
        greedy(runner, kv, ids[at : at + 1], args.answer)

    figures["decode_ms"] = timed(engines.device, decode, args.rounds) / args.answer
    both = [
        timed(engines.device, lambda n=n: generate(engines.theirs, ids[:at], n), args.rounds) for n in (1, args.answer)
    ]
    figures["decode_generate_ms"] = (both[1] - both[0]) / (args.answer - 1)
    weights = sum(each.numel() * each.element_size() for each in engines.theirs.parameters())
    figures["limit_ms"] = weights / bandwidth(engines.device) * 1000
    figures["of_limit"] = figures["limit_ms"] / figures["decode_ms"]
    steps = []
    for _ in range(TYPED):
        at += rng.randint(1, 3)
        kept = min(at - 1, kv.length)
        began = time.perf_counter()
        runner.crop(kv, kept)
        greedy(runner, kv, ids[kept:at], NEW)
        steps.append((time.perf_counter() - began) * 1000)
    figures["typing_p50_ms"], figures["typing_max_ms"] = statistics.median(steps), max(steps)
    kvs = [runner.fork(kv, 512) for _ in range(4)]
    four = timed(
        engines.device, lambda: [runner.crop(each, 512) for each in kvs] and together(runner, kvs, NEW), args.rounds
    )
    figures["four_at_once_ms"] = four / NEW
    return {name: round(value, 4) for name, value in figures.items()}


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    has_gpu = torch.cuda.is_available()
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), default=["1.5B", "7B"] if has_gpu else ["tiny"])
    parser.add_argument("--device", default="cuda" if has_gpu else "cpu")
    parser.add_argument("--dtype", default="bfloat16" if has_gpu else "float32", choices=("bfloat16", "float32"))
    parser.add_argument("--answer", type=int, default=64, help="new tokens (default: 64)")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    name = torch.cuda.get_device_name() if args.device.startswith("cuda") else "CPU"
    print(f"{name}, {args.dtype}, torch {torch.__version__}")
    report: dict[str, Any] = {"device": name, "dtype": args.dtype}
    for shape in args.shape:
        with torch.inference_mode():
            engines = make(SHAPES[shape], args.device, getattr(torch, args.dtype))
            report[shape] = measure(engines, args, SHAPES[shape]["positions"])
        print(f"\n{shape}")
        for key, value in report[shape].items():
            print(f"  {key:28} {value:10.3f}")
        del engines
    print(json.dumps(report))


if __name__ == "__main__":
    main()
