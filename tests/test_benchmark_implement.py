"""The benchmark of verdicts: its mutants, its truth, and what it counts, on problems of our own."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

from implement import SCRIPTED, modelled, scripted
from mutants import OPERATORS, mutants
from problems import ByteTokenizer, Problem, asker, num_failing, problems
from verdicts import CANONICAL, Row, model_report, scripted_report, verified_and_wrong, wilson

from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.verify.examples import find_examples
from codegen_lsp.verify.jail import Jail, find_jail

ROWS = [
    {
        "task_id": "Own/marked",
        "entry_point": "longest",
        "prompt": 'def longest(words: list[str]) -> str:\n    """The longest word, the first of several.\n\n'
        "    >>> longest(['a', 'bcd', 'xyz'])\n    'bcd'\n    >>> longest([])\n    ''\n    \"\"\"\n",
        "canonical_solution": "    best = ''\n    for word in words:\n        if len(word) > len(best):\n"
        "            best = word\n    return best\n",
        "test": "def check(candidate):\n    assert candidate(['ab', 'cd', 'e']) == 'ab'\n    assert not candidate([])\n"
        "    assert candidate(['', 'x']) == 'x'\n",
    },
    {
        "task_id": "Own/weak",
        "entry_point": "clamp",
        "prompt": 'def clamp(n: int) -> int:\n    """At least 0 and at most 9: clamp(12) -> 9"""\n',
        "canonical_solution": "    return max(0, min(n, 9))\n",
        "test": "def check(candidate):\n    assert [candidate(n) for n in (-3, 0, 1, 9, 10)] == [0, 0, 1, 9, 9]\n",
    },
    {
        "task_id": "Own/misleading",
        "entry_point": "half",
        "prompt": 'def half(n):\n    """Half of a number.\n\n    >>> half(4)\n    3\n    """\n',
        "canonical_solution": "    return n / 2\n",
        "test": "def check(candidate):\n    assert candidate(4) == 2 and candidate(5) == 2.5\n",
    },
    {
        "task_id": "Own/silent",
        "entry_point": "is_odd",
        "prompt": 'def is_odd(n: int) -> bool:\n    """Whether a number is odd."""\n',
        "canonical_solution": "    return n % 2 == 1\n",
        "test": "def check(candidate):\n    assert candidate(3) and not candidate(4)\n",
    },
]
"""In HumanEval's form."""


@pytest.fixture
def jail() -> Jail:
    found = find_jail()
    if found.jail is None:
        pytest.skip("; ".join(found.reasons))
    return found.jail


@pytest.fixture
def chosen(tmp_path: Path) -> list[Problem]:
    with gzip.open(tmp_path / "HumanEval.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({**row, "test": f"\n\n{row['test']}\n"}) + "\n" for row in ROWS)
    return problems(tmp_path)


def test_some_problems_are_spread_over_the_set(chosen: list[Problem], tmp_path: Path) -> None:
    assert [problem.name for problem in chosen] == ["longest", "clamp", "half", "is_odd"]
    assert [problem.id for problem in problems(tmp_path, 2)] == ["Own/marked", "Own/misleading"]
    assert "check(longest)" not in chosen[0].tests


@pytest.mark.parametrize(
    ("operator", "body", "changed"),
    [
        ("comparison", "return a < b", "return a <= b"),
        ("comparison", "return a in b", "return a not in b"),
        ("arithmetic", "return a * b", "return a // b"),
        ("arithmetic", "a += b\nreturn a", "a -= b\nreturn a"),
        ("logic", "return a and b", "return a or b"),
        ("logic", "return not a", "return a"),
        ("condition", "return a and b", "return b"),
        ("constant", "return 3", "return 4"),
        ("constant", "return True", "return False"),
        ("constant", "return ''", "return ' '"),
        ("range", "return range(a)", "return range(a - 1)"),
        ("slice", "return a[1:]", "return a[:]"),
        ("slice", "return a[:b]", "return a[:b + 1]"),
        ("call", "return sum(a)", "return max(a)"),
        ("call", "return sorted(a)", "return a"),
        ("call", "return f(a, b)", "return f(b, a)"),
        ("call", "return f(a, a) + sum(b)", "return f(a, a) + max(b)"),
        ("call", "return a.upper()", "return a.lower()"),
        ("keyword", "return max(a, key=b)", "return max(a)"),
        ("guard", "if not a:\n    return b\nreturn a[0]", "pass\nreturn a[0]"),
        ("early", "for c in a:\n    b += c\nreturn b", "for c in a:\n    b += c\n    break\nreturn b"),
        ("filter", "return [c for c in a if c]", "return [c for c in a]"),
    ],
)
def test_an_operator_makes_one_change(operator: str, body: str, changed: str) -> None:
    def module(text: str) -> str:
        return "".join(f"    {line}\n" for line in text.splitlines())

    text = f'def f(a, b):\n    """1 and 2 < 3."""\n{module(body)}'
    found = mutants(text, "f", 1000, seed=1)
    assert module(changed) in [each.body for each in found if each.operator == operator]
    assert module(body) not in [each.body for each in found]
    assert len({each.body for each in found}) == len(found)


def test_few_mutants_are_of_many_operators() -> None:
    body = "    if a == 1 and b == 2 and 3 < a < 4 and 5 < b < 6:\n        return a[1:] + b[2:]\n    return 7\n"
    found = mutants(f"def f(a, b):\n{body}", "f", 6, seed=1)
    assert len({each.operator for each in found}) == 6 <= len(OPERATORS)
    assert found == mutants(f"def f(a, b):\n{body}", "f", 6, seed=1) != mutants(f"def f(a, b):\n{body}", "f", 6, seed=2)


def test_the_interval_of_a_share() -> None:
    assert wilson(8, 8) == (67.6, 100.0)
    assert wilson(1, 2) == (9.5, 90.5)
    assert wilson(0, 0) == (None, None)


@pytest.mark.parametrize(
    ("docstring", "failing"),
    [
        (">>> f(1)\n2", (0, 0)),
        (">>> f(1)\n3\n>>> f(2)\n3", (1, 1)),
        (">>> f(1) == 2", (0, 1)),
        (">>> f(1) == 3", (1, 1)),
        ('>>> str(f(1))\n"2"', (0, 1)),
        ("f(1) -> 2, f(2) -> 4", (1, 1)),
        (">>> f('')\n2", (1, 1)),
    ],
)
def test_examples_are_tried_without_the_judge(docstring: str, failing: tuple[int, int], jail: Jail) -> None:
    problem = Problem("Own/f", "", "f", "", "")
    text = f"def f(n):\n    {docstring!r}\n    return n + 1\n"
    assert num_failing(text, problem, find_examples(docstring, "f"), jail) == failing


async def test_scripted_bodies_are_counted_by_what_is_true(chosen: list[Problem], jail: Jail) -> None:
    rows = await scripted(chosen, jail, num_mutants=4)
    verdicts = {row.id: (row.kind, row.status, row.is_right) for row in rows if row.operator == CANONICAL}
    assert verdicts == {
        "Own/marked": (">>>", "verified", True),
        "Own/weak": ("prose", "verified", True),
        "Own/misleading": (">>>", "refused", True),
        "Own/silent": ("none", "unverified", True),
    }
    wrong = [row for row in rows if not row.is_right]
    assert {row.status for row in wrong if row.id == "Own/marked"} == {"refused"}
    assert "verified" in {row.status for row in wrong if row.id == "Own/weak"}
    report = scripted_report(rows)
    assert report["examples_fail_and_accepted"] == report["examples_pass_and_refused"] == []
    assert report["fail_by_the_letter_and_accepted"] == {}
    assert report["right_and_refused"][0]["id"] == "Own/misleading"
    assert set(report["wrong_and_verified"]) == {"Own/weak"}
    assert {each["id"] for each in verified_and_wrong({1: rows})} == {"Own/weak"}
    assert report["groups"]["right body"]["all"] == {
        "n": 4,
        "verified": 2,
        "unverified": 1,
        "refused": 1,
        "nothing offered": 0,
        "no stub": 0,
    }


async def test_more_candidates_are_asked_for_where_the_first_settles_nothing(chosen: list[Problem], jail: Jail) -> None:
    marked, silent = chosen[0], chosen[3]
    right = "return max(words, key=len) if words else ''"
    answers = ["return words[0]", "return n == 3", "return words[0]", "return ''", right]
    engine, kept = ScriptedEngine(answers, info=SCRIPTED), list[Row]()
    found = await modelled([marked, silent], asker(engine, SCRIPTED, ByteTokenizer()), jail, [1, 5, 6], kept.append)
    assert [(row.k, row.id, row.status, row.is_right, row.num_asked) for row in kept] == [
        (1, "Own/marked", "refused", False, 1),
        (1, "Own/silent", "unverified", True, 1),
        (5, "Own/marked", "verified", True, 5),
        (6, "Own/marked", "verified", True, 1),
    ]
    assert found[5][1] is found[1][1]
    reports = [model_report(found[k]) for k in (1, 5)]
    assert [report["verified_and_right"] for report in reports] == [0, 1]
    assert [report["precision_of_verified_%"] for report in reports] == [None, 100.0]
    assert [report["answers_asked_for"] for report in reports] == [2, 6]
    assert [report["first_answer_unjudged_and_right"] for report in reports] == [1, 1]
