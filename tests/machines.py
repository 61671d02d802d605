"""Tiny machines for tests: fixtures (`pytest_plugins = ["machines"]` in a test module), and ways to ask them.

PYTEST_DONT_REWRITE: test modules also import from here, before pytest could.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import WORDS, make_tiny

from codegen_lsp import registry
from codegen_lsp.host.answer import Piece
from codegen_lsp.host.cache import KVCache
from codegen_lsp.host.decode import Machine, decode
from codegen_lsp.host.load import Loaded, load
from codegen_lsp.host.params import Request
from codegen_lsp.host.runners import Part

KINDS = ("llama", "wide", "qwen2", "qwen3", "gpt2", "mistral")
CODE = [word for word in WORDS.split() if word not in ("False", "int")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {kind: make_tiny(root / kind, kind, seed=3) for kind in KINDS}


@pytest.fixture(scope="module")
def loaded_models(folders: dict[str, Path]) -> dict[str, Loaded]:
    torch.set_num_threads(1)
    return {kind: load(registry.find(str(folder)), "cpu", "float32") for kind, folder in folders.items()}


@pytest.fixture
def loaded(loaded_models: dict[str, Loaded]) -> Loaded:
    return fresh(loaded_models["llama"])


def fresh(loaded: Loaded, **cache: int) -> Loaded:
    """The same weights with an empty cache."""
    runner = loaded.machine.runner
    return replace(loaded, machine=replace(loaded.machine, cache=KVCache(runner, **cache)))


def ask(machine: Machine, ids: Sequence[int], **fields: Any) -> list[Piece]:
    """All pieces of a greedy answer, of 8 tokens unless told otherwise."""
    is_cancelled: Callable[[], bool] = fields.pop("is_cancelled", lambda: False)
    defaults: dict[str, Any] = {"temperature": 0.0, "max_tokens": 8, "document": "a"}
    return list(decode(Request(tuple(ids), **defaults | fields), machine, is_cancelled))


def ids_of(pieces: Sequence[Piece]) -> list[int]:
    return [token.id for piece in pieces for token in piece.tokens]


def text_of(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@torch.inference_mode()
def naive(model: Any, ids: Sequence[int], num_tokens: int, end: int = 0) -> list[int]:
    """The oracle: transformers' own forward over everything, for every token."""
    sequence = list(ids)
    for _ in range(num_tokens):
        chosen = int(model(input_ids=torch.tensor([sequence]), use_cache=False).logits[0, -1].argmax())
        if chosen == end:
            break
        sequence.append(chosen)
    return sequence[len(ids) :]


def forward(runner: Any, ids: Sequence[int], kv: Any) -> torch.Tensor:
    """Logits (vocab_size,) after the last of some ids."""
    logits: torch.Tensor = runner.run([Part(ids, kv)])[0][-1].values
    return logits


class SlowRunner:
    """A runner that takes its time and counts."""

    def __init__(self, runner: Any, delay: float = 0.0) -> None:
        self._runner = runner
        self._delay = delay
        self.num_forwards = 0
        self.draft_tokens = (0, 0, 0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def run(self, parts: Sequence[Part]) -> list[torch.Tensor]:
        self.num_forwards += 1
        time.sleep(self._delay)
        found: list[torch.Tensor] = self._runner.run(parts)
        return found


def slow(loaded: Loaded, delay: float = 0.0) -> tuple[Loaded, SlowRunner]:
    runner = SlowRunner(loaded.machine.runner, delay)
    machine = replace(loaded.machine, runner=runner, cache=KVCache(runner), end_ids=frozenset())
    return replace(loaded, machine=machine), runner


async def begun(runner: SlowRunner) -> None:
    """Wait until an answer is under way."""
    await asyncio.to_thread(until, lambda: runner.num_forwards >= 3)


def until(is_true: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
