"""Verdicts on bodies: what is refused, and why; what counts as verified."""

import pytest
from fakes import OpenJail

from codegen_lsp.verify.judge import Judge, Status, Unjudgeable

VERIFIED, UNVERIFIED, REFUSED = Status.VERIFIED, Status.UNVERIFIED, Status.REFUSED
ADD = 'def add(a, b):\n    """Add.\n\n    >>> add(1, 2)\n    3\n    >>> add(2, 3)\n    5\n    """\n    {}\n'
PLAIN = 'def add(a, b):\n    """Add."""\n    {}\n'
TYPED = 'def names(rows) -> list[str]:\n    """Names."""\n    {}\n'
METHOD = (
    "class Cart:\n    def __init__(self):\n        self.items = [3, 4]\n\n    @property\n    def total(self):\n"
    '        """Sum.\n\n        >>> Cart().total\n        7\n        """\n        {}\n\n\nLIMIT = 10\n'
)
ORDER = 'def order(xs):\n    """>>> order(["b", "a", "c"])[0]\n    \'{}\'\n    """\n    {{}}\n'
PROSE = 'def up(text):\n    """Upper case.\n\n    up("abc") -> "ABC"\n    """\n    {}\n'
SUM = 'def add(a, b):\n    """Add: add(1, 2) -> 3."""\n    {}\n'
SILENT = 'def add(a, b):\n    """Add.\n\n    >>> {}\n    """\n    {}\n'
GREET = 'def greet(name):\n    """Greet.\n\n    >>> greet("Bo")\n    Hello, Bo\n    """\n    {}\n'

CASES = {
    "right": (ADD, "return a + b", VERIFIED, ""),
    "wrong": (ADD, "return a * b", REFUSED, "add(1, 2) gives 2, not 3"),
    "right by chance": (ADD, "return a + 2", REFUSED, "add(2, 3) gives 4, not 5"),
    "raises": (ADD, "raise KeyError(a)", REFUSED, "add(1, 2) raises KeyError: 1, where 3 is expected"),
    "says nothing": (ADD, "pass", REFUSED, "it says nothing"),
    "says that it is to be done": (ADD, "raise NotImplementedError('later')", REFUSED, "it says nothing"),
    "nothing but words": (ADD, '"""Again."""', REFUSED, "it says nothing"),
    "does not parse": (ADD, "return a +", REFUSED, "it does not compile"),
    "does not compile": (ADD, "break", REFUSED, "it does not compile: 'break' outside loop"),
    "prints instead": (ADD, "print(a + b)", UNVERIFIED, "prints what its examples show, and returns nothing"),
    "prints the value": (ADD, "return print(a + b)", UNVERIFIED, "returns nothing"),
    "prints the value of prose": (SUM, "print(a + b)", REFUSED, "add(1, 2) gives 3 (None,), not 3"),
    "prints, as it should": (ADD.replace("Add.", "Print a sum."), "print(a + b)", VERIFIED, ""),
    "expects nothing": (SILENT.format("add(1, 2)", "{}"), "c = a + b", UNVERIFIED, "no example says what is expected"),
    "keeps the value": (SILENT.format("x = add(1, 2)", "{}"), "c = a + b", UNVERIFIED, "says what is expected"),
    "asserts": (SILENT.format("assert add(1, 2) == 3", "{}"), "return a + b", VERIFIED, ""),
    "asserts, wrong": (SILENT.format("assert add(1, 2) == 3", "{}"), "c = a + b", REFUSED, "AssertionError"),
    "prints text": (GREET, 'print("Hello, " + name)', VERIFIED, ""),
    "prints, and returns": (ADD, "if a > 1:\n        return a + b\n    print(a + b)", VERIFIED, ""),
    "an unknown name": (ADD, "return plus(a, b)", REFUSED, "undefined name 'plus'"),
    "another function behind it": (
        ADD,
        "return a + b\n\n\ndef more():\n    return 1",
        REFUSED,
        "more than the function's",
    ),
    "a helper inside": (ADD, "def plus(x):\n        return x + b\n    return plus(a)", VERIFIED, ""),
    "does not read its parameters": (PROSE, 'return "ABC"', UNVERIFIED, "reads none of its parameters"),
    "has its example in it": (PROSE, 'return {"abc": "ABC"}.get(text)', UNVERIFIED, "they stand in it"),
    "prose": (PROSE, "return text.upper()", VERIFIED, ""),
    "prose, wrong": (PROSE, "return text.title()", REFUSED, 'up("abc") gives \'Abc\', not "ABC"'),
    "without examples": (PLAIN, "return a + b", UNVERIFIED, "no examples"),
    "without examples, unknown name": (PLAIN, "return total", REFUSED, "undefined name 'total'"),
    "against its annotation": (TYPED, "return {row.name for row in rows}", REFUSED, ""),
    "a property": (METHOD, "return sum(self.items)", VERIFIED, ""),
    "a property, wrong": (METHOD, "return max(self.items)", REFUSED, "Cart().total gives 4, not 7"),
    "the order of a set": (ORDER.format("a"), "return list(set(xs))", REFUSED, "order"),
    "sorted": (ORDER.format("a"), "return sorted(xs)", VERIFIED, ""),
}


def judge(source, body, jail=None):
    jail = jail or OpenJail()
    line = next(number for number, text in enumerate(source.split("\n"), 1) if text.strip().startswith("def ") and
                "__init__" not in text)  # fmt: skip
    judge = Judge.of(source.format("..."), line, lambda: (jail, ""))
    return judge, judge.judge(source.format(body))


@pytest.mark.parametrize("name", [name for name in CASES if name != "the order of a set"])
def test_verdicts(name):
    source, body, status, reason = CASES[name]
    _, judged = judge(source, body)
    assert (judged.verdict.status, reason in judged.verdict.reason) == (status, True), judged.verdict
    assert judged.text == source.format(body)


def test_a_right_answer_counts_its_examples():
    _, judged = judge(ADD, "return a + b")
    assert judged.verdict.words == "verified 2/2 examples"
    _, judged = judge(ADD, "return a + 2")
    assert (judged.verdict.passed, judged.verdict.total) == (1, 2)


def test_imports_are_added_and_run():
    source = 'def root(x):\n    """>>> root(9)\n    3.0\n    """\n    {}\n'
    _, judged = judge(source, "return math.sqrt(x)")
    assert judged.verdict.status is VERIFIED
    assert judged.imports == ("import math",)
    assert judged.text.startswith("import math\n")


def test_what_is_run_knows_nothing_of_what_is_expected():
    jail = OpenJail()
    source = 'def f(x):\n    """>>> f(1)\n    98765\n    """\n    {}\n'
    judge(source, "return 98764 + x", jail)
    assert len(jail.jobs) == 3  # without a body, with it, and once more
    assert not any("98765" in part for job in jail.jobs for part in (job.source, *job.examples))
    assert len({job.seed for job in jail.jobs}) == 2


@pytest.mark.parametrize(
    ("docstring", "doubt"),
    [
        (">>> 1 + 1\n    2", "pass without it"),
        (">>> missing(1)\n    2", "before the function is called: missing(1) raises NameError"),
        ("  >>> f(1)\n 2", "cannot be read"),
        ("Words.", "no examples"),
        (">>> f(1)  # doctest: +SKIP\n    2", "no examples"),
        (">>> x = 1\n" + "    >>> f(1)\n    1\n" * 60, "more than 50"),
    ],
)
def test_examples_that_confirm_nothing(docstring, doubt):
    source = f'def f(x):\n    """Do.\n\n    {docstring}\n    """\n    {{}}\n'
    mine, judged = judge(source, "return x")
    assert doubt in mine.doubt
    assert judged.verdict.status is UNVERIFIED
    assert judged.verdict.reason == mine.doubt


@pytest.mark.parametrize(
    ("examples", "is_weak"),
    [
        (">>> f(30)\n    True", True),
        (">>> f(30)\n    True\n    >>> f(42)\n    True", True),
        ("f(30) -> None, f(1) -> None", True),
        (">>> f(30)\n    True\n    >>> f(42)\n    False", False),
        (">>> f(30) == True", False),
        (">>> f(30)\n    1", False),
        (">>> f(30)\n    True\n    >>> f('')\n    Traceback (most recent call last):\n    ValueError", False),
    ],
)
def test_examples_that_anything_passes(examples, is_weak):
    source = f'def f(x):\n    """Do.\n\n    {examples}\n    """\n    {{}}\n'
    mine, _ = judge(source, "return x")
    assert bool(mine.weakness) == is_weak
    assert mine.can_verify is not is_weak
    if is_weak:
        want = mine.examples[0].want.strip()
        assert mine.judge(source.format(f"return {want} if x else {want}")).verdict.status is UNVERIFIED
        assert mine.judge(source.format("return x + 7")).verdict.status is REFUSED


def test_without_a_jail_nothing_is_verified():
    mine = Judge.of(ADD.format("..."), 1, lambda: (None, "no sandbox"))
    verdict = mine.judge(ADD.format("return a * b")).verdict
    assert (verdict.status, verdict.reason, verdict.total) == (UNVERIFIED, "no sandbox", 2)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [("def f(:\n", 1, "does not parse"), ("x = 1\n", 1, "no function"), ("def f(): ...\n", 2, "no function"),
     ("\0", 1, "does not parse"), ("(" * 1000, 1, "does not parse")],
)  # fmt: skip
def test_what_cannot_be_judged(text, line, reason):
    with pytest.raises(Unjudgeable, match=reason):
        Judge.of(text, line)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (ADD.replace("add(a, b)", "add(a, b, c=0)"), "signature"),
        (ADD.replace("    3\n", "    4\n"), "docstring"),
        ("@cached\n" + ADD, "signature"),
        ("async " + ADD, "signature"),
        ("X = 1\n" + ADD, "more than"),
        ("def other(): return 1\n" + ADD, "signature"),
        ("x = 1\n", "signature"),
    ],
)
def test_what_else_is_changed_is_refused(changed, reason):
    mine = Judge.of(ADD.format("..."), 1, lambda: (OpenJail(), ""))
    verdict = mine.judge(changed.format("return a + b")).verdict
    assert verdict.status is REFUSED
    assert reason in verdict.reason


DEEP = "1" + " + 1" * 990
"""Compiles, and is too deep for some who walk it."""


@pytest.mark.parametrize(
    "body", [f"return {DEEP}", "if a: return b\n" + "    elif a: return b\n" * 990 + "    return a"]
)
def test_a_body_that_is_too_deep_is_refused(body):
    _, judged = judge(PLAIN, body)
    assert (judged.verdict.status, judged.text) == (REFUSED, PLAIN.format(body))


def test_a_module_that_is_too_deep_is_not_judged():
    _, judged = judge(f"x = {DEEP}\n{PLAIN}", "return a")
    assert judged.verdict.status is REFUSED
    chain = "if 0: x = 1\n" + "elif 0: x = 1\n" * 990
    with pytest.raises(Unjudgeable, match="too deep"):
        judge(f"{chain}{PLAIN}", "return a")
