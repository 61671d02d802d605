"""The engine over the OpenAI completions API: our own host on a unix socket, or any server on http.

aiohttp is imported for the latter only: it costs 130 ms, more than an answer of our own host.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen_lsp import registry
from codegen_lsp.core import Delta, ModelInfo, Prompt, SamplingParams
from codegen_lsp.engine import launch, local
from codegen_lsp.engine.api import Answer, Wire
from codegen_lsp.engine.events import delta as delta_of
from codegen_lsp.engine.events import events, json_object, refusal
from codegen_lsp.errors import EngineFailed, EngineUnavailable, ModelError, SettingsError

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
    wire: Wire = local,
) -> OpenAIEngine:
    """An engine for a model (name or path); nothing is started or asked yet.

    Without `endpoint` it is our host on this machine. With one ("http://…", or "unix:/path" of a host that somebody
    else keeps), `model` only says which tokenizer and format to use, if it is installed here, and `served_as` is the
    server's own name for it. Raises ModelError and SettingsError.
    """
    if not endpoint:
        info = registry.find(model)
        return OpenAIEngine(Endpoint(launch.HostSpec(info.folder, device, dtype, idle)), info, wire)
    try:
        known: ModelInfo | None = registry.find(model)
    except ModelError:
        known = None
    if endpoint.startswith("unix:"):
        place = Endpoint(socket=endpoint.removeprefix("unix:"), model=served_as, extras=True)
    elif endpoint.startswith(("http://", "https://")):
        url = endpoint.rstrip("/").removesuffix("/v1")
        place = Endpoint(url=url, api_key=api_key, model=served_as or model, extras=extras)
    else:
        raise SettingsError(f"The endpoint {endpoint!r} cannot be used; it begins with http://, https:// or unix:.")
    return OpenAIEngine(place, known, wire)


class OpenAIEngine:
    """api.Engine over one kept-open connection. Belongs to one event loop; `close` it."""

    def __init__(self, endpoint: Endpoint, known: ModelInfo | None = None, wire: Wire = local) -> None:
        self._endpoint = endpoint
        self._known = known
        self._wire = wire
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
            said = await launch.health(Path(self._socket), wire=self._wire)
            if not said:
                raise EngineUnavailable("The model host died while it loaded the model; see its log.")
            if said["state"] == "failed":
                raise ModelError(str(said["error"]))
            if said["state"] != state:
                state = said["state"]
                tell(state)
            if state == "ready":
                return
            await self._wire.sleep(0.05)
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
            path = str(await launch.ensure_host(self._endpoint.spec, wire=self._wire))
            if path != self._socket:
                await self.close()
                self._socket = path

    @property
    def _local(self) -> str:
        """The socket to ask by; "" for a server on http."""
        if self._endpoint.spec and not self._socket:
            self._socket = str(launch.socket_path(self._endpoint.spec))
        return self._endpoint.socket or self._socket

    def _open(self) -> aiohttp.ClientSession:
        """The kept-open session with a server on http."""
        import aiohttp

        if self._session is None:
            headers = {"Authorization": f"Bearer {self._endpoint.api_key}"} if self._endpoint.api_key else {}
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_S)
            self._session = aiohttp.ClientSession(headers=headers, timeout=timeout)
        return self._session

    def _body(self, prompt: Prompt, params: SamplingParams, document: str, heal: bool) -> bytes:
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
            if params.candidates:
                fields["candidates"] = params.candidates
                fields["least_confidence"] = params.least_confidence
                fields["candidate_confidence"] = params.candidate_confidence
            if params.is_background:
                fields["background"] = True
            fields["stream_options"] = {"continuous_usage_stats": True}
        return json.dumps(fields).encode()

    async def _stream(self, body: bytes) -> AsyncGenerator[Delta, None]:
        """Ask once. Raises _Gone when the connection fails; closing it closes the response, which cancels."""
        finish = None
        async with self._ask("POST", "/v1/completions", body) as response:
            if response.status != 200:
                raise refusal(response.status, await response.read())
            async for data in events(response.lines()):
                delta = delta_of(data)
                finish = delta.finish or finish
                yield delta
            if finish is None:
                raise _Gone

    @asynccontextmanager
    async def _ask(self, method: str, target: str, body: bytes = b"") -> AsyncIterator[Answer]:
        """An answer, closed whatever happens. Raises _Gone for whatever is wrong with the connection."""
        try:
            response = await (self._ask_here if self._local else self._ask_there)(method, target, body)
            try:
                yield response
            finally:
                # After the end of the stream the connection is already back in the pool, and this does nothing.
                response.close()
        except (OSError, TimeoutError, ValueError) as error:
            raise _Gone from error
        except Exception as error:
            if type(error).__module__.startswith("aiohttp"):
                raise _Gone from error
            raise

    async def _ask_here(self, method: str, target: str, body: bytes) -> Answer:
        return await self._wire.request(self._local, method, target, body)

    async def _ask_there(self, method: str, target: str, body: bytes) -> Answer:
        headers = {"Content-Type": "application/json"}
        # A stream, since aiohttp warns of large bodies in bytes.
        data = BytesIO(body) if body else None
        return _There(await self._open().request(method, self._endpoint.url + target, data=data, headers=headers))

    async def _get(self, target: str) -> dict[str, Any]:
        try:
            async with self._ask("GET", target) as response:
                raw, status = await response.read(), response.status
        except _Gone as error:
            raise EngineUnavailable(f"The engine at {self._place} cannot be reached; is it running?") from error
        if status != 200:
            raise refusal(status, raw)
        return json_object(raw)

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


class _There:
    """aiohttp's response as an Answer."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    async def lines(self) -> AsyncIterator[bytes]:
        async for line in self._response.content:
            yield line

    async def read(self) -> bytes:
        return await self._response.read()

    def close(self) -> None:
        self._response.close()


class _Gone(Exception):
    """The connection failed, or ended before the answer did."""
