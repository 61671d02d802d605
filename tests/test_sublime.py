"""Sublime Text's settings: the server that they start, asked as the LSP package asks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lsp_client import LspClient

from codegen_lsp.settings import Settings, parse

ROOT = Path(__file__).resolve().parent.parent
CLIENT: dict[str, Any] = json.loads(
    (ROOT / "editor-clients" / "sublime" / "LSP.sublime-settings").read_text(encoding="utf-8")
)["clients"]["codegen"]
SAID: dict[str, Any] = json.loads((ROOT / "tests" / "initialize" / "sublime.json").read_text(encoding="utf-8"))


async def test_the_settings_start_a_server_that_answers_the_package() -> None:
    program, *words = CLIENT["command"]
    assert program == "codegen-lsp"
    async with LspClient(sys.executable, "-m", "codegen_lsp", *words) as client:
        said = {**SAID["initialize"], "initializationOptions": CLIENT["initializationOptions"], "processId": None}
        answer = await client.request("initialize", said)
        client.notify("initialized", {})
        assert {"completionProvider", "codeActionProvider"} <= set(answer["capabilities"])
        place = {"line": 0, "character": 3}
        here = {"textDocument": {"uri": client.open("# the number one\n")}, "range": {"start": place, "end": place}}
        (action,) = await client.request("textDocument/codeAction", {**here, "context": {"diagnostics": []}})
        assert action["title"] == "Write code from this comment"


def test_the_examples_of_its_page_are_settings_of_the_server() -> None:
    page = (ROOT / "editor-clients" / "sublime" / "README.md").read_text(encoding="utf-8")
    example = json.loads(
        page.partition('as in `{"run')[1][len("as in `") :] + page.partition('as in `{"run')[2].partition("`")[0]
    )
    settings, problems = parse(example)
    assert not problems
    assert settings != Settings()
