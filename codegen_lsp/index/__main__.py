"""`python -m codegen_lsp.index`: keep a workspace's index and answer questions about it until the input ends.

The first line of the input is {"root": "/path", "settings": {…}}; see process.py for the others.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import queue
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from codegen_lsp.errors import CodegenError

PIPE_BYTES = 1 << 20
"""A document comes in one line."""
NICE = 5
"""The editor and the model go first."""


def main() -> int:
    """Serve the input; the exit code."""
    logging.basicConfig(format="codegen-lsp index: %(message)s")
    out, lines = os.fdopen(os.dup(1), "wb"), os.fdopen(os.dup(0), "rb", buffering=PIPE_BYTES)
    os.dup2(2, 1)  # what is printed by mistake must not look like an answer
    if hasattr(os, "nice"):
        os.nice(NICE)
    from codegen_lsp.index.files import Rules
    from codegen_lsp.index.process import Process, listen
    from codegen_lsp.settings import parse

    def send(message: dict[str, Any]) -> None:
        out.write(json.dumps(message).encode() + b"\n")
        out.flush()

    try:
        first = json.loads(lines.readline())
        settings, _ = parse(first.get("settings"))
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        process = Process(Rules(Path(first["root"]).resolve(), settings), events, send)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"codegen-lsp index: the first line is not understood ({error})", file=sys.stderr)
        return 2
    except CodegenError as error:
        print(f"codegen-lsp index: {error}", file=sys.stderr)
        return error.exit_code
    listen(lines, events)
    with suppress(BrokenPipeError, KeyboardInterrupt):
        process.run()
    gc.freeze()
    return 0


if __name__ == "__main__":
    sys.exit(main())
