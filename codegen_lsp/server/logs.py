"""The log: stderr, sizes and timings, never the user's text."""

from __future__ import annotations

import logging
import traceback

from codegen_lsp.errors import CodegenError
from codegen_lsp.server.rpc import RpcError

logger = logging.getLogger("codegen_lsp")


def configure(level: str) -> None:
    """Log to stderr; pygls and asyncio quote messages in theirs, so only what is fatal comes through."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def log_error(what: str, error: BaseException) -> None:
    """Log where an error came from, without its message: that may quote the user's text.

    What was foreseen, such as a model host that is gone or an editor that refuses, is a line and no traceback.
    """
    is_foreseen = isinstance(error, CodegenError | RpcError | TimeoutError)
    places = "" if is_foreseen else "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s failed: %s%s", what, type(error).__name__, places and f"\n{places.rstrip()}")
