"""The Llama family on a CPU with int8 weights: the whole forward in C (step.c), without torch's part in it.

Equal by test to llama.py on the same weights widened again. Bit for bit the same logits for a position whatever it is
run together with, so neither prefill in pieces nor a verified draft can change an answer.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from ctypes import POINTER, c_float, c_int32, c_void_p
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from codegen_lsp.host.runners import Greedy, Logits, Part
from codegen_lsp.host.runners.int8 import Int8, quantised
from codegen_lsp.host.runners.llama import Shape, Store, rotations

PIECE = 160
"""Positions of one call: MAX_TOKENS of step.c."""
FEW = 8
"""Positions of a step of it: FEW of step.c."""
STEPS = 4
"""Of greedy decoding in one call: a few milliseconds with the bundled model, in which nobody else gets a turn."""
MAX_HEAD_SIZE = 256
MAX_THREADS = 64
"""What step.c has room for."""
MAX_LANES = 16
"""Numbers of the widest vector that step.c knows: of a matrix, as many rows lie interleaved."""
HUGE = 1 << 21
"""Bytes of a huge page."""


class _Matrix(ctypes.Structure):
    _fields_ = (("rows", c_void_p), ("scales", c_void_p))


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("norm_in", "norm_mid")),
        *((name, _Matrix) for name in ("qkv", "out", "up", "down")),
        *((name, c_void_p) for name in ("qkv_bias", "out_bias", "norm_q", "norm_k")),
    )


class _Model(ctypes.Structure):
    _fields_ = (
        *((name, c_int32) for name in ("layers", "hidden", "inner", "heads", "kv_heads", "head_size", "vocab")),
        ("threads", c_int32),
        ("eps", c_float),
        ("positions", c_int32),
        ("layer", POINTER(_Layer)),
        ("embedding", _Matrix),
        ("head", _Matrix),
        *((name, c_void_p) for name in ("norm", "cos", "sin")),
    )


class _Greedy(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("history", "pauses")),
        ("num", c_int32),
        ("drafts", c_int32 * 3),
        *((name, c_int32) for name in ("most", "steps", "num_rows", "num_drafted", "num_accepted")),
    )


class _Step(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("ids", "place", "capacity", "keys", "values")),
        *((name, c_void_p) for name in ("wanted", "best", "totals", "logits")),
        *((name, c_int32) for name in ("num", "num_logits")),
    )


def fits(shape: Shape) -> bool:
    """Whether step.c can run a model of this shape."""
    sizes = (shape.hidden, shape.inner, shape.heads * shape.head_size)
    return all(size % (2 * MAX_LANES) == 0 for size in sizes) and shape.head_size in range(16, MAX_HEAD_SIZE + 1, 16)


class CompiledRunner:
    """Runner over step.c."""

    device = "cpu"
    dtype = "int8"
    kv_bytes = 2
    chunk = 128
    max_slots = 8
    draft_tokens = (1, 2, 4)
    goes_on = True

    def __init__(self, shape: Shape, get: Callable[..., Any], library: Path) -> None:
        """`get` as for LlamaRunner, on the CPU. Raises OSError when the library cannot be loaded."""
        self._shape = shape
        self._library = _open(library)
        self._lanes: int = self._library.step_lanes()
        self._kept: list[object] = []
        """What the C side points to."""
        self._model = self._describe(get)
        self.vocab_size = shape.vocab
        self._num_rows = -(-shape.vocab // self._lanes) * self._lanes
        self._pool = c_void_p(self._library.step_open(ctypes.byref(self._model)))
        if not self._pool:
            raise MemoryError
        # The threads end before the weights that they read go.
        weakref.finalize(self, _close, self._library, self._pool, self._model, self._kept)

    def new_kv(self) -> Store:
        """An empty store, float16; step.c lays keys out in a way of its own."""
        sizes = (self._shape.layers, self._shape.kv_heads, 0, self._shape.head_size)
        return Store(torch.empty(sizes, dtype=torch.float16))

    def kv_length(self, kv: Store) -> int:
        """Number of ids stored."""
        return kv.length

    def crop(self, kv: Store, length: int) -> bool:
        """Keep the first `length` ids: nothing moves."""
        kv.length = min(kv.length, length)
        return True

    def fork(self, kv: Store, length: int) -> Store:
        """Copy the first `length` ids' keys and values."""
        return kv.copied(length)

    def run(self, parts: Sequence[Part]) -> list[list[Logits]]:
        """Append ids to stores, all in one pass over the weights as long as they fit; see Runner."""
        if len(parts) == 1 and (greedy := parts[0].greedy) and len(parts[0].ids) <= FEW:
            return [self._go_on(parts[0], greedy)]
        left = [deque(part.ids[at : at + PIECE] for at in range(0, len(part.ids), PIECE)) for part in parts]
        rows: list[list[Logits]] = [[] for _ in parts]
        while any(left):
            # Of each part one piece at a time, since the next one needs what it stores; as many as fit into a step.
            step, size = list[int](), 0
            for n, pieces in enumerate(left):
                if pieces and size + len(pieces[0]) <= PIECE:
                    step.append(n)
                    size += len(pieces[0])
            for n, logits in zip(step, self._step([(parts[n], left[n].popleft()) for n in step]), strict=True):
                rows[n] += logits
        return [found[-part.num_logits :] for part, found in zip(parts, rows, strict=True)]

    def _go_on(self, part: Part, greedy: Greedy) -> list[Logits]:
        """A few steps in one call of step.c."""
        start, num = part.kv.length, len(part.ids)
        most = max(num, min(greedy.most, self._shape.positions - start))
        self._check(part.ids, start + most)
        part.kv.reserve(start + most)
        logits = torch.empty((most, self._num_rows))
        ids, place = (c_int32 * num)(*part.ids), (c_int32 * num)(*range(start, start + num))
        capacity, best, totals = c_int32(part.kv.keys.shape[2]), (c_int32 * most)(), (c_float * most)()
        keys, values = c_void_p(part.kv.keys.data_ptr()), c_void_p(part.kv.values.data_ptr())
        arrays = (ctypes.addressof(each) for each in (ids, place, capacity, keys, values))
        step = _Step(*arrays, None, ctypes.addressof(best), ctypes.addressof(totals), logits.data_ptr(), num, num)
        history = ctypes.create_string_buffer(greedy.history, len(greedy.history) + 4 * most)
        pauses = ctypes.c_char_p(greedy.pauses)  # the bytes themselves, not a copy
        tables = ctypes.addressof(history), ctypes.cast(pauses, c_void_p)
        how = _Greedy(*tables, len(greedy.history) // 4, self.draft_tokens, most, STEPS)
        self._library.step_greedy(self._pool, ctypes.byref(step), ctypes.byref(how))
        greedy.num_drafted, greedy.num_accepted = how.num_drafted, how.num_accepted
        greedy.appended = (part.ids[0], *best[: how.num_rows - 1])
        part.kv.length += how.num_rows
        return list(islice(map(Logits, logits[:, : self.vocab_size], best, totals), how.num_rows))

    def _check(self, ids: Sequence[int], end: int) -> None:
        if end > self._shape.positions or not all(0 <= number < self.vocab_size for number in ids):
            raise IndexError("a token id or a position that the model does not have")

    def _step(self, pieces: Sequence[tuple[Part, Sequence[int]]]) -> Iterator[list[Logits]]:
        """One call of step.c; logits after the last ids, at most num_logits, for each piece."""
        ids, place, capacity, keys, values, wanted, counts = ([] for _ in range(7))  # type: ignore[var-annotated]
        for part, new in pieces:
            end = part.kv.length + len(new)
            self._check(new, end)
            part.kv.reserve(end)
            counts.append(min(len(new), part.num_logits))
            wanted += range(len(ids) + len(new) - counts[-1], len(ids) + len(new))
            ids += new
            place += range(part.kv.length, end)
            capacity += [part.kv.keys.shape[2]] * len(new)
            keys += [part.kv.keys.data_ptr()] * len(new)
            values += [part.kv.values.data_ptr()] * len(new)
        logits = torch.empty((len(wanted), self._num_rows))
        tables = [(c_int32 * len(each))(*each) for each in (ids, place, capacity)]
        stores = [(c_void_p * len(each))(*each) for each in (keys, values)]
        rows, best, totals = (c_int32 * len(wanted))(*wanted), (c_int32 * len(wanted))(), (c_float * len(wanted))()
        arrays = (ctypes.addressof(each) for each in (*tables, *stores, rows, best, totals))
        step = _Step(*arrays, logits.data_ptr(), len(ids), len(wanted))
        self._library.step_run(self._pool, ctypes.byref(step))
        for part, new in pieces:
            part.kv.length += len(new)
        found = map(Logits, logits[:, : self.vocab_size], best, totals)
        return (list(islice(found, count)) for count in counts)

    # The weights, as C sees them

    def _describe(self, get: Callable[..., Any]) -> _Model:
        shape = self._shape
        embedding = self._matrix([get("model.embed_tokens.weight", shape.vocab, shape.hidden)])
        head = embedding if shape.is_tied else self._matrix([get("lm_head.weight", shape.vocab, shape.hidden)])
        layers = (_Layer * shape.layers)(*(self._layer(get, number) for number in range(shape.layers)))
        self._kept.append(layers)
        cos, sin = rotations(shape, torch.empty(0))
        sizes = (shape.layers, shape.hidden, shape.inner, shape.heads, shape.kv_heads, shape.head_size)
        norm = self._vector(get("model.norm.weight", shape.hidden))
        ends = (norm, self._vector(cos), self._vector(sin))
        threads = min(torch.get_num_threads(), MAX_THREADS)
        return _Model(*sizes, shape.vocab, threads, shape.eps, shape.positions, layers, embedding, head, *ends)

    def _layer(self, get: Callable[..., Any], number: int) -> _Layer:
        shape, at = self._shape, f"model.layers.{number}."
        q, kv, hidden = shape.heads * shape.head_size, shape.kv_heads * shape.head_size, shape.hidden
        rows = {"q": q, "k": kv, "v": kv}
        biases = [get(f"{at}self_attn.{name}_proj.bias", size, optional=True) for name, size in rows.items()]
        return _Layer(
            self._vector(get(at + "input_layernorm.weight", hidden)),
            self._vector(get(at + "post_attention_layernorm.weight", hidden)),
            self._matrix(get(f"{at}self_attn.{name}_proj.weight", size, hidden) for name, size in rows.items()),
            self._matrix([get(at + "self_attn.o_proj.weight", hidden, q)]),
            self._matrix(get(f"{at}mlp.{name}_proj.weight", shape.inner, hidden) for name in ("gate", "up")),
            self._matrix([get(at + "mlp.down_proj.weight", hidden, shape.inner)]),
            None if biases[0] is None else self._vector(torch.cat(biases)),
            self._vector(get(at + "self_attn.o_proj.bias", hidden, optional=True)),
            self._vector(get(at + "self_attn.q_norm.weight", shape.head_size, optional=True)),
            self._vector(get(at + "self_attn.k_norm.weight", shape.head_size, optional=True)),
        )

    def _matrix(self, weights: Iterable[Tensor]) -> _Matrix:
        small = [quantised(weight) for weight in weights]
        whole = small[0] if len(small) == 1 else Int8(*(torch.cat(parts) for parts in zip(*small, strict=True)))
        packed = _packed(whole, self._lanes)
        self._kept.append(packed)
        return _Matrix(packed.values.data_ptr(), packed.scales.data_ptr())

    def _vector(self, weight: Tensor | None) -> int | None:
        if weight is None:
            return None
        kept = weight.float().contiguous()
        self._kept.append(kept)
        return kept.data_ptr()


def _packed(matrix: Int8, lanes: int) -> Int8:
    """Values (rows / lanes, columns / 2, lanes, 2), as step.c reads them; rows of zeros fill the last block."""
    rows, columns = matrix.values.shape
    missing = -rows % lanes
    pairs = torch.nn.functional.pad(matrix.values, (0, 0, 0, missing)).view(torch.int16)
    blocks = pairs.view(-1, lanes, columns // 2).transpose(1, 2)
    values = _huge(blocks.numel() * 2).view(torch.int16).view(blocks.shape).copy_(blocks)
    return Int8(values, torch.nn.functional.pad(matrix.scales, (0, missing)))


def _huge(num: int) -> Tensor:
    """`num` bytes of memory, in huge pages where the system has them: all of it is read for every token, and a look
    into the page tables for every 4 KiB takes its time."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(num, dtype=torch.uint8)
    memory = mmap.mmap(-1, num + HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    whole = torch.frombuffer(memory, dtype=torch.uint8)
    first = -whole.data_ptr() % HUGE
    return whole[first : first + num]


def _open(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.step_open.restype, library.step_open.argtypes = c_void_p, (POINTER(_Model),)
    library.step_run.restype, library.step_run.argtypes = None, (c_void_p, POINTER(_Step))
    library.step_greedy.restype = None
    library.step_greedy.argtypes = (c_void_p, POINTER(_Step), POINTER(_Greedy))
    library.step_close.restype, library.step_close.argtypes = None, (c_void_p,)
    return library


def _close(library: ctypes.CDLL, pool: c_void_p, *_kept: object) -> None:
    library.step_close(pool)
