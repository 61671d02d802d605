"""The two ways to wait for a host on this machine say the same: on the event loop, and in place."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from codegen_lsp.engine import blocking, local

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"
WAYS = pytest.mark.parametrize(("wire", "run"), [(local, asyncio.run), (blocking, blocking.run)], ids=["loop", "place"])
Run = Callable[[Coroutine[Any, Any, Any]], Any]


@contextmanager
def listening(folder: Path, answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A socket at which one request is answered with some bytes; what was read, b"" being that the client hung up."""
    path, read = str(folder / "s"), list[bytes]()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            client, _ = listener.accept()
            with client, suppress(ConnectionError):  # a client may hang up before all is sent
                read.append(client.recv(1 << 16))
                client.sendall(answer)
                if not answer.endswith(b"\n"):
                    read.append(client.recv(1))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield path, read
        thread.join(5)


async def lines(wire: ModuleType, path: str, most: int = 9) -> tuple[int, list[bytes]]:
    response = await wire.request(path, "POST", "/x", b"body")
    try:
        found = list[bytes]()
        async for line in response.lines():
            found.append(line)
            if len(found) == most:
                break
        return response.status, found
    finally:
        response.close()


@WAYS
def test_an_answer_is_read_line_by_line(tmp_path: Path, wire: ModuleType, run: Run) -> None:
    with listening(tmp_path, HEAD + b"a\n\nb\n") as (path, read):
        assert run(lines(wire, path)) == (200, [b"a\n", b"\n", b"b\n"])
    head, _, body = read[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /x HTTP/1.0\r\n")
    assert head.endswith(b"Content-Length: 4")
    assert body == b"body"


@WAYS
def test_fetch_reads_all_of_it(tmp_path: Path, wire: ModuleType, run: Run) -> None:
    with listening(tmp_path, HEAD + b'{"a":\n1}\n') as (path, _):
        assert run(wire.fetch(path, "GET", "/x", 5.0)) == b'{"a":\n1}\n'


@WAYS
def test_hanging_up_is_noticed(tmp_path: Path, wire: ModuleType, run: Run) -> None:
    with listening(tmp_path, HEAD + b"a\nhalf") as (path, read):
        assert run(lines(wire, path, most=1)) == (200, [b"a\n"])
    assert read[1:] == [b""]


@WAYS
def test_a_host_that_says_nothing_is_given_up(tmp_path: Path, wire: ModuleType, run: Run) -> None:
    with listening(tmp_path, b"HTTP/1.0 200") as (path, _), pytest.raises(TimeoutError):
        run(wire.fetch(path, "GET", "/x", 0.1))


@WAYS
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"SSH-2.0-x\r\n\r\n", ConnectionError),
        (b"HTTP/1.0 " + b"2" * 2 * local.MAX_LINE + b"\n", ConnectionError),
        (HEAD + b"x" * 2 * local.MAX_LINE + b"\n", ValueError),
    ],
)
def test_what_is_no_answer(tmp_path: Path, wire: ModuleType, run: Run, answer: bytes, kind: type[Exception]) -> None:
    with listening(tmp_path, answer) as (path, _), pytest.raises(kind):
        run(lines(wire, path))


@WAYS
def test_nobody_is_there(tmp_path: Path, wire: ModuleType, run: Run) -> None:
    with pytest.raises(OSError):
        run(lines(wire, str(tmp_path / "s")))


def test_what_needs_a_loop_does_not_hang_without_one() -> None:
    with pytest.raises(RuntimeError):
        blocking.run(asyncio.sleep(0))
