"""Each editor's own `initialize`, replayed, and then typing, asking, accepting and leaving the way that editor does it.

`initialize/*.json` says in `source` what was recorded and what was written from documentation.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from lsp_client import INLINE, Json, LspClient, events, scripted, until, until_state

from codegen_lsp.text import Encoding, units

CLIENTS = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "initialize").glob("*.json"))
}
SOURCES = ("recorded from", "written from documentation", "capabilities", "the least")
HEAD = 'title = "𝔘ñ"; total = '
"""Characters that each encoding counts in another way, before the cursor."""
ANSWER = 'prices["$1"] + 1'
"""With what would be a tab stop in a snippet."""
KEYS = "pri"
ORDER = "# add two numbers\n"
URI = "file:///w/a.py"


class Editor:
    """One document of a client, kept as the client keeps it."""

    def __init__(self, client: LspClient, manner: Json) -> None:
        self.client = client
        self.manner = manner
        self.encoding = Encoding(manner["encoding"])
        self.text = ""
        self.version = 0

    async def begin(self, text: str) -> Json:
        """initialize, initialized, didOpen; the server's capabilities."""
        params = dict(self.manner["initialize"])
        if params.get("processId") == "PROCESS":
            params["processId"] = os.getpid()
        result: Json = await self.client.request("initialize", params)
        self.client.notify("initialized", {})
        self.text = text
        self.client.open(text, URI, version=self.version)
        await until_state(self.client, "ready")
        capabilities: Json = result["capabilities"]
        return capabilities

    def position(self, offset: int) -> Json:
        before = self.text[:offset]
        return {"line": before.count("\n"), "character": units(before.rpartition("\n")[2], self.encoding)}

    def offset(self, position: Json) -> int:
        return next(at for at in range(len(self.text) + 1) if self.position(at) == position)

    def replace(self, start: int, end: int, text: str) -> None:
        """didChange, with the whole text where the client sends nothing else."""
        where = {"start": self.position(start), "end": self.position(end)}
        self.text = self.text[:start] + text + self.text[end:]
        self.version += 1
        is_full = self.manner["sync"] == "full"
        self.client.change(URI, self.version, {"text": self.text} if is_full else {"range": where, "text": text})

    def ask(self, offset: int) -> asyncio.Future[Json]:
        """A request that nobody has called for, as the client sends it for a key."""
        params: Json = {"textDocument": {"uri": URI}, "position": self.position(offset)}
        if self.manner["asks"] == "ghost text":
            return self.client.ask(INLINE, {**params, "context": {"triggerKind": 2}})
        context = {} if self.manner["popup"] is None else {"context": self.manner["popup"]}
        return self.client.ask("textDocument/completion", {**params, **context})

    async def type(self, offset: int, keys: str) -> list[Json]:
        """Type, asking in the client's rhythm; all replies in order."""
        replies = []
        for key in keys:
            self.replace(offset, offset, key)
            offset += 1
            if self.manner["rhythm"] == "cancels" and replies:
                self.client.notify("$/cancelRequest", {"id": self.client.last_number})
            if self.manner["rhythm"] != "pause":
                replies.append(self.ask(offset))
                await asyncio.sleep(0.002)
        if self.manner["rhythm"] == "pause":
            await asyncio.sleep(0.05)
            replies.append(self.ask(offset))
        return await asyncio.wait_for(asyncio.gather(*replies), 10)

    def items(self, reply: Json) -> list[Json]:
        items: list[Json] = reply["result"]["items"]
        return items

    def span_of(self, item: Json) -> tuple[int, int, str]:
        """What the client replaces, and with what."""
        edit = item.get("textEdit", item)
        where = edit["range"]
        return self.offset(where["start"]), self.offset(where["end"]), edit.get("newText", item.get("insertText"))

    async def accept(self, item: Json) -> None:
        self.replace(*self.span_of(item))
        if self.manner["runs_command"]:
            await self.client.command(item["command"]["command"], *item["command"]["arguments"])

    async def leave(self) -> int:
        """shutdown with the params that the client gives, and exit; or only the end of the pipe."""
        shutdown = self.manner["shutdown"]
        if shutdown == "never":
            assert self.client.process.stdin
            self.client.process.stdin.close()
        else:
            reply = self.client.expect("bye")
            params = {} if shutdown == "absent" else {"params": shutdown}
            self.client.send({"jsonrpc": "2.0", "id": "bye", "method": "shutdown", **params})
            assert (await asyncio.wait_for(reply, 5))["result"] is None
            self.client.send({"jsonrpc": "2.0", "method": "exit"})
        return await asyncio.wait_for(self.client.process.wait(), 5)


def test_each_client_says_where_it_is_from() -> None:
    assert len(CLIENTS) >= 16
    for name, manner in CLIENTS.items():
        assert manner["source"].startswith(SOURCES), name
        assert not {"/tmp", "/home", "/root"} & set(json.dumps(manner).split('"')), name


@pytest.mark.parametrize("name", CLIENTS)
async def test_a_session_of(name: str) -> None:
    manner = CLIENTS[name]
    async with scripted(answer=ANSWER + "\n", delay_s=0.01) as client:
        editor = Editor(client, manner)
        capabilities = await editor.begin(HEAD + "\n" + ORDER)
        assert capabilities["positionEncoding"] == manner["encoding"]
        assert capabilities["textDocumentSync"] == {"openClose": True, "change": 2}
        cursor = len(HEAD)

        first = (await editor.type(cursor, " "))[-1]
        (item,) = editor.items(first)
        start, end, text = editor.span_of(item)
        assert (editor.text[start:end] + text).strip() == ANSWER
        cursor += 1

        replies = await editor.type(cursor, KEYS)
        for reply in replies[:-1]:
            assert reply.get("error", {}).get("code") == -32800 if "error" in reply else "items" in reply["result"]
        (item,) = editor.items(replies[-1])
        assert item.get("insertTextFormat", 1) == 1, "a snippet would eat the $1"
        await editor.accept(item)
        assert editor.text == f"{HEAD} {ANSWER}\n{ORDER}"
        assert (await client.command("codegen.status"))["accepted"] == 1

        await an_order(editor)
        assert await editor.leave() == 0
    for request in client.requests:
        path = DECLARED[request["method"]]
        assert dig(manner["initialize"]["capabilities"], *path), f"it has not said that it can be asked {request}"


DECLARED = {
    "window/workDoneProgress/create": ("window", "workDoneProgress"),
    "workspace/configuration": ("workspace", "configuration"),
    "client/registerCapability": ("workspace", "didChangeWatchedFiles", "dynamicRegistration"),
}
"""What the server may ask a client for, and where the client says so."""


def dig(data: Any, *names: str) -> Any:
    for name in names:
        data = (data or {}).get(name)
    return data


async def an_order(editor: Editor) -> None:
    """The code action at the comment, the way the client can take it: an edit, or a command that asks to apply one."""
    client, there = editor.client, editor.position(editor.text.index(ORDER) + 3)
    params = {"textDocument": {"uri": URI}, "range": {"start": there, "end": there}, "context": {"diagnostics": []}}
    (action,) = await client.request("textDocument/codeAction", params)
    capabilities = editor.manner["initialize"]["capabilities"]
    has_edit = "edit" in (dig(capabilities, "textDocument", "codeAction", "resolveSupport", "properties") or [])
    assert ("command" in action) == (not has_edit)
    if has_edit:
        edit = (await client.request("codeAction/resolve", action))["edit"]
    else:
        client.answers["workspace/applyEdit"] = {"applied": True}
        # ALE says that it applies no edits, and does; nobody would get one that has not asked for it.
        assert await client.command(action["command"]["command"], *action["command"]["arguments"]) is True
        edit = client.requests.pop()["params"]["edit"]
    is_versioned = bool(dig(capabilities, "workspace", "workspaceEdit", "documentChanges"))
    assert list(edit) == (["documentChanges"] if is_versioned else ["changes"])


# Manners


TAKEN: list[tuple[list[list[tuple[str, int, int]]], int]] = [
    ([[("return 1", 4, 4)]], 1),
    ([[("r", 4, 4)], [("eturn 1", 5, 5)]], 1),
    ([[("retur", 4, 4)], [("n 1", 9, 9)]], 1),
    # eglot shows the item, takes it back, and writes it over the word, in one message
    ([[("r", 4, 4)], [("eturn 1", 5, 5), ("", 5, 12), ("return 1", 4, 5)]], 1),
    ([[("return 1", 4, 4)], [("", 4, 12)], [("return 1", 4, 4)]], 1),
    ([[(key, 4 + at, 4 + at)] for at, key in enumerate("return 1")], 0),
    ([[("return 2", 4, 4)]], 0),
    ([[("return 1\n", 4, 4)]], 0),
    ([[("return 1", 0, 0)]], 0),
]
"""Messages of (text, start, end) on the last line, and how many acceptances they are."""


async def test_acceptance_is_seen_without_the_items_command() -> None:
    async with scripted(answer="return 1\n") as client:
        await client.initialize()
        num_before = 0
        for number, (messages, num_accepted) in enumerate(TAKEN):
            uri = client.open("def one():\n    # the number one\n    \n", f"file:///w/{number}.py")
            assert await client.items(client.inline(uri, 2, 4))
            for version, message in enumerate(messages, start=2):
                edits = [{"range": on_line(2, start, end), "text": text} for text, start, end in message]
                client.change(uri, version, *edits)
            num_now = (await client.command("codegen.status"))["accepted"]
            assert num_now - num_before == num_accepted, messages
            num_before = num_now


def on_line(line: int, start: int, end: int) -> Json:
    return {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}


QUIET = {
    "in a string": 'name = "the na',
    "in a docstring": 'def one():\n    """Return the nu',
    "in a comment that is no order": "x = 1  # the na",
    "in a comment": "# TODO",
}


@pytest.mark.parametrize("asks", ["ghost text", "popup"])
async def test_nothing_is_offered_in_strings_and_comments_unasked(asks: str) -> None:
    async with scripted(answer="return 1\n") as client:
        await client.initialize()
        client.open("")
        await until_state(client, "ready")
        for name, text in QUIET.items():
            uri = client.open(text + "\n", f"file:///w/{name}.py")
            line, column = text.count("\n"), len(text.rpartition("\n")[2])
            place = {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}
            popup = {**place, "context": {"triggerKind": 1}}
            asked = (
                client.ask("textDocument/completion", popup) if asks == "popup" else client.inline(uri, line, column, 2)
            )
            assert await client.items(asked) == [], name


async def test_a_popup_for_a_word_that_is_typed_does_not_wait_for_the_model() -> None:
    """Helix and others say that it was invoked, and show nothing of other servers before this one has answered."""
    async with scripted(answer="return 1\n", delay_s=20) as client:
        await client.initialize()
        uri = client.open("def one():\n    retu\n")
        await until_state(client, "ready")
        place = {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 8}}
        asked = client.ask("textDocument/completion", {**place, "context": {"triggerKind": 1}})
        assert (await asyncio.wait_for(asked, 5))["result"] == {"isIncomplete": True, "items": []}


async def test_what_came_too_late_for_a_popup_is_there_for_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with scripted(answer="rn 1\n", delay_s=0.8, log=str(log)) as client:
        await client.initialize()
        uri = client.open("def one():\n    retu\n")
        await until_state(client, "ready")
        place = {"textDocument": {"uri": uri}, "position": {"line": 1, "character": 8}}
        asked = {**place, "context": {"triggerKind": 1}}
        assert (await client.request("textDocument/completion", asked))["items"] == []
        await until(lambda: "generated" in events(log))
        (item,) = (await client.request("textDocument/completion", asked))["items"]
        assert item["textEdit"]["newText"].endswith("rn 1")
    assert events(log).count("generate") == 1


async def test_lines_after_the_first_carry_all_of_their_indentation() -> None:
    """They are inserted verbatim, so at a cursor in column 8 no editor adds the eight spaces."""
    answer = "if price > 1:\n            found.append(price)\n        rest = 1\n"
    text = "def one(prices):\n    for price in prices:\n        # keep the dear ones\n        \n    return found\n"
    async with scripted(answer=answer) as client:
        await client.initialize()
        uri = client.open(text)
        (ghost,) = await client.items(client.inline(uri, 3, 8))
        place = {"textDocument": {"uri": uri}, "position": {"line": 3, "character": 8}}
        popup = await client.request("textDocument/completion", {**place, "context": {"triggerKind": 1}})
        written = "if price > 1:\n            found.append(price)\n        rest = 1"
        assert ghost["insertText"] == written
        (item,) = popup["items"]
        assert (item["textEdit"]["newText"], item["insertTextMode"]) == (written, 1)
        assert item["kind"] != 15, "Helix expands what is called a snippet, whatever its format"


async def test_the_selected_item_is_extended() -> None:
    async with scripted(answer="(value)\n") as client:
        await client.initialize()
        uri = client.open("value = 1\npri\n")
        for selected, offered in (("print", "print(value)"), ("pri", "pri(value)"), (None, "(value)")):
            info = {"selectedCompletionInfo": {"range": on_line(1, 0, 3), "text": selected}} if selected else {}
            (item,) = await client.items(client.inline(uri, 1, 3, **info))
            assert item["insertText"] == offered
