"""`python -m codegen_lsp.host --socket PATH --model NAME`: serve one model until idle, told to stop, or killed.

With --detach the process leaves its parent at once; what becomes of it is written to standard output in one word
("ready", "busy"), which is how a launcher knows. Logs hold sizes and timings, never text.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from codegen_lsp import registry
from codegen_lsp.core import ModelInfo
from codegen_lsp.errors import CodegenError

log = logging.getLogger("codegen_lsp.host")
STOP_S = 2.0
"""How long a stop waits for the step that is running."""


def main() -> int:
    """Parse arguments, take the socket, serve; the exit status."""
    options = _parser().parse_args()
    if options.detach and os.fork():
        return 0
    if options.detach:
        os.setsid()
    logging.basicConfig(
        filename=options.log, level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(message)s"
    )
    from codegen_lsp.host.door import Busy, Door
    from codegen_lsp.host.load import set_environment

    set_environment()

    door = Door(Path(options.socket))
    try:
        info = registry.find(options.model)
        listener = door.open()
    except Busy:
        _say("busy")
        return 0
    except (CodegenError, OSError) as error:
        log.error("%s", error)
        return getattr(error, "exit_code", 1)
    with listener:
        asyncio.run(_serve(info, listener, door, options))
    logging.shutdown()
    # A load that is under way cannot be stopped, and Python would wait for it, or crash under it, on a normal exit.
    os._exit(0)


async def _serve(info: ModelInfo, listener: object, door: object, options: argparse.Namespace) -> None:
    """Serve until there is a reason to stop; then unlink, drain, and return."""
    from aiohttp import web

    from codegen_lsp.host.app import Host, make_app
    from codegen_lsp.host.load import load

    host = Host(info, lambda: load(info, options.device, options.dtype))
    runner = web.AppRunner(make_app(host), handler_cancellation=True, access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    await web.SockSite(runner, listener).start()  # type: ignore[arg-type]
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, host.stop_requested.set)
    host.scheduler.begin()
    log.info("listening; model %s", info.id)
    _say("ready")
    await host.wait_idle(options.idle)
    log.info("stopping after %d requests", host.stats.num_requests)
    door.unlink()  # type: ignore[attr-defined]
    stopped = host.scheduler.stop(0 if host.state == "loading" else STOP_S)
    await runner.cleanup()
    log.info("stopped" if stopped else "stopped while the model was busy")


def _say(word: str) -> None:
    """Tell the launcher, if there is one, and let go of its pipe."""
    with suppress(OSError, ValueError):
        sys.stdout.write(word + "\n")
        sys.stdout.flush()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="codegen_lsp.host", description="Serve one code model over a unix socket.")
    parser.add_argument("--socket", required=True, help="where to listen")
    parser.add_argument("--model", default=registry.DEFAULT_MODEL, help="name or folder")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 …")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16", "int8"))
    parser.add_argument("--idle", type=float, default=1800.0, help="seconds without a request after which to exit")
    parser.add_argument("--log", help="file to append to; standard error without it")
    parser.add_argument("--detach", action="store_true", help="leave the parent at once")
    return parser


if __name__ == "__main__":
    sys.exit(main())
