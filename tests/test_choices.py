"""Several suggestions for who asks by hand, which of them is explained, and one line or several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lsp_client import SERVER, LspClient, until

from codegen_lsp.core import Trigger
from codegen_lsp.server.suggestions import Key, Suggestion
from codegen_lsp.settings import CompletionSettings, Multiline
from codegen_lsp.text import Edit, Span

SOURCE = "def add(left, right):\n    # the sum\n    \n"
HERE = (2, 4)
ANSWER = "return left + right"
OTHERS = ("return sum((left, right))", ANSWER, "return right + left", "return right  +  left")
BODY = "total = left + right\nreturn total"
INVOKED, AUTOMATIC = 1, 2


def scripted(**script: Any) -> LspClient:
    return LspClient(*SERVER, json.dumps({"answer": ANSWER + "\n", "others": OTHERS, **script}))


async def texts(client: LspClient, uri: str, kind: int, place: tuple[int, int] = HERE, **context: Any) -> list[str]:
    return [item["insertText"] for item in await client.items(client.inline(uri, *place, kind=kind, **context))]


@pytest.mark.parametrize(
    ("settings", "kind", "offered"),
    [
        ({}, AUTOMATIC, [ANSWER]),
        ({}, INVOKED, [ANSWER, OTHERS[0], OTHERS[2]]),
        ({"suggestions": 5}, INVOKED, [ANSWER, OTHERS[0], OTHERS[2]]),
        ({"suggestions": 2}, INVOKED, [ANSWER, OTHERS[0]]),
        ({"suggestions": 1}, INVOKED, [ANSWER]),
    ],
)
async def test_who_asks_by_hand_may_choose(settings: dict[str, Any], kind: int, offered: list[str]) -> None:
    async with scripted() as client:
        await client.initialize(options=settings)
        assert await texts(client, client.open(SOURCE), kind) == offered


async def test_choosing_asks_the_model_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with scripted(log=str(log)) as client:
        await client.initialize(options={"lookAhead": False})
        uri = client.open(SOURCE)
        assert await texts(client, uri, AUTOMATIC) == [ANSWER]
        for _ in range(3):
            assert len(await texts(client, uri, INVOKED)) == 3
        assert await texts(client, uri, AUTOMATIC) == [ANSWER], "the first stays the first"
    assert log.read_text().split().count("generate") == 1 + len(OTHERS)


async def test_another_one_can_be_typed_through() -> None:
    async with scripted() as client:
        await client.initialize()
        uri = client.open(SOURCE)
        await texts(client, uri, INVOKED)
        start = {"line": 2, "character": 4}
        client.change(uri, 2, {"range": {"start": start, "end": start}, "text": "return s"})
        assert await texts(client, uri, AUTOMATIC, (2, 12)) == ["um((left, right))"]


async def test_slow_others_are_not_waited_for() -> None:
    async with scripted(others_delay_s=60) as client:
        await client.initialize()
        assert await texts(client, client.open(SOURCE), INVOKED) == [ANSWER]


async def test_cancel_frees_the_engine(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def count(event: str) -> int:
        return log.read_text().split().count(event) if log.exists() else 0

    async with scripted(others_delay_s=60, log=str(log)) as client:
        await client.initialize()
        reply = client.inline(client.open(SOURCE), *HERE, kind=INVOKED)
        await until(lambda: count("generate") == 1 + len(OTHERS))
        assert count("generated") == 1
        client.notify("$/cancelRequest", {"id": client.last_number})
        assert "error" in await reply
        await until(lambda: count("generated") == 1 + len(OTHERS))


async def test_others_are_what_there_is_where_the_first_is_nothing() -> None:
    async with scripted(answer="\n") as client:
        await client.initialize()
        uri = client.open(SOURCE)
        assert await texts(client, uri, AUTOMATIC) == []
        assert await texts(client, uri, INVOKED) == [OTHERS[0], ANSWER, OTHERS[2]]


async def test_others_extend_the_selected_item() -> None:
    async with scripted(answer="(left)\n", others=["(right)\n"]) as client:
        await client.initialize()
        uri = client.open("def add(left, right):\n    pri\n")
        info = {"range": {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 7}}, "text": "print"}
        assert await texts(client, uri, INVOKED, (1, 7), selectedCompletionInfo=info) == ["print(left)", "print(right)"]


# Which one is explained


async def explained(client: LspClient) -> str | None:
    record = await client.command("codegen.explainLast")
    text: str | None = record and record["completion"]["text"]
    return text


async def test_the_one_that_was_taken_is_explained() -> None:
    async with scripted() as client:
        await client.initialize(options={"lookAhead": False})
        uri = client.open(SOURCE)
        items = await client.items(client.inline(uri, *HERE))
        assert await explained(client) == ANSWER
        command = items[2]["command"]
        start = {"line": 2, "character": 4}
        client.change(uri, 2, {"range": {"start": start, "end": start}, "text": OTHERS[2]})
        await client.command(command["command"], *command["arguments"])
        assert await explained(client) == OTHERS[2]
        assert (await client.command("codegen.status"))["accepted"] == 1
        end = {"line": 3, "character": 0}
        client.change(uri, 3, {"range": {"start": end, "end": end}, "text": "\n"})
        assert await explained(client) == ANSWER, "the text has gone on: the last request"


@pytest.mark.parametrize(("kind", "text"), [(AUTOMATIC, ANSWER), (INVOKED, "")])
async def test_what_is_asked_after_it_was_taken(kind: int, text: str) -> None:
    """By itself the editor asks what comes next: that is not what the user means; what is asked by hand is."""
    async with scripted(others=["\n"] * 4) as client:
        await client.initialize(options={"lookAhead": False})
        uri = client.open(SOURCE)
        assert await texts(client, uri, AUTOMATIC) == [ANSWER]
        start = {"line": 2, "character": 4}
        client.change(uri, 2, {"range": {"start": start, "end": start}, "text": ANSWER})
        client.notify("workspace/didChangeConfiguration", {"settings": {"minConfidence": 0.99}})
        assert await texts(client, uri, kind, (2, 4 + len(ANSWER))) == []
        assert await explained(client) == text


async def test_explained_in_words() -> None:
    async with scripted() as client:
        await client.initialize()
        assert await client.command("codegen.explainLast", {"as": "text"}) == ""
        uri = client.open(SOURCE, uri="file:///w/\x1b[2J.py")
        await texts(client, uri, AUTOMATIC)
        text: str = await client.command("codegen.explainLast", {"as": "text"})
        assert f"offered:\n  {ANSWER}\n" in text
        assert "scripted: comment-above, one block\n" in text
        assert "# the sum" in text
        assert "\x1b" not in text


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [
        ("x = 1\ny = 2\n    \nz\n", True),
        ("x = 1\ny = 2\n\nz\n", True),
        ("x = 1\ny = 2\nz\n", False),
        ("x = 1\ny = 2\n     \nz\n", False),
        ("x = 1\ny = 2", False),
        ("", False),
    ],
)
def test_what_was_taken_is_known_where_the_editor_trims_a_line_at_the_same_time(text: str, is_taken: bool) -> None:
    """VS Code takes the indentation that it wrote itself away from a line that was left empty."""
    edit = Edit(Span(5, 5), "\ny = 2")
    suggestion = Suggestion(1, "file:///x.py", "x = 1", "\n    \nz\n", Key(None), edit)
    assert suggestion.becomes(text) == is_taken


# One line or several


@pytest.mark.parametrize(
    ("multiline", "unasked", "asked"),
    [
        (Multiline.AUTOMATIC, BODY, BODY),
        (Multiline.INVOKED, "total = left + right", BODY),
        (Multiline.NEVER, "total = left + right", "total = left + right"),
    ],
)
async def test_one_line_or_several(multiline: Multiline, unasked: str, asked: str) -> None:
    async with scripted(answer=BODY.replace("\n", "\n    ") + "\n", others=[]) as client:
        await client.initialize(options={"multiline": multiline.value, "suggestions": 1})
        uri = client.open(SOURCE)
        for kind, wanted in ((AUTOMATIC, unasked), (INVOKED, asked), (AUTOMATIC, asked)):
            assert await texts(client, uri, kind) == [wanted.replace("\n", "\n    ")]


@pytest.mark.parametrize("multiline", list(Multiline))
async def test_an_action_writes_all(multiline: Multiline) -> None:
    async with scripted(answer=BODY.replace("\n", "\n    ") + "\n") as client:
        await client.initialize(options={"multiline": multiline.value})
        uri = client.open(SOURCE)
        start = {"line": 1, "character": 6}
        params = {"textDocument": {"uri": uri}, "range": {"start": start, "end": start}, "context": {"diagnostics": []}}
        (action,) = await client.request("textDocument/codeAction", params)
        client.answers["workspace/applyEdit"] = {"applied": True}
        await client.command("codegen.write", *action["command"]["arguments"])
        (applied,) = (sent for sent in client.requests if sent["method"] == "workspace/applyEdit")
        assert "return total" in str(applied)


def test_line_only() -> None:
    found = [
        (each, trigger)
        for each in Multiline
        for trigger in Trigger
        if CompletionSettings(multiline=each).is_line_only(trigger)
    ]
    assert found == [(Multiline.INVOKED, Trigger.AUTOMATIC), (Multiline.NEVER, Trigger.AUTOMATIC),
                     (Multiline.NEVER, Trigger.INVOKED)]  # fmt: skip
