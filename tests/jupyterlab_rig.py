"""A real JupyterLab with the extension, in a scratch home, driven in a headless Chromium."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from scripted_server import Script
from tapped import install
from vscode_rig import CHROMIUM, found, write

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "editor-clients" / "jupyterlab"
E2E = FOLDER / "e2e"
MODULES = E2E / "node_modules"
PYTHON = E2E / ".venv" / "bin" / "python"
START_S, DRIVE_S, STOP_S = 60, 240, 30
QUIET = ["--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root"]
SHAPE = "def area(radius):\n    return 3.14 * radius**2"


def version() -> str:
    """Of the JupyterLab that is driven."""
    show = [str(PYTHON), "-c", "import jupyterlab; print(jupyterlab.__version__)"]
    return subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()


def notebook(*cells: str) -> dict[str, Any]:
    """One of Python, with these cells of code."""
    language = {"kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"}}
    common: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    rows = [{**common, "id": f"cell-{number}", "source": text} for number, text in enumerate(cells)]
    return {"cells": rows, "metadata": language, "nbformat": 4, "nbformat_minor": 5}


class Rig:
    """A scratch home and a folder with a notebook and a file."""

    def __init__(self, home: Path) -> None:
        self.home, self.work, self.log = home, home / "work", home / "engine.log"
        self.pid = home / "server.pid"
        self.notebook = write(self.work / "nb.ipynb", json.dumps(notebook(SHAPE, "")))
        self.file = write(self.work / "plain.py", "import os\n")
        self.settings("apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False})

    def settings(self, plugin: str, values: dict[str, Any]) -> None:
        """The user's settings of a plugin of JupyterLab."""
        folder = self.home / ".jupyter" / "lab" / "user-settings" / "@jupyterlab"
        write(folder / f"{plugin}.jupyterlab-settings", json.dumps(values))

    def tell_server(self, settings: dict[str, Any]) -> None:
        """Have these settings of the language server among the user's."""
        self.settings("completer-extension/inline-completer", {"providers": {"codegen-lsp": {"server": settings}}})

    def cells(self) -> list[str]:
        """The notebook's, as saved."""
        saved = json.loads(self.notebook.read_text(encoding="utf-8"))
        return ["".join(cell["source"]) for cell in saved["cells"]]

    def install_server(self, *server: str) -> None:
        """Have this command start the language server."""
        script = f'#!/bin/sh\necho $$ >"{self.pid}"\nPYTHONPATH="{ROOT}" exec "$@"\n'
        command = [str(write(self.home / "start", script, 0o755)), *server]
        config = {"CodegenLsp": {"command": command}}
        write(self.home / ".jupyter" / "jupyter_server_config.json", json.dumps(config))

    def install_script(self, script: Script, *, tapped: bool = False) -> None:
        """Have a server whose engine plays a script, and writes down its prompts.

        What it is told is then read by tapped.sent(home, "tapped").
        """
        server = ROOT / "tests" / "jupyterlab_server.py"
        command = [sys.executable, str(server), json.dumps(asdict(replace(script, log=str(self.log))))]
        install(self.home, "tapped", command)
        self.install_server(*([str(self.home / "tapped")] if tapped else command))

    def prompts(self) -> list[str]:
        """What the engine was shown, in order."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line.removeprefix("prompt ")) for line in lines if line.startswith("prompt ")]

    @contextlib.contextmanager
    def serving(self) -> Iterator[tuple[str, str]]:
        """JupyterLab while it runs: its URL and its token."""
        token, log = secrets.token_hex(16), self.home / "jupyter.log"
        with running(
            [str(PYTHON), "-m", "jupyterlab", *QUIET, f"--ServerApp.root_dir={self.work}"], self.env(token), log
        ):
            yield address(self.home, log), token

    def env(self, token: str) -> dict[str, str]:
        """Of everything that runs."""
        path = f"{PYTHON.parent}:{os.defpath}"
        home = str(self.home)
        return {"HOME": home, "TMPDIR": home, "XDG_RUNTIME_DIR": home, "PATH": path, "JUPYTER_TOKEN": token}

    def drive(self, *steps: str, shots: str | None = None) -> dict[str, Any]:
        """Do these steps of drive.mjs; what was seen."""
        with self.serving() as (url, token):
            config = {
                "modules": str(MODULES),
                "chromium": needed(*CHROMIUM),
                "url": url,
                "token": token,
                "pid": str(self.pid),
                "shots": shots or os.environ.get("CODEGEN_LSP_SHOTS"),
                "steps": steps,
            }
            command = [needed("node"), str(E2E / "drive.mjs"), json.dumps(config)]
            done = subprocess.run(
                command, check=False, env=self.env(token), timeout=DRIVE_S, capture_output=True, text=True
            )
        log = (self.home / "jupyter.log").read_text(encoding="utf-8")
        assert done.returncode == 0, done.stderr[-3000:] + log[-3000:]
        seen: dict[str, Any] = json.loads(done.stdout)
        assert seen["hosts"] == ["127.0.0.1"]
        return seen


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str], log: Path) -> Iterator[None]:
    """Jupyter, which is given the time to end its kernels: they are in groups of their own."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def address(home: Path, log: Path) -> str:
    """Where Jupyter listens, once it does; it says where a moment before."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        for file in (home / ".local" / "share" / "jupyter" / "runtime").glob("jpserver-*.json"):
            with contextlib.suppress(OSError, ValueError):
                place = "127.0.0.1", int(json.loads(file.read_text(encoding="utf-8"))["port"])
                socket.create_connection(place).close()
                return "http://{}:{}".format(*place)
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


def needed(*programs: str) -> str:
    """The first of the programs that is there; the test is skipped when none is."""
    program = found(*programs)
    if program is None:
        pytest.skip(f"{programs[0]} is not installed")
    return program


def skip_unless_set_up() -> None:
    """Skip the test, with what is missing and how it is had."""
    if not os.environ.get("CODEGEN_LSP_EDITORS"):
        pytest.skip("set CODEGEN_LSP_EDITORS=1 to drive the real editors")
    if not PYTHON.exists() or not MODULES.exists():
        pytest.skip("JupyterLab is not installed: editor-clients/jupyterlab/e2e/setup.sh")
    needed("node")
    needed(*CHROMIUM)


def install_extension() -> None:
    """Install the extension as it is now, by what a user types."""
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--force-reinstall"]
    subprocess.run([*pip, "--no-index", str(FOLDER)], check=True, timeout=START_S, capture_output=True)
