"""The settings in Zed's page are those that the endpoint prints."""

from __future__ import annotations

import json
import re
from pathlib import Path

from codegen_lsp import registry
from codegen_lsp.cli.api import DEFAULT_PORT, ZED_KEY, greeting

PAGE = Path(__file__).resolve().parent.parent / "editor-clients" / "zed" / "README.md"


def test_what_the_page_says_is_what_is_printed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    _, _, printed = greeting(DEFAULT_PORT, registry.DEFAULT_MODEL, "").partition('"edit_predictions": ')
    assert json.JSONDecoder().raw_decode(printed)[0] == json.loads(block)["edit_predictions"]
    assert f"`{ZED_KEY}`" in page
