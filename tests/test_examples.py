"""Examples of docstrings: which there are, and which outcomes they accept."""

import pytest

from codegen_lsp.verify import examples
from codegen_lsp.verify import module as modules
from codegen_lsp.verify.examples import find_examples, is_met

FOUND = {
    "prompt": (">>> f(1)\n2\n", [("f(1)\n", "2\n", None)]),
    "several": ("Text.\n\n    >>> x = f(1)\n    >>> x\n    2\n    >>> f(3)\n    4\n", 3),
    "continued": (">>> f(\n...     1,\n... )\n2\n", [("f(\n    1,\n)\n", "2\n", None)]),
    "an exception": (">>> f('x')\nTraceback (most recent call last):\n    ...\nValueError: no\n", 1),
    "skipped": (">>> f(1)  # doctest: +SKIP\n2\n>>> f(2)\n3\n", 1),
    "arrow": ("f(1) -> 2", [("f(1)\n", "2", None)]),
    "double arrow": ("  - f('a, b') => ['a', 'b']", [("f('a, b')\n", "['a', 'b']", None)]),
    "equals": ("assert f(x=1) == {'a': 1}", [("f(x=1)\n", "{'a': 1}", None)]),
    "in words": ("1. f([]) returns None.", [("f([])\n", "None", None)]),
    "heavy arrow": ("f(3) ➞ 4;", [("f(3)\n", "4", None)]),
    "backticks": ("`f(1)` returns `2`.", [("f(1)\n", "2", None)]),
    "a value with an arrow in it": ("f('->') == '->'", [("f('->')\n", "'->'", None)]),
    "a remark": ("f(1) == 2  # since", [("f(1)\n", "2", None)]),
    "names for arguments": ("f(a) -> 2", []),
    "a name for the value": ("f(1) -> the next", []),
    "another function": ("g(1) -> 2", []),
    "part of a sentence": ("Of course f(1) -> 2 holds", []),
    "turned round": ("It is never true that f(1) == 2.", []),
    "or not": ("Not f(1) == 2", []),
    "behind a colon": ("Add one: f(1) -> 2.", [("f(1)\n", "2", None)]),
    "several in a line": ("f(1) -> 2, f(2) -> 3 and f('a, b') -> 'c'.", 3),
    "for example": ("For example, f(1) == 2, since two is the next", [("f(1)\n", "2", None)]),
    "e.g.": ("Add (e.g. f(1) -> 2)", [("f(1)\n", "2", None)]),
    "a tuple": ("f(1) -> (1, 2), as above", [("f(1)\n", "(1, 2)", None)]),
    "a value that goes on": ("f(1) -> 2 * 3", []),
    "a method's name": ("x.f(1) -> 2, of(1) -> 2", []),
    "a full stop in a number": ("f(1) -> 2.5.", [("f(1)\n", "2.5", None)]),
    "a signature": ("f(x: int) -> int", []),
    "prose beside prompts": (">>> f(1)\n2\n\nf(2) -> 3", 2),
    "the output of a prompt": (">>> print('f(1) -> 2')\nf(1) -> 2\n", 1),
    "a long arrow": ("f(1) ==> 2", [("f(1)\n", "2", None)]),
    "an equals sign": ("f('a=b', x=1) = 'c'", [("f('a=b', x=1)\n", "'c'", None)]),
    "another language's values": ("f(1) => true", [("f(1)\n", "True", None)]),
    "a remark after one space": ("f(5) returns [1, 5] # in order", [("f(5)\n", "[1, 5]", None)]),
    "a hash in the value": ("f(5) -> '#5'", [("f(5)\n", "'#5'", None)]),
    "a bracket and a space in the call": ("f(3, 4) - f(1) == 6.00", []),
    "like a bullet": ("f(3, 4) == 6.00", [("f(3, 4)\n", "6.00", None)]),
    "a claim": (">>> f(1) == 2\n", [("f(1) == 2\n", "True\n", None)]),
    "a claim with its value": (">>> f(1) == 2\nFalse\n", [("f(1) == 2\n", "False\n", None)]),
    "none": ("Add one.", []),
}


@pytest.mark.parametrize("name", FOUND)
def test_examples_are_found(name):
    docstring, expected = FOUND[name]
    found = find_examples(docstring, "f")
    if isinstance(expected, int):
        assert len(found) == expected
    else:
        assert [(each.source, each.want, each.error) for each in found] == expected


def test_a_prompt_that_is_indented_otherwise_is_an_error():
    with pytest.raises(ValueError, match="inconsistent"):
        find_examples("Do.\n    >>> f(1)\n  2\n", "f")


MET = [
    (">>> f(1)\n2\n", "2\n", "", True),
    (">>> f(1)\n2\n", "3\n", "", False),
    (">>> f(1)\n2\n", "2\n", "ValueError: late\n", False),
    (">>> f(1)\n2\n", "", "", False),
    (">>> x = f(1)\n", "", "", True),
    ('>>> f(1)\n"ab"\n', "'ab'\n", "", True),
    ('>>> f(1)\n"ab"\n', "'abc'\n", "", False),
    (">>> f(1)\n6.00\n", "6.0\n", "", True),
    (">>> f(1)\n1\n", "True\n", "", True),  # doctest's own leniency
    (">>> f(1)\n2\n", "True\n", "", False),
    (">>> f(1)\n1\n", "1.0\n", "", False),
    (">>> f(1) == 2\n", "True\n", "", True),
    (">>> f(1) == 2\n", "False\n", "", False),
    (">>> x = f(1)\n", "2\n", "", False),
    (">>> f(1)  # doctest: +ELLIPSIS\n<object at ...>\n", "<object at 0x7f>\n", "", True),
    (">>> f(1)\n<object at ...>\n", "<object at 0x7f>\n", "", False),
    (">>> f(1)\nTraceback (most recent call last):\nValueError: no\n", "", "ValueError: no\n", True),
    (">>> f(1)\nTraceback (most recent call last):\nValueError: no\n", "", "ValueError: yes\n", False),
    (">>> f(1)\nTraceback (most recent call last):\nValueError: no\n", "", "", False),
    (">>> f(1)\nTraceback (most recent call last):\nValueError: no\n", "ValueError: no\n", "", False),
    (">>> f(1)  # doctest: +IGNORE_EXCEPTION_DETAIL\nTraceback (most recent call last):\nValueError: no\n", "",
     "ValueError: yes\n", True),
    (">>> f(1)  # doctest: +IGNORE_EXCEPTION_DETAIL\nTraceback (most recent call last):\nValueError: no\n", "",
     "TypeError: yes\n", False),
    ("f(1) -> 2", "(2,)\n", "", True),
    ("f(1) -> 2", "(3,)\n", "", False),
    ("f(1) -> 2", "(2,)\n", "ValueError\n", False),
    ("f(1) -> None", "(None,)\n", "", True),
    ("f(1) -> None", "(0,)\n", "", False),
    ("f(1) -> True", "(1,)\n", "", False),
    ("f(1) -> 2.0", "(2,)\n", "", True),
    ("f(1) -> {1: 'a', 2: 'b'}", "({2: 'b', 1: 'a'},)\n", "", True),
    ("f(1) -> [1, 2]", "((1, 2),)\n", "", False),
    ("f(1) -> 2", "(<object>,)\n", "", False),
    ("f(1) -> 2", "(" * 10_000, "", False),
    ("f(1) -> 2", "(" * 10_000 + ",)", "", False),
    ("f(1) -> 2", "2\n", "", False),
    ("f(1) -> 2", "2\n(None,)\n", "", False),
]  # fmt: skip


@pytest.mark.parametrize(("docstring", "output", "error", "is_right"), MET)
def test_outcomes(docstring, output, error, is_right):
    (example,) = find_examples(docstring, "f")
    assert is_met(example, output, error) is is_right


SOURCE = '''\
"""Of the module.

>>> f(1)
22222
"""
from __future__ import annotations


@cached
def f(x):
    """Of the function, f(3) -> 33333.

    >>> f(2)
    33333"""
    ...


class A:
    r"""Kept: no example."""

    def g(self): "é >>> A().g()"; pass

    async def h(self):
        """Only a docstring.
        >>> 44444
        44444
        """
'''


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_what_is_run_has_nothing_of_what_is_expected(line_end):
    module = modules.read(SOURCE.replace("\n", line_end))
    for index in range(len(list(module.functions()))):
        source = modules.runnable(module, index, is_written=True)
        assert "22222" not in source
        assert "33333" not in source
        assert "44444" not in source
        assert "Kept: no example" in source
        again = list(modules.read(source).functions())
        assert [each.node.lineno for each in again] == [each.node.lineno for each in module.functions()]
        assert again[index].docstring.strip() == ""


def test_a_function_that_is_not_written_says_so():
    module = modules.read(SOURCE)
    for index in range(len(list(module.functions()))):
        source = modules.runnable(module, index, is_written=False)
        node = list(modules.read(source).functions())[index].node
        assert modules.NOT_WRITTEN in modules.ast.unparse(node)
        assert source.count(modules.NOT_WRITTEN) == 1


MANY = {
    "a line that is too long": "x " * 300 + "f(1) -> 2",
    "too many calls": "f(0)\n" * 250 + "f(1) -> 2",
    "too many arrows": "f(" + "->" * 25 + ") -> 2",
}


@pytest.mark.parametrize("name", MANY)
def test_what_is_tried_is_little_whatever_is_written(name, monkeypatch):
    assert find_examples(MANY[name].replace("x " * 300, "").replace("f(0)\n" * 250, ""), "f") or "arrows" in name
    num_parsed = []
    parse = examples.ast.parse
    monkeypatch.setattr(examples.ast, "parse", lambda *given, **named: num_parsed.append(1) or parse(*given, **named))
    assert find_examples(MANY[name], "f") == ()
    assert len(num_parsed) <= 20


def test_a_docstring_of_a_program_is_not_read():
    with pytest.raises(ValueError, match="64 KB"):
        find_examples("\n" * (1 << 16) + ">>> f(1)\n2\n", "f")
