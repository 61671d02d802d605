"""Notebooks on disk: places in them, and one cell completed and written back."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import MODEL, ByteTokenizer

from codegen_lsp.cli import complete, explain, files
from codegen_lsp.cli.ask import Desk
from codegen_lsp.cli.main import main
from codegen_lsp.cli.notebook import read_notebook, replace_source
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.errors import FileError
from codegen_lsp.prompt.formats import BY_NAME


def notebook_json(*sources: Any, **more: Any) -> dict[str, Any]:
    """A notebook; a source that begins with `#:` is markdown."""
    found = []
    for source in sources:
        text = source if isinstance(source, str) else "".join(source)
        kind = "markdown" if text.startswith("#:") else "code"
        extra = {"outputs": [{"text": ["\u001b[1m é\n"]}], "execution_count": 3} if kind == "code" else {}
        found.append({"cell_type": kind, **extra, "metadata": {"z": 1, "a": 2.0}, "source": source})
    return {"nbformat_minor": 5, "cells": found, "metadata": {}, "nbformat": 4, **more}


def saved(folder: Path, text: str) -> Path:
    path = folder / "nb.ipynb"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("nb.ipynb:2:3", (2, 3, None)), ("a:b.ipynb:2:3:4", (2, 3, 4)), ("app.py:2:3", (None, 2, 3))],
)
def test_places(text: str, numbers: tuple[int | None, ...]) -> None:
    place = files.parse_place(text)
    assert (place.cell, place.line, place.column) == numbers


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        ("[]", ":1:1", "is no notebook"),
        ("{", ":1:1", "is not JSON"),
        ("[" * 100_000, ":1:1", "is not JSON"),
        ('{"cells": [], "metadata": {}}', ":1:1", "is no notebook"),
        ('{"nbformat": 4, "cells": [{"cell_type": "code"}]}', ":1:1", "is no notebook"),
        ('{"nbformat": 4, "cells": [{"cell_type": "code", "source": [1]}]}', ":1:1", "is no notebook"),
        ('{"nbformat": 3, "worksheets": []}', ":1:1", "of format 3, not 4"),
        (notebook_json("x"), ":2:1", "has 1 cells; cell 2 is outside it"),
        (notebook_json("x"), ":1:2", "cell 1 has 1 lines; line 2 is outside it"),
        (notebook_json("x"), ":1:1:9", "cell 1:1 has 1 characters; column 9 is outside it"),
        (notebook_json("x"), ":0:1", "cells, lines and columns are counted from 1"),
        (notebook_json("x"), ":1", "in a notebook a place is FILE:CELL:LINE"),
        (notebook_json("#:x"), ":1:1", "cell 1 is a markdown cell"),
        (notebook_json("%%bash\nls"), ":1:2", "nothing is written in IPython's own lines"),
        (notebook_json("x\n%time y"), ":1:2", "nothing is written in IPython's own lines"),
    ],
)
def test_bad_notebooks_get_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, place: str, said: str
) -> None:
    path = saved(tmp_path, content if isinstance(content, str) else json.dumps(content))
    assert main(["complete", f"{path}{place}"]) == FileError.exit_code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("metadata", "language"),
    [
        ({}, "python"),
        ({"kernelspec": {"language": "R"}}, "r"),
        ({"language_info": {"name": "ipython"}, "kernelspec": None}, "python"),
        ({"language_info": {"name": "C++"}}, "cpp"),
        ({"kernelspec": {"language": "bash"}}, "shellscript"),
    ],
)
def test_the_language_of_a_notebook(metadata: dict[str, Any], language: str) -> None:
    (cell,) = read_notebook(json.dumps(notebook_json("x", metadata=metadata)), "nb.ipynb").cells
    assert cell.language == language


LINES = ["# zwei\n", 'x = "ü\\n"\n']
STYLES: dict[str, dict[str, Any]] = {
    "as nbformat": {"indent": 1, "ensure_ascii": False},
    "two blanks, ASCII": {"indent": 2},
    "tabs": {"indent": "\t", "ensure_ascii": False},
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "one line": {},
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("sources", [("#:é", LINES, "é"), ("#:é", "".join(LINES), "é"), ("#:é", [], ["é"])])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_only_the_source_of_one_cell_is_rewritten(style: str, sources: Sequence[Any], line_end: str) -> None:
    def dumped(*sources: Any) -> str:
        return json.dumps(notebook_json(*sources), **STYLES[style]).replace("\n", line_end) + line_end

    own = sources[1]
    new = [*own, "y = 'é'\n", "z"] if isinstance(own, list) else own + "y = 'é'\nz"
    assert replace_source(dumped(*sources), 2, "".join(new)) == dumped(sources[0], new, sources[2])
    assert replace_source(dumped(*sources), 2, "".join(own)) == dumped(*sources)


def test_lists_that_stand_on_one_line_stay_there() -> None:
    whole = '{\n  "nbformat": 4,\n  "cells": [\n    {"cell_type": "code", "source": ["a\\n", "b"]}\n  ]\n}\n'
    assert replace_source(whole, 1, "a\nc") == whole.replace('"b"', '"c"')
    twice = '{"source": "no", "cells": [], "cells": [ {"source": "no", "source" : "a"} ] }'
    assert replace_source(twice, 1, "b") == twice.replace('"a"', '"b"')


@pytest.fixture
def scripted_commands(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    """The commands ask an engine that plays a script."""
    engine = ScriptedEngine(["total = sum(rows)"])

    @asynccontextmanager
    async def open_desk(args: Any) -> Any:
        yield Desk(engine, MODEL, BY_NAME["codegen"], ByteTokenizer(), args)

    for command in (complete, explain):
        monkeypatch.setattr(command, "open_desk", open_desk)
        monkeypatch.setattr(command, "run_async", lambda _, body: asyncio.run(body()))
    return engine


def test_a_completion_is_printed_and_written(
    scripted_commands: ScriptedEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def dumped(own: list[str]) -> str:
        return json.dumps(notebook_json("#:Sums", "%time\nrows = [1]", own), indent=1) + "\n"

    path = saved(tmp_path, dumped(["# add up\n", "\n", "x"]))
    before = path.read_bytes()
    assert main(["complete", f"{path}:3:1", "--no-index"]) == 0
    assert capsys.readouterr().out == "total = sum(rows)\n"
    assert main(["complete", f"{path}:3:1", "--no-index", "--json"]) == 0
    edit = json.loads(capsys.readouterr().out)["edit"]
    assert edit == {"start": 8, "end": 8, "text": "\ntotal = sum(rows)"}
    assert path.read_bytes() == before
    assert main(["complete", f"{path}:3:1", "--no-index", "--write"]) == 0
    assert path.read_text() == dumped(["# add up\n", "total = sum(rows)\n", "\n", "x"])
    assert "# %time\nrows = [1]\n\n\n# add up\n" in ByteTokenizer().decode(scripted_commands.requests[0][0].ids)


def test_a_notebook_that_was_saved_meanwhile_is_not_written(tmp_path: Path) -> None:
    path = saved(tmp_path, json.dumps(notebook_json("x = 1")))
    opened = files.open_at(files.parse_place(f"{path}:1:1"))
    theirs = saved(tmp_path, json.dumps(notebook_json("theirs"))).read_bytes()
    with pytest.raises(FileError, match="changed meanwhile"):
        files.write_text(path, opened.put("x = 2"), opened.whole)
    assert path.read_bytes() == theirs


def test_a_diff_and_an_explanation_are_of_the_cell(
    scripted_commands: ScriptedEngine,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = saved(tmp_path, json.dumps(notebook_json("rows = [1]", "%matplotlib inline\n# add up\n")))
    assert main(["explain", f"{path}:2:2", "--no-index", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["edit"]["start"] >= len("%matplotlib inline\n")
    assert "#%matplotlibinline" in next(part["text"] for part in shown["prompt"] if part["name"] == "prefix")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["complete", f"{path}:2:2", "--no-index"]) == 0
    assert "cell 2\n@@ -1,3 +1,4 @@\n %matplotlib inline\n # add up\n+total = sum(rows)\n" in terminal.getvalue()
