"""FIM formats as data: one row per model family.

A template is a sequence of parts: control tokens, and the places PREFIX and SUFFIX. In SPM order (suffix, prefix,
middle; "Efficient Training of Language Models to Fill in the Middle", Bavarian et al. 2022) the prompt ends with
the prefix, so typing only appends to it and the KV cache survives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PREFIX = "{prefix}"
SUFFIX = "{suffix}"


@dataclass(frozen=True)
class Format:
    """How one family wants to be asked."""

    name: str
    template: tuple[str, ...]
    ends: tuple[str, ...]
    """Control tokens at which an answer is complete."""
    file_separator: str | None = None
    """Stands before `path\\n` of each snippet and of the file itself."""
    begin: str | None = None
    """First token of every prompt."""

    @property
    def is_fim(self) -> bool:
        """Whether the suffix is shown to the model at all."""
        return SUFFIX in self.template

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """Tokens a vocabulary must have for this format."""
        return tuple(part for part in self.template if part not in (PREFIX, SUFFIX))


FORMATS = (
    Format(
        "codegen",
        ("<|fim_prefix|>", "<|fim_suffix|>", SUFFIX, "<|fim_middle|>", PREFIX),
        ends=("<|endoftext|>", "<|file_sep|>", "<|fim_pad|>"),
        file_separator="<|file_sep|>",
    ),
    Format(
        "qwen2.5-coder",
        ("<|fim_prefix|>", PREFIX, "<|fim_suffix|>", SUFFIX, "<|fim_middle|>"),
        ends=("<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|repo_name|>", "<|im_end|>"),
        file_separator="<|file_sep|>",
    ),
    Format(
        "starcoder2",
        ("<fim_prefix>", PREFIX, "<fim_suffix>", SUFFIX, "<fim_middle>"),
        ends=("<|endoftext|>", "<file_sep>", "<fim_pad>"),
        file_separator="<file_sep>",
    ),
    Format(
        "deepseek-coder",
        ("<｜fim▁begin｜>", PREFIX, "<｜fim▁hole｜>", SUFFIX, "<｜fim▁end｜>"),
        ends=("<｜end▁of▁sentence｜>", "<|EOT|>"),
        begin="<｜begin▁of▁sentence｜>",
    ),
    Format(
        "codellama",
        ("▁<PRE>", "▁<SUF>", SUFFIX, "▁<MID>", PREFIX),
        ends=("</s>", "▁<EOT>"),
        begin="<s>",
    ),
    Format(
        "codegemma",
        ("<|fim_prefix|>", PREFIX, "<|fim_suffix|>", SUFFIX, "<|fim_middle|>"),
        ends=("<eos>", "<|file_separator|>", "<end_of_turn>"),
        file_separator="<|file_separator|>",
        begin="<bos>",
    ),
    Format(
        "granite",
        ("<fim_prefix>", PREFIX, "<fim_suffix>", SUFFIX, "<fim_middle>"),
        ends=("<|endoftext|>", "<|end_of_text|>", "<fim_pad>"),
    ),
    Format("plain", (PREFIX,), ends=("<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>")),
)

BY_NAME = {row.name: row for row in FORMATS}


def detect(model_type: str, has_token: Callable[[str], bool]) -> Format:
    """The format of a model folder that does not name one, from its architecture and its vocabulary."""
    families = {"gemma": "codegemma", "granite": "granite", "starcoder2": "starcoder2", "qwen2": "qwen2.5-coder"}
    likely = BY_NAME.get(families.get(model_type, ""))
    rows = ([likely] if likely else []) + [row for row in FORMATS if row.name != "codegen"]
    return next(row for row in rows if all(map(has_token, row.control_tokens)))
