"""local.py for a process with nothing else to do: it waits in place, without asyncio (25 ms of a command's time)."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, BinaryIO, TypeVar

from codegen_lsp.engine.local import MAX_LINE, request_head, status_of

T = TypeVar("T")


class Response:
    """An answer whose head has been read."""

    def __init__(self, status: int, stream: BinaryIO) -> None:
        self.status = status
        self._stream = stream

    async def lines(self) -> AsyncIterator[bytes]:
        """The body's lines as they come. Raises OSError, and ValueError for one that is too long."""
        while line := _line(self._stream):
            yield line

    async def read(self) -> bytes:
        """The rest of the body."""
        return self._stream.read()

    def close(self) -> None:
        """Hang up."""
        self._stream.close()


async def request(path: str, method: str, target: str, body: bytes = b"", within_s: float | None = None) -> Response:
    """local.request. `within_s` bounds every wait for a part of the answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(within_s)
        connection.connect(path)
        connection.sendall(request_head(method, target, body) + body)
        stream = connection.makefile("rb")  # keeps the connection open
    try:
        first = _line(stream)
        while _line(stream).strip():
            pass
        return Response(status_of(first), stream)
    except BaseException as error:
        stream.close()
        if isinstance(error, ValueError):
            raise ConnectionError("the head of an answer is too long") from error
        raise


async def fetch(path: str, method: str, target: str, within_s: float) -> bytes:
    """The whole body of an answer. Raises OSError."""
    response = await request(path, method, target, within_s=within_s)
    try:
        return await response.read()
    finally:
        response.close()


async def sleep(seconds: float) -> None:
    """Do nothing."""
    time.sleep(seconds)  # noqa: ASYNC251 - nobody else is there


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing but what is in this file."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("a coroutine that needs an event loop was run without one")


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline(MAX_LINE)
    if len(line) == MAX_LINE:
        raise ValueError("a line of an answer is too long")
    return line
