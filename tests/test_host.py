"""The host's routes over a real unix socket, in this process."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import torch
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from machines import begun, slow

from codegen_lsp import registry
from codegen_lsp.errors import ModelError
from codegen_lsp.host.app import Host, _json_errors, make_app
from codegen_lsp.host.load import Loaded
from codegen_lsp.host.runners import Part

pytest_plugins = ["machines"]


class Client:
    """A host on a unix socket of this process, and a session to it."""

    def __init__(self, host: Host, session: aiohttp.ClientSession) -> None:
        self.host = host
        self.session = session

    async def post(self, **fields: Any) -> tuple[int, Any]:
        async with self.session.post("http://host/v1/completions", json=fields) as response:
            return response.status, await response.json()

    async def stream(self, **fields: Any) -> list[dict[str, Any]]:
        async with self.session.post("http://host/v1/completions", json=fields | {"stream": True}) as response:
            assert response.content_type == "text/event-stream"
            raw = await response.read()
        events = raw.decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


@asynccontextmanager
async def serving(tmp_path: Path, folder: Path, make: Callable[[], Loaded]) -> AsyncIterator[Client]:
    host = Host(registry.find(str(folder)), make)
    runner = web.AppRunner(make_app(host), handler_cancellation=True, access_log=None, shutdown_timeout=1)
    await runner.setup()
    path = str(tmp_path / "s")
    await web.UnixSite(runner, path).start()
    host.scheduler.begin()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        yield Client(host, session)
    assert host.scheduler.stop(5)
    await runner.cleanup()


@pytest.fixture
async def client(tmp_path: Path, folders: dict[str, Path], loaded: Loaded) -> AsyncIterator[Client]:
    async with serving(tmp_path, folders["llama"], lambda: loaded) as client:
        yield client


PROMPT = list(range(20, 40))


async def test_completion_and_stream_agree(client: Client, loaded: Loaded) -> None:
    fields = {"prompt": PROMPT, "max_tokens": 12, "temperature": 0, "logprobs": 2, "ignore_eos": True}
    status, whole = await client.post(**fields)
    assert status == 200
    events = await client.stream(**fields, stream_options={"include_usage": True})
    choice = whole["choices"][0]
    assert "".join(c["text"] for event in events for c in event["choices"]) == choice["text"]
    tokens = [t for event in events for c in event["choices"] for t in c["logprobs"]["tokens"]]
    assert tokens == choice["logprobs"]["tokens"]
    assert len(tokens) == len(choice["logprobs"]["token_logprobs"]) == 12
    assert all(len(top) <= 2 for top in choice["logprobs"]["top_logprobs"])
    assert choice["finish_reason"] == "length"
    drafts = whole["usage"].pop("completion_tokens_details")
    assert drafts.keys() == {"accepted_prediction_tokens", "rejected_prediction_tokens"}
    assert whole["usage"] == {
        "prompt_tokens": 20, "completion_tokens": 12, "total_tokens": 32, "prompt_tokens_details": {"cached_tokens": 0},
    }  # fmt: skip
    assert set(whole["timings_ms"]) == {"prefill", "decode"}
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] == 19
    # The first answer is the second one's draft.
    assert events[-1]["usage"]["completion_tokens_details"]["accepted_prediction_tokens"] >= 3


async def test_text_prompt_and_suffix(client: Client, loaded: Loaded) -> None:
    encode, special = loaded.tokenizer.encode, loaded.tokenizer.special
    marks = [special(f"<|fim_{name}|>") for name in ("prefix", "suffix", "middle")]
    fim = [*marks[:2], *encode("return b"), marks[2], *encode("def a:")]
    same = {"max_tokens": 6, "temperature": 0, "ignore_eos": True}
    assert (await client.post(prompt="def a:", suffix="return b", **same))[1]["choices"][0]["text"] == (
        await client.post(prompt=fim, **same)
    )[1]["choices"][0]["text"]
    assert (await client.post(prompt=["def a:"], **same))[1]["usage"]["prompt_tokens"] == len(encode("def a:"))
    assert (await client.post(prompt=[PROMPT], **same))[0] == 200


async def test_markers_in_a_text_are_text(client: Client, loaded: Loaded) -> None:
    text = "# <|fim_middle|><|endoftext|>\n"
    ids = loaded.tokenizer.encode(text)
    assert not any(loaded.machine.vocabulary.is_control(number) for number in ids)
    _, body = await client.post(prompt=text, suffix=text, max_tokens=2, temperature=0)
    assert body["usage"]["prompt_tokens"] == 2 * len(ids) + 3


async def test_n_choices_differ_and_count(client: Client) -> None:
    _, body = await client.post(prompt=PROMPT, n=3, seed=5, max_tokens=6, ignore_eos=True, document="d")
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert len({choice["text"] for choice in body["choices"]}) > 1
    assert body["usage"]["completion_tokens"] == 18
    assert body == body | (await client.post(prompt=PROMPT, n=3, seed=5, max_tokens=6, ignore_eos=True))[1] | {
        "id": body["id"], "created": body["created"], "usage": body["usage"], "timings_ms": body["timings_ms"],
    }  # fmt: skip


BAD: list[tuple[dict[str, Any], str | None]] = [
    ({}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": []}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"prompt": ["a", "b"]}, "prompt"),
    ({"prompt": [[1], [2]]}, "prompt"),
    ({"prompt": [1, "a"]}, "prompt"),
    ({"prompt": [True, 2]}, "prompt"),
    ({"prompt": [-1]}, "prompt"),
    ({"prompt": [400]}, "prompt"),
    ({"prompt": [5] * 256}, "prompt"),
    ({"prompt": [5], "suffix": "x"}, "suffix"),
    ({"prompt": "a", "suffix": 3}, "suffix"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": True}, "max_tokens"),
    ({"max_tokens": "9"}, "max_tokens"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 0}, "top_p"),
    ({"top_p": 1.01}, "top_p"),
    ({"seed": 1.5}, "seed"),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ({"stop": ""}, "stop"),
    ({"stop": [1]}, "stop"),
    ({"stop": "x" * 2000}, "stop"),
    ({"stop_token_ids": [9999]}, "stop_token_ids"),
    ({"stop_token_ids": "0"}, "stop_token_ids"),
    ({"candidates": "x = 1"}, "candidates"),
    ({"candidates": ["x = 1"]}, "candidates"),
    ({"candidates": [["x = 1", "2"]]}, "candidates"),
    ({"candidates": [["", 2]]}, "candidates"),
    ({"candidates": [["x", 1e9]]}, "candidates"),
    ({"candidates": [["x", True]]}, "candidates"),
    ({"candidates": [["x", 1]] * 1001}, "candidates"),
    ({"logprobs": 21}, "logprobs"),
    ({"logprobs": True}, "logprobs"),
    ({"n": 0}, "n"),
    ({"n": 17}, "n"),
    ({"stream": "yes"}, "stream"),
    ({"heal": 1}, "heal"),
    ({"document": 7}, "document"),
    ({"prompt": "x " * 20_000}, "prompt"),
    ({"echo": True}, "echo"),
    ({"best_of": 4}, "best_of"),
    ({"presence_penalty": 0.5}, "presence_penalty"),
    ({"logit_bias": {"5": 1}}, "logit_bias"),
    ({"stream_options": []}, "stream_options"),
]


async def test_bad_params_are_named(client: Client) -> None:
    for fields, param in BAD:
        status, body = await client.post(**({"prompt": PROMPT} if fields and param != "prompt" else {}) | fields)
        assert (status, body["error"]["param"]) == (400, param), fields
        assert body["error"]["message"].endswith(".")
        assert body["error"]["type"] == "invalid_request_error"
    neutral = {"echo": False, "best_of": 1, "presence_penalty": 0.0, "logit_bias": {}, "user": "x", "suffix": None}
    assert (await client.post(prompt=PROMPT, max_tokens=1, **neutral))[0] == 200


async def test_other_errors_are_json(client: Client) -> None:
    for method, url, data, expected in (
        ("POST", "/v1/completions", b"{", 400),
        ("POST", "/v1/completions", b"[" * 5000, 400),
        ("POST", "/v1/completions", b"[]", 400),
        ("POST", "/v1/completions", b'{"prompt": "a", "model": "gpt-4"}', 404),
        ("POST", "/v1/completions", b'{"prompt": "\\ud800"}', 400),
        ("POST", "/v1/completions", b" " * (17 << 20), 413),
        ("GET", "/v1/completions", None, 405),
        ("GET", "/nothing", None, 404),
    ):
        async with client.session.request(method, "http://host" + url, data=data and BytesIO(data)) as response:
            assert response.status == expected, (url, data and data[:20])
            assert (await response.json())["error"]["message"]


async def test_models_and_health(client: Client, folders: dict[str, Path]) -> None:
    async with client.session.get("http://host/v1/models") as response:
        (model,) = (await response.json())["data"]
    assert model | {"id": "llama", "folder": str(folders["llama"]), "format": "codegen", "prompt_budget": 128} == model
    await client.post(prompt=PROMPT, max_tokens=1)
    async with client.session.get("http://host/health") as response:
        said = await response.json()
    assert said | {"state": "ready", "model": "llama", "device": "cpu", "dtype": "float32", "requests": 1} == said
    assert said["slots"] == [20]
    assert said["rss_mb"] > 50


async def test_health_answers_while_loading_and_requests_wait(
    tmp_path: Path, folders: dict[str, Path], loaded: Loaded
) -> None:
    go = threading.Event()

    def late() -> Loaded:
        go.wait(10)
        return loaded

    async with serving(tmp_path, folders["llama"], late) as client:
        request = asyncio.create_task(client.post(prompt=PROMPT, max_tokens=1))
        async with client.session.get("http://host/health") as response:
            assert (await response.json())["state"] == "loading"
        assert not request.done()
        go.set()
        assert (await request)[0] == 200


async def test_a_failed_load_is_a_503_with_the_reason(tmp_path: Path, folders: dict[str, Path]) -> None:
    def fail() -> Loaded:
        raise ModelError("The moon is full; wait.")

    async with serving(tmp_path, folders["llama"], fail) as client:
        status, body = await client.post(prompt=PROMPT)
        assert (status, body["error"]["message"]) == (503, "The moon is full; wait.")
        async with client.session.get("http://host/health") as response:
            assert (await response.json())["state"] == "failed"


async def test_a_dropped_connection_cancels(tmp_path: Path, folders: dict[str, Path], loaded: Loaded) -> None:
    patient, runner = slow(loaded, delay=0.02)
    async with serving(tmp_path, folders["llama"], lambda: patient) as client:
        for stream in (True, False):
            runner.num_forwards = 0
            fields = {"prompt": PROMPT, "max_tokens": 200, "stream": stream, "temperature": 0}
            request = asyncio.create_task(client.session.post("http://host/v1/completions", json=fields))
            await begun(runner)
            request.cancel()
            if stream:
                response = (await asyncio.gather(request, return_exceptions=True))[0]
                if isinstance(response, aiohttp.ClientResponse):
                    response.close()
            else:
                with pytest.raises(asyncio.CancelledError):
                    await request
            await asyncio.sleep(0.1)
            after = runner.num_forwards
            await asyncio.sleep(0.1)
            assert runner.num_forwards == after < 20
            assert client.host.scheduler.num_jobs == 0
            assert patient.machine.cache.problems() == []


async def test_a_newer_request_pre_empts(tmp_path: Path, folders: dict[str, Path], loaded: Loaded) -> None:
    patient, runner = slow(loaded, delay=0.01)
    async with serving(tmp_path, folders["llama"], lambda: patient) as client:
        long = {"prompt": PROMPT, "max_tokens": 200, "temperature": 0}
        first = asyncio.create_task(client.post(**long, document="a"))
        await begun(runner)
        other = asyncio.create_task(client.post(prompt=PROMPT, max_tokens=3, document="b"))
        waiting = asyncio.create_task(client.post(**long, document="a"))
        await asyncio.sleep(0.02)
        newest = await client.post(prompt=PROMPT, max_tokens=3, document="a")
        assert (await first)[1]["choices"][0]["finish_reason"] == "cancelled"
        assert (await waiting)[1]["choices"][0]["finish_reason"] == "cancelled"
        assert newest[1]["choices"][0]["finish_reason"] == "length"
        assert (await other)[1]["choices"][0]["finish_reason"] == "length"


async def test_a_failing_generation_is_a_500_and_the_next_is_served(
    client: Client, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(parts: Sequence[Part]) -> list[torch.Tensor]:
        raise torch.OutOfMemoryError("secret text")

    monkeypatch.setattr(loaded.machine.runner, "run", fail)
    status, body = await client.post(prompt=PROMPT)
    assert status == 500
    assert "out of memory" in body["error"]["message"]
    assert "secret" not in json.dumps(body)
    monkeypatch.undo()
    assert (await client.post(prompt=PROMPT, max_tokens=1))[0] == 200


async def test_idle_and_shutdown(client: Client) -> None:
    await client.post(prompt=PROMPT, max_tokens=1)
    started = time.monotonic()
    await asyncio.wait_for(client.host.wait_idle(0.3), 5)
    assert time.monotonic() - started >= 0.25
    waiting = asyncio.create_task(client.host.wait_idle(1000))
    async with client.session.post("http://host/shutdown") as response:
        assert response.status == 200
    await asyncio.wait_for(waiting, 2)


async def test_a_client_that_has_gone_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async def write(_: web.Request) -> web.StreamResponse:
        raise ConnectionResetError("Cannot write to closing transport")

    answer = await _json_errors(make_mocked_request("POST", "/v1/completions"), write)
    assert answer.status == 499
    assert not caplog.records
