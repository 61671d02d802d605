"""The index process on real pipes, for tests and benchmarks; each wait has an end."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 30.0


class IndexClient:
    """One process. Use as `with IndexClient(root) as client`."""

    def __init__(self, root: Path, *, patch: str = "", settings: Mapping[str, object] | None = None) -> None:
        """`patch` is Python that is run in the process before it begins."""
        code = f"import sys\n{patch}\nfrom codegen_lsp.index.__main__ import main\nsys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.progress: list[tuple[int, int]] = []
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._number = 0
        self._said: dict[int, Any] = {}
        self.say({"root": str(root), "settings": dict(settings or {})})

    def __enter__(self) -> IndexClient:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
            self._reader.join()
            self.process.stdout.close()

    def say(self, message: Mapping[str, Any]) -> None:
        """One line."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def begin(self, method: str, **params: Any) -> int:
        """Ask; the number of the request."""
        self._number += 1
        self.say({"id": self._number, "method": method, "params": params})
        return self._number

    def end(self, number: int) -> Any:
        """The reply to a request. Raises EOFError when the process ends before."""
        while number not in self._said:
            line = self._lines.get(timeout=TIMEOUT_S)
            if not line:
                raise EOFError
            message = json.loads(line)
            if message.get("method") == "progress":
                self.progress.append((message["params"]["done"], message["params"]["total"]))
            else:
                self._said[message["id"]] = message
        return self._said.pop(number)

    def ask(self, method: str, **params: Any) -> Any:
        """The result of a request; its error as a string."""
        reply = self.end(self.begin(method, **params))
        return reply["result"] if "result" in reply else reply["error"]

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether something comes true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
