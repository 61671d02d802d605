"""The engine over the OpenAI completions API: our own host on a unix socket, or any server on http.

aiohttp is imported at the first request: it costs 130 ms, which `initialize` should not wait for.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen_lsp import registry
from codegen_lsp.core import Delta, ModelInfo, Prompt, SamplingParams
from codegen_lsp.engine import launch
from codegen_lsp.errors import EngineError, EngineFailed, EngineUnavailable, ModelError, SettingsError

if TYPE_CHECKING:
    import aiohttp

LOAD_TIMEOUT_S = 300.0
SILENCE_S = 120.0
"""A foreign server that sends nothing for so long is taken for dead."""


@dataclass(frozen=True)
class Endpoint:
    """Where the engine is. Exactly one of `spec` (our host, started on demand) and `url` is set."""

    spec: launch.HostSpec | None = None
    url: str = ""
    """Base, without /v1."""
    socket: str = ""
    """A unix socket to reach `url` by."""
    api_key: str = ""
    model: str = ""
    """The name to ask for; "" leaves it out."""
    extras: bool = True
    """Whether to send the fields that only our host knows: document, heal, stop_token_ids."""


def connect(
    model: str = registry.DEFAULT_MODEL,
    *,
    endpoint: str | None = None,
    api_key: str = "",
    served_as: str = "",
    extras: bool = False,
    device: str = "auto",
    dtype: str = "auto",
    idle: float = 1800.0,
) -> OpenAIEngine:
    """An engine for a model (name or path); nothing is started or asked yet.

    Without `endpoint` it is our host on this machine. With one ("http://…", or "unix:/path" of a host that somebody
    else keeps), `model` only says which tokenizer and format to use, if it is installed here, and `served_as` is the
    server's own name for it. Raises ModelError and SettingsError.
    """
    if not endpoint:
        info = registry.find(model)
        return OpenAIEngine(Endpoint(launch.HostSpec(info.folder, device, dtype, idle)), info)
    try:
        known: ModelInfo | None = registry.find(model)
    except ModelError:
        known = None
    if endpoint.startswith("unix:"):
        place = Endpoint(url="http://host", socket=endpoint.removeprefix("unix:"), model=served_as, extras=True)
    elif endpoint.startswith(("http://", "https://")):
        url = endpoint.rstrip("/").removesuffix("/v1")
        place = Endpoint(url=url, api_key=api_key, model=served_as or model, extras=extras)
    else:
        raise SettingsError(f"The endpoint {endpoint!r} cannot be used; it begins with http://, https:// or unix:.")
    return OpenAIEngine(place, known)


class OpenAIEngine:
    """api.Engine over one kept-open connection. Belongs to one event loop; `close` it."""

    def __init__(self, endpoint: Endpoint, known: ModelInfo | None = None) -> None:
        self._endpoint = endpoint
        self._known = known
        self._info: ModelInfo | None = None
        self._session: aiohttp.ClientSession | None = None
        self._socket = ""

    async def info(self) -> ModelInfo:
        """The model that answers. Starts the host when there is none; raises EngineUnavailable, EngineFailed."""
        if self._endpoint.spec:
            await self._start()
            self._info = self._known
        if self._info is None:
            self._info = self._describe(await self._get("/v1/models"))
        return self._info

    async def wait_ready(self, on_state: Callable[[str], None] | None = None) -> None:
        """Start the host and wait until its model is loaded; `on_state` hears each new state.

        States are "starting", "loading" and "ready". Raises ModelError with the reason when it cannot be loaded, and
        EngineUnavailable.
        """
        tell = on_state or (lambda state: None)
        if not self._endpoint.spec:
            await self.info()
            tell("ready")
            return
        tell("starting")
        await self._start()
        state = ""
        for _ in range(int(LOAD_TIMEOUT_S / 0.05)):
            said = await launch.health(Path(self._socket))
            if not said:
                raise EngineUnavailable("The model host died while it loaded the model; see its log.")
            if said["state"] == "failed":
                raise ModelError(str(said["error"]))
            if said["state"] != state:
                state = said["state"]
                tell(state)
            if state == "ready":
                return
            await asyncio.sleep(0.05)
        raise EngineUnavailable(f"The model was not loaded after {LOAD_TIMEOUT_S:.0f} s; try a smaller one.")

    async def generate(
        self, prompt: Prompt, params: SamplingParams, *, document: str = "", heal: bool = False
    ) -> AsyncGenerator[Delta, None]:
        """Stream an answer (see api.Engine). The last delta's `finish` is "cancelled" when a newer request came.

        A host that is gone before the first token is started again, once. Raises EngineUnavailable, EngineFailed.
        """
        body = self._body(prompt, params, document, heal)
        for attempt in (1, 2):
            has_begun = False
            try:
                async with aclosing(self._stream(body)) as deltas:
                    async for delta in deltas:
                        has_begun = True
                        yield delta
                return
            except _Gone as error:
                if has_begun:
                    raise EngineFailed("The engine died while it answered; ask again.") from error
                # A kept-open connection may have been closed by the server meanwhile: ask once more.
                if attempt == 2:
                    raise EngineUnavailable(f"The engine at {self._place} cannot be reached; is it running?") from error
            await self._start()

    async def close(self) -> None:
        """Drop the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def _place(self) -> str:
        return self._socket or self._endpoint.socket or self._endpoint.url

    async def _start(self) -> None:
        """Make sure that our host runs, and talk to the one that does."""
        if self._endpoint.spec:
            path = str(await launch.ensure_host(self._endpoint.spec))
            if path != self._socket:
                await self.close()
                self._socket = path

    def _open(self) -> aiohttp.ClientSession:
        """The kept-open session."""
        import aiohttp

        if self._session is None:
            path = self._endpoint.socket or self._socket
            if self._endpoint.spec and not path:
                path = self._socket = str(launch.socket_path(self._endpoint.spec))
            connector = aiohttp.UnixConnector(path) if path else None
            headers = {"Authorization": f"Bearer {self._endpoint.api_key}"} if self._endpoint.api_key else {}
            silence = None if self._endpoint.spec else SILENCE_S
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence)
            self._session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)
        return self._session

    def _body(self, prompt: Prompt, params: SamplingParams, document: str, heal: bool) -> bytes:
        import orjson

        fields: dict[str, Any] = {
            "prompt": prompt.ids,
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "stream": True,
            # 0 lists no alternatives, but some servers take it for "no".
            "logprobs": 0 if self._endpoint.extras else 1,
        }
        if params.seed is not None:
            fields["seed"] = params.seed
        if params.stop:
            fields["stop"] = params.stop[:4]
        if self._endpoint.model:
            fields["model"] = self._endpoint.model
        if self._endpoint.extras:
            name = document.encode("utf-8", "replace").decode()  # JSON has no lone surrogates
            fields |= {"document": name, "heal": heal, "stop_token_ids": prompt.stop_ids}
            # We hang up as soon as we have enough, so the usage cannot wait for the end.
            if params.is_background:
                fields["background"] = True
            fields["stream_options"] = {"continuous_usage_stats": True}
        return orjson.dumps(fields)

    async def _stream(self, body: bytes) -> AsyncGenerator[Delta, None]:
        """Ask once. Raises _Gone when the connection fails; closing it closes the response, which cancels."""
        import aiohttp

        url = f"{self._endpoint.url or 'http://host'}/v1/completions"
        try:
            # A stream, since aiohttp warns of large bodies in bytes.
            response = await self._open().post(url, data=BytesIO(body), headers={"Content-Type": "application/json"})
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Gone from error
        try:
            if response.status != 200:
                raise _refusal(response.status, await response.read())
            finish = None
            async for data in _events(response):
                delta = _delta(data)
                finish = delta.finish or finish
                yield delta
            if finish is None:
                raise _Gone
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _Gone from error
        finally:
            # After the end of the stream the connection is already back in the pool, and this does nothing.
            response.close()

    async def _get(self, target: str) -> dict[str, Any]:
        import aiohttp

        try:
            async with self._open().get((self._endpoint.url or "http://host") + target) as response:
                raw = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise EngineUnavailable(f"The engine at {self._place} cannot be reached; is it running?") from error
        if response.status != 200:
            raise _refusal(response.status, raw)
        return _object(raw)

    def _describe(self, listed: Mapping[str, Any]) -> ModelInfo:
        """What /v1/models says of the model, completed by what is known of it here."""
        rows = [row for row in listed.get("data") or () if isinstance(row, dict)]
        row = next((row for row in rows if row.get("id") == self._endpoint.model), rows[0] if rows else {})
        if not row:
            raise EngineFailed(f"The engine at {self._place} serves no model.")
        window = row.get("context_window") or row.get("max_model_len")
        if self._known:
            known_window = min(int(window or self._known.context_window), self._known.context_window)
            budget = min(self._known.prompt_budget, known_window - 1)
            return replace(self._known, id=str(row["id"]), context_window=known_window, prompt_budget=budget)
        size = int(window or 2048)
        budget = int(row.get("prompt_budget") or min(max(size - 512, size // 2), 1536))
        return ModelInfo(str(row["id"]), str(row.get("folder", "")), str(row.get("format", "plain")), size, budget)


class _Gone(Exception):
    """The connection failed, or ended before the answer did."""


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, to its end. Raises EngineFailed for an error in it."""
    async for line in response.content:
        if line.startswith(b"data:") and (data := line[5:].strip()) != b"[DONE]":
            event = _object(data)
            if "error" in event:
                raise EngineFailed(_message(event))
            yield event


def _delta(event: Mapping[str, Any]) -> Delta:
    """One event as a delta."""
    choice = (event.get("choices") or [{}])[0]
    logprobs = choice.get("logprobs") or {}
    values = tuple(float(value) for value in logprobs.get("token_logprobs") or () if value is not None)
    return Delta(
        text=choice.get("text") or "",
        logprobs=values,
        tokens=tuple(logprobs.get("tokens") or ()),
        finish=choice.get("finish_reason"),
        usage=_usage(event),
    )


def _usage(event: Mapping[str, Any]) -> dict[str, float]:
    usage = event.get("usage") or {}
    found = {name: usage[name] for name in ("prompt_tokens", "completion_tokens") if name in usage}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    drafts = usage.get("completion_tokens_details") or {}
    if "accepted_prediction_tokens" in drafts and "rejected_prediction_tokens" in drafts:
        found["accepted_tokens"] = drafts["accepted_prediction_tokens"]
        found["drafted_tokens"] = found["accepted_tokens"] + drafts["rejected_prediction_tokens"]
    times = {f"{name}_ms": value for name, value in (event.get("timings_ms") or {}).items()}
    return {**found, **({} if cached is None else {"cached_tokens": cached}), **times}


def _refusal(status: int, raw: bytes) -> EngineError:
    """The exception for an HTTP error."""
    try:
        message = _message(_object(raw))
    except EngineFailed:
        message = f"The engine answered with HTTP status {status}."
    return EngineUnavailable(message) if status == 503 else EngineFailed(message)


def _message(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    return str(text or "The engine answered with an error.")


def _object(raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw)
    except ValueError as error:
        raise EngineFailed("The engine answered with something else than JSON.") from error
    if not isinstance(data, dict):
        raise EngineFailed("The engine answered with something else than a JSON object.")
    return data
