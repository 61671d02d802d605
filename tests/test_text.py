"""text.py against a reference that is written another way: characters one by one, encodings by Python's codecs."""

from __future__ import annotations

import random

import pytest

from codegen_lsp.text import Edit, Encoding, LineIndex, Span, line_end_of, split_lines, units

ALPHABET = [
    *"ab \t(",
    "\n",
    "\r",
    "\r\n",
    "\f",
    "\v",
    "\x1c",
    "\x85",
    "\u2028",
    "\u2029",
    "é",
    "漢",
    "é",
    "🙂",
    "𝒳",
    "\ud800",
    "\udc00",
]
CODECS = {Encoding.UTF8: ("utf-8", 1), Encoding.UTF16: ("utf-16-le", 2), Encoding.UTF32: ("utf-32-le", 4)}


def text(rng: random.Random, size: int = 40) -> str:
    return "".join(rng.choice(ALPHABET) for _ in range(rng.randrange(size)))


def reference_lines(text: str) -> list[tuple[int, int]]:
    """(start, end without line end) of every line."""
    lines, start, at = [], 0, 0
    while at < len(text):
        if text[at] in "\r\n":
            lines.append((start, at))
            at += 2 if text[at : at + 2] == "\r\n" else 1
            start = at
        else:
            at += 1
    return [*lines, (start, len(text))]


def reference_units(text: str, encoding: Encoding) -> int:
    codec, size = CODECS[encoding]
    # One by one: two lone surrogates that stand side by side are two characters.
    return sum(len(char.encode(codec, "surrogatepass")) // size for char in text)


def reference_offset(text: str, line: int, column: int, encoding: Encoding) -> int:
    lines = reference_lines(text)
    if line < 0:
        return 0
    if line >= len(lines):
        return len(text)
    at, end = lines[line]
    while at < end and reference_units(text[lines[line][0] : at + 1], encoding) <= column:
        at += 1
    return at


@pytest.mark.parametrize("seed", range(20))
def test_lines_and_positions(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        sample = text(rng)
        index, lines = LineIndex(sample), reference_lines(sample)
        assert [(index.line_span(n).start, index.line_span(n).end) for n in range(index.num_lines)] == lines
        assert "".join(split_lines(sample)) == sample
        assert len(split_lines(sample)) == len(lines)
        for encoding in Encoding:
            line, column = rng.randrange(-2, len(lines) + 2), rng.randrange(-2, 60)
            assert index.offset(line, column, encoding) == reference_offset(sample, line, column, encoding)


@pytest.mark.parametrize("seed", range(20))
def test_there_and_back(seed: int) -> None:
    rng = random.Random(1000 + seed)
    for _ in range(100):
        sample = text(rng)
        index = LineIndex(sample)
        for encoding in Encoding:
            for offset in range(len(sample) + 1):
                line, column = index.position(offset, encoding)
                if sample[offset - 1 : offset + 1] == "\r\n":
                    continue  # between the two characters of one line end there is no position
                assert index.offset(line, column, encoding) == offset


@pytest.mark.parametrize("encoding", list(Encoding))
def test_units(encoding: Encoding) -> None:
    rng = random.Random(7)
    for _ in range(500):
        sample = text(rng).replace("\ud800", "").replace("\udc00", "")
        assert units(sample, encoding) == reference_units(sample, encoding)


@pytest.mark.parametrize("encoding", list(Encoding))
def test_long_line(encoding: Encoding) -> None:
    sample = "aé🙂" * 20_000
    index = LineIndex(sample)
    for column in (0, 1, 3, 4, 50_000, 79_999, 10**9):
        assert index.offset(0, column, encoding) == reference_offset_fast(sample, column, encoding)


def reference_offset_fast(line: str, column: int, encoding: Encoding) -> int:
    seen = 0
    for at, char in enumerate(line):
        seen += reference_units(char, encoding)
        if seen > column:
            return at
    return len(line)


@pytest.mark.parametrize("seed", range(10))
def test_edits_by_position_equal_edits_of_lists(seed: int) -> None:
    rng = random.Random(2000 + seed)
    sample = text(rng)
    chars = list(sample)
    for _ in range(200):
        start = rng.randrange(len(sample) + 1)
        end = rng.randrange(start, min(len(sample), start + 5) + 1)
        new = text(rng, 4)
        sample = Edit(Span(start, end), new).apply(sample)
        chars[start:end] = list(new)
        assert sample == "".join(chars)


def test_spans() -> None:
    assert Span(1, 3).of("abcd") == "bc"
    assert len(Span(1, 3)) == 2
    for start, end in ((-1, 0), (3, 2)):
        with pytest.raises(ValueError, match="not a span"):
            Span(start, end)


@pytest.mark.parametrize(
    ("sample", "end"),
    [("", "\n"), ("a", "\n"), ("a\r\nb\n", "\r\n"), ("a\nb\r\n", "\n"), ("a\rb", "\r"), ("\f\u2028", "\n")],
)
def test_line_end(sample: str, end: str) -> None:
    assert line_end_of(sample) == end
