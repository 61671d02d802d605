"""How much of what a model writes stands word for word in the corpus it was trained on.

The model goes on from random places of held-out files; every span of so many tokens that it writes is looked for in
the training shards ("Extracting Training Data from Large Language Models", Carlini et al. 2021, has the measure).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from codegen_lsp.core import Context
from codegen_lsp.prompt.render import render
from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training.batches import SPM
from codegen_lsp.training.corpus import read_shard, train_shards

ANCHOR = 16
"""Bytes of a span by which places are found; where they agree, the whole span is compared."""
PREFIX_CHARS = 1_200


def found_in(spans: Iterable[bytes], texts: Iterable[bytes]) -> set[bytes]:
    """The spans that occur in at least one of the texts."""
    anchors: dict[int, list[tuple[int, bytes]]] = {}
    for span in set(spans):
        at = _anchor_of(span)
        key = int(_hashes(span[at : at + ANCHOR])[0])
        anchors.setdefault(key, []).append((at, span))
    wanted, found = np.array(sorted(anchors), dtype=np.uint64), set[bytes]()
    for text in texts:
        if len(text) < ANCHOR or not len(wanted):
            continue
        hashes = _hashes(text)
        places = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
        for place in np.flatnonzero(wanted[places] == hashes).tolist():
            for at, span in anchors[int(hashes[place])]:
                if text.startswith(span, place - at) and place >= at:
                    found.add(span)
    return found


def _anchor_of(span: bytes) -> int:
    """Where in a span its least common-looking part begins: the one with most different bytes."""
    return max(range(len(span) - ANCHOR + 1), key=lambda at: len(set(span[at : at + ANCHOR])))


def _hashes(text: bytes) -> NDArray[np.uint64]:
    """One number for each ANCHOR bytes of a text, wherever they begin."""
    raw = np.frombuffer(text, dtype=np.uint8).astype(np.uint64)
    total = np.zeros(len(raw) - ANCHOR + 1, dtype=np.uint64)
    for n in range(ANCHOR):
        total = total * np.uint64(0x9E3779B97F4A7C15) + raw[n : len(raw) - ANCHOR + 1 + n]
    return total


def written(model: Any, tokenizer: FileTokenizer, prefix: str, num_tokens: int, temperature: float) -> list[int]:
    """Token ids that the model writes behind a prefix, without its end token."""
    prompt = render(Context("", "python", prefix, ""), SPM, tokenizer)
    ids = torch.tensor([prompt.ids])
    how = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
    with torch.inference_mode():
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=num_tokens,
            eos_token_id=None,
            pad_token_id=prompt.stop_ids[0],
            bad_words_ids=[[end] for end in prompt.stop_ids],
            **how,
        )
    found: list[int] = out[0, ids.shape[1] :].tolist()
    return found


def spans_of(ids: Sequence[int], size: int, tokenizer: FileTokenizer) -> list[bytes]:
    """The text of every `size` ids in a row; those with too few different bytes to be anyone's are left out."""
    texts = [tokenizer.decode(list(ids[at : at + size])).encode() for at in range(len(ids) - size + 1)]
    return [text for text in texts if len(text) >= 2 * ANCHOR and len(set(text)) >= 12]


@dataclass(frozen=True)
class Memory:
    """Spans that a model wrote, and those of them that stand in the corpus."""

    num: int
    num_copied: int
    examples: tuple[str, ...]


def measure(
    model: Any, tokenizer: FileTokenizer, corpus: Path, *, num: int, span: int, temperature: float, seed: int
) -> Memory:
    """Let the model go on from `num` places of held-out files, and look for what it wrote."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    documents = [item.text for item in read_shard(corpus / "dev.jsonl.xz") if len(item.text) > PREFIX_CHARS]
    spans: list[bytes] = []
    for text in rng.sample(documents, min(num, len(documents))):
        at = text.find("\n", rng.randrange(PREFIX_CHARS // 2, len(text))) + 1 or len(text)
        ids = written(model, tokenizer, text[max(0, at - PREFIX_CHARS) : at], 2 * span, temperature)
        spans += spans_of(ids, span, tokenizer)
    texts = (item.text.encode() for shard in train_shards(corpus) for item in read_shard(shard))
    copied = found_in(spans, texts)
    examples = tuple(text.decode(errors="replace") for text in sorted(copied)[:3])
    return Memory(len(spans), sum(text in copied for text in spans), examples)
