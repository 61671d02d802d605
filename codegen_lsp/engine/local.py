"""Requests over a unix socket, in HTTP/1.0 (RFC 1945): an HTTP library takes longer to import than an answer takes.

One connection a request: the answer ends where the connection does, and hanging up cancels it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio  # imported where it is used: blocking.py and its callers do without

MAX_LINE = 1 << 20


class Response:
    """An answer whose head has been read."""

    def __init__(self, status: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.status = status
        self._reader = reader
        self._writer = writer

    async def lines(self) -> AsyncIterator[bytes]:
        """The body's lines as they come. Raises OSError, and ValueError for one that is too long."""
        while line := await self._reader.readline():
            yield line

    async def read(self) -> bytes:
        """The rest of the body."""
        return await self._reader.read()

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()


async def request(path: str, method: str, target: str, body: bytes = b"") -> Response:
    """Ask, and wait for the head of the answer. Raises OSError when nobody is there or what comes is no HTTP."""
    import asyncio

    reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE)
    try:
        writer.write(request_head(method, target, body) + body)
        await writer.drain()
        first = await reader.readline()
        while (await reader.readline()).strip():
            pass
        return Response(status_of(first), reader, writer)
    except BaseException as error:
        writer.transport.abort()
        if isinstance(error, ValueError):
            raise ConnectionError("the head of an answer is too long") from error
        raise


async def fetch(path: str, method: str, target: str, within_s: float) -> bytes:
    """The whole body of an answer. Raises OSError, also after `within_s` seconds."""
    import asyncio

    async with asyncio.timeout(within_s):
        response = await request(path, method, target)
        try:
            return await response.read()
        finally:
            response.close()


async def sleep(seconds: float) -> None:
    """Let others run."""
    import asyncio

    await asyncio.sleep(seconds)


def request_head(method: str, target: str, body: bytes) -> bytes:
    """What is sent before a body."""
    head = f"{method} {target} HTTP/1.0\r\nHost: host\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode()


def status_of(line: bytes) -> int:
    """The status of a status line. Raises ConnectionError."""
    version, _, rest = line.partition(b" ")
    number = rest[:3]
    if not version.startswith(b"HTTP/1.") or not number.isdigit():
        raise ConnectionError("the answer is no HTTP")
    return int(number)
