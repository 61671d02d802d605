"""The JupyterLab extension: it calls nobody but its server; and in JupyterLab itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from jupyterlab_rig import FOLDER, PYTHON, ROOT, SHAPE, Rig, install_extension, skip_unless_set_up, version
from scripted_server import Script
from tapped import Message, sent

PACKAGE = json.loads((FOLDER / "labextension" / "package.json").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((FOLDER / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SCHEMAS = FOLDER / "labextension" / "schemas" / "codegen-lsp"
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in sorted((FOLDER / "labextension").rglob("*.js"))}
NETWORK = re.compile(r"\bfetch\(.*http|XMLHttpRequest|sendBeacon|https?:|eval\(|innerHTML|telemetry", re.I)
ANSWER = "answer = 42\n"


def test_all_parts_are_of_one_version() -> None:
    schema = json.loads((SCHEMAS / "package.json.orig").read_text(encoding="utf-8"))
    assert PACKAGE["version"] == PROJECT["version"] == schema["version"]


def test_keys_are_of_commands_that_exist() -> None:
    rows = json.loads((SCHEMAS / "plugin.json").read_text(encoding="utf-8"))["jupyter.lab.shortcuts"]
    names = {row["command"].removeprefix("codegen-lsp:accept-").removeprefix("codegen-lsp:") for row in rows}
    assert names == {"word", "line", "dismiss"}
    assert all(
        f'add("{name}"' in SOURCES["plugin.js"] or f"`${{NAME}}:{name}`" in SOURCES["plugin.js"] for name in names
    )


def test_what_jupyterlab_loads_is_there() -> None:
    assert (FOLDER / "labextension" / PACKAGE["jupyterlab"]["_build"]["load"]).exists()
    for text in SOURCES.values():
        assert set(re.findall(r'(?:from|import\(new URL\() ?"\.?/?([\w.]+)"', text)) <= set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_it_talks_to_nobody_but_the_server(name: str) -> None:
    assert not NETWORK.search(SOURCES[name])


def test_there_is_one_socket_and_it_is_ours() -> None:
    assert [name for name, text in SOURCES.items() if "new WebSocket(" in text] == ["provider.js"]
    assert SOURCES["provider.js"].count("/codegen-lsp/ws") == 1


def test_the_extensions_own_tests() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    found = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(found.lstrip("v").partition(".")[0]) < 20:
        pytest.skip(f"node {found.strip()} is too old: 20 or later is needed")
    tests = sorted(map(str, (FOLDER / "test").glob("*.test.mjs")))
    command = [node, "--test", "--test-reporter=tap", *tests]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=FOLDER)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert re.search(r"^# pass [1-9]\d+$", done.stdout, re.M), done.stdout[-500:]


# In the real JupyterLab


@pytest.fixture(scope="module")
def installed() -> str:
    skip_unless_set_up()
    install_extension()
    return version()


@pytest.fixture
def rig(installed: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> Rig:
    record_property("JupyterLab", installed)
    return Rig(tmp_path)


def test_scripts_are_found_by_their_digest(installed: str) -> None:
    """Jupyter has browsers keep them for a year."""
    folder = PYTHON.parent.parent / "share" / "jupyter" / "labextensions" / "codegen-lsp"
    load = json.loads((folder / "package.json").read_text(encoding="utf-8"))["jupyterlab"]["_build"]["load"]
    assert re.fullmatch(r"static/[0-9a-f]{16}/remoteEntry\.js", load)
    assert {path.name for path in (folder / load).parent.iterdir()} == set(SOURCES)


@pytest.mark.timeout(300)
def test_in_a_notebook(rig: Rig) -> None:
    rig.install_script(Script(answer=ANSWER))
    seen = rig.drive("notebook", "accept", "off", "run")
    assert seen["ghost"] == "answer = 42"
    assert seen["ghostsWhileOff"] == 0
    assert (seen["cells"], seen["ghostsAfterRun"]) == (3, 0), "a cell that is run asks for nothing"
    assert seen["errors"] == []
    told = next(prompt for prompt in rig.prompts() if "# the answer" in prompt)
    assert SHAPE in told, "the cell above was not shown"
    assert told.index(SHAPE) < told.index("# the answer")
    first, second, *_ = rig.cells()
    assert first == SHAPE
    assert second.startswith("# the answer\nanswer = 42")


@pytest.mark.timeout(300)
def test_in_a_file(rig: Rig) -> None:
    rig.install_script(Script(answer=ANSWER, load_s=5.0))
    seen = rig.drive("file", "accept", "write", "dismiss", "differs")
    assert seen["ghost"] == "answer = 42"
    assert seen["isActive"] == 0, "Tab would be taken for a suggestion that is gone"
    assert seen["errors"] == []
    assert "import os\n" in rig.prompts()[0]
    written = "import os\n# the answer\nanswer = 42\n# one more\nanswer = 42"
    assert rig.file.read_text(encoding="utf-8").startswith(written)


@pytest.mark.timeout(300)
def test_the_next_and_the_previous(rig: Rig) -> None:
    rig.install_script(Script(answer=ANSWER, others=["answer = 43\n", "answer = 44\n"]))
    rig.tell_server({"trigger": "invoked"})
    seen = rig.drive("notebook", "cycle", "leave")
    assert not seen["isRunning"], "its window is gone"
    assert seen["unasked"] == 0, "the server has not heard of its settings"
    assert seen["choices"] == ["answer = 42", "answer = 43", "answer = 44", "answer = 43"]
    assert rig.cells()[1] == "# the answer\nanswer = 43"


@pytest.mark.timeout(300)
def test_a_word_and_a_line(rig: Rig) -> None:
    rig.install_script(Script(answer="answer = [\n    1,\n    2,\n]\n"), tapped=True)
    assert rig.drive("notebook", "parts")["errors"] == []
    assert rig.cells()[1] == "# the answer\nanswer = [\n    1,\n    2,\n]"
    is_as_recorded(sent(rig.home, "tapped"))


def is_as_recorded(messages: list[Message]) -> None:
    """The same as what tests/initialize/jupyterlab.json has, and test_interop.py replays."""
    recorded = json.loads((ROOT / "tests" / "initialize" / "jupyterlab.json").read_text(encoding="utf-8"))
    first, *others = messages
    assert first["params"]["capabilities"] == recorded["initialize"]["capabilities"]
    methods = {message["method"] for message in others}
    assert {"notebookDocument/didOpen", "notebookDocument/didChange", "textDocument/inlineCompletion"} <= methods
    assert not {"shutdown", "$/cancelRequest"} & methods
    assert "codegen.accepted" not in {message["params"].get("command") for message in others}


@pytest.mark.timeout(300)
def test_a_server_that_dies_is_started_again(rig: Rig) -> None:
    rig.install_script(Script(answer=ANSWER))
    seen = rig.drive("notebook", "crash", "wait", "wait", "accept")
    assert seen["message"] == "codegen-lsp: the server has ended with status -9"
    assert seen["ghost"] == "answer = 42"


@pytest.mark.timeout(300)
def test_without_a_server_the_user_is_told(rig: Rig) -> None:
    rig.install_server(str(rig.home / "nothing"))
    (rig.home / "start").unlink()
    seen = rig.drive("notebook", "message")
    assert seen["message"] == "codegen-lsp: the server could not be started: No such file or directory"


@pytest.mark.timeout(300)
async def test_a_server_is_started_for_nobody_else(rig: Rig) -> None:
    """Neither without the token, nor for another page in the browser that has Jupyter's cookie."""
    rig.install_script(Script(answer=ANSWER))
    with rig.serving() as (url, token):
        place = f"{url.replace('http:', 'ws:')}/codegen-lsp/ws"
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            await refuses(browser, place, url)
            await browser.get(f"{url}/lab?token={token}")
            await refuses(browser, place, "http://127.0.0.2")
            assert not rig.pid.exists()
            async with browser.ws_connect(place, origin=url) as socket:
                await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}})
                assert (await socket.receive_json(timeout=20))["result"]["serverInfo"]["name"] == "codegen-lsp"


async def refuses(browser: aiohttp.ClientSession, place: str, origin: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.ws_connect(place, origin=origin)
    assert refused.value.status == 403
