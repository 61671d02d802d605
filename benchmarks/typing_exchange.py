#!/usr/bin/env python3
"""A comment typed key by key through the real language server over stdio, one request per key, with the bundled model.

usage: typing_exchange.py [--transcript] [--rounds N]

Two ways of typing: `paced` waits for each reply before the next key; `burst` types a key every 40 ms whatever
happens and cancels every fifth request. Printed: what was offered, requests sent and replies received, p50 and p95 of
the time to a reply, resident memory of both processes. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from lsp_client import LspClient

SERVER = (sys.executable, "-m", "codegen_lsp", "serve")
HEAD = """import csv
import json


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


"""
TYPED = (
    "# return the sum of the squares of a list of numbers\n",
    "# read a csv file into a list of dictionaries\n",
    "# count the words in a text\n",
)
KEY_S = 0.04


class Typist:
    """Types into one document and times the replies."""

    def __init__(self, client: LspClient, is_shown: bool) -> None:
        self.client, self.is_shown = client, is_shown
        self.text, self.version = HEAD, 1
        self.uri = client.open(HEAD, uri="file:///typing/app.py")
        self.say(f"-> didOpen {self.uri}, {len(HEAD)} characters")
        self.times: list[float] = []
        self.sent = self.received = self.cancelled = self.offered = 0

    def position(self) -> tuple[int, int]:
        """Line and column of the end of the text."""
        return self.text.count("\n"), len(self.text.rpartition("\n")[2])

    def key(self, char: str) -> asyncio.Task[list[dict]]:
        """Type a character and ask; the task's result is the items offered."""
        line, column = self.position()
        start = {"line": line, "character": column}
        self.version += 1
        self.client.change(self.uri, self.version, {"range": {"start": start, "end": start}, "text": char})
        self.text += char
        line, column = self.position()
        reply, began = self.client.inline(self.uri, line, column, kind=2), time.perf_counter()
        self.sent += 1
        self.say(f"-> didChange {char!r}; inlineCompletion {self.client.last_number}")
        return asyncio.create_task(self.read(reply, began, self.client.last_number))

    async def read(self, reply: asyncio.Future, began: float, number: int) -> list[dict]:
        """Wait for a reply and note its time, in ms."""
        message = await asyncio.wait_for(reply, 60)
        self.times.append((time.perf_counter() - began) * 1000)
        self.received += 1
        items = (message.get("result") or {}).get("items", [])
        self.offered += bool(items)
        said = items[0]["insertText"].split("\n")[0] if items else message.get("error", {}).get("message", "nothing")
        self.say(f"<- {number}: {self.times[-1]:.0f} ms, {said}")
        return items

    async def paced(self, order: str) -> list[dict]:
        """Type an order, each key after the reply to the one before."""
        items: list[dict] = []
        for char in order:
            items = await self.key(char)
        return items

    async def burst(self, order: str, rng: random.Random) -> list[dict]:
        """Type an order at a steady pace, cancelling some requests."""
        tasks = []
        for char in order:
            tasks.append(self.key(char))
            if rng.random() < 0.2:
                self.client.notify("$/cancelRequest", {"id": self.client.last_number})
                self.say(f"-> cancelRequest {self.client.last_number}")
                self.cancelled += 1
            await asyncio.sleep(KEY_S)
        return (await asyncio.gather(*tasks))[-1]

    def accept(self, item: dict) -> None:
        """Insert what was offered, and go on below it."""
        line, column = self.position()
        end = {"line": line, "character": column}
        start = (item.get("range") or {"start": end})["start"]
        self.version += 1
        new = item["insertText"] + "\n\n\n"
        self.client.change(self.uri, self.version, {"range": {"start": start, "end": end}, "text": new})
        self.text = self.text[: len(self.text) - (column - start["character"])] + new

    def say(self, *words: object) -> None:
        """A line of the transcript."""
        if self.is_shown:
            print(*words)


def rss_mb(pid: int) -> float:
    """Resident memory in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def exchange(rounds: int, is_shown: bool) -> dict:
    """One session with the server; the figures."""
    rng, began = random.Random(1), time.perf_counter()
    async with LspClient(*SERVER, timeout_s=60) as client:
        result = await client.initialize()
        initialize_ms = (time.perf_counter() - began) * 1000
        if is_shown:
            encoding = result["capabilities"]["positionEncoding"]
            print(f"initialize answered {initialize_ms:.0f} ms after spawn, encoding {encoding}")
        typist = Typist(client, is_shown)
        began = time.perf_counter()
        while True:  # the first request starts the host; until it is ready the answers are empty
            status = await client.command("codegen.status")
            reply = client.inline(typist.uri, *typist.position(), kind=1)
            await asyncio.wait_for(reply, 60)
            if status.get("state") == "ready":
                break
            await asyncio.sleep(0.1)
        typist.say(f"model ready after {(time.perf_counter() - began) * 1000:.0f} ms")
        figures = {"initialize_ms": round(initialize_ms)}
        for way in ("paced", "burst"):
            typist.times.clear()
            for order in TYPED * rounds:
                items = await (typist.paced(order) if way == "paced" else typist.burst(order, rng))
                offer = items[0]["insertText"] if items else ""
                typist.say(f"\n{way}: {order.rstrip()}\n{offer or '(nothing)'}")
                if items:
                    typist.accept(items[0])
            figures[way] = {
                "requests": len(typist.times),
                "p50_ms": round(statistics.median(typist.times), 1),
                "p95_ms": round(percentile(typist.times, 0.95), 1),
                "max_ms": round(max(typist.times), 1),
            }
        inspected = await client.command("codegen.inspect")
        assert inspected["documents"][0]["version"] == typist.version
        assert inspected["documents"][0]["length"] == len(typist.text)
        figures["sent"], figures["received"], figures["cancelled"] = typist.sent, typist.received, typist.cancelled
        figures["with_offer"] = typist.offered
        figures["server_mb"] = round(rss_mb(client.process.pid), 1)
        figures["host_mb"] = round(max((host["rss_mb"] for host in await hosts()), default=float("nan")), 1)
        figures["exit_code"] = await client.shut_down()
        typist.say(f"-> shutdown, exit; the server ended with {figures['exit_code']}")
    return figures


async def hosts() -> list[dict]:
    """The running model hosts."""
    from codegen_lsp.engine.launch import host_status

    return await host_status()


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--transcript", action="store_true", help="print every message and what was offered")
    parser.add_argument("--rounds", type=int, default=2, help="how often the orders are typed (default: 2)")
    args = parser.parse_args()
    print(json.dumps(asyncio.run(exchange(args.rounds, args.transcript))))


if __name__ == "__main__":
    main()
