"""A small LSP client over real pipes. It counts: each request has one reply, and nothing is left unread."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SERVER = (sys.executable, str(ROOT / "tests" / "scripted_server.py"))
Json = dict[str, Any]

INIT = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}
SHUTDOWN = {"jsonrpc": "2.0", "id": 2, "method": "shutdown"}
HOVER = {"jsonrpc": "2.0", "id": 9, "method": "textDocument/hover", "params": {}}
INLINE = "textDocument/inlineCompletion"


class LspClient:
    """One server process. Use as `async with LspClient() as client`."""

    def __init__(self, *args: str, timeout_s: float = 15.0, env: Mapping[str, str] | None = None) -> None:
        self.args = args
        self.timeout_s = timeout_s
        self.env = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        self.notifications: list[Json] = []
        self.requests: list[Json] = []
        """Requests of the server; each was answered with null."""
        self.answers: dict[str, Any] = {}
        """Results for requests of the server, by method, instead of null; an exception is answered as an error."""
        self.encoding = "utf-16"
        self._sent: Counter[Any] = Counter()
        self._received: Counter[Any] = Counter()
        self._waiting: dict[Any, list[asyncio.Future[Json]]] = {}
        self._unread: list[Json] = []
        self._number = 0

    async def __aenter__(self) -> LspClient:
        self.process = await asyncio.create_subprocess_exec(
            *(self.args or SERVER), stdin=-1, stdout=-1, stderr=-1, env=self.env, limit=1 << 27
        )
        self._reader = asyncio.create_task(self._read())
        self._stderr = asyncio.create_task(self.process.stderr.read())  # type: ignore[union-attr]
        return self

    async def __aexit__(self, *error: object) -> None:
        if self.process.stdin and not self.process.stdin.is_closing():
            self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 5)
        except TimeoutError:
            self.process.kill()
            raise AssertionError("the server did not exit when its input was closed") from None
        finally:
            await self._reader
            self.log = (await self._stderr).decode(errors="replace")
            # asyncio leaves the pipes to the garbage collector, which warns.
            self.process._transport.close()  # type: ignore[attr-defined]
        if any(error):
            print(self.log, file=sys.stderr)
        else:
            assert not self._unread, f"unread messages: {self._unread}"
            assert self._received <= self._sent, f"replies {self._received} to {self._sent}"

    # Raw

    def write(self, data: bytes) -> None:
        """Bytes as they are."""
        assert self.process.stdin
        self.process.stdin.write(data)

    def send(self, message: object) -> None:
        """One frame."""
        body = json.dumps(message).encode()
        self.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def expect(self, number: Any) -> asyncio.Future[Json]:
        """The next reply with this id."""
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._sent[number] += 1
        self._waiting.setdefault(number, []).append(future)
        for message in self._unread:
            if "method" not in message and message.get("id") == number:
                self._unread.remove(message)
                self._waiting[number].remove(future)
                future.set_result(message)
                break
        return future

    # LSP

    def ask(self, method: str, params: object = None) -> asyncio.Future[Json]:
        """Send a request; its reply, a message. `number` of the future is its id."""
        self._number += 1
        future = self.expect(self._number)
        self.send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        return future

    @property
    def last_number(self) -> int:
        """Id of the last request."""
        return self._number

    async def request(self, method: str, params: object = None) -> Any:
        """The result of a request. Fails on an error reply."""
        reply = await asyncio.wait_for(self.ask(method, params), self.timeout_s)
        assert "error" not in reply, reply
        return reply["result"]

    async def failure(self, method: str, params: object = None) -> int:
        """The error code of a request that fails."""
        reply = await asyncio.wait_for(self.ask(method, params), self.timeout_s)
        assert "error" in reply, reply
        code: int = reply["error"]["code"]
        return code

    def notify(self, method: str, params: object = None) -> None:
        """Send a notification."""
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    async def initialize(self, capabilities: Json | None = None, options: object = None, **more: Any) -> Json:
        """initialize and initialized; the result."""
        params = {"processId": None, "rootUri": None, "capabilities": capabilities or {}, **more}
        if options is not None:
            params["initializationOptions"] = options
        result: Json = await self.request("initialize", params)
        self.encoding = result["capabilities"]["positionEncoding"]
        self.notify("initialized", {})
        return result

    def open(self, text: str, uri: str = "file:///w/a.py", language: str = "python", version: int = 1) -> str:
        """textDocument/didOpen; the URI."""
        document = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return uri

    def change(self, uri: str, version: int, *changes: Json) -> None:
        """textDocument/didChange"""
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": list(changes)})

    def inline(self, uri: str, line: int, character: int, kind: int = 1, **context: Any) -> asyncio.Future[Json]:
        """textDocument/inlineCompletion; `kind` 1 is invoked, 2 automatic."""
        params = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
        return self.ask("textDocument/inlineCompletion", {**params, "context": {"triggerKind": kind, **context}})

    async def items(self, reply: asyncio.Future[Json]) -> list[Json]:
        """The items of an inline completion."""
        message = await asyncio.wait_for(reply, self.timeout_s)
        assert "error" not in message, message
        found: list[Json] = message["result"]["items"]
        return found

    async def command(self, name: str, *arguments: Any) -> Any:
        """workspace/executeCommand"""
        return await self.request("workspace/executeCommand", {"command": name, "arguments": list(arguments)})

    async def shut_down(self) -> int:
        """shutdown and exit; the exit code."""
        await self.request("shutdown")
        self.notify("exit")
        return await asyncio.wait_for(self.process.wait(), 5)

    async def _read(self) -> None:
        stream = self.process.stdout
        assert stream
        while header := await stream.readline():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                await stream.readline()
                self._sort(json.loads(await stream.readexactly(int(value))))
            else:
                raise AssertionError(f"not a header: {header!r}")
        for future in [future for futures in self._waiting.values() for future in futures if not future.done()]:
            future.set_exception(AssertionError("the server has ended without a reply"))

    def _answer(self, number: Any, answer: Any) -> None:
        is_error = isinstance(answer, Exception)
        said = {"error": {"code": -32603, "message": str(answer)}} if is_error else {"result": answer}
        self.send({"jsonrpc": "2.0", "id": number, **said})

    def _sort(self, message: Json) -> None:
        if "method" in message and "id" in message:
            self.requests.append(message)
            self._answer(message["id"], self.answers.get(message["method"]))
        elif "method" in message:
            self.notifications.append(message)
        else:
            self._received[message.get("id")] += 1
            waiting = self._waiting.get(message.get("id"))
            if waiting:
                future = waiting.pop(0)
                if not future.done():
                    future.set_result(message)
            else:
                self._unread.append(message)


def framed(message: Any, header: bytes = b"Content-Length: %d\r\n\r\n") -> bytes:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return (header % len(body) if b"%d" in header else header) + body


def scripted(**script: Any) -> LspClient:
    """A client of a server whose engine plays a script."""
    return LspClient(*SERVER, json.dumps(script))


def events(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


async def until(condition: Any, timeout_s: float = 5.0) -> None:
    """Wait until a function returns something true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


async def until_state(client: LspClient, state: str) -> None:
    for _ in range(500):
        if (await client.command("codegen.status"))["state"] == state:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"never {state}")
