#!/usr/bin/env python3
"""Milliseconds of prefill and of a decoded token on the host's own path, for model folders side by side.

usage: decode.py [MODEL …] [--prompt N] [--answer N] [--rounds N] [--threads N]

For every model: ours, and transformers `generate` on the same prompt in the same run, in turn; medians. The limit is
the time in which the weights can be read once from memory, at the bandwidth that copying a large array has here.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from transformers import AutoModelForCausalLM

from codegen_lsp import registry
from codegen_lsp.host.cache import KVCache
from codegen_lsp.host.decode import Machine, decode
from codegen_lsp.host.load import load
from codegen_lsp.host.params import Request


def copy_bandwidth(megabytes: int = 256) -> float:
    """Bytes per second read while copying, the best of five."""
    source = torch.ones(megabytes << 18)
    target = torch.empty_like(source)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        target.copy_(source)
        times.append(time.perf_counter() - began)
    return (megabytes << 20) / min(times)


def ours(machine: Machine, ids: tuple[int, ...], num: int) -> tuple[float, float]:
    """Milliseconds of prefill and of a token; the cache is empty before."""
    fresh = replace(machine, cache=KVCache(machine.runner, max_tokens=4096))
    request = Request(ids=ids, max_tokens=num, ignore_eos=True, logprobs=0)
    usage: dict[str, Any] = {}
    for piece in decode(request, fresh, lambda: False):
        usage = piece.usage or usage
    return usage["prefill_ms"], usage["decode_ms"] / (num - 1)


def theirs(model: Any, ids: tuple[int, ...], num: int) -> tuple[float, float]:
    """The same of transformers: one call for a single token, one for all."""
    prompt = torch.tensor([ids])

    def call(length: int) -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=length,
                min_new_tokens=length,
                do_sample=False,
            )
        return 1000 * (time.perf_counter() - began)

    first = call(1)
    return first, (call(num) - first) / (num - 1)


def measure(ways: dict[str, Callable[[], tuple[float, float]]], rounds: int) -> dict[str, tuple[float, float]]:
    """Medians of every way, the ways taken in turn."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            pair = way()
            if turn:  # the first warms up
                found[name].append(pair)
    return {
        name: (statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs))
        for name, pairs in found.items()
    }


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", default=[registry.DEFAULT_MODEL])
    parser.add_argument("--prompt", type=int, default=400, help="tokens of prompt (default: 400)")
    parser.add_argument("--answer", type=int, default=40, help="tokens of answer (default: 40)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    bandwidth = copy_bandwidth()
    print(f"copying reads {bandwidth / 1e9:.1f} GB/s; {args.threads} thread(s), {args.prompt} + {args.answer} tokens")
    for name in args.models:
        info = registry.find(name)
        machine, peer = (
            load(info, "cpu").machine,
            AutoModelForCausalLM.from_pretrained(info.folder, dtype=torch.float32),
        )
        rng = random.Random(1)
        ids = tuple(rng.randrange(10, peer.config.vocab_size) for _ in range(args.prompt))
        ways = {
            "ours": partial(ours, machine, ids, args.answer),
            "transformers": partial(theirs, peer, ids, args.answer),
        }
        found = measure(ways, args.rounds)
        size = sum(weight.numel() * weight.element_size() for weight in peer.parameters())
        limit = 1000 * size / bandwidth
        print(f"{info.id}: {size / 1e6:.0f} MB of fp32 weights, read once in {limit:.2f} ms")
        for way, (prefill, token) in found.items():
            print(f"  {way:14} prefill {prefill:7.1f} ms   token {token:6.2f} ms   {limit / token:4.0%} of the limit")


if __name__ == "__main__":
    main()
