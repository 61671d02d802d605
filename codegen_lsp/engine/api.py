"""What the product needs of an engine; the fake of it is scripted.py."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

from codegen_lsp.core import Delta, ModelInfo, Prompt, SamplingParams


class Answer(Protocol):
    """What is read of an HTTP response."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    def lines(self) -> AsyncIterator[bytes]:
        """The body's lines as they come."""

    async def read(self) -> bytes:
        """The rest of the body."""

    def close(self) -> None:
        """Hang up, if the body has not ended."""


class Wire(Protocol):
    """How to wait for a host on this machine: on the event loop (local.py) or in place (blocking.py)."""

    async def request(self, path: str, method: str, target: str, body: bytes = b"") -> Answer:
        """Ask at a socket, and wait for the head of the answer. Raises OSError."""

    async def fetch(self, path: str, method: str, target: str, within_s: float) -> bytes:
        """The whole body of an answer. Raises OSError."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


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
