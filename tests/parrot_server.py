"""A language server that says what a file says, so that an editor's client can be tested with answers ours never gives.

Usage: parrot_server.py FILE. The file is JSON, read anew for each request: {"text", "others", "back", "over", "hold",
"mute"}; the item replaces `back` columns before and `over` columns behind the cursor, others are for who asks by hand.
What is held is answered on the command "release", mute requests never. Each command is written to FILE.log, each
request for a suggestion as "ask", and as "by-hand", too, where it is one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

CAPABILITIES = {
    "textDocumentSync": {"openClose": True, "change": 2},
    "inlineCompletionProvider": {},
    "executeCommandProvider": {"commands": ["release"]},
}
INLINE = "textDocument/inlineCompletion"


class Parrot:
    """Requests in, replies out; positions count UTF-16."""

    def __init__(self, script: Path) -> None:
        self.script = script
        self.held: list[tuple[int, dict[str, Any]]] = []

    def handle(self, message: dict[str, Any]) -> None:
        method, number, params = message.get("method"), message.get("id"), message.get("params")
        if number is None or method is None:
            return
        if method == INLINE:
            self.suggest(number, params["position"], is_by_hand=params["context"]["triggerKind"] == 1)
        elif method == "workspace/executeCommand":
            self.command(number, params["command"])
        else:
            reply(number, {"capabilities": CAPABILITIES} if method == "initialize" else None)

    def suggest(self, number: int, position: dict[str, int], *, is_by_hand: bool) -> None:
        script = json.loads(self.script.read_text())
        self.note("ask")
        if is_by_hand:
            self.note("by-hand")
        line, column = position["line"], position["character"]
        start, end = column - script.get("back", 0), column + script.get("over", 0)
        item = {
            "range": {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}},
            "command": {"title": "", "command": "accepted"},
        }
        texts = [script["text"], *(script.get("others", []) if is_by_hand else [])] if script.get("text") else []
        answer = {"items": [{"insertText": text, **item} for text in texts]}
        if script.get("hold"):
            self.held.append((number, answer))
        elif not script.get("mute"):
            reply(number, answer)

    def command(self, number: int, name: str) -> None:
        self.note(name)
        while name == "release" and self.held:
            reply(*self.held.pop(0))
        reply(number, {"state": "ready"})

    def note(self, event: str) -> None:
        with Path(f"{self.script}.log").open("a") as file:
            file.write(event + "\n")


def reply(number: int, result: object) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    sys.stdout.buffer.flush()


def main() -> None:
    parrot = Parrot(Path(sys.argv[1]))
    while head := sys.stdin.buffer.readline():
        size = int(head.partition(b":")[2])
        while sys.stdin.buffer.readline().strip():
            pass
        message = json.loads(sys.stdin.buffer.read(size))
        if message.get("method") == "exit":
            return
        parrot.handle(message)


if __name__ == "__main__":
    main()
