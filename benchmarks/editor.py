"""Part A: somebody types into the real language server over stdio, and takes some of what it offers.

Keys come in bursts and a request follows each; after a line there is a pause, and a suggestion that has come by then
is accepted, or typed, or ignored.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

from answers import Again, Asked, State, Verdict, can_show, check, edit_of, ghost, rest
from figures import cpu_seconds, resident_mb, summary
from keystrokes import Page, is_line_over, keys_of, next_block
from lsp_client import LspClient
from prompts import tokenizer_of

from codegen_lsp.core import Snapshot, Trigger
from codegen_lsp.engine.launch import host_status
from codegen_lsp.engine.openai import connect
from codegen_lsp.pipeline import Options, complete
from codegen_lsp.postprocess.edit import at_cursor
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.text import Edit

SERVER = (sys.executable, "-m", "codegen_lsp", "serve")
INVOKED, AUTOMATIC = 1, 2
THROUGH_MS = 5.0
"""An answer that is already there takes less."""
READY_S = 120.0
REPLY_S = 60.0


@dataclass(frozen=True)
class Pace:
    """Seconds between keys and after lines; `scale` makes all of them shorter or longer."""

    scale: float = 1.0

    def key_s(self, rng: random.Random, key: str) -> float:
        """Until the next key; now and then somebody thinks after a word."""
        thinks = key == " " and rng.random() < 0.06
        return self.scale * (rng.uniform(0.3, 0.6) if thinks else rng.uniform(0.06, 0.14))

    def pause_s(self, rng: random.Random) -> float:
        """After a line."""
        return self.scale * rng.uniform(0.5, 0.9)


@dataclass
class Session:
    """What happened in one document."""

    asked: list[Asked] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    """One for each version."""
    pauses: int = 0
    pauses_with_offer: int = 0
    accepted: int = 0
    accepted_chars: int = 0


class Typist:
    """Types into one document, one request a key."""

    def __init__(self, client: LspClient, page: Page, pace: Pace, seed: int, say: Callable[[str], None]) -> None:
        self._client, self._page, self._pace, self._say = client, page, pace, say
        self._rng = random.Random(f"{seed} keys {page.name}")
        self._choices = random.Random(f"{seed} choices {page.name}")
        self._shown: Edit | None = None
        self._item: dict[str, Any] = {}
        self._open: list[asyncio.Future[Any]] = []
        self.session = Session(states=[State(page.text, 0)])
        self._uri = client.open(page.text, uri=f"file:///typing/{page.name}")
        say(f"-> didOpen {self._uri}, {len(page.text)} characters")

    @property
    def state(self) -> State:
        """The text now."""
        return self.session.states[-1]

    async def type_page(self, num_passages: int | None = None) -> Session:
        """Type the passages from top to bottom."""
        for passage in self._page.passages[:num_passages]:
            moved = len(self.state.text) - len(self._page.text)
            self.session.states.append(State(self.state.text, passage.offset + moved))
            self._shown = None
            at, keys = 0, passage.keys
            while at < len(keys):
                await self._key(keys[at])
                at += 1
                if is_line_over(keys, at) and await self._pause():
                    at = next_block(keys, at)
        await asyncio.wait_for(asyncio.gather(*self._open), REPLY_S)
        return self.session

    async def _key(self, key: str) -> None:
        if self._open and not self._open[-1].done() and self._rng.random() < 0.3:
            self._cancel(self.session.asked[-1])
        self._put(self.state.cursor, self.state.cursor, key)
        self._ask(repr(key))
        await asyncio.sleep(self._pace.key_s(self._rng, key))

    async def _pause(self) -> bool:
        """Wait and decide; whether a suggestion stands there now instead of what was planned."""
        await asyncio.sleep(self._pace.pause_s(self._rng))
        choice, length = self._choices.random(), self._choices.randrange(3, 10)
        self.session.pauses += 1
        if self._shown is None:
            return False
        self.session.pauses_with_offer += 1
        self._say(f"   shown: {ghost(self._shown, self.state)!r}")
        if choice < 0.4:
            await self._accept()
            return True
        return choice < 0.7 and await self._type_through(length)

    async def _type_through(self, length: int) -> bool:
        """Type the first keys of the suggestion, then accept the rest; take them back if it has gone."""
        assert self._shown
        before = self.state
        keys = ghost(self._shown, before)
        for key in keys_of(keys)[:length]:
            await self._key(key)
        await asyncio.sleep(self._pace.pause_s(self._rng) / 2)
        if self._shown is not None:
            await self._accept()
            return True
        if self.state.text == before.text[: before.cursor] + keys + before.text[before.cursor :]:
            return True  # all of it was typed
        self._put(before.cursor, self.state.cursor, "")
        self._ask("backspaces")
        return False

    async def _accept(self) -> None:
        """Tab."""
        assert self._shown
        edit, item = self._shown, self._item
        self.session.accepted += 1
        self.session.accepted_chars += len(edit.text) - len(edit.span)
        self._put(edit.span.start, edit.span.end, edit.text)
        self._say(f"-> accepted {edit.text!r}")
        if command := item.get("command"):
            await self._client.command(command["command"], *command.get("arguments", ()))
        self._ask("Tab")
        await asyncio.sleep(self._pace.pause_s(self._rng) / 2)

    def _put(self, start: int, end: int, new: str) -> None:
        """Change the text here and there; the cursor is behind what is new."""
        before = self.state
        text = before.text[:start] + new + before.text[end:]
        where = {"start": _position(before.text, start), "end": _position(before.text, end)}
        self.session.states.append(State(text, start + len(new)))
        self._client.change(self._uri, len(self.session.states), {"range": where, "text": new})
        left = rest(self._shown, before, self.state) if self._shown else None
        self._shown = left if left and left.text else None

    def _ask(self, why: str) -> None:
        session, place = self.session, _position(self.state.text, self.state.cursor)
        reply = self._client.inline(self._uri, place["line"], place["character"], kind=AUTOMATIC)
        one = Asked(self._client.last_number, len(session.states) - 1, time.perf_counter())
        one.is_through = self._shown is not None
        session.asked.append(one)
        self._open = [future for future in self._open if not future.done()] + [reply]
        reply.add_done_callback(lambda future: self._replied(one, future))
        self._say(f"-> {why}; inlineCompletion {one.number}")

    def _cancel(self, one: Asked) -> None:
        one.is_cancelled = True
        self._client.notify("$/cancelRequest", {"id": one.number})
        self._say(f"-> cancelRequest {one.number}")

    def _replied(self, one: Asked, reply: asyncio.Future[Any]) -> None:
        one.ms = (time.perf_counter() - one.sent) * 1000
        one.now = len(self.session.states) - 1
        message = {} if reply.cancelled() or reply.exception() else reply.result()
        one.error = message.get("error", {}).get("message", "")
        items = items_of(message)
        one.item = items[0] if items else None
        if one.now == one.version:
            edit = edit_of(one.item, self.state) if one.item else None
            self._shown = edit if edit and can_show(edit, self.state) and ghost(edit, self.state) else None
            self._item = one.item or {}
        offered = repr(one.item["insertText"]) if one.item else one.error or "nothing"
        self._say(f"<- {one.number}: {one.ms:.1f} ms, {offered}")


async def replay(
    pages: Sequence[Page],
    cold_page: Page,
    pace: Pace,
    *,
    seed: int = 1,
    num_passages: int | None = None,
    model: str = "",
    server: Sequence[str] = (),
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """One session with a server (`server`: the command of another one than ours); the figures."""
    own_args = ("--model", model) if model else ()
    began = time.perf_counter()
    async with LspClient(*(server or (*SERVER, *own_args)), timeout_s=REPLY_S) as client:
        await client.initialize({"textDocument": {"inlineCompletion": {}}})
        figures: dict[str, Any] = {"initialize_ms": _ms_since(began)}
        began = time.perf_counter()
        if not server:
            client.open("", uri="file:///typing/first.py")
            await _until_ready(client)
            figures["model_ready_ms"] = _ms_since(began)
        figures["cold_ms"] = await _cold(client, cold_page)
        say(f"   ready: {figures}")
        host = (await host_status())[0]["pid"] if not server else 0
        pids = {"server": client.process.pid, **({"host": host} if host else {})}
        cpu_before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        sessions = [await Typist(client, page, pace, seed, say).type_page(num_passages) for page in pages]
        cpu = {name: round(cpu_seconds(pid) - cpu_before[name], 2) for name, pid in pids.items()}
        figures |= _figures(sessions)
        figures |= {"cpu_s": cpu, "resident_mb": {name: resident_mb(pid) for name, pid in pids.items()}}
        chars = figures["accepted_chars"]
        figures["cpu_s_per_accepted_char"] = round(sum(cpu.values()) / chars, 4) if chars else None
        verdicts = await _verdicts(pages, sessions, model, bool(server))
        figures["stale"] = sum(len(verdict.stale) for verdict in verdicts)
        figures["stale_requests"] = [number for verdict in verdicts for number in verdict.stale]
        figures["unverified"] = sum(verdict.unverified for verdict in verdicts)
        figures["exit_code"] = await client.shut_down()
    return figures


def items_of(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of a reply, whichever of its three shapes it has."""
    result = message.get("result")
    found = result.get("items", []) if isinstance(result, dict) else result
    return found if isinstance(found, list) else []


def _figures(sessions: Sequence[Session]) -> dict[str, Any]:
    asked = [one for session in sessions for one in session.asked]
    times = {
        "all": [one.ms for one in asked if one.ms is not None],
        "with_text": [one.ms for one in asked if one.ms is not None and one.item],
        "through": [one.ms for one in asked if one.ms is not None and one.item and one.is_through],
    }
    settled = [one.ms for one in asked if one.ms is not None and not one.is_cancelled and not one.is_superseded]
    fresh = [one.ms for one in asked if one.ms is not None and one.item and not one.is_through]
    through = [one for one in asked if one.is_through]
    num = len(asked)
    return {
        "requests": num,
        **{name: summary(values) for name, values in times.items()},
        "asked_anew": summary(fresh),
        "settled": summary(settled),
        "times_ms": {name: [round(value, 2) for value in values] for name, values in times.items()},
        "cancelled": sum(one.is_cancelled for one in asked),
        "superseded": sum(one.is_superseded for one in asked),
        "errors": sum(bool(one.error) and not one.is_cancelled for one in asked),
        "offered": len(times["with_text"]),
        "pauses": sum(session.pauses for session in sessions),
        "pauses_with_offer": sum(session.pauses_with_offer for session in sessions),
        "typed_through": {
            "requests": len(through),
            "with_text": len(times["through"]),
            f"within_{THROUGH_MS:.0f}_ms": sum(value < THROUGH_MS for value in times["through"]),
        },
        "accepted": sum(session.accepted for session in sessions),
        "accepted_chars": sum(session.accepted_chars for session in sessions),
    }


async def _until_ready(client: LspClient) -> None:
    deadline = time.monotonic() + READY_S
    while (status := await client.command("codegen.status"))["state"] != "ready":
        if status["state"] == "failed" or time.monotonic() > deadline:
            raise SystemExit(f"the model is not there: {status['error'] or status['state']}")
        await asyncio.sleep(0.02)


async def _cold(client: LspClient, page: Page) -> float:
    """Milliseconds of an invoked request below an order in a document that was just opened."""
    passage = page.passages[1]
    text = page.text[: passage.offset] + passage.order + page.text[passage.offset :]
    uri = client.open(text, uri=f"file:///cold/{page.name}")
    place = _position(text, passage.offset + len(passage.order))
    began = time.perf_counter()
    await asyncio.wait_for(client.inline(uri, place["line"], place["character"], kind=INVOKED), REPLY_S)
    return _ms_since(began)


async def _verdicts(pages: Sequence[Page], sessions: Sequence[Session], model: str, is_foreign: bool) -> list[Verdict]:
    if is_foreign:
        return [await check(session.asked, session.states, None) for session in sessions]
    engine = connect(model) if model else connect()
    info = await engine.info()
    tokenizer = tokenizer_of(info)

    def asking(path: str) -> Again:
        async def again(state: State) -> Edit | None:
            snapshot = Snapshot(path, "python", state.text, state.cursor, uri="again", trigger=Trigger.AUTOMATIC)
            options = Options(min_confidence=info.sure_from)
            answer = await complete(snapshot, engine, info, BY_NAME[info.format], tokenizer, options=options)
            edit = answer.edit
            return edit and (at_cursor(edit, state.text, state.cursor) or edit)

        return again

    try:
        work: list[Awaitable[Verdict]] = [
            check(session.asked, session.states, asking(page.name))
            for page, session in zip(pages, sessions, strict=True)
        ]
        return [await each for each in work]
    finally:
        await engine.close()


def _position(text: str, offset: int) -> dict[str, int]:
    """A position of LSP; the pages are ASCII as far as columns are concerned."""
    line_start = text.rfind("\n", 0, offset) + 1
    return {"line": text.count("\n", 0, offset), "character": offset - line_start}


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)
