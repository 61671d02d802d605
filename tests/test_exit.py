"""The server leaves when it should, and nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lsp_client import (
    HOVER,
    INIT,
    ROOT,
    SERVER,
    SHUTDOWN,
    events,
    framed,
    scripted,
    until,
)


async def test_stdin_closed_in_the_middle_of_a_request(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with scripted(delay_s=60, log=str(log)) as client:
        await client.initialize()
        uri = client.open("# add two numbers\n")
        reply = client.inline(uri, 0, 17)
        await until(lambda: "generate" in events(log))
        client.write(b"Content-Length: 500\r\n\r\n{")
        began = time.perf_counter()
        assert client.process.stdin
        client.process.stdin.close()
        assert await asyncio.wait_for(client.process.wait(), 3) == 0
        assert time.perf_counter() - began < 2
        assert (await asyncio.wait_for(reply, 1))["error"]["code"] == -32800
    assert events(log)[-2:] == ["generated", "close"]
    assert "Traceback" not in client.log
    assert "never awaited" not in client.log


async def test_the_server_leaves_with_its_editor_even_if_the_pipe_stays_open(tmp_path: Path) -> None:
    # The parent starts a server, gives its end of the pipe to a child that outlives it, and is killed.
    code = (
        "import json, os, subprocess, sys, time\n"
        "server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)\n"
        "keeper = subprocess.Popen(['sleep', '30'], stdout=server.stdin)\n"
        "body = json.dumps({'jsonrpc': '2.0', 'id': 1, 'method': 'initialize',\n"
        "                   'params': {'processId': os.getpid(), 'capabilities': {}}}).encode()\n"
        "server.stdin.write(b'Content-Length: %d\\r\\n\\r\\n' % len(body) + body); server.stdin.flush()\n"
        "print(server.pid, keeper.pid, flush=True); time.sleep(30)\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *SERVER, stdout=-1, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert parent.stdout
    server, keeper = map(int, (await parent.stdout.readline()).split())
    try:
        await asyncio.sleep(1.0)
        assert is_running(server)
        parent.kill()
        await until(lambda: not is_running(server), 3.0)
    finally:
        await parent.wait()
        os.kill(keeper, signal.SIGKILL)
        parent._transport.close()  # type: ignore[attr-defined]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_client_that_does_not_read() -> None:
    # 3,000 replies, more than a pipe holds, are written before the first one is read.
    process = subprocess.Popen(  # noqa: ASYNC220
        SERVER, stdin=-1, stdout=-1, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(framed(INIT))
    for number in range(3000):
        process.stdin.write(framed({**HOVER, "id": f"n{number}", "method": "x" * 100}))
    process.stdin.write(framed(SHUTDOWN) + framed({"jsonrpc": "2.0", "method": "exit"}))
    process.stdin.flush()
    await asyncio.sleep(0.5)
    output = process.stdout.read()
    assert process.wait(5) == 0
    process.stdin.close()
    process.stdout.close()
    assert output.count(b"-32601") == 3000
