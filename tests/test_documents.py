"""Documents: the text is what the editor has, whatever it sends; in process and over pipes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time

import pytest
from lsp_client import (
    LspClient,
)

from codegen_lsp.server.convert import changes_of, ruled_path
from codegen_lsp.server.documents import Change, Document
from codegen_lsp.text import Encoding, LineIndex

URI = "file:///w/a.py"
ALPHABET = ["a", "b", " ", "\n", "\r", "\r\n", "\f", "\v", "\x1c", "\x85", "\u2028", "\u2029", "é", "中", "😀",
            "e\u0301", "\ud83d", "\udc00", "\0"]  # fmt: skip


# In process


def reference_offset(text: str, line: int, column: int, encoding: Encoding) -> int:
    """The specification, read aloud: walk over the characters, counting lines and code units."""
    offset = 0
    while line > 0:
        while offset < len(text) and text[offset] not in "\r\n":
            offset += 1
        if offset == len(text):
            return offset
        offset += 2 if text[offset : offset + 2] == "\r\n" else 1
        line -= 1
    if line < 0:
        return 0
    while offset < len(text) and text[offset] not in "\r\n":
        code = ord(text[offset])
        size = {"utf-32": 1, "utf-16": 1 + (code > 0xFFFF), "utf-8": 1 + sum(code > x for x in (0x7F, 0x7FF, 0xFFFF))}
        column -= size[encoding.value]
        if column < 0:
            return offset
        offset += 1
    return offset


def random_text(rng: random.Random, size: int) -> str:
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(size + 1)))


@pytest.mark.parametrize("encoding", list(Encoding))
def test_random_edits_agree_with_the_reference(encoding: Encoding) -> None:
    rng = random.Random(f"documents {encoding}")
    for _ in range(100):
        text = random_text(rng, 60)
        document = Document(URI, "python", 1, text)
        for version in range(2, 52):
            places = [(rng.randrange(-1, 12), rng.randrange(-2, 14)) for _ in range(2)]
            new = random_text(rng, 5)
            start, end = sorted(reference_offset(text, *place, encoding) for place in places)
            text = text[:start] + new + text[end:]
            document.update(version, [Change(new, places[0], places[1])], encoding)
            assert document.text == text
            assert document.num_lines == LineIndex(text).num_lines
            place = (rng.randrange(12), rng.randrange(14))
            offset = document.offset(place, encoding)
            assert offset == reference_offset(text, *place, encoding)
            assert document.offset(document.position(offset, encoding), encoding) == offset


def test_a_line_end_whose_halves_meet_is_one() -> None:
    document = Document(URI, "python", 1, "a\rb\nc")
    document.update(2, [Change("", (1, 0), (1, 1)), Change("x", (1, 0), (1, 0))], Encoding.UTF16)
    assert document.text == "a\r\nxc"


def test_ten_thousand_edits_of_a_large_file_are_quick() -> None:
    rng = random.Random(2)
    line = "    value = compute(first, second)  # wörter 😀\n"
    document = Document(URI, "python", 1, line * (1_000_000 // len(line)))
    began = time.perf_counter()
    for version in range(10_000):
        place = (rng.randrange(20_000), rng.randrange(40))
        end = (place[0] + rng.randrange(2), place[1] + rng.randrange(3))
        document.update(version, [Change(rng.choice(["x", "\n", "yy", ""]), place, end)], Encoding.UTF16)
    assert time.perf_counter() - began < 10


def test_a_long_line_of_other_letters() -> None:
    line = "é😀" * 300_000
    document = Document(URI, "python", 1, line)
    began = time.perf_counter()
    assert document.offset((0, 750_000), Encoding.UTF16) == 500_000
    assert document.position(500_000, Encoding.UTF8) == (0, 1_500_000)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ([{"text": "x"}], [Change("x")]),
        ([{"text": "x", "range": None}], [Change("x")]),
        ([{"text": 3}], None),
        ([{"text": "x", "range": {"start": {"line": 0, "character": 0}}}], None),
        ([{"text": "x", "range": {}}], None),
        ([7], None),
        ({}, []),
    ],
)
def test_changes_are_read_leniently_but_never_in_part(raw: object, expected: object) -> None:
    assert changes_of({"contentChanges": raw}) == expected


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///w/pkg/a%20b.py", "pkg/a b.py"),
        ("file:///w/%2525.py", "%25.py"),
        ("file:///elsewhere/a.py", "/elsewhere/a.py"),
        ("file:///w2/a.py", "/w2/a.py"),
        ("untitled:Untitled-1", "Untitled-1"),
        ("http://[bad", ""),
        ("file:///w/a%00b", "ab"),
    ],
)
def test_the_path_that_rules_see(uri: str, path: str) -> None:
    assert ruled_path(uri, ["file:///w"]) == path


# Over pipes


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def random_json_text(rng: random.Random, size: int) -> str:
    """JSON makes one character of a surrogate pair."""
    text: str = json.loads(json.dumps(random_text(rng, size)))
    return text


@pytest.mark.parametrize("encoding", list(Encoding))
async def test_random_edits_over_stdio(encoding: Encoding) -> None:
    rng = random.Random(f"stdio {encoding}")
    async with LspClient() as client:
        await client.initialize({"general": {"positionEncodings": [encoding.value]}})
        text = random_json_text(rng, 80)
        uri = client.open(text)
        for version in range(2, 302):
            changes = []
            for _ in range(rng.randrange(1, 4)):
                places = [(rng.randrange(12), rng.randrange(14)) for _ in range(2)]
                new = random_json_text(rng, 5)
                start, end = sorted(reference_offset(text, *place, encoding) for place in places)
                text = text[:start] + new + text[end:]
                where = [{"line": line, "character": column} for line, column in places]
                changes.append({"range": {"start": where[0], "end": where[1]}, "text": new})
            client.change(uri, version, *changes)
            (document,) = (await client.command("codegen.inspect"))["documents"]
            assert (document["version"], document["length"]) == (version, len(text))
            assert document["sha256"] == sha256(text)


async def test_a_lower_version_is_ignored() -> None:
    async with LspClient() as client:
        await client.initialize()
        uri = client.open("five", version=5)
        client.change(uri, 4, {"text": "four"})
        (document,) = (await client.command("codegen.inspect"))["documents"]
    assert document["sha256"] == sha256("five")
    assert "version 4 is older" in client.log


async def test_a_document_of_ten_megabytes() -> None:
    text = "def f(value):\n    return value + 1  # one more\n\n\n" * 220_000
    async with LspClient(timeout_s=30) as client:
        await client.initialize()
        uri = client.open(text)
        (document,) = (await client.command("codegen.inspect"))["documents"]
        assert (document["length"], document["sha256"]) == (len(text), sha256(text))
        began = time.perf_counter()
        for version in range(2, 102):
            client.change(uri, version, {"range": {"start": {"line": 400_000, "character": 0},
                                                   "end": {"line": 400_000, "character": 0}}, "text": "x"})  # fmt: skip
        reply = client.inline(uri, 400_000, 100)
        assert "result" in await asyncio.wait_for(reply, 10)
        assert time.perf_counter() - began < 5
