"""The real Helix in a terminal, with the configuration that we ship: what it offers, applies, and how it asks."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from helix_rig import CLIENT, Helix, version
from tapped import ROOT, SCRIPTED

HEAD, REST = "def add(left, right):\n", "\nx = 1\n"
COMMENT = "    # add two numbers"
ANSWER = 'total = left["$1"] + right\n    return total\n'
"""With what would be a tab stop in a snippet, and the indentation that a body needs."""
BODY = f"    {ANSWER}"
FIRST = ANSWER.splitlines()[0]
DOCSTRING = '    """Add.\n\n    >>> add(1, 2)\n    3\n    """\n'
SAYS = {"codegen-lsp": [*SCRIPTED, json.dumps({"answer": ANSWER})]}
ACCEPT = ("Tab", "Enter")


def test_code_is_offered_while_a_comment_is_written(tmp_path: Path) -> None:
    with Helix(tmp_path, f"{HEAD}    \n{REST}", servers=SAYS) as helix:
        helix.type("j", "A", "# add two numbers")
        helix.until(f"{FIRST}…")
        helix.type(*ACCEPT)
        assert helix.written() == f"{HEAD}{COMMENT}\n{BODY}{REST}"
        helix.type("u")
        assert helix.written() == f"{HEAD}{COMMENT}\n{REST}", "one step of undo"


def test_code_is_offered_where_it_is_called_for(tmp_path: Path) -> None:
    with Helix(tmp_path, f"{HEAD}{COMMENT}\n    \n{REST}", servers=SAYS) as helix:
        helix.type("j", "j", "A", "C-x")
        helix.until(f"{FIRST}…")
        helix.type(*ACCEPT)
        assert helix.written() == f"{HEAD}{COMMENT}\n{BODY}{REST}"


@pytest.mark.parametrize("runs", [False, True], ids=["as shipped", "with run_examples"])
def test_a_docstring_becomes_a_body(tmp_path: Path, runs: bool) -> None:
    def edit(text: str) -> str:
        assert "# config" in text
        return text.replace("# config", "config") if runs else text

    servers = {"codegen-lsp": [*SCRIPTED, json.dumps({"answer": "total = left + right\n    return total\n"})]}
    with Helix(tmp_path, HEAD + DOCSTRING + REST, servers=servers, edit=edit) as helix:
        helix.type("j", "Space", "a")
        helix.until("Implement from docstring")
        helix.type("Enter")
        said = helix.until("    return total", "add: ")
        assert ("examples are not run" in said) == (not runs), said
        assert helix.written() == f"{HEAD}{DOCSTRING}    total = left + right\n    return total\n{REST}"


def test_why_nothing_was_written_is_said(tmp_path: Path) -> None:
    servers = {"codegen-lsp": [*SCRIPTED, json.dumps({"answer": "return nowhere\n"})]}
    with Helix(tmp_path, HEAD + DOCSTRING + REST, servers=servers) as helix:
        helix.type("j", "Space", "a")
        helix.until("Implement from docstring")
        helix.type("Enter")
        helix.until("Nothing was good enough", "'nowhere'")


def test_another_servers_popup_does_not_wait_for_ours(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    slow = [*SCRIPTED, json.dumps({"answer": "never\n", "delay_s": 60, "log": str(log)})]
    servers = {"codegen-lsp": slow, "pylsp": [*SCRIPTED, json.dumps({"answer": "er = 2\n"})]}
    with Helix(tmp_path, HEAD, servers=servers) as helix:
        helix.until_sent("textDocument/didOpen", "pylsp")
        helix.until_true(lambda: log.exists() and "info" in log.read_text(), "ready")
        helix.type("o", "oth")
        helix.until("er = 2", again=lambda: helix.type("C-x"))
        number = helix.until_sent("textDocument/completion")["id"]
        helix.until_true(lambda: number in [each.get("id") for each in helix.said()], "ours answers, too")
        assert "generated" not in log.read_text(), "ours is still thinking"


def test_how_helix_asks(tmp_path: Path) -> None:
    """The same as what tests/initialize/helix.json has, and test_interop.py replays: once for a burst of keys."""
    recorded = json.loads((ROOT / "tests" / "initialize" / "helix.json").read_text())
    with Helix(tmp_path, HEAD, servers=SAYS) as helix:
        (said,) = [each["params"] for each in helix.sent() if each.get("method") == "initialize"]
        helix.type("o", "tot")
        asked = helix.until_sent("textDocument/completion")["params"]
        assert sum(each.get("method") == "textDocument/completion" for each in helix.sent()) == 1
        assert asked["context"] == recorded["popup"]
    assert [each["method"] for each in helix.sent() if not {"params", "result"} & set(each)] == ["shutdown", "exit"]
    if said["clientInfo"] != recorded["initialize"]["clientInfo"]:
        pytest.skip(f"this is {version()}; recorded is {recorded['initialize']['clientInfo']['version']}")
    assert said["capabilities"] == recorded["initialize"]["capabilities"]


def test_what_is_shipped() -> None:
    config = tomllib.loads((CLIENT / "languages.toml").read_text())
    server = config["language-server"]["codegen"]
    assert [server["command"], *server["args"]] == ["codegen-lsp", "serve"]
    (python,) = config["language"]
    assert (python["name"], python["language-servers"][0]) == ("python", "codegen")
