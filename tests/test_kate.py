"""The real Kate on a screen that nobody sees, with the settings that we ship: what it shows, applies, how it asks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kate_rig import CLIENT, Kate, version
from tapped import ROOT, SCRIPTED

HEAD, REST = "def add(left, right):\n", "\nx = 1\n"
COMMENT = "    # add two numbers\n"
ANSWER = 'total = left["$1"] + right\n    return total\n'
"""With what would be a tab stop in a snippet, and the indentation that a body needs."""
DOCSTRING = '    """Add.\n\n    >>> add(1, 2)\n    3\n    """\n'
BODY = "total = left + right\n    return total\n"


def saying(answer: str) -> list[str]:
    return [*SCRIPTED, json.dumps({"answer": answer})]


def test_code_is_offered_where_it_is_called_for(tmp_path: Path) -> None:
    with Kate(tmp_path, f"{HEAD}{COMMENT}    \n{REST}", line=3, server=saying(ANSWER)) as kate:
        kate.menu("ctrl+space", num_windows=2)
        kate.key("Return")
        assert kate.saved() == f"{HEAD}{COMMENT}    {ANSWER}{REST}"
        kate.key("ctrl+z")
        assert kate.saved() == f"{HEAD}{COMMENT}\n{REST}", "one step of undo"


def test_a_word_is_gone_on_with(tmp_path: Path) -> None:
    """Kate shows only items whose label has the word that was typed."""
    with Kate(tmp_path, f"{HEAD}    \n{REST}", line=2, server=saying("rn left + right\n")) as kate:
        kate.type("retu")
        kate.menu("ctrl+space", num_windows=2)
        kate.key("Return")
        assert kate.saved() == f"{HEAD}    return left + right\n{REST}"


@pytest.mark.parametrize("runs", [False, True])
def test_a_docstring_becomes_a_body(tmp_path: Path, runs: bool) -> None:
    options = {"run_examples": True} if runs else None
    with Kate(tmp_path, HEAD + DOCSTRING + REST, line=2, server=saying(BODY), options=options) as kate:
        kate.act()
        (told,) = kate.told()
        assert ("examples are not run" in told) == (not runs)
        assert kate.saved() == f"{HEAD}{DOCSTRING}    {BODY}{REST}"


def test_why_nothing_was_written_is_said(tmp_path: Path) -> None:
    with Kate(tmp_path, HEAD + DOCSTRING + REST, line=2, server=saying("return nowhere\n")) as kate:
        kate.act()
        (told,) = kate.told()
    assert told.startswith("Nothing was good enough: undefined name 'nowhere'")


def test_how_kate_asks(tmp_path: Path) -> None:
    """The same as what tests/initialize/kate.json has, and test_interop.py replays."""
    recorded = json.loads((ROOT / "tests" / "initialize" / "kate.json").read_text())
    with Kate(tmp_path, f"{HEAD}    \n{REST}", line=2) as kate:
        kate.type("left")
        kate.until(lambda: kate.sent("textDocument/completion"), "a question")
        (asked,) = [each["params"] for each in kate.sent("textDocument/completion")]
        assert asked.get("context") == recorded["popup"]
        assert [list(change) for change in kate.sent("textDocument/didChange")[0]["params"]["contentChanges"]] == [
            ["text"]
        ]
    (left,) = kate.sent("shutdown")
    assert left["params"] == recorded["shutdown"]
    if version() != "kate 22.12.3":
        pytest.skip(f"this is {version()}; {recorded['source']}")
    (said,) = [each["params"] for each in kate.sent("initialize")]
    assert said["capabilities"] == recorded["initialize"]["capabilities"]


def test_what_is_shipped() -> None:
    server = json.loads((CLIENT / "settings.json").read_text())["servers"]["python"]
    assert server["command"] == ["codegen-lsp", "serve"]
    assert server["initializationOptions"] == {"run_examples": False}
