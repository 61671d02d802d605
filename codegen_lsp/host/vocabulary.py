"""What each token id is in bytes, and which tokens begin with given bytes.

Byte-level BPE cuts characters in two and sentencepiece writes bytes as <0x0A>, so streaming, stop strings and token
healing all work on bytes.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from typing import Any


class Vocabulary:
    """Bytes of the ids 0 … size-1; control tokens and unused ids have none."""

    def __init__(self, tokenizer_json: str, size: int) -> None:
        data = json.loads(tokenizer_json)
        self._bytes = [b""] * size
        self._control: set[int] = set()
        for number, raw in _pieces(data):
            if number < size:
                self._bytes[number] = raw
        for token in data.get("added_tokens") or ():
            if token["id"] < size:
                self._bytes[token["id"]] = b"" if token["special"] else token["content"].encode()
                if token["special"]:
                    self._control.add(token["id"])
        self._sorted = sorted((raw, number) for number, raw in enumerate(self._bytes) if raw)
        self._ids_of: dict[bytes, list[int]] = {}
        for raw, number in self._sorted:
            self._ids_of.setdefault(raw, []).append(number)

    @cached_property
    def pauses(self) -> bytes:
        """A byte for each id, 1 for those after which an answer often ends: control tokens, and line ends."""
        return bytes(not raw or b"\n" in raw for raw in self._bytes)

    def bytes_of(self, number: int) -> bytes:
        """The bytes of a token; b"" for a control token or an unused id."""
        return self._bytes[number]

    def is_control(self, number: int) -> bool:
        """Whether the token is one that text can never be encoded to."""
        return number in self._control

    def beginning_with(self, text: bytes) -> list[int]:
        """Ids of the tokens that are `text` or longer ones that begin with it."""
        low = bisect_left(self._sorted, (text, -1))
        high = bisect_left(self._sorted, (_after(text), -1)) if _after(text) else len(self._sorted)
        return [number for _, number in self._sorted[low:high]]

    def within(self, text: bytes) -> list[int]:
        """Ids of the tokens that are shorter than `text` and begin it."""
        return [number for end in range(1, len(text)) for number in self._ids_of.get(text[:end], ())]

    def can_extend(self, text: bytes) -> bool:
        """Whether a token is strictly longer than `text` and begins with it."""
        return len(self.beginning_with(text)) > len(self._ids_of.get(text, ()))


def _after(text: bytes) -> bytes:
    """The first byte string, in order, that does not begin with `text`; b"" when there is none."""
    text = text.rstrip(b"\xff")
    return text[:-1] + bytes([text[-1] + 1]) if text else b""


def _pieces(data: dict[str, Any]) -> Iterator[tuple[int, bytes]]:
    """(id, bytes) of every piece of the model's vocabulary."""
    vocab = data["model"]["vocab"]
    pairs = vocab.items() if isinstance(vocab, dict) else ((piece[0], n) for n, piece in enumerate(vocab))
    alphabet = {ord(char): byte[0] for char, byte in _byte_alphabet().items()}
    is_byte_level = "ByteLevel" in json.dumps(data.get("decoder"))
    for piece, number in pairs:
        if is_byte_level:
            yield number, _translated(piece, alphabet)
        elif re.fullmatch(r"<0x[0-9A-Fa-f]{2}>", piece):
            yield number, bytes([int(piece[3:5], 16)])
        else:
            yield number, piece.replace("\u2581", " ").encode()


def _translated(piece: str, alphabet: dict[int, int]) -> bytes:
    """A byte-level piece in bytes; a character that is none of the alphabet (some models' markers) is itself."""
    if all(ord(char) in alphabet for char in piece):
        return piece.translate(alphabet).encode("latin-1")
    return b"".join(bytes([alphabet[ord(char)]]) if ord(char) in alphabet else char.encode() for char in piece)


def _byte_alphabet() -> dict[str, bytes]:
    """The printable character that byte-level BPE writes for each byte, back to the byte.

    Printable Latin-1 stands for itself; the other bytes have the characters from U+0100 on, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): bytes([byte]) for byte in printable}
    return alphabet | {chr(256 + n): bytes([byte]) for n, byte in enumerate(others)}
