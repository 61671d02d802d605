"""Bits per byte: how surprised a model is, comparable across tokenizers and far finer than what passes or fails."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from codegen_lsp.host.load import Loaded
from codegen_lsp.host.runners import Part
from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training.batches import SPM, Row, encode
from codegen_lsp.training.model import loss_sum
from codegen_lsp.training.samples import Sample
from codegen_lsp.training.tasks import Task

WINDOW = 512
PREFIX_CHARS = 1_200
SUFFIX_CHARS = 300
"""Shown around a held-out place, whatever a model was trained with: the figures stay comparable."""


def bits_per_byte(model: Any, tokenizer: FileTokenizer, texts: Sequence[str], size: int = WINDOW) -> float:
    """Mean bits per UTF-8 byte of texts, in windows of `size` tokens, the first token of each given."""
    nats, num_bytes = 0.0, 0
    for text in texts:
        ids = tokenizer.encode(text)
        for at in range(0, len(ids) - 1, size - 1):
            window = ids[at : at + size]
            nats += _nats(model, Row(tuple(window), ((1, len(window)),)))
        num_bytes += len(text.encode())
    return nats / math.log(2) / num_bytes


def served_bits(loaded: Loaded, texts: Sequence[str], size: int = WINDOW) -> float:
    """As `bits_per_byte`, by the forward that the host runs: what int8 and a faster order of sums cost."""
    runner, nats, num_bytes = loaded.machine.runner, 0.0, 0
    size = min(size, loaded.machine.context_window)
    for text in texts:
        ids = loaded.tokenizer.encode(text)
        for at in range(0, len(ids) - 1, size - 1):
            window = ids[at : at + size]
            (rows,) = runner.run([Part(window, runner.new_kv(), len(window))])
            nats += sum(
                row.total - float(row.values[following]) for row, following in zip(rows, window[1:], strict=False)
            )
        num_bytes += len(text.encode())
    return nats / math.log(2) / num_bytes


def answer_bits(model: Any, tokenizer: FileTokenizer, samples: Iterable[Sample]) -> float:
    """Bits per UTF-8 byte of the samples' middles given their prompts (SPM); the end token's bits count too."""
    nats, num_bytes = 0.0, 0
    for sample in samples:
        nats += _nats(model, encode(sample, tokenizer, SPM, learn_all=False))
        num_bytes += len(sample.middle.encode())
    return nats / math.log(2) / num_bytes if num_bytes else 0.0


def sample_of(task: Task) -> Sample:
    """A held-out place with what stands next to it."""
    return Sample(task.prefix[-PREFIX_CHARS:], task.suffix[:SUFFIX_CHARS], task.target, task.path)


def _nats(model: Any, row: Row) -> float:
    """Summed over the learnt positions of one row; 0 of a row without any."""
    if len(row.ids) < 2:
        return 0.0
    ids = torch.tensor([row.ids])
    counted = torch.zeros_like(ids, dtype=torch.bool)
    for start, end in row.learnt:
        counted[:, start:end] = True
    with torch.inference_mode():
        return float(loss_sum(model, ids, counted)[0])
