"""parse.py and page.py: incremental parsing equals parsing afresh, no text is a failure, large texts are cheap."""

from __future__ import annotations

import random
import time
import tracemalloc
from itertools import pairwise

import pytest

from codegen_lsp.syntax.languages import LANGUAGES, PYTHON, find
from codegen_lsp.syntax.outlines import OUTLINES, Outline, Part
from codegen_lsp.syntax.page import Page
from codegen_lsp.syntax.parse import AFTER, BEFORE, parse
from codegen_lsp.syntax.pattern import Pattern
from codegen_lsp.text import Edit, Span, line_end_of

PIECES = [
    *("def f(x):\n", "    ", "\t", "\n", "\r\n", "\r", "return x\n", "class A:\n", '"""', "'", '"', "# c\n", "x = 1\n"),
    *("(", ")", "[", "]", "{", "}", ":", ",", "if x:\n", "else:\n", "@d\n", "async ", "\\\n", "lambda: ", "f'{x}'"),
    *("🙂", "\ud800", "\0", "é", "\f", "\u2028"),
]
SOURCE = '''import os


class A:
    """Doc."""

    def f(self, x):
        """Say "hi"
        twice.
        """
        y = [
            x,  # one
            2,
        ]
        return y
'''


def random_text(rng: random.Random, size: int = 60) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(size)))


def random_edit(rng: random.Random, text: str) -> Edit:
    start = rng.randrange(len(text) + 1)
    end = min(len(text), start + rng.choice([0, 0, 0, 1, 2, 10]))
    return Edit(Span(start, end), random_text(rng, 3))


@pytest.mark.parametrize("seed", range(10))
def test_incremental_is_full(seed: int) -> None:
    rng = random.Random(seed)
    text = SOURCE * rng.randrange(1, 4)
    tree = parse(text, "python")
    for _ in range(100):
        edits, changed = [], text
        for _ in range(rng.randrange(1, 3)):
            edits.append(random_edit(rng, changed))
            changed = edits[-1].apply(changed)
        tree, text = parse(changed, "python", 0, tree, edits), changed
        fresh = parse(text, "python")
        assert tree.text == fresh.text
        assert tree.window == fresh.window
        assert tree.shape() == fresh.shape()
        assert tree.errors == fresh.errors


def test_edits_that_lead_elsewhere_are_not_believed() -> None:
    old = parse("x = 1\n", "python")
    tree = parse("def f(): pass\n", "python", 0, old, [Edit(Span(0, 1), "y")])
    assert tree.shape() == parse("def f(): pass\n", "python").shape()


@pytest.mark.parametrize("seed", range(20))
def test_no_text_fails(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(50):
        text = random_text(rng)
        tree = parse(text, rng.choice(["python", "javascript", "nothing"]), len(text))
        lines = tree.page.lines
        assert lines[0].start == 0
        assert lines[-1].end == len(text)
        for above, line in pairwise(lines):
            assert text[above.end : line.start] in ("\n", "\r", "\r\n")
        for number in range(len(lines)):
            tree.page.opener(number)
            tree.page.docstring(number)
            tree.page.body(number, number)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000_000,
        "x = 1\n" * 1_700_000,
        "(" * 1_000_000,
        '"' * 1_000_000,
        ":(" * 500_000,
        "-" * 1_000_000,
        "lambda:" * 100_000,
        "\\" * 1_000_000,
        "'\\" * 500_000,
        '"""\\\n' * 200_000,
        "#" * 1_000_000,
        "\n" * 1_000_000,
    ],
    ids=[
        "line",
        "lines",
        "brackets",
        "quotes",
        "colons",
        "minus",
        "lambda",
        "backslash",
        "escaped",
        "triple",
        "hash",
        "empty",
    ],
)
def test_large_texts_are_cheap(text: str) -> None:
    start = time.perf_counter()
    tree = parse(text, "python", len(text) // 2)
    assert len(tree.errors) <= 200
    assert tree.page.lines
    assert time.perf_counter() - start < 3
    assert len(tree.window) <= BEFORE + AFTER
    assert tree.window.start <= len(text) // 2 <= tree.window.end


@pytest.mark.parametrize(
    ("language", "piece"),
    [("java", "/*\n"), ("javascript", "=/["), ("cpp", "/*\n"), ("rust", 'r#"'), ("shellscript", "a?"), ("go", "<<A\n")],
)
def test_texts_made_to_be_slow_have_no_tree(language: str, piece: str) -> None:
    start = time.perf_counter()
    tree = parse(piece * ((BEFORE + AFTER) // len(piece)), language)
    assert len(tree.errors) <= 200
    assert tree.page.lines
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(("language", "text"), [("go", "package p\n\ntype P struct {\n}"), ("c", "#define A 1")])
def test_a_last_line_without_an_end_is_no_mistake(language: str, text: str) -> None:
    assert parse(text, language).errors == ()


def test_window_begins_at_a_top_level_statement() -> None:
    text = SOURCE * 1000
    tree = parse(text, "python", len(text) // 2)
    assert text[tree.window.start :].startswith(("import", "class"))


def test_window_moves_with_the_cursor() -> None:
    text = SOURCE * 1000
    tree = parse(text, "python", len(text) // 2)
    near = parse(text, "python", len(text) // 2 + 100, tree, [])
    far = parse(text, "python", 0, tree, [])
    assert near.window == tree.window
    assert far.window.start == 0


def page(text: str, language: str = "python") -> Page:
    return Page(text, find(language), Span(0, len(text)))


def test_page_knows_comments_strings_and_brackets() -> None:
    lines = page(SOURCE).lines
    row = next(number for number, line in enumerate(lines) if "x,  # one" in SOURCE[line.start : line.end])
    assert lines[row].code == "x,"
    assert lines[row].depth == 1
    assert SOURCE[lines[row].comment or 0 :].startswith("# one")
    twice = next(number for number, line in enumerate(lines) if SOURCE[line.start : line.end].strip() == "twice.")
    assert lines[twice].in_string
    first, opener = page(SOURCE).docstring(twice) or (0, 0)
    assert (first, opener) == (twice - 1, twice - 2)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", "    "),
        ("def f():\n  x\n", "  "),
        ("def f():\n\tx\n", "\t"),
        ("if a:\n    if b:\n        c\n", "    "),
        ("\tx", "\t"),
    ],
)
def test_unit(text: str, unit: str) -> None:
    assert page(text).unit() == unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("def f(x):", True), ("async def f(x):", True), ("class A(B):  # c", True), ("else:", True), ("try:", True),
        ("with a as b:", True), ("match x:", True), ("case [1, 2]:", True), ("def f(\n    x,\n):", True),
        ("if a and \\\n  b:", True),
        ("x: int", False), ("match: int", False), ("f(lambda:", False), ("d = {1:", False), ("if x: y", False),
        ("print('if x:')", False),
        ("# if x:", False), ("formation:", False),
    ],
)  # fmt: skip
def test_openers(text: str, expected: bool) -> None:
    lines = page(text)
    assert (lines.opener(len(lines.lines) - 1) == 0) is expected


@pytest.mark.parametrize(
    ("text", "offset", "inside"),
    [
        ("'ab'", 2, True), ("'ab'", 4, False), ("'ab'", 0, False), ("'ab", 3, True), ("'a\\'", 4, True),
        ('"""a\n', 5, True), ("'a\nb", 4, False), ("# 'a", 4, False),
    ],
)  # fmt: skip
def test_inside_a_string(text: str, offset: int, inside: bool) -> None:
    assert (page(text).string_at(offset) is not None) is inside


def test_an_unclosed_bracket_does_not_swallow_the_file() -> None:
    lines = page("x = (1,\n\ndef f():\n    pass\n").lines
    assert [line.depth for line in lines] == [0, 1, 0, 0, 0]


def test_table() -> None:
    assert find("python") is PYTHON
    assert find("sh") is find("shellscript")
    assert find("brainfuck").id == ""
    assert len({row.id for row in LANGUAGES}) == len(LANGUAGES)
    assert line_end_of("x") == "\n"


def test_every_pattern_of_the_tables_compiles() -> None:
    rows = [*LANGUAGES, *OUTLINES.values(), *(part for outline in OUTLINES.values() for part in parts(outline))]
    patterns = [value for row in rows for value in vars(row).values() if isinstance(value, Pattern)]
    assert len(patterns) > 300
    assert all(each.compiled.pattern for each in patterns)


def parts(outline: Outline) -> list[Part]:
    return [part for parts in outline.parts.values() for part in parts]


@pytest.mark.parametrize(
    ("text", "fault", "errors"),
    [
        ("x = 1\n", None, 0),
        ("é = 1\r\n    y = 2\r\n", 7, 0),
        ("x = 1\rif x:\r    x\r  y\r", 18, 0),
        ("def f():\n    return 0s = 3\n", 9, 1),
        ("x = '\\d\0'\n", None, 0),
        ("def f(a, a): pass\n", 0, 0),
        ("await x\n", None, 0),
        ("-" * 50_000 + "1", 0, 0),
        ("x\n" * 60_000 + " y\n", None, 0),
        ("s = '😀'  # 😀\n", None, 0),
        ("\ufeffimport os\n\n\ndef f():\n    return os\n", None, 0),
        ("नमस्ते = 日本 = 1\n", None, 0),
        ("x = [\n    'a',\nे]\n", 15, 2),
        ("x = 1\ny = [a😀b]\n", 6, 2),
        ("x = 1\u2028y = 2\n", 0, 2),
    ],
)
def test_faults_that_tree_sitter_forgives(text: str, fault: int | None, errors: int) -> None:
    tree = parse(text, "python", len(text))
    assert (tree.fault, len(tree.errors)) == (fault, errors)
    assert parse(text, "lua", len(text)).fault is None


def test_a_parse_leaves_next_to_nothing_behind() -> None:
    text = "".join(f"def f{number}(left, right):\n    return left + right * {number}\n\n\n" for number in range(300))
    parse(text, "python")
    tracemalloc.start()
    try:
        for number in range(20):
            parse(f"{text}x = {number}\n", "python")
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert left / 20 < len(text) / 4, "what the parser is given to read is let go of"
