"""A door to the model host for editors that speak the OpenAI completions API themselves: loopback, with a token.

Any page that a browser shows can send requests to a loopback port, so three things are asked of each: a Host header
that is ours (a foreign one means that a name of somebody else's has been made to point here), no foreign Origin, and
the token.
"""

from __future__ import annotations

import errno
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from codegen_lsp.engine import local
from codegen_lsp.errors import EngineError, SettingsError
from codegen_lsp.host.answer import Piece
from codegen_lsp.host.reply import Completion, error_response, json_response

ADDRESS = "127.0.0.1"
NAMES = (ADDRESS, "localhost")
MAX_BODY_BYTES = 1 << 20
"""Of a request: what is around a cursor, not a project."""
CLOSE_S = 1.0


@dataclass(frozen=True)
class Gateway:
    """What the door needs of the rooms around it."""

    token: str
    socket: str
    """The unix socket where the host is, when it runs."""
    find_host: Callable[[], Awaitable[str]]
    """The same of a host that runs, started if there is none. Raises EngineError."""
    prepare: Callable[[dict[str, Any]], dict[str, Any]]
    """The body for the host of an editor's body. Raises ValueError with a sentence for one that cannot be used."""
    offer: Callable[[dict[str, Any]], Awaitable[tuple[str, Mapping[str, float]] | None]] | None = None
    """What is to be offered at a cursor, and the usage, instead of the model's own words; None where those are wanted.

    Raises ValueError as `prepare` does, and EngineError.
    """


GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)


async def open_door(gateway: Gateway, port: int) -> tuple[web.AppRunner, int]:
    """Listen on a loopback port (0: any free one); what to `cleanup()`, and the port. Raises SettingsError."""
    runner = web.AppRunner(make_app(gateway), handler_cancellation=True, access_log=None, shutdown_timeout=CLOSE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, ADDRESS, port).start()
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(_why_not(port, error)) from error
    return runner, int(runner.addresses[0][1])


def make_app(gateway: Gateway) -> web.Application:
    """The application; run it with `handler_cancellation=True`, or an editor that hangs up cancels nothing."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_json_errors, _guard])
    app[GATEWAY] = gateway
    app.router.add_post("/v1/completions", completions)
    app.router.add_get("/v1/models", models)
    return app


async def completions(http: web.Request) -> web.StreamResponse:
    """POST /v1/completions: a prompt in text, with or without `suffix`; what is offered, or the answer as it comes."""
    try:
        body = json.loads(await http.read())
        if not isinstance(body, dict):
            raise ValueError("The body must be a JSON object.")
        gateway = http.app[GATEWAY]
        offered = await gateway.offer(body) if gateway.offer else None
        if offered is not None:
            return _offered(str(body.get("model") or ""), *offered)
        wanted = gateway.prepare(body)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        return error_response(400, "The body is not valid JSON.")
    except ValueError as error:
        return error_response(400, str(error))
    return await _forward(http, json.dumps(wanted).encode(), is_stream=wanted.get("stream") is True)


async def models(http: web.Request) -> web.StreamResponse:
    """GET /v1/models: the one model."""
    return await _forward(http)


def _offered(model: str, text: str, usage: Mapping[str, float]) -> web.Response:
    return json_response(Completion(model, has_logprobs=False).whole([(0, Piece(text, finish="stop", usage=usage))]))


async def _forward(http: web.Request, body: bytes = b"", *, is_stream: bool = False) -> web.StreamResponse:
    """Ask the host and pass on what it says; hanging up on us hangs up on it, which cancels."""
    with closing(await _ask(http.app[GATEWAY], http.method, http.path, body)) as answer:
        if is_stream and answer.status == 200:
            return await _pass_on(http, answer)
        whole = await answer.read()
    if not whole:
        raise ConnectionError("the model host has said nothing")
    return web.Response(body=whole, status=answer.status, content_type="application/json")


async def _ask(gateway: Gateway, method: str, target: str, body: bytes) -> local.Response:
    """Ask the host that is probably there, or one that surely is: to look first would take as long as an answer."""
    try:
        return await local.request(gateway.socket, method, target, body)
    except OSError:
        return await local.request(await gateway.find_host(), method, target, body)


async def _pass_on(http: web.Request, answer: local.Response) -> web.StreamResponse:
    """Server-sent events, each as it comes."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(http)
    event = b""
    async for line in answer.lines():
        event += line
        if line == b"\n":
            await response.write(event)
            event = b""
    if event:
        await response.write(event)
    return response


@web.middleware
async def _json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is JSON."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return error_response(error.status, f"{request.method} {request.path}: {error.reason}.")
    except EngineError as error:
        return error_response(503, str(error))
    except OSError:
        return error_response(502, "The model host has closed the connection; ask again.")


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Nobody but programs of this machine that know the token."""
    port = request.transport.get_extra_info("sockname")[1] if request.transport else 0
    places = [f"{name}:{port}" for name in NAMES]
    if request.headers.get("Host") not in places:
        return error_response(403, "Ask this address by its own name, 127.0.0.1 or localhost.")
    if request.headers.get("Origin") not in (None, *(f"http://{place}" for place in places)):
        return error_response(403, "Web pages are not served here.")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = request.app[GATEWAY].token
    is_known = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode())
    if scheme.lower() != "bearer" or not is_known:
        refused = error_response(401, "The token is missing or wrong; codegen-lsp api has printed it.")
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused
    return await handler(request)


def _why_not(port: int, error: OSError) -> str:
    reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "may not be used by you"}
    reason = reasons.get(error.errno or 0, f"cannot be used ({error.strerror or error})")
    return f"Port {port} {reason}; choose another with --port (0: any free one)."
