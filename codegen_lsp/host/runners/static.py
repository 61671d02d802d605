"""The Llama family on a GPU: keys and values in one arena that never moves, so that a step can be a CUDA graph.

A decoded token of a small model is hundreds of kernels of microseconds; launched one by one from Python they take
longer to launch than to run. A graph is launched at once, but always on the same addresses and sizes. So sequences are
rows of an arena that is allocated once, and a step is padded to the next of a few sizes: `SEQUENCES` answers,
`POSITIONS` tokens each, seeing the first `reach` positions of their rows. What padding writes lies behind a row's end
and is written over.

Without a GPU the same steps run one kernel at a time, which is how they are tested.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codegen_lsp.host.runners import Logits, Part, logits_of
from codegen_lsp.host.runners.int8 import Int8, quantised
from codegen_lsp.host.runners.llama import Layer, Shape, rotate, rotations

SEQUENCES = (1, 2, 4)
POSITIONS = (1, 4, 8, 32, 128, 512)
ALL_LOGITS = 8
"""Up to so many positions a step gives the logits of all, beyond that of the last one only."""
REACH = 512
"""Steps see a multiple of so many positions."""
MAX_ROWS = 9
"""One more than the cache keeps: a row is copied before another one goes."""
SPARE = 0.9
"""Of the free memory that the arena may take."""


@dataclass(eq=False)
class Row:
    """One sequence: its row in the arena, and how much of it is in use."""

    number: int
    length: int = 0


@dataclass(frozen=True)
class Size:
    """What a step is padded to."""

    sequences: int
    positions: int
    reach: int


@dataclass(frozen=True)
class Inputs:
    """Where a step of one size reads what it is asked: ids (B, T), rows, starts and lasts (B,), and its logits."""

    ids: Tensor
    rows: Tensor
    starts: Tensor
    lasts: Tensor
    """Which of a sequence's positions is the last real one."""


class StaticRunner:
    """Runner whose steps are CUDA graphs on a GPU."""

    goes_on = False

    def __init__(
        self, shape: Shape, get: Callable[..., Any], max_rows: int = MAX_ROWS, *, is_int8: bool = False
    ) -> None:
        """`get` as for LlamaRunner; `is_int8` keeps the matrices as int8, half of the memory of bfloat16.

        Raises torch.OutOfMemoryError when not even one short sequence fits.
        """
        self._shape = shape
        like: Tensor = get("model.embed_tokens.weight", shape.vocab, shape.hidden)
        head = like if shape.is_tied else get("lm_head.weight", shape.vocab, shape.hidden)
        tables: list[Tensor | Int8] = [quantised(each) if is_int8 else each for each in (like, head)]
        self._embedding, self._head = tables
        self._layers = [_layer(get, number, shape, is_int8) for number in range(shape.layers)]
        self._norm: Tensor = get("model.norm.weight", shape.hidden)
        self.vocab_size = shape.vocab
        self.device, self.dtype = str(like.device), "int8" if is_int8 else str(like.dtype).removeprefix("torch.")
        self.kv_bytes = like.dtype.itemsize
        self.draft_tokens = (3, 3, 7)
        self.chunk = POSITIONS[-1]
        rows, self.positions = _plan(shape, like, max_rows)
        # A row more, for what pads a step to its number of sequences; and what pads its positions lies behind the end.
        wide = self.positions + POSITIONS[-1]
        size = (shape.layers, rows + 1, shape.kv_heads, wide, shape.head_size)
        self._keys, self._values = like.new_zeros(size), like.new_zeros(size)
        self._cos, self._sin = rotations(shape, like, wide)
        self._free = list(range(rows))
        self.max_slots = max(1, rows - 1)
        self._steps: dict[Size, tuple[Inputs, Callable[[], Tensor]]] = {}

    def new_kv(self) -> Row:
        """An empty sequence. Raises MemoryError when all rows are in use."""
        if not self._free:
            raise MemoryError("no row is left for another sequence")
        row = Row(self._free.pop())
        weakref.finalize(row, self._free.append, row.number)
        return row

    def kv_length(self, kv: Row) -> int:
        """Number of ids stored."""
        return kv.length

    def crop(self, kv: Row, length: int) -> bool:
        """Keep the first `length` ids: nothing moves."""
        kv.length = min(kv.length, length)
        return True

    @torch.inference_mode()
    def fork(self, kv: Row, length: int) -> Row | None:
        """Copy the first `length` ids' keys and values; None when no row is left."""
        if not self._free:
            return None
        copy = self.new_kv()
        for each in (self._keys, self._values):
            each[:, copy.number, :, :length] = each[:, kv.number, :, :length]
        copy.length = length
        return copy

    @torch.inference_mode()
    def run(self, parts: Sequence[Part]) -> list[list[Logits]]:
        """Append ids to sequences, as many at once as a step takes; see Runner."""
        found: dict[int, Tensor] = {}
        # Those of a kind together: a prompt beside single tokens would pad these to its length.
        for is_long in (False, True):
            mine = iter([n for n, part in enumerate(parts) if (len(part.ids) > ALL_LOGITS) == is_long])
            while group := list(islice(mine, SEQUENCES[-1])):
                found |= dict(zip(group, self._together([parts[n] for n in group], is_long), strict=True))
        return [logits_of(found[n]) for n in range(len(parts))]

    def _together(self, parts: Sequence[Part], is_long: bool) -> list[Tensor]:
        """Logits (num_logits, vocab) of at most SEQUENCES[-1] parts."""
        if not is_long:
            return self._step(parts)
        rows: list[Tensor] = []
        for part in parts:
            # What is before the last logits needs none; of the rest all are wanted.
            before = len(part.ids) - (part.num_logits if part.num_logits > 1 else 0)
            pieces = [part.ids[at : min(at + self.chunk, before)] for at in range(0, before, self.chunk)]
            pieces += [part.ids[at : at + ALL_LOGITS] for at in range(before, len(part.ids), ALL_LOGITS)]
            wanted = [Part(piece, part.kv, min(len(piece), part.num_logits)) for piece in pieces]
            rows.append(torch.cat([self._step([piece])[0] for piece in wanted])[-part.num_logits :])
        return rows

    def _step(self, parts: Sequence[Part]) -> list[Tensor]:
        """One step for parts that fit into one."""
        ids = [part.ids for part in parts]
        longest = max(map(len, ids))
        end = max(part.kv.length + len(new) for part, new in zip(parts, ids, strict=True))
        if end > self.positions or not all(0 <= number < self.vocab_size for new in ids for number in new):
            raise IndexError("a token id or a position that the model does not have")
        size = Size(_next(len(parts), SEQUENCES), _next(longest, POSITIONS), self._reach(end))
        inputs, replay = self._prepared(size)
        padding = size.sequences - len(parts)
        table = [[*new, *[0] * (size.positions - len(new))] for new in ids] + [[0] * size.positions] * padding
        # The padding's row is the last: nobody's.
        inputs.ids.copy_(torch.tensor(table))
        inputs.rows.copy_(torch.tensor([part.kv.number for part in parts] + [self._keys.shape[1] - 1] * padding))
        inputs.starts.copy_(torch.tensor([part.kv.length for part in parts] + [0] * padding))
        inputs.lasts.copy_(torch.tensor([len(new) - 1 for new in ids] + [0] * padding))
        logits = replay().to(torch.float32, copy=True)  # a graph writes over what it gave before
        found = []
        for n, (part, new) in enumerate(zip(parts, ids, strict=True)):
            part.kv.length += len(new)
            last = len(new) if size.positions <= ALL_LOGITS else 1
            found.append(logits[n, max(0, last - part.num_logits) : last])
        return found

    def _reach(self, end: int) -> int:
        """Positions that a step has to see: powers of two, so that few sizes come up."""
        reach = REACH
        while reach < end:
            reach *= 2
        return min(reach, self.positions + POSITIONS[-1])

    def _prepared(self, size: Size) -> tuple[Inputs, Callable[[], Tensor]]:
        """A step's inputs, and what runs it; made when a size first comes up."""
        if size not in self._steps:
            like: dict[str, Any] = {"dtype": torch.long, "device": self._keys.device}
            inputs = Inputs(
                torch.zeros((size.sequences, size.positions), **like),
                *(torch.zeros(size.sequences, **like) for _ in range(3)),
            )
            inputs.rows.fill_(self._keys.shape[1] - 1)

            def step() -> Tensor:
                return self._forward(inputs, size)

            self._steps[size] = inputs, _graphed(step) if self._keys.is_cuda else step
        return self._steps[size]

    def _forward(self, inputs: Inputs, size: Size) -> Tensor:
        """Logits (B, T, vocab) of all positions, or (B, 1, vocab) of the last ones; keys and values are stored."""
        shape = self._shape
        places = inputs.starts[:, None] + torch.arange(size.positions, device=inputs.ids.device)
        # (B, 1, T, reach): what stands at or before a position.
        mask = torch.arange(size.reach, device=inputs.ids.device) <= places[:, None, :, None]
        angles = self._cos[places][:, None], self._sin[places][:, None]
        x = _looked_up(inputs.ids, self._embedding).to(self._keys.dtype)
        for number, layer in enumerate(self._layers):
            normed = F.rms_norm(x, (shape.hidden,), layer.norm_in, shape.eps)
            x = x + self._attend(layer, number, normed, (inputs.rows, places, angles, mask))
            normed = F.rms_norm(x, (shape.hidden,), layer.norm_mid, shape.eps)
            gate, up = _linear(normed, layer.up).chunk(2, dim=-1)
            x = x + _linear(F.silu(gate) * up, layer.down)
        if size.positions > ALL_LOGITS:
            x = x[torch.arange(size.sequences, device=x.device), inputs.lasts][:, None]
        return _linear(F.rms_norm(x, (shape.hidden,), self._norm, shape.eps), self._head)

    def _attend(
        self, layer: Layer, number: int, x: Tensor, where: tuple[Tensor, Tensor, tuple[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """Attention of x (B, T, hidden)."""
        shape, (batch, num, _) = self._shape, x.shape
        rows, places, angles, mask = where
        fused = _linear(x, layer.qkv, layer.qkv_bias).view(batch, num, -1, shape.head_size).transpose(1, 2)
        q, k, v = torch.split(fused, [shape.heads, shape.kv_heads, shape.kv_heads], dim=1)
        if layer.norm_q is not None:
            q = F.rms_norm(q, (shape.head_size,), layer.norm_q, shape.eps)
            k = F.rms_norm(k, (shape.head_size,), layer.norm_k, shape.eps)
        q, k = rotate(q, *angles), rotate(k, *angles)
        keys, values = self._keys[number], self._values[number]
        keys[rows[:, None], :, places] = k.transpose(1, 2)
        values[rows[:, None], :, places] = v.transpose(1, 2)
        reach = mask.shape[-1]
        mixed = F.scaled_dot_product_attention(
            q, keys[:, :, :reach][rows], values[:, :, :reach][rows], attn_mask=mask, enable_gqa=True
        )
        return _linear(mixed.transpose(1, 2).reshape(batch, num, -1), layer.out, layer.out_bias)


def _layer(get: Callable[..., Any], number: int, shape: Shape, is_int8: bool) -> Layer:
    layer = Layer(get, number, shape)
    for name in ("qkv", "out", "up", "down") if is_int8 else ():
        setattr(layer, name, quantised(getattr(layer, name)))
    return layer


def _linear(x: Tensor, weight: Tensor | Int8, bias: Tensor | None = None) -> Tensor:
    """x times a matrix; one of int8 is widened for the product, and each result scaled by its row's scale."""
    if isinstance(weight, Tensor):
        return F.linear(x, weight, bias)
    y = F.linear(x, weight.values.to(x.dtype)) * weight.scales.to(x.dtype)
    return y if bias is None else y + bias


def _looked_up(ids: Tensor, weight: Tensor | Int8) -> Tensor:
    """Rows of a matrix."""
    if isinstance(weight, Tensor):
        return F.embedding(ids, weight)
    return weight.values[ids] * weight.scales[ids][..., None]


def _plan(shape: Shape, like: Tensor, max_rows: int) -> tuple[int, int]:
    """Rows and positions of the arena, as the free memory holds them: before less than two rows a shorter context."""
    token = 2 * shape.layers * shape.kv_heads * shape.head_size * like.dtype.itemsize
    if not like.is_cuda:
        return max_rows, shape.positions
    free = int(torch.cuda.mem_get_info(like.device)[0] * SPARE)
    num_tokens = free // token
    for positions in (shape.positions >> n for n in range(16)):
        rows = min(max_rows, num_tokens // (positions + POSITIONS[-1]) - 1)
        if rows >= 2 or positions <= REACH:
            break
    if rows < 1:
        raise torch.OutOfMemoryError("not even one short sequence fits beside the weights")
    return rows, positions


def _graphed(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A step recorded as a CUDA graph; its result is written over by the next run."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # what kernels allocate the first time must not be part of the graph
        for _ in range(2):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


def _next(num: int, sizes: Sequence[int]) -> int:
    return next(size for size in sizes if size >= num)
