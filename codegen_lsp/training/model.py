"""The model to be trained (transformers' own Llama) and its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from codegen_lsp.training.recipe import Recipe

CHUNK = 256
"""Positions whose logits exist at one time: on a CPU they stay in its cache."""
GPU_CHUNK = 16_384


class Kernels(NamedTuple):
    """The two functions in which a step spends its time, as they are or through torch.compile."""

    block: Callable[..., Tensor]
    slope: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def has_fast_bf16(device: str) -> bool:
    """Whether bf16 matrix products pay: on GPUs, and on CPUs with instructions for it (else ten times slower)."""
    return device != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def new_model(recipe: Recipe, vocab_size: int, end_id: int, pad_id: int) -> Any:
    """A LlamaForCausalLM with random weights: tied embeddings, SwiGLU, grouped-query attention, RoPE."""
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.kv_heads,
        intermediate_size=recipe.feed_forward,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        initializer_range=0.02,
        bos_token_id=end_id,
        eos_token_id=end_id,
        pad_token_id=pad_id,
    )
    config._attn_implementation = "sdpa"
    return LlamaForCausalLM(config)


def block(states: Tensor, cos: Tensor, sin: Tensor, weights: Sequence[Tensor], eps: float) -> Tensor:
    """One causal transformer block of a Llama: (B, T, D) to (B, T, D).

    A function of tensors alone, so that compiled once it serves every layer. `weights` are in the order of
    `_block_weights`; cos and sin (T, head size) are of the rotary embedding (Su et al. 2021).
    """
    before, query, key, value, output, between, gate, up, down = weights
    normed = F.rms_norm(states, before.shape, before, eps)
    q, k, v = (_heads(F.linear(normed, each), cos.shape[-1]) for each in (query, key, value))
    shared = q.shape[1] // k.shape[1]
    q, k = _rotated(q, cos, sin), _rotated(k, cos, sin)
    k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
    attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    states = states + F.linear(attended.transpose(1, 2).flatten(2), output)
    normed = F.rms_norm(states, between.shape, between, eps)
    return states + F.linear(F.silu(F.linear(normed, gate)) * F.linear(normed, up), down)


def _heads(x: Tensor, size: int) -> Tensor:
    """(B, T, heads · size) to (B, heads, T, size)."""
    return x.view(*x.shape[:2], -1, size).transpose(1, 2)


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return (x * cos + torch.cat((-second, first), -1) * sin).to(x.dtype)


def _block_weights(layer: Any) -> tuple[Tensor, ...]:
    attention, mlp = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
    modules = (layer.input_layernorm, *projections, layer.post_attention_layernorm)
    return tuple(module.weight for module in (*modules, mlp.gate_proj, mlp.up_proj, mlp.down_proj))


def softmax_slope(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Summed negative log-likelihood of targets (N,), and its derivative by the logits (N, V), in their dtype."""
    wide = logits.float()
    normaliser = wide.logsumexp(-1, keepdim=True)
    loss = (normaliser - wide.gather(1, targets[:, None])).sum()
    is_target = torch.arange(logits.shape[1], device=logits.device) == targets[:, None]
    return loss, ((wide - normaliser).exp() - is_target.float()).to(logits.dtype)


def softmax_slope_in_place(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The same without another array of that size: without a compiler a third faster on a CPU."""
    wanted, wide = targets[:, None], logits.float()
    shares = wide.sub_(wide.amax(-1, keepdim=True))  # in place from here on: shares of probability at the end
    loss = -shares.gather(1, wanted).sum()
    normaliser = shares.exp_().sum(-1, keepdim=True)
    loss += normaliser.log().sum()
    shares.div_(normaliser).scatter_add_(1, wanted, torch.full_like(wanted, -1.0, dtype=shares.dtype))
    return loss, shares.to(logits.dtype)


EAGER = Kernels(block, softmax_slope_in_place)


def compiled() -> Kernels:
    """Kernels through torch.compile, each once for all numbers of rows and lengths."""
    fast_block, fast_slope = torch.compile(block), torch.compile(softmax_slope)

    def any_block(states: Tensor, cos: Tensor, sin: Tensor, weights: Sequence[Tensor], eps: float) -> Tensor:
        for tensor, dims in ((states, (0, 1)), (cos, (0,)), (sin, (0,))):
            torch._dynamo.maybe_mark_dynamic(tensor, dims)
        return fast_block(states, cos, sin, weights, eps)

    def any_slope(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        own = targets.clone()  # a view would be compiled again for each size of what it is a view of
        torch._dynamo.maybe_mark_dynamic(logits, 0)
        torch._dynamo.maybe_mark_dynamic(own, 0)
        return fast_slope(logits, own)

    return Kernels(any_block, any_slope)


def hidden_states(model: Any, ids: Tensor, kernels: Kernels = EAGER) -> Tensor:
    """Last hidden states (B, T, D) of a LlamaForCausalLM for ids (B, T), each row from position 0.

    As its own forward pass, by test; without what that keeps for caches, masks and hooks.
    """
    inner = model.model
    states = inner.embed_tokens(ids)
    cos, sin = (each[0] for each in inner.rotary_emb(states, torch.arange(ids.shape[1], device=ids.device)[None]))
    for layer in inner.layers:
        states = kernels.block(states, cos, sin, _block_weights(layer), model.config.rms_norm_eps)
    normed: Tensor = inner.norm(states)
    return normed


def loss_sum(model: Any, ids: Tensor, counted: Tensor, kernels: Kernels = EAGER) -> tuple[Tensor, int]:
    """Summed negative log-likelihood (nats) of the counted targets, and their number."""
    hidden = hidden_states(model, ids, kernels)
    wanted = counted[:, 1:]
    targets = ids[:, 1:][wanted]
    total: Tensor = LinearCrossEntropy.apply(hidden[:, :-1][wanted], model.lm_head.weight, targets, kernels.slope)  # type: ignore[no-untyped-call]
    return total, int(targets.numel())


class LinearCrossEntropy(torch.autograd.Function):
    """Output layer and cross entropy in one, a chunk of positions at a time.

    With a vocabulary of 16k the logits of a batch are half a gigabyte that is written and read six times; a chunk of
    them stays in the cache. The gradients are made in the forward pass, so no logits are kept at all ("Cut Your
    Losses", Wijmans et al. 2024, has the idea). Inputs: hidden (N, D), weight (V, D), targets (N,); result: a scalar.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        targets: Tensor,
        slope_of: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = softmax_slope_in_place,
    ) -> Tensor:
        device = hidden.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
        states, table = hidden.to(dtype), weight.to(dtype)
        grad_hidden, grad_weight = torch.empty_like(states), torch.zeros_like(weight, dtype=torch.float32)
        chunk = CHUNK if device == "cpu" else GPU_CHUNK
        total = torch.zeros((), device=hidden.device)
        for at in range(0, len(states), chunk):
            part = states[at : at + chunk]
            loss, slope = slope_of(part @ table.T, targets[at : at + chunk])
            total += loss
            grad_hidden[at : at + chunk] = slope @ table
            if dtype == torch.float32:
                grad_weight.addmm_(slope.T, part)
            else:
                grad_weight += (slope.T @ part).float()
        ctx.save_for_backward(grad_hidden.to(hidden.dtype), grad_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * outputs[0], grad_weight * outputs[0], None, None
