"""JSON-RPC as plain data, standard library only: messages, errors and frames.

A frame is found again after any garbage: JSON holds no raw line ends, so a `Content-Length: N` at the end of a line
is a header wherever it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

MAX_FRAME = 64 * 1024 * 1024
"""Bytes of the largest body that is read."""
MAX_HEADER_LINE = 8 * 1024

_LENGTH = re.compile(rb"content-length[ \t]{0,8}:[ \t]{0,8}(\d{1,20})[ \t]{0,8}$", re.IGNORECASE)

MessageId = int | str


class Code(IntEnum):
    """Error codes of JSON-RPC and LSP."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    SERVER_NOT_INITIALIZED = -32002
    REQUEST_FAILED = -32803
    CONTENT_MODIFIED = -32801
    REQUEST_CANCELLED = -32800


class RpcError(Exception):
    """Becomes an error reply. `number` is the id to answer, None when the message has none that is valid."""

    def __init__(self, code: Code, message: str, number: MessageId | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.number = number


@dataclass(frozen=True)
class Message:
    """What came in. A request has a method and a number, a notification only a method, a response only a number."""

    method: str | None
    number: MessageId | None
    params: Any = None
    result: Any = None
    error: Any = None
    is_answered: bool = False
    """A response that carries `result` or `error`; some clients leave out a result that is undefined."""


def parse(body: bytes) -> Message:
    """A message from the body of a frame. Raises RpcError for anything that is not one."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise RpcError(Code.PARSE_ERROR, "not JSON") from None
    if not isinstance(data, dict):
        raise RpcError(Code.INVALID_REQUEST, "not a JSON-RPC message")
    number, method = data.get("id"), data.get("method")
    if isinstance(number, bool) or not isinstance(number, int | str | None):
        raise RpcError(Code.INVALID_REQUEST, "an id is an integer or a string")
    if data.get("jsonrpc") != "2.0":
        raise RpcError(Code.INVALID_REQUEST, 'jsonrpc must be "2.0"', number)
    if not isinstance(method, str | None) or (method is None and number is None) or ("id" in data and number is None):
        raise RpcError(Code.INVALID_REQUEST, "a message has a method, an id or both", number)
    is_answered = "result" in data or "error" in data
    return Message(method, number, data.get("params"), data.get("result"), data.get("error"), is_answered)


def error_reply(error: RpcError) -> dict[str, Any]:
    """The reply for an error, as JSON data."""
    return {"jsonrpc": "2.0", "id": error.number, "error": {"code": int(error.code), "message": str(error)}}


def frame(data: Any) -> bytes:
    """JSON data as a frame (ASCII, so lone surrogates survive)."""
    body = json.dumps(data, separators=(",", ":")).encode("ascii")
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


class Frames:
    """Bytes in, bodies out. Never raises: a frame beyond the cap comes out as an RpcError."""

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        self._max_frame = max_frame
        self._buffer = bytearray()
        self._length: int | None = None
        self._is_body = False

    def feed(self, chunk: bytes) -> Iterator[bytes | RpcError]:
        """The bodies that are complete with this chunk."""
        self._buffer += chunk
        while True:
            if self._is_body:
                assert self._length is not None
                if len(self._buffer) < self._length:
                    return
                yield self._take(self._length)
                self._length, self._is_body = None, False
            elif (line := self._header_line()) is None:
                return
            elif (error := self._header(line)) is not None:
                yield error

    def _header_line(self) -> bytes | None:
        end = self._buffer.find(b"\n")
        if end < 0:
            # Garbage without a line end: keep only what could still be the beginning of a header.
            del self._buffer[:-MAX_HEADER_LINE]
            return None
        return self._take(end + 1)[-MAX_HEADER_LINE:].rstrip(b"\r\n")

    def _header(self, line: bytes) -> RpcError | None:
        if not line:
            self._is_body = self._length is not None
            return None
        match = _LENGTH.search(line)
        if match is None:
            return None
        length = int(match.group(1))
        self._length = length if length <= self._max_frame else None
        if self._length is None:
            return RpcError(Code.INVALID_REQUEST, f"a message is at most {self._max_frame} bytes, not {length}")
        return None

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken
