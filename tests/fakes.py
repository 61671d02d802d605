"""Stand-ins for what a test should not need: a tokenizer of bytes."""

from __future__ import annotations

from collections.abc import Sequence

from codegen_lsp.core import ModelInfo
from codegen_lsp.prompt.formats import FORMATS, PREFIX, SUFFIX

MODEL = ModelInfo("scripted", "", "codegen", context_window=100_000, prompt_budget=50_000)
SPECIALS = sorted(
    {
        part
        for row in FORMATS
        for part in (*row.template, *row.ends, row.file_separator, row.begin)
        if part and part not in (PREFIX, SUFFIX)
    }
)


class ByteTokenizer:
    """core.Tokenizer: an id is a byte of utf-8 (surrogates passed); control tokens are 1000 and above."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8", "surrogatepass"))

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(number for number in ids if number < 256).decode("utf-8", "replace")

    def special(self, token: str) -> int | None:
        return 1000 + SPECIALS.index(token) if token in SPECIALS else None
