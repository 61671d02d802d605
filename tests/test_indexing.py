"""The server and its index process: what the model is shown of other files, and what happens to the process."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from lsp_client import LspClient, scripted
from test_index import TREE, write

from codegen_lsp.index.place import database, only_writer
from codegen_lsp.server import indexing
from codegen_lsp.server.indexing import IndexProcess, index_factory
from codegen_lsp.settings import Settings

TEXT = "from pkg.shapes import Circle\n\n# a circle\nc = Circle(\n"
PLACE = {"path": "n.py", "text": TEXT, "offset": len(TEXT) - 1}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "work space", TREE)
    return tmp_path / "work space"


class Bars:
    """Progress that is remembered."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def __call__(self, title: str) -> Bars:
        self.said.append(title)
        return self

    def tell(self, done: int, total: int) -> None:
        self.said.append((done, total))

    def end(self) -> None:
        self.said.append("end")


async def answer(index: IndexProcess, method: str = "snippets", **params: Any) -> Any:
    """What it says, as soon as it says something."""
    async with asyncio.timeout(20):
        while not (found := await index.request(method, params or PLACE)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return found


async def shown(client: LspClient, uri: str) -> list[dict[str, Any]]:
    """The pieces of other files in the last prompt, as soon as there are any."""
    for number in range(200):
        place = {"line": 4, "character": 0}
        client.change(uri, 2 + number, {"range": {"start": place, "end": place}, "text": "\n"})
        await client.items(client.inline(uri, 3, 11))
        explained = await client.command("codegen.explainLast")
        pieces = explained["context"]["snippets"]
        if len(pieces) > 1:  # all is read
            return list(pieces)
        await asyncio.sleep(0.05)
    return []


async def test_the_model_is_shown_what_the_workspace_knows(root: Path) -> None:
    async with scripted(answer="1)\n") as client:
        await client.initialize(rootUri=root.as_uri())
        uri = client.open(TEXT, f"{root.as_uri()}/n.py")
        found = {each["path"]: each for each in await shown(client, uri)}["pkg/shapes.py"]
        assert "imported" in found["reason"]
        assert found["text"].startswith("class Circle:")
        assert (await client.command("codegen.status"))["index"] == {f"{root.as_uri()}/": "ready"}
    with only_writer(database(root)) as is_free:
        assert is_free, "the process ended with the server"


async def test_an_index_that_is_switched_off_is_not_made(root: Path) -> None:
    async with scripted(answer="1)\n") as client:
        await client.initialize(rootUri=root.as_uri(), options={"index": False})
        uri = client.open(TEXT, f"{root.as_uri()}/n.py")
        await client.items(client.inline(uri, 3, 11))
        assert (await client.command("codegen.status"))["index"] == {}
    assert not database(root).exists()


async def test_a_process_that_dies_is_started_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "START_AFTER_S", 0.0)
    monkeypatch.setattr(indexing, "RESTART_S", (0.01, 0.01))
    index = IndexProcess(root, Settings(), Bars())
    for _ in range(2):
        assert "pkg/shapes.py" in [each["path"] for each in await answer(index)]
        assert index._process
        index._process.kill()
        await asyncio.wait_for(index.request("snippets", PLACE), 5)  # whatever comes of it, it is not waited for
        await asyncio.sleep(0.1)
    assert await answer(index)
    assert index._process
    os.kill(index._process.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while not index.state.startswith("off"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await index.request("snippets", PLACE) is None
    index.notify("touch", {"paths": []})
    await index.close()


async def test_deaths_count_only_in_a_row(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("START_AFTER_S", 0.0), ("RESTART_S", (0.0,)), ("SOUND_S", 0.0)):
        monkeypatch.setattr(indexing, name, value)
    index = IndexProcess(root, Settings(), Bars())
    for _ in range(4):
        assert await answer(index)
        assert index._process
        index._process.kill()
        await index._process.wait()
        await asyncio.sleep(0.05)
    assert not index.state.startswith("off")
    await index.close()


async def test_long_reading_has_a_bar(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root, {f"many/m{number}.py": "def f(x):\n    return x\n" * 60 for number in range(300)})
    monkeypatch.setattr(indexing, "START_AFTER_S", 0.0)
    bars = Bars()
    index = IndexProcess(root, Settings(), bars)
    counts = await answer(index, "build")
    assert counts["added"] + counts["unchanged"] == 305
    assert (bars.said[0], bars.said[-1]) == (f"Reading {root.name}…", "end")
    assert all(done <= total for done, total in bars.said[1:-1])
    await index.close()


async def test_settings_reach_the_process(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "START_AFTER_S", 0.0)
    index = IndexProcess(root, Settings(disabled_languages=("javascript",), disabled_globs=("tests/*",)), Bars())
    await answer(index, "build")
    assert (await answer(index, "status"))["files"] == 3
    await index.close()


@pytest.mark.parametrize(
    "uri", ["untitled:a", "file:///none/there", "file://", "vscode-remote://h/w", "file:///", Path.home().as_uri()]
)
def test_there_is_none_for_what_is_no_folder(uri: str) -> None:
    assert index_factory(Bars())(uri, Settings()) is None


async def test_the_editor_is_asked_to_tell_of_changes(root: Path) -> None:
    able = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
    for capabilities, expected in ((able, 1), ({}, 0)):
        async with scripted() as client:
            await client.initialize(capabilities, rootUri=root.as_uri())
            await client.command("codegen.status")
            asked = [each for each in client.requests if each["method"] == "client/registerCapability"]
            assert len(asked) == expected
            for each in asked:
                (registration,) = each["params"]["registrations"]
                assert registration["method"] == "workspace/didChangeWatchedFiles"
                assert {"globPattern": "**/.gitignore"} in registration["registerOptions"]["watchers"]
