#!/usr/bin/env python3
"""A model folder of the Llama architecture as a GGUF file, for llama.cpp.

usage: gguf_file.py MODEL OUT [--type q8_0|f16]

Norms stay float32; everything else is of the type. Rows of q and k are reordered, since llama.cpp turns neighbouring
pairs where transformers turns halves. The tokenizer is there because a file needs one: callers give ids.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from codegen_lsp import registry
from codegen_lsp.host.runners.llama import Shape, shape_of

Array = NDArray[np.float32]
TYPES = {"f16": gguf.GGMLQuantizationType.F16, "q8_0": gguf.GGMLQuantizationType.Q8_0}
FILE_TYPES = {"f16": gguf.LlamaFileType.MOSTLY_F16, "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0}
OF_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OF_MODEL = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def names(shape: Shape) -> dict[str, str]:
    """GGUF names of the weights by their names in the model folder."""
    found = {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in OF_MODEL.items()}
    for number in range(shape.layers):
        for ours, theirs in OF_LAYER.items():
            found[f"model.layers.{number}.{ours}.weight"] = f"blk.{number}.{theirs}.weight"
    if shape.is_tied:
        del found["lm_head.weight"]
    return found


def reordered(weight: Array, heads: int) -> Array:
    """Rows of a q or k projection, from halves of each head to neighbouring pairs."""
    rows, columns = weight.shape
    halves = weight.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


def weights(folder: Path, shape: Shape) -> Iterator[tuple[str, Array]]:
    """(GGUF name, float32 weight) of the whole model, as llama.cpp wants it."""
    from safetensors import safe_open

    heads = {"q_proj": shape.heads, "k_proj": shape.kv_heads}
    wanted = names(shape)
    for path in registry.weight_files(folder):
        with safe_open(str(path), framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (a safe_open is no dict)
                if name not in wanted:
                    continue
                weight: Array = file.get_tensor(name).float().numpy()
                projection = name.split(".")[-2]
                yield (
                    wanted[name],
                    reordered(weight, heads[projection]) if projection in heads else weight,
                )


def vocabulary(tokenizer: Mapping[str, Any], size: int) -> tuple[list[str], list[int], list[str]]:
    """Tokens, their types and the merges of a byte-level BPE; ids that are not used get names of their own."""
    tokens = [f"<unused {number}>" for number in range(size)]
    types = [gguf.TokenType.UNUSED] * size
    for token, number in tokenizer["model"]["vocab"].items():
        tokens[number], types[number] = token, gguf.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], kind
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    return tokens, [int(kind) for kind in types], merges


def write(folder: Path, out: Path, kind: str) -> None:
    """Write the file; whole or not at all. Raises ValueError for a model that is no plain Llama."""
    config = registry.read_config(folder)
    shape = shape_of(config)
    if shape is None or config["model_type"] != "llama" or config.get("attention_bias"):
        raise ValueError(f"{folder} is not of the Llama architecture")
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    partial = out.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, "llama")
    _describe(writer, shape, kind)
    _add_tokenizer(writer, tokenizer, shape.vocab)
    for name, weight in weights(folder, shape):
        if weight.ndim == 1:
            writer.add_tensor(name, weight)
        else:
            small = gguf.quants.quantize(weight, TYPES[kind])
            writer.add_tensor(name, small, raw_dtype=TYPES[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(out)


def _describe(writer: gguf.GGUFWriter, shape: Shape, kind: str) -> None:
    writer.add_vocab_size(shape.vocab)
    writer.add_context_length(shape.positions)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.theta)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Mapping[str, Any], size: int) -> None:
    tokens, types, merges = vocabulary(tokenizer, size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--type", default="q8_0", choices=sorted(TYPES))
    args = parser.parse_args()
    try:
        write(args.model, args.out, args.type)
    except ValueError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
