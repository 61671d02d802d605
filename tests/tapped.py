"""Servers as an editor finds them, by name in a folder of programs, with what is said to and by each in files."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCRIPTED = [sys.executable, str(ROOT / "tests" / "scripted_server.py")]
LAUNCH = "#!/bin/sh\nexport PYTHONPATH={root}\ntee -a {log}.in | {command} | tee -a {log}.out\n"

Message = dict[str, Any]


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


def _messages(log: Path) -> list[Message]:
    """The whole messages of LSP in a file."""
    data, found = log.read_bytes() if log.exists() else b"", []
    while (cut := data.find(b"\r\n\r\n")) >= 0:
        size = next(int(line[15:]) for line in data[:cut].split(b"\r\n") if line.lower().startswith(b"content-length:"))
        body, data = data[cut + 4 : cut + 4 + size], data[cut + 4 + size :]
        if len(body) == size:
            found.append(json.loads(body))
    return found
