"""What the model is shown: within the budget whatever the text, ending at the target, and stable while typing."""

from __future__ import annotations

import os.path
import random
import time
from itertools import pairwise
from pathlib import Path

import pytest
from test_syntax import random_text

from codegen_lsp.context.budget import STEP, nearest_after, nearest_before
from codegen_lsp.context.build import build
from codegen_lsp.context.intent import find_intent
from codegen_lsp.context.orders import is_order
from codegen_lsp.core import Context, Intent, Snapshot, Snippet, Trigger
from codegen_lsp.syntax.parse import parse

FUNCTION = """    def step_{n}(self, value):
        total = value + {n}
        if total > {n}:
            return total
        return None

"""
BIG = (
    "import os\nfrom typing import (\n    Any,\n)\n\nLIMIT = 3\n\n\n@final\nclass Machine(Base):\n    unit = 1\n\n"
    + "".join(FUNCTION.format(n=n) for n in range(300))
    + "    def last(self, value):\n        # add them all up\n        "
)


def words(text: str) -> int:
    """A tokenizer of four characters a token."""
    return -(-len(text) // 4)


def context(text: str, budget: int, offset: int | None = None, snippets: tuple[Snippet, ...] = ()) -> Context:
    snapshot = Snapshot("a.py", "python", text, len(text) if offset is None else offset)
    tree = parse(text, "python", snapshot.offset)
    intent = find_intent(snapshot, tree)
    assert intent is not None
    return build(snapshot, intent, tree, budget, count_tokens=words, snippets=snippets)


def test_all_of_it_when_it_fits() -> None:
    shown = context("x = 1\n\ny = 2\n", 100, 6)
    assert (shown.prefix, shown.suffix, shown.dropped) == ("x = 1\n", "\ny = 2\n", ())


def test_imports_and_headers_stay_when_it_is_tight() -> None:
    shown = context(BIG, 400)
    assert shown.prefix.startswith("import os\nfrom typing import (\n    Any,\n)\n@final\nclass Machine(Base):\n")
    assert shown.prefix.endswith("    def last(self, value):\n        # add them all up\n        ")
    assert words(shown.prefix) <= 400
    assert shown.dropped
    # The header of the method itself is near enough to be shown once.
    assert shown.prefix.count("def last") == 1


def test_same_with_windows_line_ends() -> None:
    assert context(BIG.replace("\n", "\r\n"), 400) == context(BIG, 400)


@pytest.mark.parametrize("budget", [0, 1, 5, 20, 100, 1000, 5000])
@pytest.mark.parametrize(
    "text", [BIG, "x" * 48_000, "x = 1 # 1\n" * 50_000, "(" * 3000 + "\n" * 3000], ids=["code", "line", "lines", "odd"]
)
def test_never_more_than_the_budget(text: str, budget: int) -> None:
    for offset in (0, len(text) // 2, len(text)):
        shown = context(text, budget, offset)
        assert words(shown.prefix) + words(shown.suffix) <= budget + 1
        assert words(shown.suffix) <= budget * 0.25 + 1
        tail = min(len(shown.prefix), 20)
        assert text[:offset].rstrip(" ").endswith(shown.prefix[len(shown.prefix) - tail :].rstrip(" "))


def test_suffix_share() -> None:
    shown = context(BIG + "\n" + BIG, 1000, len(BIG))
    assert 100 <= words(shown.suffix) <= 150
    assert words(shown.prefix) >= 600


def test_typing_only_appends() -> None:
    """While 2,000 characters are typed the beginning of the prompt changes only when STEP lines are dropped."""
    behind = "\n" + BIG
    typed = "".join(FUNCTION.format(n=n) for n in range(300, 320))
    inside = [n for n in range(0, len(typed), 20) if typed[:n].rpartition("\n")[2].startswith("    ")]
    shown = [context(BIG + typed[:n] + "z = " + behind, 1000, len(BIG) + n + 4) for n in inside]
    assert len({one.suffix for one in shown}) == 1
    # Apart from the few characters at the end that are not typed text, each prefix continues the one before.
    jumps = sum(not after.prefix.startswith(before.prefix[:-40]) for before, after in pairwise(shown))
    assert jumps <= typed.count("\n") // STEP + 1


def test_snippets_fit_or_are_named() -> None:
    small, large = Snippet("b.py", "y = 1\n", "symbol"), Snippet("c.py", "z = 1\n" * 1000, "symbol")
    shown = context("x = 1\n", 1000, 6, (large, small))
    assert shown.snippets == (small,)
    assert shown.dropped == ("snippet c.py",)


@pytest.mark.parametrize("seed", range(10))
def test_windows_of_any_text(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        text, budget = random_text(rng, 200).replace("\r", ""), rng.randrange(60)
        before, after = nearest_before(text, budget, words), nearest_after(text, budget, words)
        assert text.endswith(before.text)
        assert text.startswith(after.text)
        assert words(before.text) <= budget
        assert words(after.text) <= budget
        assert before.dropped == len(text) - len(before.text)
        assert after.dropped == len(text) - len(after.text)


def test_a_large_file_is_not_counted_as_a_whole() -> None:
    seen = []

    def count(text: str) -> int:
        seen.append(len(text))
        return words(text)

    text = "x = 1  # 1\n" * 900_000
    snapshot = Snapshot("a.py", "python", text, len(text) // 2)
    start = time.perf_counter()
    tree = parse(text, "python", snapshot.offset)
    intent = find_intent(snapshot, tree)
    assert intent is not None
    build(snapshot, intent, tree, 1000, count_tokens=count)
    assert sum(seen) < 100_000
    assert time.perf_counter() - start < 2


# -- intents on any text


def check_intent(snapshot: Snapshot, intent: Intent) -> None:
    text, target = snapshot.text, intent.target
    assert 0 <= target.start <= target.end <= len(text)
    assert intent.lead.strip() == ""
    # The suffix begins with a line end or is empty, unless the cursor is in the middle of a line.
    rest = text[target.end : target.end + 1]
    assert rest in ("", "\n", "\r") or intent.kind == "mid-line"
    if intent.order:
        assert intent.order.end <= len(text)
        assert intent.order.of(text).strip()
    if intent.kind not in ("mid-line", "line"):
        first = (text[: target.start] + intent.lead).replace("\r", "\n").rpartition("\n")[2]
        assert first == intent.indent


@pytest.mark.parametrize("trigger", list(Trigger))
@pytest.mark.parametrize("seed", range(10))
def test_any_text_any_cursor(seed: int, trigger: Trigger) -> None:
    rng = random.Random(seed)
    for _ in range(60):
        text = random_text(rng)
        language = rng.choice(["python", "python", "javascript", "nothing"])
        for offset in range(0, len(text) + 1, 3):
            snapshot = Snapshot("a", language, text, offset, trigger=trigger)
            intent = find_intent(snapshot, parse(text, language, offset))
            if intent:
                check_intent(snapshot, intent)


def test_every_cursor_in_real_code() -> None:
    text = Path(os.path.__file__).read_text(encoding="utf-8")
    tree = parse(text, "python", 0)
    for offset in range(0, len(text), 7):
        snapshot = Snapshot("a.py", "python", text, offset)
        intent = find_intent(snapshot, tree)
        if intent:
            check_intent(snapshot, intent)


@pytest.mark.parametrize(
    ("comment", "asked", "automatic"),
    [
        ("# sort the list", True, True), ("# returns the number of items", True, True),
        ("# if x is negative, stop", True, True),
        ("# TODO: read the file", True, True), ("# 排序", True, True), ("#: sort", True, True),
        ("# import the data from disk", True, True),
        ("# return the list", True, True), ("# return x", True, False), ("# x = 1", True, False),
        ("# foo(1)", True, False),
        ("# if x:", True, False), ("# import os", True, False), ("# ---- Helpers ----", True, False),
        ("# Copyright 2026", True, False),
        ("# a", True, False), ("# noqa", False, False), ("# type: ignore", False, False), ("#!/bin/sh", False, False),
        ("# -*- coding: utf-8 -*-", False, False), ("# pylint: disable=x", False, False), ("#", False, False),
        ("# -----", False, False),
        ("# 123", False, False), ("# %%", False, False), ("# %matplotlib inline", False, False),
        ("# ?print", False, False), ("# % of all", True, True),
    ],
)  # fmt: skip
def test_orders(comment: str, asked: bool, automatic: bool) -> None:
    assert is_order([comment], automatic=False) is asked
    assert is_order([comment], automatic=True) is automatic


def test_nothing_is_asked_inside_an_endless_line() -> None:
    line = 'x = "' + "a" * 200_000 + '"'
    text = f"{line}\n# add two numbers\n"
    for offset, is_asked in ((100_000, False), (len(line), False), (len(text) - 1, True), (len(text), True)):
        snapshot = Snapshot("a.py", "python", text, offset)
        intent = find_intent(snapshot, parse(text, "python", offset))
        assert (intent is not None) == is_asked
