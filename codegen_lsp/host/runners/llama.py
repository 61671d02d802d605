"""The fast path: one small forward for the Llama family (llama, mistral, qwen2, qwen3), without transformers.

Beside the general path it saves importing transformers (seconds of a cold start), fuses projections, keeps keys and
values in place, and computes logits where they are needed. Equal to transformers' forward by test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from codegen_lsp.host.runners import Logits, Part, logits_of

FAMILY = ("llama", "mistral", "qwen2", "qwen3")
GROWTH = 512
"""Positions by which a KV store grows."""
BLOCK = 16
"""Positions of a block of it (PLACES in step.c)."""

Angles = tuple[Tensor, Tensor]
"""Cosines and sines of T positions, each (T, head_size)."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a model of the family."""

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_size: int
    vocab: int
    positions: int
    eps: float
    theta: float
    is_tied: bool


def shape_of(config: Mapping[str, Any]) -> Shape | None:
    """The shape that a config.json describes; None when it has anything that this forward does not do."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    window = config.get("sliding_window") if config.get("use_sliding_window", True) else None
    positions = config.get("max_position_embeddings", 2048)
    plain = (
        config.get("model_type") in FAMILY
        and config.get("hidden_act", "silu") == "silu"
        and isinstance(rope, dict)
        and rope.get("rope_type", rope.get("type", "default")) == "default"
        and (rope.get("partial_rotary_factor") or config.get("partial_rotary_factor") or 1) == 1
        and (window is None or window >= positions)
        and set(config.get("layer_types") or ["full_attention"]) == {"full_attention"}
        and not config.get("mlp_bias")
    )
    if not plain:
        return None
    try:
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        return Shape(
            layers=config["num_hidden_layers"],
            hidden=hidden,
            inner=config["intermediate_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_size=config.get("head_dim") or hidden // heads,
            vocab=config["vocab_size"],
            positions=positions,
            eps=float(config.get("rms_norm_eps", 1e-6)),
            theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10_000.0),
            is_tied=bool(config.get("tie_word_embeddings", False)),
        )
    except (KeyError, TypeError, ValueError):
        return None


class Layer:
    """One block's weights, projections fused: qkv ((heads + 2 kv_heads) * head_size, hidden), up (2 inner, hidden)."""

    def __init__(self, get: Callable[..., Any], number: int, shape: Shape) -> None:
        q, kv, hidden = shape.heads * shape.head_size, shape.kv_heads * shape.head_size, shape.hidden
        at, rows = f"model.layers.{number}.", {"q": q, "k": kv, "v": kv}
        self.norm_in = get(at + "input_layernorm.weight", hidden)
        self.norm_mid = get(at + "post_attention_layernorm.weight", hidden)
        qkv = torch.cat([get(f"{at}self_attn.{n}_proj.weight", size, hidden) for n, size in rows.items()])
        self.qkv = _by_column(qkv)
        biases = [get(f"{at}self_attn.{n}_proj.bias", size, optional=True) for n, size in rows.items()]
        self.qkv_bias = None if biases[0] is None else torch.cat(biases)
        self.out = _by_column(get(at + "self_attn.o_proj.weight", hidden, q))
        self.out_bias = get(at + "self_attn.o_proj.bias", hidden, optional=True)
        self.norm_q = get(at + "self_attn.q_norm.weight", shape.head_size, optional=True)
        self.norm_k = get(at + "self_attn.k_norm.weight", shape.head_size, optional=True)
        up = torch.cat([get(f"{at}mlp.{n}_proj.weight", shape.inner, hidden) for n in ("gate", "up")])
        self.up = _by_column(up)
        self.down = _by_column(get(at + "mlp.down_proj.weight", hidden, shape.inner))


class Store:
    """Keys and values, each (layers, kv_heads, capacity, head_size); the first `length` positions are in use.

    Copies take whole blocks of positions, so that a runner may lay out those of a block as it likes.
    """

    def __init__(self, empty: Tensor) -> None:
        self.keys = self.values = empty
        self.length = 0

    def reserve(self, length: int) -> None:
        """Make room for `length` positions."""
        if length > self.keys.shape[2]:
            capacity = -(-length // GROWTH) * GROWTH
            self.keys, self.values = (self._grown(each, capacity) for each in (self.keys, self.values))

    def copied(self, length: int) -> Store:
        """A store of its own with the first `length` positions."""
        copy = Store(self.keys[:, :, :0])
        copy.reserve(length)
        used = _whole(length)
        copy.keys[:, :, :used] = self.keys[:, :, :used]
        copy.values[:, :, :used] = self.values[:, :, :used]
        copy.length = length
        return copy

    def _grown(self, old: Tensor, capacity: int) -> Tensor:
        new = old.new_empty((*old.shape[:2], capacity, old.shape[3]))
        used = _whole(self.length)
        new[:, :, :used] = old[:, :, :used]
        return new


def _whole(length: int) -> int:
    """Positions of the blocks that `length` of them begin; a store's capacity is a multiple of a block's."""
    return -(-length // BLOCK) * BLOCK


class LlamaRunner:
    """Runner over the tensors of a model of the family."""

    goes_on = False

    def __init__(self, shape: Shape, get: Callable[..., Any]) -> None:
        """`get(name, *size, optional=False)` is a weight of that size on the right device, in the right dtype."""
        self._shape = shape
        embedding = get("model.embed_tokens.weight", shape.vocab, shape.hidden)
        self._embedding = _by_column(embedding) if shape.is_tied else embedding
        self._layers = [Layer(get, number, shape) for number in range(shape.layers)]
        self._norm = get("model.norm.weight", shape.hidden)
        own_head = None if shape.is_tied else get("lm_head.weight", shape.vocab, shape.hidden)
        self._head = self._embedding if own_head is None else _by_column(own_head)
        self._cos, self._sin = rotations(shape, self._embedding)
        self.vocab_size = shape.vocab
        self.device = str(self._embedding.device)
        self.dtype = str(self._embedding.dtype).removeprefix("torch.")
        self.kv_bytes = self._embedding.dtype.itemsize
        self.chunk, self.max_slots = 128, 8
        self.draft_tokens = (0, 0, 3)

    def new_kv(self) -> Store:
        """An empty store."""
        shape = self._shape
        return Store(self._embedding.new_empty((shape.layers, shape.kv_heads, 0, shape.head_size)))

    def kv_length(self, kv: Store) -> int:
        """Number of ids stored."""
        return kv.length

    def crop(self, kv: Store, length: int) -> bool:
        """Keep the first `length` ids: nothing moves."""
        kv.length = min(kv.length, length)
        return True

    @torch.inference_mode()
    def fork(self, kv: Store, length: int) -> Store:
        """Copy the first `length` ids' keys and values."""
        return kv.copied(length)

    @torch.inference_mode()
    def run(self, parts: Sequence[Part]) -> list[list[Logits]]:
        """Append ids to stores, one part after the other; see Runner."""
        rows = [self._logits(self._hidden(part.ids, part.kv)[-part.num_logits :]) for part in parts]
        return [logits_of(each) for each in rows]

    def _logits(self, x: Tensor) -> Tensor:
        return F.linear(self._normed(x, self._norm), self._head).float()

    def _hidden(self, ids: Sequence[int], kv: Store) -> Tensor:
        start, end = kv.length, kv.length + len(ids)
        kv.reserve(end)
        place, angles = slice(start, end), (self._cos[start:end], self._sin[start:end])
        mask = _mask(len(ids), start, self._shape, self._cos.device)
        x = F.embedding(torch.tensor(list(ids), device=self._cos.device), self._embedding)
        for layer, keys, values in zip(self._layers, kv.keys, kv.values, strict=True):
            x = x + self._attend(layer, self._normed(x, layer.norm_in), (keys, values), (place, angles, mask))
            gate, up = F.linear(self._normed(x, layer.norm_mid), layer.up).chunk(2, dim=-1)
            x = x + F.linear(F.silu(gate) * up, layer.down)
        kv.length = end
        return x

    def _attend(
        self, layer: Layer, x: Tensor, stored: tuple[Tensor, Tensor], where: tuple[slice, Angles, Tensor | None]
    ) -> Tensor:
        """Attention of x (T, hidden), whose keys and values go to a place of the stored (kv_heads, capacity, size)."""
        shape, num = self._shape, x.shape[0]
        place, angles, mask = where
        fused = F.linear(x, layer.qkv, layer.qkv_bias).view(num, -1, shape.head_size).transpose(0, 1)
        turned, v = torch.split(fused, [shape.heads + shape.kv_heads, shape.kv_heads])
        if layer.norm_q is not None:
            q, k = torch.split(turned, [shape.heads, shape.kv_heads])
            turned = torch.cat([self._normed(q, layer.norm_q), self._normed(k, layer.norm_k)])
        # Queries and keys turn by the same angles, so they turn together.
        q, k = torch.split(rotate(turned, *angles), [shape.heads, shape.kv_heads])
        stored[0][:, place] = k
        stored[1][:, place] = v
        # The query heads of a group stand below one another, so that grouped keys need no copies.
        q = q.reshape(1, shape.kv_heads, -1, shape.head_size)
        keys, values = (each[None, :, : place.stop] for each in stored)
        mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
        mixed = mixed.reshape(shape.heads, num, shape.head_size).transpose(0, 1).reshape(num, -1)
        return F.linear(mixed, layer.out, layer.out_bias)

    def _normed(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, weight.shape, weight, self._shape.eps)


def _by_column(weight: Tensor) -> Tensor:
    """The same matrix, on a CPU with its columns side by side in memory.

    One new token is a product of a matrix and a vector. By rows that is one short sum per row, and the processor waits
    for each; by columns it is long additions: a quarter less time for a token of the bundled model.
    """
    return weight.t().contiguous().t() if weight.device.type == "cpu" else weight


def _mask(num: int, start: int, shape: Shape, device: torch.device) -> Tensor | None:
    """Which positions each of `num` new ids sees, (groups * num, start + num) bool; None for a single one: all."""
    if num == 1:
        return None
    seen = torch.ones((num, start + num), dtype=torch.bool, device=device).tril(start)
    return seen.repeat(shape.heads // shape.kv_heads, 1)


def rotations(shape: Shape, like: Tensor, positions: int = 0) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary embedding, each (positions, head_size); the shape's own number of them for 0."""
    powers = torch.arange(0, shape.head_size, 2, dtype=torch.float32) / shape.head_size
    angles = torch.outer(torch.arange(positions or shape.positions, dtype=torch.float32), 1.0 / shape.theta**powers)
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(like), angles.sin().to(like)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x (…, T, head_size) by the angles of its T positions, (T, head_size) or as many dimensions as x."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin
