"""The door for editors that ask an OpenAI-compatible endpoint: who gets in, what the host is asked, what comes back."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from fakes import MODEL, ByteTokenizer
from tiny import make_tiny

from codegen_lsp.cli.api import Prompter, Suggester, greeting
from codegen_lsp.cli.main import main
from codegen_lsp.engine.gateway import MAX_BODY_BYTES, Gateway, open_door
from codegen_lsp.engine.launch import stop_host
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.errors import EngineUnavailable
from codegen_lsp.prompt.fim import MARKERS, texts_of

TOKEN = "correct-horse"
KEY = {"Authorization": f"Bearer {TOKEN}"}
PROMPTER = Prompter(MODEL, ByteTokenizer())


@dataclass
class Host:
    """Our host's socket with somebody else behind it; keeps what it was asked."""

    answer: Callable[[web.Request], Any]
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if request.can_read_body:
            self.bodies.append(await request.json())
        response: web.StreamResponse = await self.answer(request)
        return response


@asynccontextmanager
async def door(
    tmp_path: Path, host: Host, find: Any = None, offer: Any = None, socket: str = ""
) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """An HTTP session, and the address of a door in front of `host`."""
    app = web.Application()
    app.router.add_route("*", "/v1/{name}", host.serve)
    behind = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await behind.setup()
    path = str(tmp_path / "h")
    await web.UnixSite(behind, path).start()

    async def find_host() -> str:
        return path

    where = socket or (str(tmp_path / "gone") if find else path)
    runner, port = await open_door(Gateway(TOKEN, where, find or find_host, PROMPTER.prepare, offer), 0)
    try:
        async with aiohttp.ClientSession() as session:
            yield session, f"http://127.0.0.1:{port}/v1"
    finally:
        await runner.cleanup()
        await behind.cleanup()


async def say_hello(_: web.Request) -> web.Response:
    return web.json_response({"choices": [{"text": "hello"}]})


# Who gets in


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": "Bearer \udcff"}, 401),
        ({"Authorization": TOKEN}, 401),
        (KEY, 200),
        (KEY | {"Host": "evil.example"}, 403),
        (KEY | {"Host": "127.0.0.1"}, 403),
        (KEY | {"Host": "localhost:{port}"}, 200),
        (KEY | {"Origin": "https://evil.example"}, 403),
        (KEY | {"Origin": "null"}, 403),
        (KEY | {"Origin": "http://127.0.0.1:{port}"}, 200),
    ],
)
async def test_who_gets_in(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    host = Host(say_hello)
    async with door(tmp_path, host) as (session, url):
        port = url.split(":")[2].split("/")[0]
        sent = {name: value.replace("{port}", port) for name, value in headers.items()}
        for method, what in (("POST", "/completions"), ("GET", "/models")):
            body = {"prompt": "x"} if method == "POST" else None
            async with session.request(method, url + what, headers=sent, json=body) as response:
                assert response.status == status
                said = await response.json()
                assert ("error" in said) == (status != 200)
                assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert len(host.bodies) == (status == 200)


async def test_it_listens_on_loopback_alone(tmp_path: Path) -> None:
    runner, _ = await open_door(Gateway(TOKEN, "", lambda: None, PROMPTER.prepare), 0)  # type: ignore[arg-type, return-value]
    assert [address[0] for address in runner.addresses] == ["127.0.0.1"]
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("completions", b"{", 400, "not valid JSON"),
        ("completions", b"\xff", 400, "not valid JSON"),
        ("completions", b"[" * 100_000, 400, "not valid JSON"),
        ("completions", b"[]", 400, "must be a JSON object"),
        ("completions", b"{}", 400, "must be one text"),
        ("completions", b'{"prompt": [1, 2]}', 400, "must be one text"),
        ("completions", b'{"prompt": "x", "suffix": 1}', 400, "must be one text"),
        ("completions", b" " * (MAX_BODY_BYTES + 1), 413, "Too Large"),
        ("chat", b"{}", 404, "Not Found"),
    ],
)
async def test_refusals_are_json(tmp_path: Path, path: str, body: bytes, status: int, said: str) -> None:
    host = Host(say_hello)
    async with (
        door(tmp_path, host) as (session, url),
        session.post(f"{url}/{path}", data=BytesIO(body), headers=KEY) as response,
    ):
        assert response.status == status
        assert said in (await response.json())["error"]["message"]
    assert host.bodies == []


# What the host is asked

ZED = '<|fim_prefix|>def one():\n    return <|fim_suffix|>\n\nprint("<|fim_suffix|>")<|fim_middle|>'
"""As Zed writes it for Qwen; the text behind the cursor has a marker of its own."""


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        (ZED, ("def one():\n    return ", '\n\nprint("<|fim_suffix|>")')),
        ("<fim_prefix>a<fim_suffix>b<fim_middle>", ("a", "b")),
        ("<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜>", ("a", "b")),
        ("<|code_prefix|>a<|code_suffix|>b<|code_middle|>", ("a", "b")),
        ("<PRE> a <SUF>b <MID>", ("a", "b")),
        ("[SUFFIX]b[PREFIX]a", ("a", "b")),
        ("<|fim_prefix|><|fim_suffix|><|fim_middle|>", ("", "")),
        ("def a():", None),
        ("<|fim_prefix|>a<|fim_middle|>", None),
        ("x <fim_prefix>a<fim_suffix>b<fim_middle>", None),
    ],
)
def test_prompts_in_the_editors_own_markers(prompt: str, texts: tuple[str, str] | None) -> None:
    assert texts_of(prompt) == texts


async def test_what_the_host_is_asked(tmp_path: Path) -> None:
    """Zed's request, a plain one, and one that is too long: no control token comes from a text."""
    host = Host(say_hello)
    stops = sorted(MARKERS)[:14]
    async with door(tmp_path, host) as (session, url):
        for body in (
            {"model": "scripted", "prompt": ZED, "max_tokens": 64, "stop": [*stops, "\n\n"]},
            {"prompt": "# <|fim_middle|>\r\nx =", "suffix": "\r\n", "temperature": 0.5, "document": "theirs"},
            {"prompt": "a = 1\n" * 20_000, "suffix": "b = 2\n" * 20_000, "presence_penalty": 1},
        ):
            async with session.post(url + "/completions", json=body, headers=KEY) as response:
                assert await response.json() == {"choices": [{"text": "hello"}]}
    encode, special = PROMPTER.tokenizer.encode, PROMPTER.tokenizer.special
    marks = [special(f"<|fim_{name}|>") for name in ("prefix", "suffix", "middle")]
    zed, plain, long = host.bodies
    before, behind = texts_of(ZED) or ("", "")
    assert zed.pop("prompt") == [*marks[:2], *encode(behind), marks[2], *encode(before)]
    stop_ids = zed.pop("stop_token_ids")
    assert special("<|endoftext|>") in stop_ids
    assert zed == {"model": "scripted", "max_tokens": 64, "temperature": 0, "stop": ["\n\n"], "heal": True}
    assert plain.pop("prompt") == [*marks[:2], *encode("\n"), marks[2], *encode("# <|fim_middle|>\nx =")]
    assert plain == {"max_tokens": 64, "temperature": 0.5, "stop": [], "stop_token_ids": stop_ids, "heal": True}
    assert MODEL.prompt_budget * 0.9 < len(long["prompt"]) <= MODEL.prompt_budget
    assert (long["heal"], long["presence_penalty"]) == (False, 1)


# What comes back


async def test_a_stream_passes_through_as_it_comes(tmp_path: Path) -> None:
    go = asyncio.Event()
    events = [b'data: {"choices": [{"text": "a"}]}\n\n', b"data: [DONE]\n\n"]

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(events[0])
        await go.wait()
        await response.write(events[1])
        return response

    async with door(tmp_path, Host(answer)) as (session, url):
        body = {"prompt": "x", "stream": True}
        async with session.post(url + "/completions", json=body, headers=KEY) as response:
            assert response.content_type == "text/event-stream"
            assert await asyncio.wait_for(response.content.readuntil(b"\n\n"), 5) == events[0]
            go.set()
            assert await response.read() == events[1]


# What is offered, where the answer is judged


@pytest.mark.parametrize(
    ("before", "behind", "answer", "offered"),
    [
        ("# add two numbers", "\n", "def add(left, right):\n    return left + right\n", None),
        ("def one():\n    return ", "\n\n\none()\n", "1\n\n\ndef two():\n    return 2\n", "1"),
        ('name = "the na', '"\n', "me", ""),
    ],
    ids=["a comment's code begins on a line of its own", "one line, not the next function", "string"],
)
async def test_an_answer_is_what_the_language_server_would_offer(
    tmp_path: Path, before: str, behind: str, answer: str, offered: str | None
) -> None:
    host, engine = Host(say_hello), ScriptedEngine(lambda _: answer)
    offered = "\n" + answer.rstrip("\n") if offered is None else offered
    async with door(tmp_path, host, offer=Suggester(PROMPTER, engine, "python").offer) as (session, url):
        body = {"model": "scripted", "prompt": f"<fim_prefix>{before}<fim_suffix>{behind}<fim_middle>"}
        for fields in ({"stop": sorted(MARKERS)}, {"n": 1, "temperature": 0, "max_tokens": 300}):
            async with session.post(url + "/completions", json=body | fields, headers=KEY) as response:
                said = await response.json()
            assert said["choices"] == [{"index": 0, "text": offered, "logprobs": None, "finish_reason": "stop"}]
            assert said.keys() >= {"id", "object", "created", "model"}
            assert said["usage"].keys() >= {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert host.bodies == []


async def test_the_models_own_words_where_they_are_asked_for(tmp_path: Path) -> None:
    host, suggester = Host(say_hello), Suggester(PROMPTER, ScriptedEngine(["never"]), "python")
    own: list[dict[str, Any]] = [{"logprobs": 1}, {"temperature": 0.5}, {"n": 2}, {"stream": True}]
    wrong: list[dict[str, Any]] = [{"model": "other"}, {"max_tokens": -1}, {"max_tokens": "9"}, {"prompt": [1]}]
    async with door(tmp_path, host, offer=suggester.offer) as (session, url):
        for fields, status in [*((each, 200) for each in own), *((each, 400) for each in wrong)]:
            async with session.post(url + "/completions", json={"prompt": "x = "} | fields, headers=KEY) as response:
                assert response.status == status, fields
                if status == 400:
                    assert (await response.json())["error"]["message"].endswith(".")
    assert len(host.bodies) == len(own)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_editor_that_hangs_up_cancels(tmp_path: Path, stream: bool) -> None:
    begun, dropped = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        begun.set()
        try:
            await asyncio.sleep(30)
        finally:
            dropped.set()
        return response

    async with door(tmp_path, Host(answer)) as (session, url):
        body = {"prompt": "x", "stream": stream}
        asked = asyncio.create_task(session.post(url + "/completions", json=body, headers=KEY))
        await asyncio.wait_for(begun.wait(), 5)
        if stream:
            (await asked).close()
        else:
            asked.cancel()
            await asyncio.wait({asked})
        await asyncio.wait_for(dropped.wait(), 5)


async def test_errors_of_the_host_are_passed_on(tmp_path: Path) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": {"message": "Not here."}}, status=404)

    async def find_none() -> str:
        raise EngineUnavailable("The model host did not start.")

    async def find_gone() -> str:
        return str(tmp_path / "nobody")

    cases: list[tuple[Any, int, str]] = [
        (None, 404, "Not here."),
        (find_none, 503, "The model host did not start."),
        (find_gone, 502, "The model host has closed the connection; ask again."),
    ]
    for find, status, said in cases:
        async with door(tmp_path, Host(refuse), find) as (session, url):
            for stream in (True, False):
                body = {"prompt": "x", "stream": stream}
                async with session.post(url + "/completions", json=body, headers=KEY) as response:
                    assert (response.status, response.content_type) == (status, "application/json")
                    assert (await response.json())["error"]["message"] == said


async def test_a_host_that_has_gone_is_found_again(tmp_path: Path) -> None:
    async with (
        door(tmp_path, Host(say_hello), socket=str(tmp_path / "gone")) as (session, url),
        session.post(url + "/completions", json={"prompt": "x"}, headers=KEY) as response,
    ):
        assert await response.json() == {"choices": [{"text": "hello"}]}


# The command


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--port", "70000"), "--port must be between 0 and 65535."),
        (("--token-env", "NOT_SET_AT_ALL"), "--token-env: the environment variable NOT_SET_AT_ALL is not set."),
        (("--dtype", "int3"), "dtype"),
        (("--language", "klingon"), "--language klingon is not known; it is one of"),
    ],
)
def test_wrong_usage_gets_one_sentence(capsys: pytest.CaptureFixture[str], args: tuple[str, ...], said: str) -> None:
    assert main(["api", *args]) == 2
    out, errors = capsys.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    assert said in errors


def test_a_port_in_use_gets_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["api", "--port", str(port)]) == 2
    errors = capsys.readouterr().err
    assert errors == f"codegen-lsp: Port {port} is in use; choose another with --port (0: any free one).\n"


def test_the_greeting_says_what_to_put_where() -> None:
    first, second = greeting(8731, "seed-py", "abc").splitlines()
    assert first.endswith("http://127.0.0.1:8731/v1/completions, token abc")
    setting = json.loads(second[second.index("{") : second.rindex("}") + 1])
    assert setting[setting["provider"]]["api_url"] == "http://127.0.0.1:8731/v1/completions"
    assert "abc" not in second
    assert "token" not in greeting(8731, "seed-py", "").splitlines()[0]


async def test_with_a_real_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command as a process: its token opens the door, the model behind it answers, Ctrl-C ends it."""
    for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME"):
        (tmp_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    model = str(make_tiny(tmp_path / "tiny"))
    command = (sys.executable, "-m", "codegen_lsp", "api", "--port", "0", "--model", model)
    process = await asyncio.create_subprocess_exec(*command, stdout=-1)
    try:
        assert process.stdout
        found = re.search(r"(http\S+)/completions, token (\S+)", (await process.stdout.readline()).decode())
        assert found
        url, token = found.groups()
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            body = {"model": "tiny", "prompt": ZED, "max_tokens": 8, "stop": sorted(MARKERS)}
            async with session.post(url + "/completions", json=body) as response:
                whole = await response.json()
            assert whole["choices"][0]["text"]
            assert whole["usage"].keys() >= {"prompt_tokens", "completion_tokens", "total_tokens"}
            async with session.post(url + "/completions", json=body | {"stream": True}) as response:
                events = (await response.read()).decode().split("\n\n")
            assert events[-2:] == ["data: [DONE]", ""]
            texts = (json.loads(event[5:])["choices"][0]["text"] for event in events[:-2])
            assert "".join(texts) == whole["choices"][0]["text"]
            async with session.get(url + "/models") as response:
                assert (await response.json())["data"][0]["id"] == "tiny"
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 10) == 130
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
        await stop_host()
