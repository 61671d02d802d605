"""What the product needs of an engine; the fake of it is scripted.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from codegen_lsp.core import Delta, ModelInfo, Prompt, SamplingParams


class Engine(Protocol):
    """A door to a model. Closing the generator of `generate` cancels the generation before its next token."""

    async def info(self) -> ModelInfo:
        """The model that answers. Starts the host when there is none; raises EngineUnavailable."""

    def generate(
        self, prompt: Prompt, params: SamplingParams, *, document: str, heal: bool
    ) -> AsyncGenerator[Delta, None]:
        """Stream an answer; the last delta has `finish`. Raises EngineUnavailable, EngineFailed.

        `document`: a newer request with the same name pre-empts an older one that is still running (and the KV
        cache of the document is found by it). `heal`: the last token of the prompt may be part of a longer one;
        the engine takes it back and constrains the first token to begin with it ("token healing"). The healed
        characters are not part of the answer.
        """

    async def close(self) -> None:
        """Drop the connection."""
