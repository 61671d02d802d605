"""Batches as tensors, made in this process or in several others beside it.

A GPU eats a million tokens a second and one core makes a hundred thousand: then every worker reads its own share of the
corpus with its own chance, and hands over finished tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from codegen_lsp.training.batches import Row, Source, groups, width_of

PREFETCH = 8
"""Parts that each worker makes ahead."""


class Part(NamedTuple):
    """What goes through one forward pass."""

    ids: Tensor
    """(B, T), padded on the right."""
    counted: Tensor
    """(B, T) bool: which ids are targets of the loss."""
    num_tokens: int
    num_learnt: int


@dataclass(frozen=True)
class Batch:
    """What one optimiser step learns from: parts of different widths."""

    parts: tuple[Part, ...]

    @property
    def num_tokens(self) -> int:
        """Without padding."""
        return sum(part.num_tokens for part in self.parts)

    @property
    def num_learnt(self) -> int:
        """Targets of the loss."""
        return sum(part.num_learnt for part in self.parts)


def stream(source: Source, pad_id: int, workers: int, part_tokens: int) -> Iterator[Batch]:
    """Batches of about the recipe's size, for ever. With workers the order is who comes first, and not repeated."""
    dataset = _Parts(source, pad_id, part_tokens)
    given = {"num_workers": workers, "prefetch_factor": PREFETCH, "in_order": False}
    given["pin_memory"] = torch.cuda.is_available()
    parts = iter(DataLoader(dataset, batch_size=None, **given)) if workers else iter(dataset)  # type: ignore[arg-type]
    return _batches(parts, source.recipe.batch_tokens)


def _batches(parts: Iterator[Part], batch_tokens: int) -> Iterator[Batch]:
    gathered: list[Part] = []
    for part in parts:
        gathered.append(part)
        if sum(each.ids.numel() for each in gathered) > batch_tokens - part.ids.numel() // 2:
            yield Batch(tuple(gathered))
            gathered = []


class _Parts(IterableDataset[Part]):
    def __init__(self, source: Source, pad_id: int, part_tokens: int) -> None:
        self.source, self.pad_id, self.part_tokens = source, pad_id, part_tokens

    def __iter__(self) -> Iterator[Part]:
        worker, source = get_worker_info(), self.source
        if worker:
            source = replace(source, seed=source.seed + 1000 * worker.id, share=(worker.id, worker.num_workers))
        for rows in groups(source.rows(), self.part_tokens):
            yield to_part(rows, self.pad_id)


def to_part(rows: Sequence[Row], pad_id: int) -> Part:
    """Rows as tensors, as wide as WIDTHS says of the longest."""
    width = width_of(max(len(row.ids) for row in rows))
    ids = torch.full((len(rows), width), pad_id)
    counted = torch.zeros(ids.shape, dtype=torch.bool)
    for n, row in enumerate(rows):
        ids[n, : len(row.ids)] = torch.tensor(row.ids)
        for start, end in row.learnt:
            counted[n, start:end] = True
    return Part(ids, counted, sum(len(row.ids) for row in rows), sum(row.num_learnt for row in rows))
