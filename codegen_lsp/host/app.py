"""The host's routes: the OpenAI completions API, /health and /shutdown, over whatever socket it is given."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import struct
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from codegen_lsp import __version__
from codegen_lsp.core import ModelInfo
from codegen_lsp.errors import CodegenError, ModelError
from codegen_lsp.host.answer import Piece, merged
from codegen_lsp.host.cache import Forward, run
from codegen_lsp.host.load import Loaded
from codegen_lsp.host.params import BadRequest, Request, Served, parse
from codegen_lsp.host.reply import Completion, error_body, error_response, event, json_response
from codegen_lsp.host.scheduler import MAX_BEGUN, Job, Scheduler, Sign

log = logging.getLogger(__name__)
MAX_BODY_BYTES = 16 << 20
GATHER_S = 0.01
FAILED_IDLE_S = 5.0
"""A host that could not load goes soon, so that a mended folder is tried again."""


class LoadFailed(Exception):
    """The model could not be loaded; `str()` of it is the reason."""


@dataclass
class Stats:
    """Counts for /health. Times are of time.monotonic, in seconds."""

    started: float = field(default_factory=time.monotonic)
    last_used: float = field(default_factory=time.monotonic)
    num_requests: int = 0
    num_in_flight: int = 0


class Host:
    """A model that is being loaded, served or has failed, and its queue. Lives on one event loop."""

    def __init__(self, info: ModelInfo, load: Callable[[], Loaded]) -> None:
        self.info = info
        self.stats = Stats()
        self.stop_requested = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._load = load
        self._loaded: asyncio.Future[Loaded] = self._loop.create_future()
        self.scheduler = Scheduler(self._start, self._forward)

    @property
    def state(self) -> str:
        """loading, ready or failed."""
        if not self._loaded.done():
            return "loading"
        return "failed" if self._loaded.exception() else "ready"

    @property
    def problem(self) -> str:
        """Why it failed; "" when it did not."""
        return str(self._loaded.exception()) if self.state == "failed" else ""

    async def loaded(self) -> Loaded:
        """Wait for the model. Raises LoadFailed."""
        return await asyncio.shield(self._loaded)

    def health(self) -> dict[str, Any]:
        """What /health says."""
        now = time.monotonic()
        ready = self._loaded.result().machine if self.state == "ready" else None
        return {
            "pid": os.getpid(),
            "version": __version__,
            "state": self.state,
            "error": self.problem,
            "model": self.info.id,
            "folder": self.info.folder,
            "device": ready.runner.device if ready else "",
            "dtype": ready.runner.dtype if ready else "",
            "uptime_s": round(now - self.stats.started, 3),
            "idle_s": round(now - self.stats.last_used, 3) if not self.stats.num_in_flight else 0.0,
            "requests": self.stats.num_requests,
            "in_flight": self.stats.num_in_flight,
            "slots": ready.cache.sizes if ready else [],
            "rss_mb": round(_resident_bytes() / 1e6, 1),
        }

    async def wait_idle(self, idle_s: float) -> None:
        """Return when nothing was asked for `idle_s` seconds, or when /shutdown was called."""
        while True:
            limit = min(idle_s, FAILED_IDLE_S) if self.state == "failed" else idle_s
            busy = self.stats.num_in_flight or self.state == "loading"
            left = limit if busy else self.stats.last_used + limit - time.monotonic()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(self.stop_requested.wait(), min(left, 1.0))
            except TimeoutError:
                continue
            return

    def _start(self) -> None:
        """In the worker's thread: load the model and tell the loop."""
        started = time.monotonic()
        try:
            loaded = self._load()
        except CodegenError as error:
            self._tell(self._fail, LoadFailed(str(error)))
            log.error("load failed: %s", error)
        except BaseException as error:
            self._tell(self._fail, LoadFailed(f"The model could not be loaded ({type(error).__name__}); see the log."))
            log.exception("load failed")
        else:
            self._tell(self._finish, loaded)
            log.info("loaded %s in %.2f s", self.info.id, time.monotonic() - started)

    def _forward(self, wanted: Sequence[Forward]) -> list[Any]:
        """In the worker's thread: run what the answers of a round want."""
        return run(self._loaded.result().machine.runner, wanted)

    def _tell(self, call: Callable[[Any], None], value: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, value)
        except RuntimeError:
            log.info("the host ended before the model was loaded")

    def _finish(self, loaded: Loaded) -> None:
        self.scheduler.max_begun = min(MAX_BEGUN, loaded.machine.runner.max_slots)
        self._loaded.set_result(loaded)
        self.stats.last_used = time.monotonic()

    def _fail(self, error: LoadFailed) -> None:
        self._loaded.set_exception(error)
        self._loaded.exception()  # read, so that nobody waiting is no warning
        self.stats.last_used = time.monotonic()

    async def run(self, request: Request, loaded: Loaded) -> AsyncGenerator[tuple[int, Piece], None]:
        """(choice, piece) of an answer. Closing it cancels the job before its next token."""
        from codegen_lsp.host.decode import answer

        items: asyncio.Queue[Any] = asyncio.Queue()

        def emit(item: object) -> None:
            try:
                self._loop.call_soon_threadsafe(items.put_nowait, item)
            except RuntimeError:
                job.is_cancelled = True

        def work(job: Job) -> Generator[Any, Any, None]:
            for index in range(request.n):
                with closing(answer(request, loaded.machine, lambda: job.is_cancelled, index)) as steps:
                    yield from gathered(steps, index)

        job = Job(request.document, work, emit, request.is_background)
        self.scheduler.submit(job)
        finished: set[int] = set()
        try:
            while (item := await items.get()) is not Sign.END:
                if isinstance(item, Exception):
                    raise item
                if item[1].finish:
                    finished.add(item[0])
                yield item
        finally:
            self.scheduler.cancel(job)
        for index in set(range(request.n)) - finished:
            yield index, Piece("", finish="cancelled")


def gathered(
    steps: Generator[Piece | Forward, Any, None], index: int
) -> Generator[Forward | tuple[int, Piece], Any, None]:
    """An answer with (index, piece) for a few tokens at once: to the end of a line, or what came in GATHER_S.

    Each that is sent costs both processes more time than a token of a small model.
    """
    held: list[Piece] = []
    sent, began = None, time.monotonic()
    with suppress(StopIteration):
        while True:
            item, sent = steps.send(sent), None
            if isinstance(item, Piece):
                held.append(item)
            is_due = held and (time.monotonic() - began > GATHER_S or "\n" in held[-1].text or held[-1].finish)
            if is_due:
                yield index, merged(held)
                held, began = [], time.monotonic()
            if isinstance(item, Forward):
                sent = yield item


HOST: web.AppKey[Host] = web.AppKey("host", Host)


def make_app(host: Host) -> web.Application:
    """The application; run it with `handler_cancellation=True`, or a dropped connection cancels nothing."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_same_user, _json_errors])
    app[HOST] = host
    app.router.add_post("/v1/completions", completions)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/health", health)
    app.router.add_post("/shutdown", shutdown)
    return app


async def completions(http: web.Request) -> web.StreamResponse:
    """POST /v1/completions."""
    host = http.app[HOST]
    host.stats.num_requests += 1
    host.stats.num_in_flight += 1
    try:
        body = orjson.loads(await http.read())
        loaded = await host.loaded()
        request = parse(body, _served(host.info, loaded))
        completion = Completion(host.info.id, request.logprobs is not None, request.has_running_usage)
        if request.stream:
            return await _stream(http, host, request, loaded, completion)
        return json_response(completion.whole([item async for item in host.run(request, loaded)]))
    except orjson.JSONDecodeError:
        return error_response(400, "The body is not valid JSON.")
    except LoadFailed as error:
        return error_response(503, str(error))
    finally:
        host.stats.num_in_flight -= 1
        host.stats.last_used = time.monotonic()


async def _stream(
    http: web.Request, host: Host, request: Request, loaded: Loaded, completion: Completion
) -> web.StreamResponse:
    """Server-sent events, the first one sent with the headers; `data: [DONE]` ends them."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    async with aclosing(host.run(request, loaded)) as pieces:
        try:
            async for index, piece in pieces:
                if not response.prepared:
                    await response.prepare(http)
                if piece.text or piece.tokens or piece.finish:
                    await response.write(event(completion.chunk(index, piece)))
                if piece.finish:
                    log.info("answer %s %s", piece.finish, dict(piece.usage))
        except Exception as error:
            if not response.prepared or isinstance(error, ConnectionError):
                raise
            log.exception("generation failed")
            await response.write(event(error_body(_sentence(error), "server_error")))
            return response
    if request.include_usage:
        await response.write(event(completion.usage_chunk()))
    await response.write(b"data: [DONE]\n\n")
    return response


async def models(http: web.Request) -> web.Response:
    """GET /v1/models: the one model, with what a client of ours needs to build prompts."""
    info = http.app[HOST].info
    ours = {"folder": info.folder, "format": info.format}
    sizes = {"context_window": info.context_window, "prompt_budget": info.prompt_budget}
    model = {"id": info.id, "object": "model", "created": 0, "owned_by": "codegen-lsp", **ours, **sizes}
    return json_response({"object": "list", "data": [model]})


async def health(http: web.Request) -> web.Response:
    """GET /health: answers from the first moment, before the model is loaded."""
    return json_response(http.app[HOST].health())


async def shutdown(http: web.Request) -> web.Response:
    """POST /shutdown: end the host as if it had been idle."""
    http.app[HOST].stop_requested.set()
    return json_response({"state": "stopping"})


@web.middleware
async def _json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is JSON, and no traceback leaves the host."""
    try:
        return await handler(request)
    except BadRequest as error:
        return error_response(error.status, str(error), error.param)
    except web.HTTPException as error:
        return error_response(error.status, f"{request.method} {request.path}: {error.reason}.")
    except ConnectionError:
        # The client has gone, and a write has found out before the cancellation came: no fault, and no traceback.
        return error_response(499, "The client has closed the connection.")
    except Exception as error:
        log.exception("request failed")
        return error_response(500, _sentence(error))


@web.middleware
async def _same_user(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse other users' processes, should the folder's permissions ever fail."""
    sock = request.transport.get_extra_info("socket") if request.transport else None
    if sock is not None and sock.family == getattr(socket, "AF_UNIX", None) and hasattr(socket, "SO_PEERCRED"):
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            return error_response(403, "This model host belongs to another user.")
    return await handler(request)


def _served(info: ModelInfo, loaded: Loaded) -> Served:
    names = frozenset({info.id, info.folder, Path(info.folder).name})
    return Served(names, loaded.tokenizer, info.format, loaded.machine.runner.vocab_size, info.context_window)


def _sentence(error: Exception) -> str:
    if isinstance(error, ModelError):
        return str(error)
    if "OutOfMemory" in type(error).__name__ or isinstance(error, MemoryError):
        return "The model host ran out of memory; close documents or use a smaller model."
    return f"The generation failed ({type(error).__name__}); see the host's log."


def _resident_bytes() -> int:
    """Resident memory of this process now; its peak where there is no /proc."""
    statm = Path("/proc/self/statm")
    if statm.is_file():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
