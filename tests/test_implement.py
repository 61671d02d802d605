"""The composition: which bodies are asked for, which one is chosen, and what stands in the module afterwards."""

import asyncio
import time

import pytest
from fakes import MODEL, ByteTokenizer, OpenJail

from codegen_lsp import pipeline
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.implement import Job, Plan, implement
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.syntax.stubs import find_stubs
from codegen_lsp.verify.judge import Judge, Status

ONE = Plan()
VERIFIED = Plan(5, require=Status.VERIFIED)
ADD = 'def add(a, b):\n    """Add.\n\n    >>> add(1, 2)\n    3\n    """\n'
TWO = ADD + '\n\ndef twice(a):\n    """Add it to itself.\n\n    >>> twice(2)\n    4\n    """\n    ...\n'
BACKWARDS = (
    'def twice(a):\n    """Add it to itself.\n\n    >>> twice(3)\n    6\n    """\n    ...\n\n\n' + ADD + "\n\nX = 1\n"
)


def work(text, answers, plan=ONE, *, accept=None, delay=0.0):
    """(module, what came of its functions, the engine)."""
    jail = OpenJail()
    engine = ScriptedEngine(answers, delay, MODEL)

    async def ask(snapshot, temperature, seed):
        options = pipeline.Options(temperature=temperature, seed=seed, parses_whole=True)
        return await pipeline.complete(snapshot, engine, MODEL, BY_NAME["codegen"], ByteTokenizer(), options=options)

    job = Job(
        text,
        "shop.py",
        ask,
        lambda source, line, words: Judge.of(source, line, lambda: (jail, ""), words=words),
        accept,
    )
    after, done = asyncio.run(implement(job, find_stubs(text), plan))
    return after, done, engine


def heats(engine):
    return [params.temperature for _, params, _, _ in engine.requests]


def test_the_greedy_body_is_enough_when_it_is_verified():
    after, (done,), engine = work(ADD, ["return a + b\n"], VERIFIED)
    assert after == ADD + "    return a + b\n"
    assert done.verdict.words == "verified 1/1 example"
    assert (heats(engine), done.num_asked) == ([0.0], 1)


def test_a_wrong_body_is_passed_over():
    answers = ["return a * b\n", "return a - b\n", "return b + a\n", "return 3\n"]
    after, (done,), engine = work(ADD, answers, VERIFIED)
    assert after == ADD + "    return b + a\n"
    assert done.chosen.verdict.status is Status.VERIFIED
    assert heats(engine) == [0.0, 0.3, 0.533, 0.767, 1.0]
    assert [each.verdict.status for each in done.candidates].count(Status.REFUSED) == 2


def test_wrong_bodies_alone_leave_the_module_as_it_is():
    after, (done,), engine = work(ADD, ["return a * b\n"], VERIFIED)
    assert after == ADD
    assert done.chosen is None
    assert done.verdict.words == "refused: add(1, 2) gives 2, not 3"
    assert len(engine.requests) == 5
    assert len(done.candidates) == 1  # five times the same


@pytest.mark.parametrize("require", [Status.VERIFIED, Status.UNVERIFIED])
def test_what_no_example_covers(require):
    text = 'def add(a, b):\n    """Add."""\n'
    after, (done,), engine = work(text, ["return a + b\n"], Plan(5, require=require))
    if require is Status.VERIFIED:
        assert (after, done.chosen, engine.requests) == (text, None, [])  # nothing could come of it
    else:
        assert after == text + "    return a + b\n"
        assert done.num_asked == 1
    assert done.verdict.words == "unverified: no examples"


def test_later_functions_see_earlier_ones():
    after, done, engine = work(TWO, ["return a + b\n", "return add(a, a)\n"], VERIFIED)
    assert "    return a + b\n\n\ndef twice" in after
    assert after.endswith('    """\n    return add(a, a)\n')
    assert [each.verdict.status for each in done] == [Status.VERIFIED] * 2
    shown = ByteTokenizer().decode(engine.requests[1][0].ids)
    assert "return a + b" in shown


@pytest.mark.parametrize("add", ["return a + b\n", "return math.floor(a) + b\n"], ids=["plain", "with an import"])
def test_a_function_that_calls_a_later_one_is_tried_again(add):
    calls = iter(["return add(a, a)\n", add, "return add(a, a)\n"])
    after, done, engine = work(BACKWARDS, lambda prompt: next(calls), Plan(1, require=Status.VERIFIED))
    assert after.count("return add(a, a)") == after.count(add) == 1
    assert after.endswith("\n\n\nX = 1\n")
    assert [each.verdict.status for each in done] == [Status.VERIFIED] * 2
    assert len(engine.requests) == 3


def test_imports_move_what_is_below():
    text = 'import re\n\n\ndef root(x):\n    """Root.\n\n    >>> root(9)\n    3.0\n    """\n\n\n' + ADD
    after, done, _ = work(text, ["return math.sqrt(x)\n", "return a + b\n"], VERIFIED)
    assert after.startswith("import math\nimport re\n") or after.startswith("import re\nimport math\n")
    assert "    return math.sqrt(x)\n" in after
    assert after.endswith('    """\n    return a + b\n')
    assert [each.chosen.imports for each in done] == [("import math",), ()]


@pytest.mark.parametrize("other", ["", "\n\ndef later(x):\n    # to be done\n"], ids=["alone", "above a comment"])
def test_imports_go_to_their_own_places(other):
    head = "import re\nimport sys\n\nfrom typing import Any\n\n\n"
    stub = 'def root(x):\n    """Root."""\n'
    after, _, _ = work(head + stub + other, ["return math.sqrt(Counter(x).total())\n"])
    head = head.replace("import re", "import math\nimport re").replace("from", "from collections import Counter\nfrom")
    assert after.startswith(head + stub + "    return math.sqrt(Counter(x).total())\n" + other)


def test_the_time_limit():
    plan = Plan(5, until=time.monotonic() + 0.2)
    after, (done,), engine = work(ADD, ["return a + b\n"], plan, delay=30)
    assert after == ADD
    assert done.verdict.reason == "the time limit was reached"
    assert engine.num_cancelled == 1


def test_a_file_is_not_read_again_when_time_is_over(monkeypatch):
    monkeypatch.setattr("codegen_lsp.implement.find_stubs", lambda *_: pytest.fail("read again"))
    stubs = find_stubs("".join(ADD.replace("add", f"add{number}") + "\n\n" for number in range(9)))
    job = Job("", "", lambda *_: pytest.fail("asked"), lambda *_: pytest.fail("judged"))
    text, done = asyncio.run(implement(job, stubs, Plan(5, until=0.0, clock=lambda: 1.0)))
    assert text == ""
    assert [each.verdict.reason for each in done] == ["the time limit was reached"] * 9


def test_nothing_to_offer():
    after, (done,), _ = work(ADD, [""], Plan(2))
    assert after == ADD
    assert done.verdict.reason == "the model has nothing to offer"


def test_the_users_tests_have_the_last_word():
    seen = []

    async def accept(before, after):
        seen.append(after)
        return "" if "b + a" in after else "the tests fail"

    answers = ["return a + b\n", "return b + a\n"]
    after, (done,), _ = work('def add(a, b):\n    """Add."""\n', answers, Plan(1), accept=accept)
    assert (done.chosen, done.verdict.words) == (None, "refused: the tests fail")
    assert len(seen) == 1
    assert "return" not in after


COMMENTED = "import re\n\n\ndef add(a, b):\n    # the sum@1\n\n\ndef root(x):  # square root@2\n"


def test_functions_of_nothing_but_a_comment():
    _, done, _ = work(COMMENTED, ["return a + b\n", "return math.sqrt(x)\n"], VERIFIED)
    assert [each.verdict.words for each in done] == ["unverified: no examples"] * 2
    text = COMMENTED.replace("@1", ": add(1, 2) -> 3").replace("@2", ", root(9) -> 3.0")
    after, done, _ = work(text, ["return a + b\n", "return math.sqrt(x)\n"], VERIFIED)
    assert [each.verdict.words for each in done] == ["verified 1/1 example"] * 2
    assert "    # the sum: add(1, 2) -> 3\n    return a + b\n" in after
    assert after.endswith("def root(x):  # square root, root(9) -> 3.0\n    return math.sqrt(x)\n")
    assert after.count("import math\n") == 1


@pytest.mark.parametrize("line_end", ["\r\n", "\r"])
def test_other_line_ends(line_end):
    text = f"{TWO}\n\ndef root(x):\n    # root(9) -> 3.0\n".replace("\n", line_end)
    answers = ["return math.floor(a) + b\n", "return add(a, a)\n", "return math.sqrt(x)\n"]
    after, done, _ = work(text, answers, Plan(1))
    assert [each.verdict.words for each in done] == ["verified 1/1 example"] * 3
    assert after.count(line_end) == len(after.splitlines())
    compile(after, "after", "exec")


def test_a_module_that_does_not_parse_is_left():
    text = ADD + "\n\ndef broken(:\n"
    after, (done,), engine = work(text, ["return a + b\n"])
    assert (after, done.chosen, engine.requests) == (text, None, [])
    assert "does not parse" in done.verdict.reason


def test_a_function_deep_in_a_large_file():
    filler = '    """A long docstring.\n\n' + "    Words that say nothing of any use to anybody.\n" * 1100 + '    """\n'
    text = f"def first():\n{filler}    return 1\n\n\n{ADD}\n\ndef last():\n{filler}    return 2\n"
    after, (done,), _ = work(text, ["return a + b\n"], VERIFIED)
    assert len(text) > 96_000
    assert done.verdict.words == "verified 1/1 example"
    assert after == text.replace(ADD, f"{ADD}    return a + b\n")
