"""The model to be trained (transformers' own Llama) and its loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from codegen_lsp.training.recipe import Recipe

CHUNK = 256
"""Positions whose logits exist at one time: on a CPU they stay in its cache."""
GPU_CHUNK = 8_192


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


def loss_sum(model: Any, ids: Tensor, counted: Tensor) -> tuple[Tensor, int]:
    """Summed negative log-likelihood (nats) of the counted targets, and their number."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    wanted = counted[:, 1:]
    targets = ids[:, 1:][wanted]
    total: Tensor = LinearCrossEntropy.apply(hidden[:, :-1][wanted], model.lm_head.weight, targets)  # type: ignore[no-untyped-call]
    return total, int(targets.numel())


class LinearCrossEntropy(torch.autograd.Function):
    """Output layer and cross entropy in one, a chunk of positions at a time.

    With a vocabulary of 16k the logits of a batch are half a gigabyte that is written and read six times; a chunk of
    them stays in the cache. The gradients are made in the forward pass, so no logits are kept at all ("Cut Your
    Losses", Wijmans et al. 2024, has the idea). Inputs: hidden (N, D), weight (V, D), targets (N,); result: a scalar.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        dtype = (
            torch.get_autocast_dtype(hidden.device.type)
            if torch.is_autocast_enabled(hidden.device.type)
            else hidden.dtype
        )
        states, table = hidden.to(dtype), weight.to(dtype)
        grad_hidden, grad_weight = torch.empty_like(states), torch.zeros_like(weight, dtype=torch.float32)
        chunk = CHUNK if hidden.device.type == "cpu" else GPU_CHUNK
        minus_one = torch.full((chunk, 1), -1.0, device=hidden.device)
        total = torch.zeros((), device=hidden.device)
        for at in range(0, len(states), chunk):
            part, wanted = states[at : at + chunk], targets[at : at + chunk, None]
            logits = (part @ table.T).float()
            shares = logits.sub_(
                logits.amax(-1, keepdim=True)
            )  # in place from here on: shares of probability at the end
            total -= shares.gather(1, wanted).sum()
            normaliser = shares.exp_().sum(-1, keepdim=True)
            total += normaliser.log().sum()
            slope = shares.div_(normaliser).scatter_add_(1, wanted, minus_one[: len(part)]).to(dtype)
            grad_hidden[at : at + chunk] = slope @ table
            if dtype == torch.float32:
                grad_weight.addmm_(slope.T, part)
            else:
                grad_weight += (slope.T @ part).float()
        ctx.save_for_backward(grad_hidden.to(hidden.dtype), grad_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * outputs[0], grad_weight * outputs[0], None
