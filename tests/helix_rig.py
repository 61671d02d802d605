"""Helix in a terminal of tmux, with a scratch home, the configuration that we ship, and servers that play scripts.

CODEGEN_LSP_HX names another program than `hx`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tapped
from tapped import ROOT, SCRIPTED, Message

CLIENT = ROOT / "editor-clients" / "helix"
HX = next(filter(None, map(shutil.which, (os.environ.get("CODEGEN_LSP_HX", "hx"), "helix"))), None)
TMUX = shutil.which("tmux")
WAIT_S = 20.0
TMUX_CONF = """
set -s escape-time 0
set -g status off
set -g default-terminal tmux-256color
set -as terminal-features ',xterm*:RGB'
"""


def version() -> str:
    """Which Helix is driven."""
    assert HX
    return subprocess.run([HX, "--version"], check=True, capture_output=True, text=True, timeout=10).stdout.strip()


def skip_unless_there() -> None:
    """Skip the test, with what is missing and how it is had."""
    if not os.environ.get("CODEGEN_LSP_EDITORS"):
        pytest.skip("set CODEGEN_LSP_EDITORS=1 to drive the real editors")
    if HX is None:
        pytest.skip("Helix is not installed: package hx or helix, or CODEGEN_LSP_HX=/path/to/hx")
    if TMUX is None:
        pytest.skip("tmux is not installed: Helix is driven in it")


class Helix:
    """One editor with one file. Use as `with Helix(folder, text) as helix`.

    The test is skipped where no Helix is. `servers` has the command of each server by the name that it is
    started by; `edit` changes the configuration.
    """

    def __init__(
        self,
        folder: Path,
        text: str,
        *,
        servers: dict[str, list[str]] | None = None,
        edit: Callable[[str], str] = str,
        size: tuple[int, int] = (100, 30),
    ) -> None:
        skip_unless_there()
        self.folder, self.file, self.size = folder, folder / "work" / "a.py", size
        (folder / "work" / ".git").mkdir(parents=True)  # Helix takes the folder for the workspace.
        self.file.write_text(text)
        config = folder / ".config" / "helix" / "languages.toml"
        config.parent.mkdir(parents=True)
        config.write_text(edit((CLIENT / "languages.toml").read_text()))
        for name, command in (servers or {"codegen-lsp": SCRIPTED}).items():
            tapped.install(folder / "bin", name, command)

    def __enter__(self) -> Helix:
        assert HX
        self.sockets = tempfile.TemporaryDirectory(prefix="hx-")  # Pytest's own folders can be too deep for a socket.
        home = [f"{name}={self.folder}" for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR")]
        home += [f"XDG_CONFIG_HOME={self.folder}/.config", f"PATH={self.folder}/bin:{os.defpath}"]
        # Not as tmux's own environment: a shell's start-up files would change PATH.
        command = shlex.join(["env", *home, "COLORTERM=truecolor", HX, self.file.name])
        width, height = map(str, self.size)
        where = ["-x", width, "-y", height, "-c", str(self.file.parent)]
        (self.folder / "tmux.conf").write_text(TMUX_CONF)
        self.tmux("-f", f"{self.folder}/tmux.conf", "new-session", "-d", *where, command)
        try:
            self.until("NOR")
            self.until_sent("textDocument/didOpen")
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.normal()
            self.type(":quit!", "Enter")
            self.until_true(lambda: not self.tmux("list-sessions", check=False), "ended")
        finally:
            self.end()

    def end(self) -> None:
        """Whatever is left goes."""
        self.tmux("kill-server", check=False)
        self.sockets.cleanup()

    # What a user does

    def type(self, *keys: str) -> None:
        """Keys as tmux names them; other words are typed as they are."""
        for key in keys:
            self.tmux("send-keys", key)

    def normal(self) -> None:
        """Back to normal mode, before any other key: one right behind an Escape would be taken for Alt and that key."""
        if "NOR" not in self.screen():
            self.type("Escape")
            self.until("NOR", again=lambda: self.type("Escape"))

    def written(self) -> str:
        """The file once what has changed is saved."""
        self.normal()
        self.until("[+]")
        self.type(":write", "Enter")
        self.until_true(lambda: "[+]" not in (screen := self.screen()) and "written" in screen, "saved")
        return self.file.read_text()

    # What a user sees

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def until(self, *words: str, again: Callable[[], None] | None = None) -> str:
        """The screen once all of the words are on it. Raises AssertionError with the screen."""
        self.until_true(lambda: all(word in self.screen() for word in words), f"{words}", again)
        return self.screen()

    def until_true(self, is_done: Callable[[], bool], what: str, again: Callable[[], None] | None = None) -> None:
        """Wait; `again` is done each second."""
        end, next_s = time.monotonic() + WAIT_S, time.monotonic() + 1
        while not is_done():
            assert time.monotonic() < end, f"never: {what}\n{self.screen()}"
            if again and time.monotonic() >= next_s:
                again()
                next_s += 1
            time.sleep(0.05)

    # What the servers see

    def sent(self, name: str = "codegen-lsp") -> list[Message]:
        """What Helix has sent to a server so far."""
        return tapped.sent(self.folder / "bin", name)

    def said(self, name: str = "codegen-lsp") -> list[Message]:
        """What a server has said so far."""
        return tapped.said(self.folder / "bin", name)

    def until_sent(self, method: str, name: str = "codegen-lsp") -> Message:
        """The last such message once there is one."""
        self.until_true(lambda: any(each.get("method") == method for each in self.sent(name)), f"{method} to {name}")
        return [each for each in self.sent(name) if each.get("method") == method][-1]

    def tmux(self, *words: str, check: bool = True) -> str:
        """What tmux says to a command; its server is ours alone."""
        assert TMUX
        command = [TMUX, "-S", f"{self.sockets.name}/tmux", *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout
