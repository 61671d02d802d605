"""The server as a process: lifecycle, frames, and exactly one reply to everything."""

from __future__ import annotations

import asyncio
import random
import statistics
import subprocess
import sys
import time
from typing import Any

import pytest
from lsp_client import (
    HOVER,
    INIT,
    INLINE,
    ROOT,
    SHUTDOWN,
    LspClient,
    framed,
)

COMMAND = "workspace/executeCommand"
WAIT_S = 10


# Life


async def test_initialize_is_quick_and_loads_nothing() -> None:
    took = []
    for _ in range(3):
        began = time.perf_counter()
        async with LspClient() as client:
            await client.initialize()
            took.append(time.perf_counter() - began)
            assert (await client.command("codegen.inspect"))["modules"] == []
            assert await client.shut_down() == 0
    assert statistics.median(took) < 0.5, took


async def test_never_imports_torch() -> None:
    async with LspClient() as client:
        await client.initialize()
        uri = client.open("# add two numbers\n")
        assert await client.items(client.inline(uri, 0, 17))
        modules = (await client.command("codegen.inspect"))["modules"]
    assert "tree_sitter" in modules
    assert not {"torch", "transformers"} & set(modules)


def test_the_door_imports_only_the_standard_library() -> None:
    code = "import sys, codegen_lsp.server.app; print([m for m in sys.modules if m.split('.')[0] in " \
        "('pygls', 'lsprotocol', 'aiohttp', 'tokenizers', 'tree_sitter', 'torch', 'cattrs', 'attrs')])"  # fmt: skip
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert output.stdout.strip() == "[]"


def call(method: str, params: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 9, "method": method, "params": params}


BAD_MESSAGES: list[tuple[list[Any], Any, Any, int]] = [
    ([], HOVER, 9, -32002),
    ([], SHUTDOWN, 2, -32002),
    ([], call("initialize", None), 9, -32602),
    ([], call("initialize", [1]), 9, -32602),
    ([], [HOVER], None, -32600),
    ([], {"jsonrpc": "2.0", "id": 9}, 9, -32600),
    ([INIT], HOVER, 9, -32601),
    ([INIT], call("initialize", {}), 9, -32600),
    ([INIT], call("$/unknown", {}), 9, -32601),
    ([INIT], call("textDocument/didOpen", None), 9, -32602),
    ([INIT], call(INLINE, None), 9, -32602),
    ([INIT], call(INLINE, []), 9, -32602),
    ([INIT], call(INLINE, {"textDocument": {"uri": "a"}, "position": 3, "context": {"triggerKind": 1}}), 9, -32602),
    (
        [INIT],
        call(
            INLINE,
            {"textDocument": {"uri": "a"}, "position": {"line": -1, "character": 0}, "context": {"triggerKind": 1}},
        ),
        9,
        -32602,
    ),
    (
        [INIT],
        call(
            INLINE,
            {"textDocument": {"uri": "a"}, "position": {"line": 0, "character": 0}, "context": {"triggerKind": 99}},
        ),
        9,
        -32602,
    ),
    ([INIT], call("textDocument/completion", {}), 9, -32602),
    ([INIT], call("textDocument/codeAction", {"textDocument": {}}), 9, -32602),
    ([INIT], call("codeAction/resolve", {"title": "x"}), 9, -32801),
    ([INIT], call("codeAction/resolve", {}), 9, -32602),
    ([INIT], call(COMMAND, {"command": "rm"}), 9, -32602),
    ([INIT], call(COMMAND, {}), 9, -32602),
    ([INIT], call(COMMAND, {"command": "codegen.write", "arguments": [{"uri": 3}]}), 9, -32801),
    ([INIT], {**HOVER, "jsonrpc": "1.0"}, 9, -32600),
    ([INIT], {**HOVER, "id": None}, None, -32600),
    ([INIT], {**HOVER, "id": 1.5}, None, -32600),
    ([INIT], {**HOVER, "id": True}, None, -32600),
    ([INIT], {**HOVER, "id": {}}, None, -32600),
    ([INIT], {**HOVER, "method": 3}, 9, -32600),
    ([INIT], {"jsonrpc": "2.0", "id": 9}, 9, -32600),
    ([INIT], {"jsonrpc": "2.0"}, None, -32600),
    ([INIT], [], None, -32600),
    ([INIT], "text", None, -32600),
    ([INIT], 7, None, -32600),
    ([INIT, SHUTDOWN], HOVER, 9, -32600),
    ([INIT, SHUTDOWN], call("shutdown", None), 9, -32600),
    ([INIT, SHUTDOWN], call("initialize", {}), 9, -32600),
]
"""(what is sent before, the message, the id of its one reply, the error code)"""


@pytest.mark.parametrize("before", [[], [INIT], [INIT, SHUTDOWN]])
async def test_each_bad_message_has_exactly_one_reply(before: list[Any]) -> None:
    async with LspClient() as client:
        for each in before:
            reply = client.expect(each["id"])
            client.send(each)
            assert "result" in await asyncio.wait_for(reply, WAIT_S)
        for _, message, number, code in (row for row in BAD_MESSAGES if row[0] == before):
            reply = client.expect(number)
            client.send(message)
            assert (await asyncio.wait_for(reply, WAIT_S))["error"]["code"] == code, message
        # Their replies would come before this one's; unread ones are complained of at the end.
        reply = client.expect("last")
        client.send({**HOVER, "id": "last"})
        await asyncio.wait_for(reply, WAIT_S)


async def test_bad_notifications_and_strange_responses_have_none() -> None:
    async with LspClient() as client:
        await client.initialize()
        odd: list[Any] = [None, [], 3, {}, {"textDocument": 3}, {"contentChanges": [3], "textDocument": {"uri": "x"}}]
        for params in odd:
            for method in ("didOpen", "didChange", "didClose", "didSave", "nonsense"):
                client.notify(f"textDocument/{method}", params)
            client.notify("workspace/didChangeConfiguration", params)
            client.notify("workspace/didChangeWorkspaceFolders", params)
            client.notify("$/cancelRequest", params)
        client.send({"jsonrpc": "2.0", "id": 77, "result": None})
        client.send({"jsonrpc": "2.0", "id": "x", "error": {"code": 1, "message": "no"}})
        assert (await client.command("codegen.status"))["state"] == "idle"


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (None, "utf-16"),
        ([], "utf-16"),
        (["utf-32", "utf-8"], "utf-32"),
        (["ebcdic", "utf-8", "utf-16"], "utf-8"),
        (["ebcdic"], "utf-16"),
        ("utf-8", "utf-16"),
        ([3, None, {}], "utf-16"),
    ],
)
async def test_the_position_encoding_is_the_clients_choice(offered: Any, chosen: str) -> None:
    async with LspClient() as client:
        result = await client.initialize({"general": {"positionEncodings": offered}})
        assert result["capabilities"]["positionEncoding"] == chosen


async def test_unknown_values_in_initialize_do_no_harm() -> None:
    odd = {
        "textDocument": {"codeAction": {"resolveSupport": 3}, "completion": {"completionItemKind": {"valueSet": [99]}}},
        "workspace": [],
        "window": "yes",
        "general": {"positionEncodings": ["utf-99"], "markdown": {"parser": 3}},
        "futureFeature": {"x": [{}]},
    }
    async with LspClient() as client:
        await client.initialize(odd, options=[1], processId="x", rootUri=3, workspaceFolders=[3, {}], trace="loud")
        assert (await client.command("codegen.inspect"))["documents"] == []
        assert [note["method"] for note in client.notifications] == ["window/showMessage"]


async def test_exit_codes() -> None:
    for messages, code in (([], 1), (["initialize"], 1), (["initialize", "shutdown"], 0)):
        async with LspClient() as client:
            for method in messages:
                await client.request(method, {"capabilities": {}} if method == "initialize" else None)
            client.notify("exit")
            assert await asyncio.wait_for(client.process.wait(), 3) == code


# Frames


FRAMES = [
    (framed(b"{not json"), -32700),
    (framed(b"\xff\xfe\xfd"), -32700),
    (framed(b""), -32700),
    (framed(b"[" * 100_000), -32700),
    (b"Content-Length: 1000000000000\r\n\r\n", -32600),
    (b"Content-Length: 99999999999999999999\r\n\r\n{", -32600),
    (framed(call("$/x", 0), b"content-length: %d\r\n\r\n"), -32601),
    (framed(call("$/x", 0), b"CONTENT-LENGTH:%d\r\nContent-Type: x; charset=utf8\r\n\r\n"), -32601),
    (framed(call("$/x", 0), b"X-A: b\r\nContent-Length: %d\r\nX-C: d\r\n\r\n"), -32601),
    (framed(call("$/x", 0), b"Content-Length: %d\n\n"), -32601),
    (framed(call("$/x", 0), b"Content-Length: -5\r\n\r\nContent-Length: %d\r\n\r\n"), -32601),
    (b"A" * 100_000 + framed(call("$/x", 0)), -32601),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + framed(call("$/x", 0)), -32601),
    (b"\r\n\r\n\0\0" + framed(call("$/x", 0)), -32601),
]


async def test_after_any_frame_the_server_still_hears() -> None:
    async with LspClient() as client:
        await client.initialize()
        for data, code in FRAMES:
            reply = client.expect(9 if code == -32601 else None)
            client.write(data)
            assert (await asyncio.wait_for(reply, WAIT_S))["error"]["code"] == code, data[:100]
            assert await client.command("codegen.status")


async def test_random_frames() -> None:
    rng = random.Random(5)
    async with LspClient() as client:
        await client.initialize()
        good = framed({"jsonrpc": "2.0", "method": "x/y", "params": {"a": "é"}})
        for _ in range(2000):
            data = bytearray(good)
            for _ in range(rng.randrange(4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            client.write(bytes(data[: rng.randrange(1, len(data) + 1)]))
        # Whatever came before, a frame on a line of its own is found once the last body is complete.
        client.write(b"\r\n" + b" " * 10_000 + b"\r\n")
        client._sent[None] += 10_000
        assert await client.command("codegen.status")
        client._unread.clear()


async def test_a_frame_that_comes_byte_by_byte() -> None:
    async with LspClient() as client:
        await client.initialize()
        reply = client.expect(9)
        for byte in framed(HOVER):
            client.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await asyncio.wait_for(reply, WAIT_S))["error"]["code"] == -32601


async def test_stdout_carries_only_the_protocol() -> None:
    code = (
        "import os, sys; sys.path.insert(0, 'tests')\n"
        "from codegen_lsp.server.app import serve\n"
        "from scripted_server import ScriptedEngine, Script\n"
        "def engine(_):\n"
        "    print('noise'); os.write(1, b'noise'); os.system('echo noise')\n"
        "    return ScriptedEngine(Script())\n"
        "sys.exit(serve(engine_factory=engine))\n"
    )
    async with LspClient(sys.executable, "-c", code) as client:
        await client.initialize()
        uri = client.open("# add two numbers\n")
        assert await client.items(client.inline(uri, 0, 17))
    assert client.log.count("noise") == 3
