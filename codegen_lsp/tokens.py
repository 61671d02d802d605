"""The tokenizer of a model folder, by the `tokenizers` library alone (no torch, no transformers)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tokenizers import Tokenizer as FastTokenizer

MAX_KNOWN = 512
"""Texts whose ids are remembered: a keystroke changes one or two of the many pieces of which a prompt is made."""
MAX_CHARS = 16 * 1024
"""Of a text that is remembered."""
_SURROGATE = re.compile("[\ud800-\udfff]")


class FileTokenizer:
    """core.Tokenizer over a tokenizer.json: its text, or sooner its bytes."""

    def __init__(self, tokenizer_json: str | bytes) -> None:
        raw = tokenizer_json.encode() if isinstance(tokenizer_json, str) else tokenizer_json
        self._fast = FastTokenizer.from_buffer(raw)
        self._fast.no_padding()
        self._fast.no_truncation()
        # Control tokens written in a user's text are then plain characters.
        self._fast.encode_special_tokens = True
        self._known: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str) -> list[int]:
        """Ids of a text; markers such as <|fim_prefix|> in it are ordinary text, lone surrogates become U+FFFD."""
        ids = self._known.pop(text, None)
        if ids is None:
            plain = text if text.isascii() else _SURROGATE.sub("\ufffd", text)
            ids = tuple(self._fast.encode(plain, add_special_tokens=False).ids)
        if len(text) <= MAX_CHARS:
            if len(self._known) >= MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[text] = ids  # now the latest
        return list(ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, control tokens left out."""
        text: str = self._fast.decode(list(ids), skip_special_tokens=True)
        return text

    @property
    def vocab_size(self) -> int:
        """Number of ids, control tokens included."""
        size: int = self._fast.get_vocab_size()
        return size

    def special(self, token: str) -> int | None:
        """Id of a control token, None when there is none."""
        number: int | None = self._fast.token_to_id(token)
        return number

    def required(self, token: str) -> int:
        """Id of a control token that the vocabulary must have; raises KeyError."""
        number = self.special(token)
        if number is None:
            raise KeyError(f"the vocabulary has no {token}")
        return number
