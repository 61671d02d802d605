"""Kate on a screen that nobody sees, with a scratch home, the settings that we ship, and a scripted server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import tapped
import xscreen
from tapped import ROOT, SCRIPTED, Message
from xscreen import Screen

CLIENT = ROOT / "editor-clients" / "kate"
WAIT_S = 20.0
KATERC = """
[General]
Show welcome view for new window=false

[Kate Plugins]
lspclientplugin=true
"""
SERVER, QUESTION = "codegen-lsp", "LSP server start requested"


def version() -> str:
    """Which Kate is driven."""
    command = ["kate", "--version", "-platform", "offscreen"]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def skip_unless_there() -> None:
    """Skip the test, with what is missing and how it is had."""
    if not os.environ.get("CODEGEN_LSP_EDITORS"):
        pytest.skip("set CODEGEN_LSP_EDITORS=1 to drive the real editors")
    if missing := xscreen.missing("kate", "dbus-run-session"):
        pytest.skip(f"not installed: {', '.join(missing)} (apt install kate xvfb openbox xdotool dbus)")


class Kate:
    """One window with one file. Use as `with Kate(folder, text, line=3) as kate`; the cursor is at that line's end.

    The test is skipped where there is no Kate to drive. `options` go to the server with `initialize`.
    """

    def __init__(
        self,
        folder: Path,
        text: str,
        *,
        line: int,
        server: list[str] | None = None,
        options: Mapping[str, object] | None = None,
        wait_s: float = WAIT_S,
    ) -> None:
        skip_unless_there()
        self.folder, self.file, self.line, self.wait_s = folder, folder / "work" / "a.py", line, wait_s
        settings = json.loads((CLIENT / "settings.json").read_text())
        if options is not None:
            settings["servers"]["python"]["initializationOptions"] = dict(options)
        for path, content in {
            self.file: text,
            folder / ".config" / "katerc": KATERC,
            folder / ".config" / "kate" / "lspclient" / "settings.json": json.dumps(settings),
        }.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        tapped.install(folder / "bin", SERVER, server or SCRIPTED)

    def __enter__(self) -> Kate:
        with ExitStack() as stack:
            self.screen = stack.enter_context(Screen(self.folder, self._env()))
            column = len(self.file.read_text().splitlines()[self.line - 1]) + 1
            place = ["--line", str(self.line), "--column", str(column)]
            self.process = self.screen.start("dbus-run-session", "--", "kate", "-n", *place, str(self.file))
            self.until(lambda: self.screen.windows(QUESTION), "the question whether a server may start")
            self.key("Return")
            self.until(lambda: self.sent("textDocument/didOpen"), "didOpen")
            self.until(lambda: self.screen.focus().startswith(self.file.name), "focus", again=self._focus)
            self.usual = set(self.screen.windows(""))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self.stack:
            if self.screen.windows(r"\*"):
                self.saved()
            self.key("ctrl+q")
            self.until(lambda: self.process.poll() is not None, "ended")

    def _env(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "DBUS_", "WAYLAND_"))},
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
            "TMPDIR": str(self.folder),
            "PATH": f"{self.folder}/bin:{os.defpath}",
        }

    def _focus(self) -> None:
        self.screen.xdotool("search", "--onlyvisible", "--name", f"^{self.file.name}", "windowactivate")

    # What a user does

    def key(self, *keys: str) -> None:
        """Keys as X names them, after each other."""
        self.screen.key(*keys)

    def type(self, text: str) -> None:
        self.screen.xdotool("type", "--delay", "20", text)

    def menu(self, *keys: str, num_windows: int = 1) -> None:
        """Keys that open a list, once it is there; the second window is what is said of the selected item."""
        self.key(*keys)
        self.until(lambda: len(set(self.screen.windows("")) - self.usual) >= num_windows, f"a list after {keys}")

    def act(self) -> None:
        """Choose the only code action, and wait for what is said of it."""
        self.menu("alt+Return")
        self.until(lambda: any(isinstance(each.get("result"), list) for each in self.said()), "actions")
        chosen = "workspace/executeCommand"
        self.until(lambda: self.sent(chosen), "chosen", again=lambda: self.key("Down", "Return"))
        self.until(self.told, "a message with the edit")

    def saved(self) -> str:
        """The file once what has changed is saved."""
        self.until(lambda: self.screen.windows(r"\*"), "changed")
        self.key("ctrl+s")
        self.until(lambda: not self.screen.windows(r"\*"), "saved")
        return self.file.read_text()

    # What is said

    def sent(self, method: str) -> list[Message]:
        """The messages of this kind that Kate has sent."""
        return [each for each in tapped.sent(self.folder / "bin", SERVER) if each.get("method") == method]

    def said(self) -> list[Message]:
        """What the server has said."""
        return tapped.said(self.folder / "bin", SERVER)

    def told(self) -> list[str]:
        """The messages that the server has shown."""
        return [each["params"]["message"] for each in self.said() if each.get("method") == "window/showMessage"]

    def until(self, is_done: Callable[[], object], what: str, *, again: Callable[[], object] | None = None) -> None:
        """Wait; `again` is done each second. Raises AssertionError with what has not happened."""
        xscreen.until(is_done, lambda: f"{what}; focus {self.screen.focus()!r}", self.wait_s, again)
