"""The client side of the seam, against servers of others that are made up here; and the fake engine."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from codegen_lsp.core import Delta, Prompt, SamplingParams
from codegen_lsp.engine.openai import Endpoint, OpenAIEngine, connect
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.errors import EngineFailed, EngineUnavailable, ModelError, SettingsError

PROMPT = Prompt(tuple(range(20, 40)), (0,))
GREEDY = SamplingParams(max_tokens=6)


async def collect(engine: Any, prompt: Prompt = PROMPT, params: SamplingParams = GREEDY, **more: Any) -> list[Delta]:
    more = {"document": "a", "heal": False} | more
    return [delta async for delta in engine.generate(prompt, params, **more)]


@asynccontextmanager
async def server(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[tuple[str, list[Any]]]:
    """An http server that answers completions as told, and the bodies that it got."""
    bodies: list[Any] = []

    async def keep(request: web.Request) -> web.StreamResponse:
        bodies.append({"headers": dict(request.headers), **json.loads(await request.read())})
        return await answer(request)

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "other"}, {"id": "big", "max_model_len": 4096}]})

    app = web.Application()
    app.router.add_post("/v1/completions", keep)
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", bodies
    finally:
        await runner.cleanup()


def events(*lines: bytes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        return response

    return answer


WORD = b'data: {"choices": [{"text": "hi", "logprobs": {"tokens": ["hi"], "token_logprobs": [-0.5]}}]}\n\n'
LAST = b'data: {"choices": [{"text": "", "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}\n\n'
DONE = b"data: [DONE]\n\n"


async def test_a_foreign_server_gets_only_standard_fields() -> None:
    async with server(events(b": comment\n\n", WORD, LAST, DONE)) as (url, bodies):
        engine = connect("nothing-of-ours", endpoint=url + "/v1/", api_key="secret", served_as="big")
        params = SamplingParams(max_tokens=9, seed=3, stop=tuple("abcde"))
        deltas = await collect(engine, params=params, heal=True)
        assert deltas == [Delta("hi", (-0.5,), ("hi",)), Delta("", finish="stop", usage={"prompt_tokens": 3})]
        info = await engine.info()
        assert (info.id, info.folder, info.context_window, info.prompt_budget) == ("big", "", 4096, 1536)
        await engine.close()
    (body,) = bodies
    assert body.pop("headers")["Authorization"] == "Bearer secret"
    assert body == {
        "prompt": list(PROMPT.ids), "max_tokens": 9, "temperature": 0.0, "top_p": 1.0, "stream": True,
        "logprobs": 1, "seed": 3, "stop": ["a", "b", "c", "d"], "model": "big",
    }  # fmt: skip


@pytest.mark.parametrize(("document", "sent"), [("a", "a"), ("\ud800.py", "?.py")])
async def test_extras_are_sent_when_asked_for(document: str, sent: str) -> None:
    async with server(events(LAST)) as (url, bodies):
        engine = OpenAIEngine(Endpoint(url=url, extras=True))
        async for _ in engine.generate(PROMPT, SamplingParams(), document=document, heal=True):
            pass
        await engine.close()
    assert bodies[0] | {"document": sent, "heal": True, "stop_token_ids": [0]} == bodies[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ((WORD,), "died while it answered"),
        ((WORD, b'data: {"error": {"message": "No more."}}\n\n'), "No more."),
        ((b"data: oops\n\n",), "something else than JSON"),
        ((b"data: []\n\n",), "something else than a JSON object"),
    ],
)
async def test_a_broken_stream_is_one_clear_error(lines: tuple[bytes, ...], message: str) -> None:
    async with server(events(*lines)) as (url, _):
        engine = connect(endpoint=url)
        with pytest.raises(EngineFailed, match=message):
            await collect(engine)
        await engine.close()


@pytest.mark.parametrize(
    ("status", "text", "kind", "message"),
    [
        (400, '{"error": {"message": "Too long."}}', EngineFailed, "Too long."),
        (400, '{"error": "Too long."}', EngineFailed, "Too long."),
        (500, "<html>", EngineFailed, "HTTP status 500"),
        (503, '{"error": {"message": "Later."}}', EngineUnavailable, "Later."),
    ],
)
async def test_refusals(status: int, text: str, kind: type[Exception], message: str) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=status, text=text)

    async with server(refuse) as (url, _):
        engine = connect(endpoint=url)
        with pytest.raises(kind, match=message):
            await collect(engine)
        await engine.close()


async def test_nobody_there() -> None:
    engine = connect(endpoint="http://127.0.0.1:9")
    for call in (collect(engine), engine.info(), engine.wait_ready()):
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await call
    await engine.close()
    with pytest.raises(SettingsError):
        connect(endpoint="ftp://x")
    with pytest.raises(ModelError):
        connect("nothing-of-ours")


async def test_closing_the_iterator_drops_the_connection() -> None:
    dropped = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(WORD)
                await asyncio.sleep(0.01)
        finally:
            dropped.set()

    async with server(endless) as (url, _):
        engine = connect(endpoint=url)
        async with aclosing(engine.generate(PROMPT, GREEDY, document="a", heal=False)) as deltas:
            await anext(deltas)
        await asyncio.wait_for(dropped.wait(), 1)
        dropped.clear()
        task = asyncio.create_task(collect(engine))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(dropped.wait(), 1)
        await engine.close()


def test_importing_the_client_imports_neither_aiohttp_nor_torch() -> None:
    code = "import sys, codegen_lsp.engine.openai; print({'aiohttp', 'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"set()\n"


# The fake


async def test_scripted_engine() -> None:
    engine = ScriptedEngine(["return 1\n", "a b c d"])
    assert "".join(delta.text for delta in await collect(engine)) == "return 1\n"
    short = await collect(engine, params=SamplingParams(max_tokens=2))
    assert ("".join(delta.text for delta in short), short[-1].finish) == ("a b", "length")
    assert "".join(delta.text for delta in await collect(engine)) == "a b c d"
    assert [document for _, _, document, _ in engine.requests] == ["a", "a", "a"]
    assert engine.num_cancelled == 0

    slow = ScriptedEngine(lambda prompt: f"{len(prompt.ids)} tokens", delay=0.01)
    async with aclosing(slow.generate(PROMPT, GREEDY, document="a", heal=False)) as deltas:
        assert (await anext(deltas)).text == "20"
    assert slow.num_cancelled == 1
    assert (await slow.info()).format == "codegen"
    await slow.close()
