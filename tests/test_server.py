"""The server as a process: ghost text, popup, code actions, cancellation, and the model behind it."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import pytest
from lsp_client import (
    INLINE,
    LspClient,
    events,
    framed,
    scripted,
    until,
    until_state,
)

# Completions


async def test_ghost_text_for_a_comment() -> None:
    async with scripted(answer="return left + right\n") as client:
        await client.initialize()
        uri = client.open("def add(left, right):\n    # the sum\n    \n")
        (item,) = await client.items(client.inline(uri, 2, 4))
        assert item["insertText"] == "return left + right"
        assert item["range"] == {"start": {"line": 2, "character": 4}, "end": {"line": 2, "character": 4}}
        await client.command(item["command"]["command"], *item["command"]["arguments"])
        assert (await client.command("codegen.status"))["accepted"] == 1
        explained = await client.command("codegen.explainLast")
        assert explained["completion"]["text"] == "return left + right"


async def test_typing_the_ghost_text_does_not_ask_the_model_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with scripted(answer="return left + right\n", log=str(log)) as client:
        await client.initialize()
        uri = client.open("def add(left, right):\n    # the sum\n    \n")
        await client.items(client.inline(uri, 2, 4, kind=2))
        for number, char in enumerate("return"):
            place = {"line": 2, "character": 4 + number}
            client.change(uri, 2 + number, {"range": {"start": place, "end": place}, "text": char})
            (item,) = await client.items(client.inline(uri, 2, 5 + number, kind=2))
            assert item["insertText"] == "return left + right"[number + 1 :]
    assert events(log).count("generate") == 1


async def test_cancel_has_one_reply_and_frees_the_engine(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with scripted(delay_s=30, log=str(log)) as client:
        await client.initialize()
        uri = client.open("# add two numbers\n")
        for _ in range(20):
            count = events(log).count("generate")
            reply = client.inline(uri, 0, 17)
            await until(lambda count=count: events(log).count("generate") > count)
            began = time.perf_counter()
            client.notify("$/cancelRequest", {"id": client.last_number})
            assert (await asyncio.wait_for(reply, 2))["error"]["code"] == -32800
            assert time.perf_counter() - began < 0.3
            await until(lambda count=count: events(log).count("generated") > count)
        client.notify("$/cancelRequest", {"id": client.last_number})
        client.notify("$/cancelRequest", {"id": 12345})
        assert (await client.command("codegen.inspect"))["requests_in_flight"] == 0


async def test_cancel_at_random_moments() -> None:
    rng = random.Random(6)
    async with scripted(delay_s=0.005) as client:
        await client.initialize(options={"debounceMs": 2})
        uri = client.open("# add two numbers\n")
        replies = []
        for _ in range(400):
            replies.append(client.inline(uri, 0, 17, kind=rng.choice((1, 2))))
            if rng.random() < 0.5:
                client.notify("$/cancelRequest", {"id": client.last_number - rng.randrange(3)})
            if rng.random() < 0.3:
                await asyncio.sleep(rng.random() * 0.01)
        for message in await asyncio.wait_for(asyncio.gather(*replies), 20):
            assert "result" in message or message["error"]["code"] == -32800


async def test_a_newer_request_supersedes_and_the_older_is_empty_at_once() -> None:
    async with scripted(delay_s=0.5) as client:
        await client.initialize()
        uri, other = client.open("# add two numbers\n"), client.open("# add two numbers\n", "file:///w/b.py")
        await until_state(client, "ready")
        elsewhere = client.inline(other, 0, 17)
        older = client.inline(uri, 0, 17)
        await asyncio.sleep(0.1)
        newer = client.inline(uri, 0, 17)
        assert (await asyncio.wait_for(older, 0.3))["result"] == {"items": []}
        assert await client.items(newer)
        assert await client.items(elsewhere)


async def test_a_late_answer_is_not_offered_for_a_newer_text() -> None:
    async with scripted(delay_s=0.3) as client:
        await client.initialize()
        uri = client.open("# add two numbers\n")
        reply = client.inline(uri, 0, 17)
        client.change(uri, 2, {"text": "# subtract\n"})
        assert await client.items(reply) == []


async def test_the_request_reads_the_text_before_the_next_message() -> None:
    async with scripted() as client:
        await client.initialize()
        uri = client.open("")
        await until_state(client, "ready")
        body = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 17}, "context": {"triggerKind": 1}}
        change = {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [{"text": "# add two numbers\n"}]}
        undo = {"textDocument": {"uri": uri, "version": 3}, "contentChanges": [{"text": ""}]}
        reply = client.expect("x")
        client.write(
            framed({"jsonrpc": "2.0", "method": "textDocument/didChange", "params": change})
            + framed({"jsonrpc": "2.0", "id": "x", "method": INLINE, "params": body})
            + framed({"jsonrpc": "2.0", "method": "textDocument/didChange", "params": undo})
        )
        assert await client.items(reply) == []
        explained = await client.command("codegen.explainLast")
        assert (explained["version"], explained["offset"]) == (2, 17)


async def test_the_selected_item_is_extended() -> None:
    async with scripted(answer="(value)\n") as client:
        await client.initialize()
        uri = client.open("value = 1\npri\n")
        info = {"range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 3}}, "text": "print"}
        (item,) = await client.items(client.inline(uri, 1, 3, selectedCompletionInfo=info))
        assert item["insertText"] == "print(value)"
        assert item["range"] == info["range"]


async def test_the_popup_is_answered_at_once_unless_asked() -> None:
    async with scripted(answer="return 1\n", delay_s=0.3) as client:
        await client.initialize()
        uri = client.open("def one():\n    # the number one\n    \n")
        params = {"textDocument": {"uri": uri}, "position": {"line": 2, "character": 4}}
        automatic = {**params, "context": {"triggerKind": 2, "triggerCharacter": "."}}
        await until_state(client, "ready")
        began = time.perf_counter()
        result = await client.request("textDocument/completion", automatic)
        assert result == {"isIncomplete": True, "items": []}
        assert time.perf_counter() - began < 0.25
        result = await client.request("textDocument/completion", {**params, "context": {"triggerKind": 1}})
        (item,) = result["items"]
        assert item["textEdit"]["newText"] == "return 1"


async def test_the_popup_and_the_ghost_text_do_not_end_each_other() -> None:
    async with scripted(delay_s=0.2) as client:
        await client.initialize()
        uri = client.open("# add two numbers\n")
        await until_state(client, "ready")
        ghost = client.inline(uri, 0, 17)
        place = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 17}}
        assert (await client.request("textDocument/completion", {**place, "context": {"triggerKind": 1}}))["items"]
        assert await client.items(ghost)


@pytest.mark.parametrize(
    ("line", "column", "kind", "num_items"),
    [(1, 20, 1, 1), (2, 4, 1, 1), (3, 12, 1, 0), (3, 8, 1, 0), (2, 4, 3, 0), (1, 20, 3, 0)],
    ids=["order", "empty line", "word", "inside a word", "again, empty line", "again, order"],
)
async def test_ghost_text_leaves_the_popup_to_those_who_call_it(
    line: int, column: int, kind: int, num_items: int
) -> None:
    async with scripted(answer="return 1\n") as client:
        await client.initialize({"textDocument": {"inlineCompletion": {}}})
        uri = client.open("def one():\n    # the number one\n    \n    retu = one\n")
        place = {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}
        await until_state(client, "ready")
        result = await client.request("textDocument/completion", {**place, "context": {"triggerKind": kind}})
        assert len(result["items"]) == num_items


def here(uri: str, line: int, column: int = 0, **context: Any) -> dict[str, Any]:
    place = {"line": line, "character": column}
    return {
        "textDocument": {"uri": uri},
        "range": {"start": place, "end": place},
        "context": {"diagnostics": [], **context},
    }


PROGRAM = 'import os\n\n# the sum of two numbers\n\n\ndef one():\n    """Return one."""\n    pass\n'


async def test_code_actions_are_offered_where_there_is_an_order() -> None:
    async with LspClient() as client:
        await client.initialize({"textDocument": {"codeAction": {"resolveSupport": {"properties": ["edit"]}}}})
        uri = client.open(PROGRAM)
        titles = []
        for line in range(8):
            actions = await client.request("textDocument/codeAction", here(uri, line, 3))
            titles.append([action["title"] for action in actions])
        comment, docstring = ["Write code from this comment"], ["Implement from docstring"]
        assert titles[0] == []
        assert titles[2] == comment
        assert titles[5:7] == [docstring, docstring]
        assert await client.request("textDocument/codeAction", here(uri, 2, 3, only=["source"])) == []
        assert await client.request("textDocument/codeAction", here(uri, 2, 3, only=["refactor"])) != []
        assert (await client.command("codegen.explainLast")) is None


async def test_a_code_action_is_resolved_to_an_edit() -> None:
    capabilities = {
        "textDocument": {"codeAction": {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}}},
        "workspace": {"workspaceEdit": {"documentChanges": True}},
    }
    async with scripted(answer="return 1\n") as client:
        await client.initialize(capabilities)
        uri = client.open(PROGRAM, version=3)
        (action,) = await client.request("textDocument/codeAction", here(uri, 5, 3))
        resolved = await client.request("codeAction/resolve", action)
        (change,) = resolved["edit"]["documentChanges"]
        assert change["textDocument"] == {"uri": uri, "version": 3}
        (edit,) = change["edits"]
        assert edit["newText"] == "return 1"
        assert edit["range"] == {"start": {"line": 7, "character": 4}, "end": {"line": 7, "character": 8}}
        client.change(uri, 4, {"text": PROGRAM + "\n"})
        assert await client.failure("codeAction/resolve", action) == -32801


async def test_without_resolve_a_command_applies_the_edit() -> None:
    async with scripted(answer="return 1\n") as client:
        client.answers["workspace/applyEdit"] = {"applied": True}
        await client.initialize()
        uri = client.open(PROGRAM)
        (action,) = await client.request("textDocument/codeAction", here(uri, 6, 8))
        command = action["command"]
        assert await client.command(command["command"], *command["arguments"]) is True
        (applied,) = [request for request in client.requests if request["method"] == "workspace/applyEdit"]
        assert applied["params"]["edit"]["changes"][uri][0]["newText"] == "return 1"


async def test_an_order_is_in_flight_and_says_why_it_failed() -> None:
    async with scripted(delay_s=0.3, fails=1) as client:
        client.answers["workspace/applyEdit"] = {"applied": True}
        await client.initialize()
        uri = client.open(PROGRAM)
        (action,) = await client.request("textDocument/codeAction", here(uri, 2, 8))
        await until_state(client, "ready")
        first = client.ask("workspace/executeCommand", action["command"])
        assert (await client.command("codegen.inspect"))["requests_in_flight"] == 1
        second = client.ask("workspace/executeCommand", action["command"])
        older, newer = await asyncio.wait_for(asyncio.gather(first, second), 5)
        assert older["error"]["message"] == "A newer request took its place."
        assert newer["error"]["message"] == "killed"
        assert (await asyncio.wait_for(client.ask("workspace/executeCommand", action["command"]), 5))["result"] is True


# The model


async def test_progress_while_the_model_loads() -> None:
    async with scripted(load_s=1.0) as client:
        await client.initialize({"window": {"workDoneProgress": True}})
        uri = client.open("# add two numbers\n")
        await client.command("codegen.status")
        began = time.perf_counter()
        assert await client.items(client.inline(uri, 0, 17, kind=2)) == []
        assert time.perf_counter() - began < 0.6
        await until_state(client, "ready")
        kinds = [note["params"]["value"]["kind"] for note in client.notifications if note["method"] == "$/progress"]
        assert [request["method"] for request in client.requests] == ["window/workDoneProgress/create"]
        assert kinds == ["begin", "end"]
        assert await client.items(client.inline(uri, 0, 17, kind=2))


async def test_an_editor_that_refuses() -> None:
    async with scripted(load_s=0.6, answer="return 1\n") as client:
        methods = ("window/workDoneProgress/create", "workspace/configuration", "workspace/applyEdit")
        client.answers = {method: RuntimeError("no") for method in methods}
        await client.initialize({"window": {"workDoneProgress": True}, "workspace": {"configuration": True}})
        uri = client.open(PROGRAM)
        client.notify("workspace/didChangeConfiguration", {"settings": {"codegen": {"maxTokens": 9}}})
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        await until_state(client, "ready")
        (action,) = await client.request("textDocument/codeAction", here(uri, 6, 8))
        assert await client.command("codegen.write", *action["command"]["arguments"]) is False
        assert (await client.command("codegen.inspect"))["settings"]["completion"]["max_tokens"] == 9
        assert {request["method"] for request in client.requests} == set(methods)
        assert client.notifications == []
    assert "work in the background failed: RpcError" in client.log


async def test_one_message_when_there_is_no_model() -> None:
    async with scripted(unavailable="There is no model; run codegen-lsp pull.") as client:
        await client.initialize()
        uri = client.open("# add two numbers\n")
        for _ in range(5):
            assert await client.items(client.inline(uri, 0, 17)) == []
        shown = [note["params"]["message"] for note in client.notifications]
        assert shown == ["There is no model; run codegen-lsp pull."]
        assert (await client.command("codegen.status"))["state"] == "failed"


async def test_the_engine_may_die_and_panic() -> None:
    async with scripted(fails=2) as client:
        await client.initialize()
        uri = client.open("# add two numbers\n")
        assert await client.items(client.inline(uri, 0, 17)) == []
        assert await client.items(client.inline(uri, 0, 17)) == []
        assert await client.items(client.inline(uri, 0, 17)) != []
    assert client.log.count("EngineFailed") == 2
    assert "Traceback" not in client.log
    assert "File " not in client.log
    async with scripted(panics=True) as client:
        await client.initialize()
        uri = client.open("# add two numbers\n")
        reply = await asyncio.wait_for(client.inline(uri, 0, 17), 5)
        assert reply["error"]["code"] == -32603
        assert (await client.command("codegen.status"))["state"] == "ready"
    assert "add two numbers" not in client.log


async def test_restart(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with scripted(log=str(log)) as client:
        await client.initialize()
        client.open("# add two numbers\n")
        await until_state(client, "ready")
        assert (await client.command("codegen.restartHost"))["state"] == "ready"
    assert events(log) == ["info", "close", "info", "close"]


@pytest.mark.parametrize(
    ("sure_from", "options", "unasked"), [(0.8, {}, 1), (0.95, {}, 0), (0.95, {"hideUnsure": False}, 1)]
)
async def test_what_the_model_is_unsure_of_is_shown_when_asked(sure_from: float, options: Any, unasked: int) -> None:
    async with scripted(sure_from=sure_from) as client:  # the script's answers have a confidence of 0.9
        await client.initialize(options=options)
        uri = client.open("# add two numbers\n")
        assert len(await client.items(client.inline(uri, 0, 17, kind=2))) == unasked
        assert len(await client.items(client.inline(uri, 0, 17, kind=1))) == 1


async def test_configuration() -> None:
    async with scripted() as client:
        client.answers["workspace/configuration"] = [{"disabledLanguages": ["python"]}]
        await client.initialize({"workspace": {"configuration": True}}, options={"maxTokens": 9, "nonsense": 1})
        uri = client.open("# add two numbers\n")
        assert (await client.command("codegen.inspect"))["settings"]["completion"]["max_tokens"] == 9
        assert "nonsense" in client.notifications[0]["params"]["message"]
        client.notify("workspace/didChangeConfiguration", {"settings": {"codegen": {"trigger": "invoked"}}})
        await client.command("codegen.status")
        assert await client.items(client.inline(uri, 0, 17, kind=2)) == []
        assert await client.items(client.inline(uri, 0, 17, kind=1)) != []
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        await client.command("codegen.status")
        await until(lambda: client.requests)
        await client.command("codegen.status")
        assert await client.items(client.inline(uri, 0, 17, kind=1)) == []
