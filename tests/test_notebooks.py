"""Notebooks in the server: cells in order, their positions, and completions in the real process."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from lsp_client import LspClient, scripted, until_state
from scripted_server import Script, ScriptedEngine
from test_session import FakeEditor

from codegen_lsp.cells import MARKDOWN, PYTHON, Cell, disarmed
from codegen_lsp.context.intent import find_intent
from codegen_lsp.core import Snapshot, Trigger
from codegen_lsp.server.convert import ruled_path
from codegen_lsp.server.documents import Change
from codegen_lsp.server.door import Client
from codegen_lsp.server.handlers import did_open_notebook
from codegen_lsp.server.notebooks import CellDocument
from codegen_lsp.server.session import Session
from codegen_lsp.syntax.parse import parse
from codegen_lsp.text import Encoding

# In process


def test_positions_are_the_cells_own() -> None:
    rng = random.Random(3)
    for encoding in Encoding:
        cell = CellDocument("cell:1", PYTHON, 1, "x = 1\n", "file:///w/nb.ipynb")
        for version in range(2, 200):
            place, end = (rng.randrange(4), rng.randrange(9)), (rng.randrange(4), rng.randrange(9))
            cell.update(version, [Change(rng.choice(["a", "\n", "😀", "%time", "\r\n"]), place, end)], encoding)
            before = cell.revision
            cell.follow([Cell("y" * rng.randrange(3), PYTHON)], is_code=True)
            assert cell.revision <= before + 1
            assert cell.text == cell.lead + disarmed(cell.cell)
            offset = cell.offset(place, encoding)
            assert len(cell.lead) <= offset <= len(cell.text)
            assert cell.offset(cell.position(offset, encoding), encoding) == offset


def test_nothing_changes_while_the_cells_above_stay_as_they_are() -> None:
    cell = CellDocument("cell:1", PYTHON, 1, "", "file:///w/nb.ipynb")
    above = [Cell(f"x{number} = {number}\n" * 20, PYTHON) for number in range(200)]
    cell.follow(above, is_code=True)
    revision, text = cell.revision, cell.text
    began = time.perf_counter()
    for _ in range(100):
        cell.follow([Cell(*each) for each in above], is_code=True)
    assert (time.perf_counter() - began) / 100 < 0.005
    assert cell.revision == revision
    assert cell.text is text


def test_what_is_written_begins_in_the_cell() -> None:
    rng = random.Random(5)
    above = [
        "def f(a):",
        '    """Do it."""',
        "    pass",
        "# add them",
        "x = 1",
        "",
        "class A:",
        "    ",
        "raise NotImplementedError",
    ]
    for _ in range(2000):
        before, own = ("\n".join(rng.choice(above) for _ in range(rng.randrange(5))) for _ in range(2))
        text, offset = before + "\n" + own, len(before) + 1 + rng.randrange(len(own) + 1)
        for trigger in Trigger:
            snapshot = Snapshot("a", PYTHON, text, offset, trigger=trigger, floor=len(before) + 1)
            intent = find_intent(snapshot, parse(text, PYTHON, offset))
            assert intent is None or intent.target.start >= snapshot.floor


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("vscode-notebook-cell:/w/sub/nb.ipynb#W0sZmlsZQ%3D%3D", "sub/nb.ipynb"),
        ("vscode-notebook-cell://ssh-remote/other/nb.ipynb#C1", "/other/nb.ipynb"),
    ],
)
def test_the_path_of_a_cell(uri: str, path: str) -> None:
    assert ruled_path(uri, ["file:///w"]) == path


# Over pipes

NOTEBOOK = "file:///w/nb.ipynb"
CODE, MARKUP = 2, 1


def cell_uri(name: str) -> str:
    return f"vscode-notebook-cell:/w/nb.ipynb#{name}"


def entry(name: str, kind: int = CODE) -> dict[str, Any]:
    return {"kind": kind, "document": cell_uri(name)}


def item(name: str, text: str, language: str = PYTHON) -> dict[str, Any]:
    return {"uri": cell_uri(name), "languageId": language, "version": 1, "text": text}


class Notebook:
    """A notebook in an editor. `cells` maps names to texts; markdown begins with `#:`."""

    def __init__(self, client: LspClient, uri: str = NOTEBOOK, **texts: str) -> None:
        self.client = client
        self.uri = uri
        entries = [entry(name, MARKUP if text.startswith("#:") else CODE) for name, text in texts.items()]
        items = [
            item(name, text.removeprefix("#:"), MARKDOWN if text.startswith("#:") else PYTHON)
            for name, text in texts.items()
        ]
        self.version = 1
        notebook = {"uri": uri, "notebookType": "jupyter-notebook", "version": 1, "cells": entries}
        client.notify("notebookDocument/didOpen", {"notebookDocument": notebook, "cellTextDocuments": items})

    def change(self, **change: Any) -> None:
        self.version += 1
        notebook = {"uri": self.uri, "version": self.version}
        self.client.notify("notebookDocument/didChange", {"notebookDocument": notebook, "change": {"cells": change}})

    def splice(self, start: int, removed: int, *added: dict[str, Any], **documents: Any) -> None:
        array = {"start": start, "deleteCount": removed, "cells": list(added)}
        self.change(structure={"array": array, **documents})

    def type(self, name: str, version: int, *changes: dict[str, Any]) -> None:
        document = {"uri": cell_uri(name), "version": version}
        self.change(textContent=[{"document": document, "changes": list(changes)}])

    def close(self, *names: str) -> None:
        documents = [{"uri": cell_uri(name)} for name in names]
        params = {"notebookDocument": {"uri": self.uri}, "cellTextDocuments": documents}
        self.client.notify("notebookDocument/didClose", params)

    async def prefix(self, name: str, line: int, column: int) -> str:
        """What the model is shown before a place."""
        assert await self.client.items(self.client.inline(cell_uri(name), line, column))
        shown: str = (await self.client.command("codegen.explainLast"))["context"]["prefix"]
        return shown

    async def texts(self) -> dict[str, int]:
        """Lengths of the open cells, as the editor has them."""
        documents = (await self.client.command("codegen.inspect"))["documents"]
        return {each["uri"].rpartition("#")[2]: each["length"] for each in documents}


def at(line: int, column: int) -> dict[str, Any]:
    place = {"line": line, "character": column}
    return {"start": place, "end": place}


async def test_the_index_of_the_notebooks_folder_is_asked() -> None:
    asked: list[str] = []
    client = Client(roots=("file:///w",))
    session = Session(
        client, FakeEditor(), lambda _: ScriptedEngine(Script()), None, lambda root, _: asked.append(root)
    )
    did_open_notebook(session, {"notebookDocument": {"uri": NOTEBOOK, "cells": [entry("a")]},
                                "cellTextDocuments": [item("a", "x = ")]})  # fmt: skip
    ask = session.ask(cell_uri("a"), 4)
    assert ask
    assert ask.snapshot.path == "nb.ipynb"
    await session.retrieval.refresh(ask, session.settings)
    assert asked == ["file:///w/"]
    await session.close()


async def test_a_cell_is_completed_after_the_earlier_ones() -> None:
    async with scripted(answer="total = sum(rows)\n") as client:
        result = await client.initialize(workspaceFolders=[{"uri": "file:///w", "name": "w"}])
        assert result["capabilities"]["notebookDocumentSync"] == {"notebookSelector": [{"notebook": "*"}]}
        Notebook(client, a="%time\nrows = [1]", b="#:Ignored", c="%%bash\nls", d="# add up\n", e="later = 1")
        (item,) = await client.items(client.inline(cell_uri("d"), 1, 0))
        assert item["insertText"] == "total = sum(rows)"
        assert item["range"] == at(1, 0)
        shown = await client.command("codegen.explainLast")
        assert shown["context"]["prefix"] == "# %time\nrows = [1]\n\n\n# add up\n"
        assert shown["path"] == "nb.ipynb"
        popup = {"textDocument": {"uri": cell_uri("d")}, "position": {"line": 1, "character": 0}}
        (choice,) = (await client.request("textDocument/completion", popup))["items"]
        assert choice["textEdit"]["range"] == at(1, 0)


async def test_prose_right_above_an_empty_cell_is_the_order() -> None:
    async with scripted() as client:
        await client.initialize()
        notebook = Notebook(client, a="x = 1", b="#:## Add them up", c="")
        await until_state(client, "ready")
        (item,) = await client.items(client.inline(cell_uri("c"), 0, 0, kind=2))
        assert item["insertText"] == "answer = 1"
        assert (await client.command("codegen.explainLast"))["completion"]["intent"]["kind"] == "comment-above"
        assert await notebook.prefix("c", 0, 0) == "x = 1\n\n\n# Add them up\n"


async def test_cells_that_come_go_and_change() -> None:
    async with scripted() as client:
        await client.initialize()
        notebook = Notebook(client, a="a = 1", b="b = 1", own="x = ")
        assert await notebook.prefix("own", 0, 4) == "a = 1\n\n\nb = 1\n\n\nx = "
        notebook.type("a", 2, {"range": at(0, 5), "text": "1"}, {"range": at(0, 0), "text": "a"})
        assert await notebook.prefix("own", 0, 4) == "aa = 11\n\n\nb = 1\n\n\nx = "
        notebook.type("a", 1, {"text": "older"})
        notebook.splice(0, 2, entry("b"), entry("a"))  # moved
        assert await notebook.prefix("own", 0, 4) == "b = 1\n\n\naa = 11\n\n\nx = "
        notebook.splice(1, 0, entry("c"), didOpen=[item("c", "c = 1")])
        assert await notebook.prefix("own", 0, 4) == "b = 1\n\n\nc = 1\n\n\naa = 11\n\n\nx = "
        notebook.splice(2, 1, didClose=[{"uri": cell_uri("a")}])
        assert await notebook.prefix("own", 0, 4) == "b = 1\n\n\nc = 1\n\n\nx = "
        notebook.change(data=[entry("b", MARKUP)])
        assert await notebook.prefix("own", 0, 4) == "c = 1\n\n\nx = "
        notebook.type("own", 2, {"text": "y = "})
        assert await notebook.prefix("own", 0, 4) == "c = 1\n\n\ny = "
        assert await notebook.texts() == {"b": 5, "c": 5, "own": 4}
        notebook.close("b", "c")
        assert await notebook.texts() == {}
    assert "version 1 is older" in client.log


async def test_a_notebook_that_is_opened_again() -> None:
    async with scripted() as client:
        await client.initialize()
        Notebook(client, a="a = 1", b="b = 1")
        again = Notebook(client, b="bb = 1", own="x = ")
        assert await again.prefix("own", 0, 4) == "bb = 1\n\n\nx = "
        assert await again.texts() == {"b": 6, "own": 4}


async def test_typing_needs_no_model_until_another_cell_changes(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with scripted(answer="value + 1\n", log=str(log)) as client:
        await client.initialize(options={"lookAhead": False})
        notebook = Notebook(client, a="value = 1", b="x = ")
        assert await client.items(client.inline(cell_uri("b"), 0, 4, kind=2))
        notebook.type("b", 2, {"range": at(0, 4), "text": "val"})
        (rest,) = await client.items(client.inline(cell_uri("b"), 0, 7, kind=2))
        assert rest["insertText"] == "ue + 1"
        assert log.read_text().count("generate\n") == 1
        notebook.type("a", 2, {"text": "value = 2"})
        await client.items(client.inline(cell_uri("b"), 0, 7, kind=2))
        assert log.read_text().count("generate\n") == 2


@pytest.mark.parametrize(
    ("texts", "name", "line", "column"),
    [
        ({"a": "#:Some words"}, "a", 0, 10),
        ({"a": "%%bash\nls "}, "a", 1, 3),
        ({"a": "%timeit sum("}, "a", 0, 12),
        ({"a": "def f():\n    '''Do it.'''\n    pass", "b": ""}, "b", 0, 0),
    ],
    ids=["prose", "another language", "magic", "the edit would be in another cell"],
)
async def test_where_nothing_is_offered(texts: dict[str, str], name: str, line: int, column: int) -> None:
    async with scripted() as client:
        await client.initialize()
        Notebook(client, **texts, z="z = ")
        assert await client.items(client.inline(cell_uri(name), line, column)) == []
        assert await client.items(client.inline(cell_uri("z"), 0, 4))


async def test_rules_see_the_notebooks_path() -> None:
    async with scripted() as client:
        await client.initialize(options={"disabledGlobs": ["*/secret/*"]})
        Notebook(client, "file:///w/secret/nb.ipynb", a="x = ")
        assert await client.items(client.inline(cell_uri("a"), 0, 4)) == []
        assert (await client.command("codegen.status"))["state"] != "ready"


async def test_a_code_action_of_a_cell_survives_a_change_above() -> None:
    capabilities = {"textDocument": {"codeAction": {"resolveSupport": {"properties": ["edit"]}}}}
    async with scripted(answer="total = sum(rows)\n") as client:
        await client.initialize(capabilities)
        notebook = Notebook(client, a="rows = []", b="# add up\n")
        context = {"range": at(0, 3), "context": {"diagnostics": []}}
        (action,) = await client.request("textDocument/codeAction", {"textDocument": {"uri": cell_uri("b")}, **context})
        notebook.type("a", 2, {"text": "rows = [1, 2, 3]\nmore = rows"})
        resolved = await client.request("codeAction/resolve", action)
        (edit,) = resolved["edit"]["changes"][cell_uri("b")]
        assert (edit["range"], edit["newText"].strip()) == (at(0, 8), "total = sum(rows)")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("didOpen", {}),
        ("didOpen", {"notebookDocument": {"uri": NOTEBOOK, "cells": [7, {"document": 8}]}, "cellTextDocuments": 9}),
        ("didChange", {"notebookDocument": {"uri": "file:///none"}, "change": {"cells": {"structure": {"array": {}}}}}),
        ("didChange", {"notebookDocument": {"uri": NOTEBOOK}, "change": {"cells": {"structure": {
            "array": {"start": -5, "deleteCount": 1e9, "cells": [entry("x")]}, "didOpen": [3], "didClose": 3}}}}),
        ("didChange", {"notebookDocument": {"uri": NOTEBOOK}, "change": {"cells": {"textContent": [
            {"document": {"uri": cell_uri("a")}, "changes": [3]}], "data": [None]}}}),
        ("didSave", {"notebookDocument": {"uri": NOTEBOOK}}),
        ("didClose", None),
    ],
)  # fmt: skip
async def test_odd_messages_end_nothing(method: str, params: Any) -> None:
    async with scripted() as client:
        await client.initialize()
        Notebook(client, a="x = ")
        client.notify(f"notebookDocument/{method}", params)
        await client.command("codegen.status")
        notebook = Notebook(client, a="x = 1", b="y = ")
        assert await notebook.prefix("b", 0, 4) == "x = 1\n\n\ny = "


async def test_random_changes_over_stdio() -> None:
    rng = random.Random(8)
    async with scripted() as client:
        await client.initialize(options={"lookAhead": False, "debounceMs": 0})
        texts = {"own": "x = "}
        order = ["own"]
        notebook = Notebook(client, own="x = ")
        for number in range(60):
            where = rng.randrange(len(order) + 1)
            if rng.random() < 0.5 or len(order) == 1:
                name, text = f"c{number}", f"c{number} = {rng.randrange(99)}"
                notebook.splice(where, 0, entry(name), didOpen=[item(name, text)])
                order.insert(where, name)
                texts[name] = text
            else:
                gone = rng.choice([name for name in order if name != "own"])
                notebook.splice(order.index(gone), 1, didClose=[{"uri": cell_uri(gone)}])
                order.remove(gone)
            texts["own"] = f"x{number} = "  # another one each time, so that the model is asked
            notebook.type("own", number + 2, {"text": texts["own"]})
            shown = await notebook.prefix("own", 0, len(texts["own"]))
            assert shown == "\n\n\n".join(texts[name] for name in order[: order.index("own") + 1])
        assert set(await notebook.texts()) == set(order)
