"""Emacs in a terminal, with our package over eglot or lsp-mode: keys in, the screen and Lisp values out."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "editor-clients" / "emacs"
SERVER = [sys.executable, str(ROOT / "tests" / "scripted_server.py")]
PROGRAMS = [name for name in os.environ.get("CODEGEN_LSP_EMACS", "emacs").split(":") if shutil.which(name)]
INIT = ROOT / "tests" / "emacs_init.el"
LIBRARIES = {"eglot": "eglot", "lsp": "lsp-mode"}


class Emacs:
    """One editor with an empty home. Use as `with Emacs(program, "eglot", folder, [*SERVER, script]) as emacs`."""

    def __init__(
        self,
        program: str,
        client: str,
        folder: Path,
        command: Sequence[str] = SERVER,
        *,
        setup: str = "nil",
        run: Path | None = None,
        rows: int = 30,
    ) -> None:
        """`setup` is Lisp that is run first, `run` the folder in which a model that is shared has its socket."""
        self.client, self.folder = client, folder
        self.home, self.room = folder / "home", Path(tempfile.mkdtemp(prefix="emacs-"))
        self.home.mkdir(parents=True, exist_ok=True)
        env = {
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(run or self.home),
            "XDG_CACHE_HOME": str(self.home),
            "TMPDIR": str(self.home),
            "PYTHONPATH": str(ROOT),
            "RIG_CLIENT": client,
            "RIG_COMMAND": f"({' '.join(map(lisp, command))})",
            "RIG_SETUP": setup,
            "RIG_SOCKET": str(self.room / "server"),
        }
        start = [program, "-nw", "-Q", "-l", str(INIT)]
        self.terminal = Terminal(start, folder, env=env, rows=rows)

    def __enter__(self) -> Emacs:
        self.terminal.__enter__()
        self.terminal.until("started", self._listens)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.send("(progn (setq kill-emacs-query-functions nil confirm-kill-processes nil) (kill-emacs))")
        finally:
            self.terminal.__exit__()
            shutil.rmtree(self.room, ignore_errors=True)

    # What a user does

    def open(self, name: str, text: str) -> Path:
        """Visit a file, point at its end, and wait for the server and its model."""
        file = self.folder / name
        file.write_text(text)
        self.lisp(f"(rig-visit {lisp(str(file))})")
        self.type("M->")  # A command of the user's: eglot begins after one.
        self.terminal.until("served", lambda: self.lisp("(and (codegen-wire-server) t)"))
        self.terminal.until("ready", lambda: self.ask_server("codegen.status")["state"] == "ready")
        return file

    def type(self, *keys: str) -> None:
        """Keys as tmux names them."""
        self.terminal.type(*keys)

    def save(self) -> None:
        self.type("C-x", "C-s")
        self.terminal.until("saved", lambda: not self.lisp("(buffer-modified-p)"))

    # What a user sees

    def text(self) -> str:
        return str(self.lisp("(buffer-substring-no-properties (point-min) (point-max))"))

    def ghost(self) -> str:
        return str(self.lisp("(rig-ghost)"))

    def until_ghost(self, text: str) -> None:
        self.terminal.until(f"ghost text {text!r}, but {self.ghost()!r}", lambda: self.ghost() == text)

    def until_text(self, text: str) -> None:
        self.terminal.until(f"text {text!r}, but {self.text()!r}", lambda: self.text() == text)

    # Wires

    def ask_server(self, command: str) -> Any:
        """What the server says to a command."""
        return self.lisp(f"(rig-ask {lisp(command)})")

    def lisp(self, code: str) -> Any:
        """The value of some Lisp in the buffer that the user is in."""
        here = f"(with-current-buffer (window-buffer (selected-window)) {code})"
        said = re.search('"(.*)"', self.send(f"(rig-value {here})"))
        assert said, "no value"
        return json.loads(base64.b64decode(said[1]))

    def _listens(self) -> bool:
        """Whether Emacs' own server does: its socket is there a moment before."""
        with socket.socket(socket.AF_UNIX) as wire:
            return wire.connect_ex(str(self.room / "server")) == 0

    def send(self, code: str) -> str:
        """What Emacs' own server prints of a value. Raises AssertionError with its words."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(20)
            wire.connect(str(self.room / "server"))
            wire.sendall(f"-eval {quoted(code)} \n".encode())
            said = b"".join(iter(lambda: wire.recv(1 << 16), b"")).decode()
        assert "-error" not in said, said
        return "".join(re.findall(r"^-print(?:-nonl)? (.*)$", said, re.MULTILINE))


def version() -> str:
    """All that is driven, each with its language client. Raises FileNotFoundError without Emacs."""
    programs = PROGRAMS or ["emacs"]
    return "; ".join(filter(None, (version_of(program, client) for program in programs for client in LIBRARIES)))


def version_of(program: str, client: str) -> str:
    """What is driven: "Emacs 30.2, eglot 1.17.30"; "" for a client that is not there."""
    said = batch(program, f'(princ (rig-version "{LIBRARIES[client]}"))')
    return said[said.rfind("Emacs ") :] if "Emacs " in said else ""


def batch(program: str, code: str, *options: str) -> str:
    """What Emacs without a screen prints to a form, warnings and messages included."""
    command = [program, "-Q", "--batch", "-l", str(INIT), *options, "--eval", code]
    return subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60
    ).stdout


def lisp(text: str) -> str:
    """A string as Lisp reads it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def quoted(text: str) -> str:
    """An argument of Emacs' own server's protocol."""
    return text.replace("&", "&&").replace(" ", "&_").replace("\n", "&n")
