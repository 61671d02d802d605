"""tests/cases/*.md: source with a cursor, what the model says, and the text after the edit.

A case is a heading, a line of `key=value` (kind, shape, trigger, language, stop, filters), and blocks named source,
answer and, unless nothing is to be offered, expect. The cursor is ⟦⟧. For characters that an editor would spoil: ␍
before a line's end makes it \r\n, → is a tab, · a space, ⏎ a line end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes import MODEL, ByteTokenizer

from codegen_lsp.core import Completion, Snapshot, Trigger
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.pipeline import complete
from codegen_lsp.prompt.formats import BY_NAME

CURSOR = "⟦⟧"
CASE = re.compile(r"^## (?P<name>.+)\n(?P<attributes>(?:`.*`\n)?)(?P<rest>(?:(?!^## ).*\n?)*)", re.MULTILINE)
BLOCK = re.compile(r"^~~~(?P<name>\w+)\n(?P<text>.*?)^~~~$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Case:
    """One section of a file."""

    name: str
    attributes: dict[str, str]
    blocks: dict[str, str]


def _text(block: str) -> str:
    text = block.removesuffix("\n").replace("→", "\t").replace("·", " ").replace("⏎", "\n")
    return text.replace("␍\n", "\r\n").replace("␍", "\r")


def load() -> list[Case]:
    """All cases of all files."""
    found = []
    for path in sorted(Path(__file__).parent.joinpath("cases").glob("*.md")):
        for match in CASE.finditer(path.read_text(encoding="utf-8")):
            pairs = (pair.split("=", 1) for pair in match["attributes"].strip("`\n").split())
            blocks = {block["name"]: _text(block["text"]) for block in BLOCK.finditer(match["rest"])}
            found.append(Case(f"{path.stem}: {match['name']}", dict(pairs), blocks))
    return found


async def check(case: Case) -> Completion:
    """Complete at the cursor with the scripted answer, apply the edit, compare all that the case names."""
    before, after = case.blocks["source"].split(CURSOR)
    want = case.attributes
    snapshot = Snapshot(
        "case.py",
        want.get("language", "python"),
        before + after,
        len(before),
        trigger=Trigger(want.get("trigger", "invoked")),
    )
    engine = ScriptedEngine([case.blocks.get("answer", "")])
    done = await complete(snapshot, engine, MODEL, BY_NAME["codegen"], ByteTokenizer())
    got = done.edit.apply(snapshot.text) if done.edit else snapshot.text
    assert got == case.blocks.get("expect", before + after)
    assert ("expect" in case.blocks) == (done.edit is not None), done
    intent = done.intent
    if "kind" in want:
        assert (str(intent.kind) if intent else "none") == want["kind"]
    if "shape" in want:
        assert intent is not None
        assert str(intent.shape) == want["shape"]
    if "stop" in want:
        assert str(done.stop) == want["stop"]
    if "filters" in want:
        assert set(want["filters"].replace("-", " ").split(",")) == set(done.filters)
    if intent and engine.requests:
        prefix = next(part.text for part in engine.requests[0][0].segments if part.name == "prefix")
        assert "\r" not in prefix
        assert prefix == (snapshot.text[: intent.target.start] + intent.lead).replace("\r\n", "\n").replace("\r", "\n")
    return done


CASES = load()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_case(case: Case) -> None:
    await check(case)


def test_there_are_enough() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)
