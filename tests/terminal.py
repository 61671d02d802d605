"""A program in a terminal (tmux): keys in, the screen out, and a picture of it (xterm on a display of its own)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

TMUX = shutil.which("tmux")
WAIT_S = 20.0
"""Until something has to have happened; a starting server on a busy machine takes seconds."""


class Terminal:
    """A program in tmux. Use as `with Terminal(["vim"], folder) as terminal`; whatever still runs ends with it."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        *,
        env: Mapping[str, str] = MappingProxyType({}),
        columns: int = 90,
        rows: int = 30,
    ) -> None:
        self.command, self.folder, self.env = list(command), folder, env
        self.columns, self.rows = columns, rows

    def __enter__(self) -> Terminal:
        self.room = tempfile.mkdtemp(prefix="terminal-")  # A socket's path has to be short.
        size = ["-x", str(self.columns), "-y", str(self.rows)]
        setting = [word for name, value in self.env.items() for word in ("-e", f"{name}={value}")]
        self.tmux("new-session", "-d", "-s", "main", *size, "-c", str(self.folder), *setting, *self.command)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)
        shutil.rmtree(self.room, ignore_errors=True)

    @property
    def _tmux(self) -> list[str]:
        assert TMUX, "there is no tmux on this machine"
        return [TMUX, "-S", f"{self.room}/tmux", "-f", os.devnull]

    def tmux(self, *words: str) -> str:
        """What tmux says. Raises CalledProcessError when the program has ended."""
        # A terminal of colours; `escape-time` would make of Escape and the next key a Meta key.
        env = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        setup = ["set-option", "-gq", "status", "off", ";", "set-option", "-sgq", "escape-time", "0", ";"]
        start = ["start-server", ";", *setup, "set-option", "-gq", "default-terminal", "tmux-256color", ";"]
        command = [*self._tmux, *start, *words] if words[0] == "new-session" else [*self._tmux, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=env, timeout=WAIT_S).stdout

    def type(self, *keys: str) -> None:
        """Keys as tmux names them ("Enter", "M-f", "C-l"); what is no name is typed as it is."""
        self.tmux("send-keys", "-t", "main", *keys)

    def write(self, text: str) -> None:
        """Type text, letter by letter."""
        self.tmux("send-keys", "-t", "main", "-l", text)

    def screen(self) -> list[str]:
        """The rows, without blanks at their ends."""
        return [row.rstrip() for row in self.tmux("capture-pane", "-t", "main", "-p").split("\n")[: self.rows]]

    def until(self, what: str, probe: Callable[[], Any], again: Callable[[], None] | None = None) -> Any:
        """The first true value of a probe; `again` is done each second. Raises AssertionError with the screen."""
        end, next_s = time.monotonic() + WAIT_S, time.monotonic() + 1
        while time.monotonic() < end:
            if value := probe():
                return value
            if again and time.monotonic() > next_s:
                again()
                next_s += 1
            time.sleep(0.03)
        raise AssertionError(f"never {what}; the screen:\n" + "\n".join(self.screen()))

    def says(self, text: str) -> bool:
        """Whether a text is on the screen, wherever its rows were broken."""
        return text in "".join(row.removesuffix("\\") for row in self.screen())

    def until_shown(self, text: str) -> None:
        """Wait for these rows, one below the other, blanks at their ends aside."""
        wanted = text.split("\n")
        self.until(f"shown: {text!r}", lambda: shows(self.screen(), wanted))

    def picture(self, file: Path, *, size: int = 11) -> None:
        """Write a picture of the screen (PNG, 64 colours); needs Xvfb, xterm and ImageMagick."""
        look = f"-tn xterm-256color -fa 'DejaVu Sans Mono' -fs {size} -bg '#16181d' -fg '#d6d8dd' -bw 0 +sb"
        xterm = f"xterm {look} -geometry {self.columns}x{self.rows} -e {' '.join(self._tmux)} attach & "
        take = f"sleep 2; import -window root -trim +repage -colors 64 'png8:{file}'; kill $!"
        server = ["xvfb-run", "-a", "-s", "-screen 0 1200x900x24", "sh", "-c", xterm + take]
        env = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        subprocess.run(server, check=True, env=env, timeout=60, capture_output=True)


def shows(rows: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether some rows that follow each other are those that are wanted."""
    last = len(rows) - len(wanted)
    return any(list(rows[start : start + len(wanted)]) == list(wanted) for start in range(last + 1))
