"""pygls' protocol with its dispatch replaced: exactly one reply to every request, whatever happens.

pygls 2.1.1 sends none for invalid params or after `shutdown`, dies of a BaseException in a handler, keeps the
client's requests and our own in one table, and logs bodies. What remains of it: the types, their converter and the
table of features. `initialize` is answered by door.py, before pygls is even imported.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import count
from typing import Any

from cattrs import Converter
from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

from codegen_lsp.errors import CodegenError
from codegen_lsp.server import rpc
from codegen_lsp.server.logs import log_error
from codegen_lsp.server.rpc import Code, Message, MessageId, RpcError
from codegen_lsp.server.slots import begin

logger = logging.getLogger(__name__)


class Protocol(LanguageServerProtocol):
    """Features get the params of requests as lsprotocol types, and those of notifications as they came.

    A notification has no reply in which to complain, so its handler reads leniently. Handlers of requests are
    coroutine functions that return JSON data; they take their snapshot before they first wait.
    """

    on_exit: Callable[[int], None]
    """Called with the exit code."""
    send: Callable[[bytes], None]

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        self._running: dict[MessageId, asyncio.Task[Any]] = {}
        """Requests of the client that have no reply yet."""
        self._asked: dict[MessageId, asyncio.Future[Any]] = {}
        """Requests of ours."""
        self._numbers = count(1)
        super().__init__(server, converter)

    def begin(self, send: Callable[[bytes], None], on_exit: Callable[[int], None]) -> None:
        """Set what pygls' constructor has no place for."""
        self.send, self.on_exit = send, on_exit

    def tell(self, method: str, params: Any) -> None:
        """Send a notification; `params` are JSON data."""
        self._send_data({"jsonrpc": "2.0", "method": method, "params": params})

    async def ask(self, method: str, params: Any) -> Any:
        """Send a request; its result. Raises RpcError when the client answers with an error."""
        number = f"codegen-{next(self._numbers)}"
        self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send_data({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            return await self._asked[number]
        finally:
            del self._asked[number]

    async def receive(self, body: bytes) -> None:
        """Handle one message; returns when its handler has begun."""
        try:
            self._dispatch(rpc.parse(body))
        except RpcError as error:
            self._send_data(rpc.error_reply(error))
        # A request begins, and takes its snapshot, before the next message can change the document.
        await asyncio.sleep(0)

    def cancel_all(self) -> list[asyncio.Task[Any]]:
        """Cancel every request that runs; returns their tasks."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        return tasks

    def _dispatch(self, message: Message) -> None:
        if message.method is None:
            self._response(message)
        elif message.number is None:
            self._notification(message.method, message.params)
        else:
            self._request(message.number, message.method, message.params)

    def _request(self, number: MessageId, method: str, params: Any) -> None:
        """Start a request. Raises RpcError for one that cannot start."""
        if self._shutdown:
            raise RpcError(Code.INVALID_REQUEST, "the server is shut down", number)
        if number in self._running:
            raise RpcError(Code.INVALID_REQUEST, "a request with this id is still running", number)
        if method == types.INITIALIZE:
            raise RpcError(Code.INVALID_REQUEST, "the server is initialized already", number)
        if method == types.SHUTDOWN:
            self._shut_down(number)
            return
        handler = self.fm.features.get(method)
        if handler is None:
            raise RpcError(Code.METHOD_NOT_FOUND, f"unknown method {method[:100]}", number)
        task = begin(handler(self._structured(number, method, params)))
        self._running[number] = task
        task.add_done_callback(lambda done: self._reply(number, done))

    def _structured(self, number: MessageId, method: str, params: Any) -> Any:
        params_type: Any = types.METHOD_TO_TYPES[method][2]
        try:
            return self._converter.structure(params, params_type)
        except Exception as error:
            logger.warning("invalid params of %s (%s)", method, type(error).__name__)
            raise RpcError(Code.INVALID_PARAMS, f"invalid params of {method}", number) from None

    def _reply(self, number: MessageId, task: asyncio.Task[Any]) -> None:
        """The one reply of a request that ran."""
        self._running.pop(number, None)
        try:
            if task.cancelled():
                raise RpcError(Code.REQUEST_CANCELLED, "cancelled", number)
            self._send_data({"jsonrpc": "2.0", "id": number, "result": task.result()})
        except Exception as error:
            self._send_data(rpc.error_reply(_as_rpc_error(error, number)))

    def _shut_down(self, number: MessageId) -> None:
        self.cancel_all()
        self._shutdown = True
        self._send_data({"jsonrpc": "2.0", "id": number, "result": None})

    def _notification(self, method: str, params: Any) -> None:
        if method == types.EXIT:
            self.on_exit(0 if self._shutdown else 1)
        elif method == types.CANCEL_REQUEST:
            number = params.get("id") if isinstance(params, dict) else None
            if isinstance(number, int | str) and (task := self._running.get(number)):
                task.cancel()
        elif not self._shutdown and (handler := self.fm.features.get(method)):
            try:
                handler(params)
            except BaseException as error:
                log_error(f"notification {method}", error)

    def _response(self, message: Message) -> None:
        """An answer of the client to a request of ours."""
        future = self._asked.get(message.number) if message.number is not None else None
        if future is not None and not future.done():
            if message.error is None:
                future.set_result(message.result)
            else:
                future.set_exception(RpcError(Code.REQUEST_FAILED, "the editor answered with an error"))
        elif not message.is_answered:
            raise RpcError(Code.INVALID_REQUEST, "a request has a method", message.number)
        else:
            logger.warning("a response to a request that was not made")

    def _send_data(self, data: Any) -> None:
        """Send a message of JSON data; only its size is logged."""
        framed = rpc.frame(data)
        logger.debug("sent %d bytes", len(framed))
        self.send(framed)


def _as_rpc_error(error: Exception, number: MessageId) -> RpcError:
    if isinstance(error, RpcError):
        return RpcError(error.code, str(error), number)
    log_error("request", error)
    if isinstance(error, CodegenError):
        return RpcError(Code.REQUEST_FAILED, str(error), number)
    return RpcError(Code.INTERNAL_ERROR, f"internal error ({type(error).__name__}); see the server's log", number)
