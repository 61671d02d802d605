"""Batches as tensors, made in this process or in several others beside it.

A GPU eats a million tokens a second and one core makes a hundred thousand: then every worker reads its own share of the
corpus with its own chance, and hands over finished tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from codegen_lsp.training.batches import Row, Source, batches

Part = tuple[Tensor, Tensor]
"""ids (B, T) padded on the right, and counted (B, T) bool: which ids are targets of the loss."""
WIDTH = 64
"""With workers widths are multiples of this: a compiled model meets few shapes."""
PREFETCH = 4


@dataclass(frozen=True)
class Batch:
    """What one optimiser step learns from, in parts of one forward pass each."""

    parts: tuple[Part, ...]
    num_tokens: int
    num_learnt: int


def stream(source: Source, pad_id: int, workers: int, part_tokens: int) -> Iterator[Batch]:
    """Batches for ever. With workers, the order of their batches is that of their turns: it can be repeated."""
    dataset = _Batches(source, pad_id, part_tokens, WIDTH if workers else 1)
    if not workers:
        return iter(dataset)
    given = {"num_workers": workers, "prefetch_factor": PREFETCH, "pin_memory": torch.cuda.is_available()}
    return iter(DataLoader(dataset, batch_size=None, **given))  # type: ignore[arg-type]


class _Batches(IterableDataset[Batch]):
    def __init__(self, source: Source, pad_id: int, part_tokens: int, width: int) -> None:
        self.source, self.pad_id, self.part_tokens, self.width = source, pad_id, part_tokens, width

    def __iter__(self) -> Iterator[Batch]:
        worker, source = get_worker_info(), self.source
        if worker:
            source = replace(source, seed=source.seed + 1000 * worker.id, share=(worker.id, worker.num_workers))
        for rows in batches(source.rows(), source.recipe.batch_tokens, source.seed):
            yield to_batch(rows, self.pad_id, self.part_tokens, self.width)


def to_batch(rows: Sequence[Row], pad_id: int, part_tokens: int, width: int = 1) -> Batch:
    """Rows of one optimiser step as tensors, parts of about `part_tokens` tokens."""
    size = max(1, part_tokens // max(len(row.ids) for row in rows))
    parts = tuple(_to_part(rows[at : at + size], pad_id, width) for at in range(0, len(rows), size))
    return Batch(parts, sum(len(row.ids) for row in rows), sum(row.num_learnt for row in rows))


def _to_part(rows: Sequence[Row], pad_id: int, width: int) -> Part:
    longest = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), -(-longest // width) * width), pad_id)
    counted = torch.zeros(ids.shape, dtype=torch.bool)
    for n, row in enumerate(rows):
        ids[n, : len(row.ids)] = torch.tensor(row.ids)
        for start, end in row.learnt:
            counted[n, start:end] = True
    return ids, counted
