"""The tokenizer: byte-level BPE whose merges may cross spaces but never a line end ("superwords").

Superwords as in SuperBPE (Liu et al. 2025), in one stage: a piece is a line's text rather than a word, so `with open(`
can be one token and a line takes fewer decode steps. A line end and the indentation behind it are one piece;
every digit is a token of its own, so that numbers can be copied from a comment into code.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIALS = (
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_suffix|>",
    "<|fim_middle|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)
PIECES = r"\r?\n[ \t]*|\r|[0-9]|[^\r\n0-9]+"
WORD_PIECES = r"\r?\n[ \t]*|\r|[0-9]| ?[^\W\d]+| ?[^\s\w]+|[^\S\r\n]+|[^\r\n0-9]"
"""As most code models have it: a word or a run of punctuation, with a space before it. For comparison."""
MAX_TOKEN_BYTES = 24


def train_tokenizer(texts: Iterable[str], vocab_size: int, words: bool = False) -> Tokenizer:
    """Learn merges from texts, across spaces or within `words`; the special tokens have the first ids."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(WORD_PIECES if words else PIECES), behavior="isolated")
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_only])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=MAX_TOKEN_BYTES,
        min_frequency=10,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context_window: int) -> None:
    """Write tokenizer.json and tokenizer_config.json, so that `AutoTokenizer` loads it too."""
    from transformers import PreTrainedTokenizerFast

    make: Any = PreTrainedTokenizerFast
    wrapped = make(
        tokenizer_object=tokenizer,
        eos_token="<|endoftext|>",
        bos_token="<|endoftext|>",
        pad_token="<|fim_pad|>",
        model_max_length=context_window,
        clean_up_tokenization_spaces=False,
    )
    wrapped.save_pretrained(folder)
