#!/usr/bin/env python3
"""Other engines on the same weights, each in a process of its own with that engine's defaults.

usage: peers.py NAME MODEL --cache DIR [--threads N]

Reads a JSON object a line from standard input ({"ids", "num", "fresh"}) and writes one for each: {"ids", "ms",
"computed"}. The first line says "ready", or "missing" and why. Time is taken here, around the engine's own call.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

HERE = Path(__file__).resolve().parent
WINDOW = 2048
MAX_LOOSE = 64
"""Prompt tokens behind the static prompt from which CTranslate2 gets a new one."""


class Missing(Exception):
    """An engine that cannot be had here; `str()` of it says why."""


class Peer(Protocol):
    """An engine with the state that its last prompt left."""

    bytes_per_weight: float

    def ask(self, ids: Sequence[int], num: int) -> tuple[list[int], int | None]:
        """`num` greedy ids after a prompt, and how many tokens went through the model (None: unknown)."""

    def forget(self) -> None:
        """Drop the state."""


class Plain:
    """Our decode loop in this process: no host, no HTTP, no drafts."""

    def __init__(self, folder: Path, cache: Path, threads: int) -> None:
        from codegen_lsp import registry
        from codegen_lsp.host.load import load, set_environment

        os.environ["OMP_NUM_THREADS"] = str(threads)
        set_environment()
        self._machine = load(registry.find(str(folder)), "cpu").machine
        self._machine.runner.draft_tokens = (0, 0, 0)
        self.bytes_per_weight = 1.0 if self._machine.runner.dtype == "int8" else 4.0
        self._document = 0

    def ask(self, ids: Sequence[int], num: int) -> tuple[list[int], int | None]:
        """See Peer."""
        from codegen_lsp.host.decode import decode
        from codegen_lsp.host.params import Request

        request = Request(tuple(ids), num, temperature=0.0, ignore_eos=True, document=str(self._document))
        pieces = list(decode(request, self._machine, lambda: False))
        found = [token.id for piece in pieces for token in piece.tokens]
        return found, len(ids) - int(pieces[-1].usage["cached_tokens"]) + num

    def forget(self) -> None:
        """See Peer."""
        self._document += 1


class LlamaCpp:
    """llama.cpp through llama_cpp, with its own reuse of the longest common prefix."""

    def __init__(self, folder: Path, cache: Path, threads: int, kind: str) -> None:
        Llama = imported("llama_cpp").Llama
        self.bytes_per_weight = 34 / 32 if kind == "q8_0" else 2.0
        path = cached(cache, folder, f"{kind}.gguf", lambda out: convert_gguf(folder, out, kind))
        self._llama: Any = Llama(str(path), n_ctx=WINDOW, n_threads=threads, n_threads_batch=threads, verbose=False)

    def ask(self, ids: Sequence[int], num: int) -> tuple[list[int], int | None]:
        """See Peer."""
        held = self._llama.input_ids[: self._llama.n_tokens].tolist()
        kept = min(common(held, ids), len(ids) - 1)
        found = list(islice(self._llama.generate(ids, top_k=1, temp=0.0), num))
        return found, len(ids) - kept + num

    def forget(self) -> None:
        """See Peer."""
        self._llama.reset()


class CTranslate2:
    """CTranslate2 with int8 weights. It keeps the state of one static prompt, which has to be the same text.

    So a growing prompt is given in two parts: as static prompt what the last prompt and this one have in common, as
    start what was typed since; a new static prompt when the old one is no beginning any more, or has become short.
    """

    bytes_per_weight = 1.0

    def __init__(self, folder: Path, cache: Path, threads: int) -> None:
        ctranslate2 = imported("ctranslate2")
        path = cached(cache, folder, "ct2-int8", lambda out: convert_ctranslate2(folder, out))
        self._generator = ctranslate2.Generator(str(path), device="cpu", compute_type="int8", intra_threads=threads)
        self._tokens: list[str] = json.loads((path / "vocabulary.json").read_text(encoding="utf-8"))
        self._no_end = [self._tokens[-1]]
        self.forget()

    def ask(self, ids: Sequence[int], num: int) -> tuple[list[int], int | None]:
        """See Peer."""
        is_kept = common(self._static, ids) == len(self._static) and len(ids) - MAX_LOOSE < len(self._static)
        if not is_kept or not self._static or len(self._static) >= len(ids):
            shared = min(common(self._last, ids), len(ids) - 1)
            self._static = list(ids[: shared if shared > max(0, len(ids) - MAX_LOOSE) else len(ids) - 1])
            is_kept = False
        self._last = list(ids)
        found = self._generator.generate_batch(
            [self._texts(ids[len(self._static) :])],
            static_prompt=self._texts(self._static),
            max_length=num,
            min_length=num,
            end_token=self._no_end,
            include_prompt_in_result=False,
        )
        return list(found[0].sequences_ids[0]), len(ids) - len(self._static) * is_kept + num

    def forget(self) -> None:
        """See Peer."""
        self._static: list[int] = []
        self._last: list[int] = []

    def _texts(self, ids: Iterable[int]) -> list[str]:
        return [self._tokens[number] for number in ids]


class Naive:
    """transformers' `generate` in float32, as most would write it: all of the prompt, every time."""

    bytes_per_weight = 4.0

    def __init__(self, folder: Path, cache: Path, threads: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(threads)
        self._torch = torch
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._model.generation_config.eos_token_id = None

    def ask(self, ids: Sequence[int], num: int) -> tuple[list[int], int | None]:
        """See Peer."""
        prompt = self._torch.tensor([list(ids)])
        mask = self._torch.ones_like(prompt)
        out = self._model.generate(prompt, attention_mask=mask, max_new_tokens=num, do_sample=False)
        return out[0, len(ids) :].tolist(), len(ids) + num

    def forget(self) -> None:
        """See Peer."""


PEERS: Mapping[str, Callable[[Path, Path, int], Peer]] = {
    "plain": Plain,
    "llama-q8_0": lambda *args: LlamaCpp(*args, "q8_0"),
    "llama-f16": lambda *args: LlamaCpp(*args, "f16"),
    "ctranslate2": CTranslate2,
    "transformers": Naive,
}
TITLES = {
    "ours": "ours (host, over its socket)",
    "plain": "ours, in process, no drafts",
    "llama-q8_0": "llama.cpp q8_0",
    "llama-f16": "llama.cpp f16",
    "ctranslate2": "CTranslate2 int8",
    "transformers": "transformers generate fp32",
}


def common(left: Sequence[int], right: Sequence[int]) -> int:
    """Number of ids with which both begin."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((at for at, (ours, theirs) in pairs if ours != theirs), min(len(left), len(right)))


def imported(name: str) -> Any:
    """A module. Raises Missing."""
    if importlib.util.find_spec(name) is None:
        raise Missing(f"the package {name} is not installed")
    return importlib.import_module(name)


def cached(cache: Path, folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """A converted model in the cache, made when there is none for these weights."""
    from codegen_lsp.engine.launch import HostSpec

    path = cache / f"{folder.name}-{HostSpec(str(folder)).key}-{name}"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        make(path)
    return path


def convert_gguf(folder: Path, out: Path, kind: str) -> None:
    """Write a GGUF file; in a process of its own, since torch is not wanted in this one. Raises Missing."""
    imported("gguf")
    command = [sys.executable, str(HERE / "gguf_file.py"), str(folder), str(out), "--type", kind]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Missing(f"no GGUF file: {done.stderr.strip().splitlines()[-1]}")


def convert_ctranslate2(folder: Path, out: Path) -> None:
    """Write a CTranslate2 model; in a process of its own."""
    code = (
        "import sys; from ctranslate2.converters import TransformersConverter as Converter; "
        "Converter(sys.argv[1]).convert(sys.argv[2], quantization='int8', force=True)"
    )
    partial = out.with_name(out.name + ".partial")
    command = [sys.executable, "-c", code, str(folder), str(partial)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Missing(f"no CTranslate2 model: {done.stderr.strip().splitlines()[-1]}")
    partial.rename(out)


def serve(peer: Peer) -> None:
    """Answer requests until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if request["fresh"]:
            peer.forget()
        began = time.perf_counter()
        ids, computed = peer.ask(request["ids"], request["num"])
        ms = (time.perf_counter() - began) * 1000
        _say({"ids": ids, "ms": ms, "computed": computed})


def _say(message: Mapping[str, object]) -> None:
    sys.__stdout__.write(json.dumps(message) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name", choices=sorted(PEERS))
    parser.add_argument("model", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="where converted models are kept")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    sys.stdout = sys.stderr
    try:
        peer = PEERS[args.name](args.model, args.cache, args.threads)
    except Missing as error:
        _say({"missing": str(error)})
        return
    _say({"ready": True, "bytes_per_weight": peer.bytes_per_weight})
    serve(peer)


if __name__ == "__main__":
    main()
