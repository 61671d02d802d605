"""Servers as an editor finds them, by name in a folder of programs, with what is said to and by each in files."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SCRIPTED = [sys.executable, str(ROOT / "tests" / "scripted_server.py")]
REAL = [sys.executable, "-m", "codegen_lsp", "serve"]
"""The server with the bundled model."""
LAUNCH = "#!/bin/sh\nexport PYTHONPATH={root}\ntee -a {log}.in | {command} | tee -a {log}.out\n"

Message = dict[str, Any]


class Shown(NamedTuple):
    """A text, the line of it where a comment is written, the comment, and what the bundled model offers."""

    text: str
    line: int
    comment: str
    offered: str


SHOWN = Shown(
    '''\
import json


def is_palindrome(text):
    """Whether a text reads the same backwards, ignoring case.

    >>> is_palindrome("Level")
    True
    """
    text = text.lower()
    return text == text[::-1]


def load_settings(path):
    '''
    "\n",
    15,
    "# read the json file, or an empty dictionary if there is none",
    "try:",
)
"""What the manuals' pictures show."""


def install(programs: Path, name: str, command: list[str]) -> None:
    """Put a server into a folder of programs."""
    programs.mkdir(exist_ok=True)
    root, log = shlex.quote(str(ROOT)), shlex.quote(str(programs / name))
    program = programs / name
    program.write_text(LAUNCH.format(root=root, log=log, command=shlex.join(command)))
    program.chmod(0o755)


def sent(programs: Path, name: str) -> list[Message]:
    """What the editor has sent to a server so far."""
    return _messages(programs / f"{name}.in")


def said(programs: Path, name: str) -> list[Message]:
    """What a server has said so far."""
    return _messages(programs / f"{name}.out")


@contextmanager
def stop_host(home: Path) -> Iterator[None]:
    """Ends the model host that servers with this scratch home have started."""
    env = {**os.environ, "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PYTHONPATH": str(ROOT)}
    try:
        yield
    finally:
        subprocess.run([*REAL[:-1], "host", "stop"], check=True, env=env, timeout=30, capture_output=True)


def _messages(log: Path) -> list[Message]:
    """The whole messages of LSP in a file."""
    data, found = log.read_bytes() if log.exists() else b"", []
    while (cut := data.find(b"\r\n\r\n")) >= 0:
        size = next(int(line[15:]) for line in data[:cut].split(b"\r\n") if line.lower().startswith(b"content-length:"))
        body, data = data[cut + 4 : cut + 4 + size], data[cut + 4 + size :]
        if len(body) == size:
            found.append(json.loads(body))
    return found
