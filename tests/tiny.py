"""Tiny models with random weights, made on the spot: enough to test everything but quality."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

SPECIALS = (
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)
WORDS = "def return import self print range value result for in while if else None True False list str int open with as"
CONTEXT = 256


@cache
def tokenizer_json() -> str:
    """A byte-level BPE with the bundled model's control tokens, bytes and a few words; about 400 ids."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS, WORDS.replace(" ", "\n    "), "\n" + " " * 8] * 4, trainer)
    text: str = tokenizer.to_str()
    return text


def make_tiny(folder: Path, kind: str = "llama", seed: int = 0, context: int = CONTEXT, **own: Any) -> Path:
    """Write a model folder (kinds: llama, qwen2, qwen3, gpt2, mistral with a window); `own` goes into codegen.json."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.manual_seed(seed)
    model = _model(kind, context)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Far from what training starts with, or greedy output would repeat one token and prove nothing.
            if parameter.dim() > 1 or name.endswith("bias"):
                parameter.normal_(std=0.35)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    settings = {"format": "codegen", "context_window": context, "prompt_budget": 128} | own
    (folder / "codegen.json").write_text(json.dumps(settings))
    return folder


def _model(kind: str, context: int) -> Any:
    import transformers as hf

    ends: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0}
    llama: dict[str, Any] = {
        "vocab_size": 400,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": context,
        **ends,
    }
    if kind == "gpt2":
        shape: dict[str, Any] = {"vocab_size": 400, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": context}
        return hf.GPT2LMHeadModel(hf.GPT2Config(**shape, **ends))
    if kind == "qwen2":
        return hf.Qwen2ForCausalLM(hf.Qwen2Config(**llama | {"hidden_size": 64}))
    if kind == "qwen3":
        return hf.Qwen3ForCausalLM(hf.Qwen3Config(**llama, head_dim=16))
    if kind == "mistral":
        return hf.MistralForCausalLM(hf.MistralConfig(**llama, sliding_window=24))
    if kind == "wide":
        llama |= {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 96}
    return hf.LlamaForCausalLM(hf.LlamaConfig(**llama, tie_word_embeddings=True))
