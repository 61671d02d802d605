"""What executing an exercise shows of it, and the docstrings that are written from that."""

import ast
import doctest
import random

import pytest

from codegen_lsp.training.exercises import docstrings, forms, observe
from codegen_lsp.training.exercises.idioms import Exercise
from codegen_lsp.training.exercises.validate import judged

SUM = Exercise(
    "i", "t", "function", ("add up numbers",), (), (),
    "def total(numbers, start=0):\n    return start + sum(numbers)",
    "assert total([1, 2]) == 3 and total([], start=4) == 4", "", False,
)  # fmt: skip


def of(code, check="assert True", **given):
    """An exercise like SUM with other code."""
    return Exercise(**{**vars(SUM), "code": code, "check": check, **given})


def test_asserts_show_types_and_examples():
    faults, seen = judged(SUM)
    assert not faults
    assert seen.types == ("numbers: list[int]", "return: int", "start: int")
    assert seen.examples == ("total([1, 2])\n3", "total([], start=4)\n4")


@pytest.mark.parametrize(
    ("code", "check", "examples"),
    [
        ("def f(n):\n    return 1 if n < 2 else n * f(n - 1)", "assert f(3) == 6", ("f(3)\n6",)),
        ("def f(xs):\n    xs.append(1)\n    return xs", "assert f([]) == [1]", ("f([])\n[1]",)),
        ("def f(xs):\n    return set(xs)", "assert f([1]) == {1}", ()),
        ("def f(x):\n    print(x)", "f(1)\nassert True", ()),
        ("def f(x):\n    return x", "assert f(open) is open", ()),
        ("def f():\n    import random\n    return random.random()", "assert f() < 1", ()),
        ("def f(n):\n    yield n", "assert list(f(1)) == [1]", ()),
        ("def f(n):\n    return 'x' * n", "assert len(f(99)) == 99", ()),
    ],
    ids=["recursive", "changes its argument", "set", "none", "object", "random", "generator", "long"],
)
def test_examples_are_what_anyone_would_see(code, check, examples):
    faults, seen = judged(of(code, check))
    assert (faults, seen.examples) == ([], examples)


def test_asserts_on_the_function_itself_still_hold():
    code = "@cache\ndef f(n):\n    return n"
    faults, seen = judged(of(code, "f(1)\nassert f.cache_info().misses == 1", imports=("from functools import cache",)))
    assert (faults, seen.types) == ([], ())


@pytest.mark.parametrize(
    ("values", "annotation"),
    [
        ([1, 2.5], "float"),
        (["a", None], "str | None"),
        ([[], [1]], "list[int]"),
        ([[]], "list"),
        ([{}], "dict"),
        ([()], "tuple"),
        ([(1, "a")], "tuple[int, str]"),
        ([[[]]], "list[list]"),
        ([{"a": [1]}], "dict[str, list[int]]"),
        ([[1, "a"]], None),
        ([1, "a"], None),
        ([object()], None),
        ([None], "None"),
        ([True], "bool"),
    ],
    ids=str,
)
def test_types_have_short_names(values, annotation):
    assert observe.merge(map(observe.type_name, values)) == annotation


def test_annotations_only_where_they_can_go():
    _, seen = judged(SUM)
    assert docstrings.annotated("def total(numbers, start=0):", seen.types) == (
        "def total(numbers: list[int], start: int = 0) -> int:"
    )
    for head in ("def f(*numbers):", "async def f(numbers):", "def f(numbers: list):", "def f(a, *, start):"):
        assert docstrings.annotated(head, seen.types) == head


def test_docstrings_with_examples_are_true_to_the_code():
    _, seen = judged(SUM)
    texts = set()
    for seed in range(40):
        sample = forms.render(seen, "examples", "add up numbers", [], random.Random(seed)).sample
        text = sample.prefix + sample.middle + sample.suffix
        names = {}
        exec(compile(text, "f", "exec"), names)
        results = doctest.DocTestRunner(verbose=False)
        (found,) = doctest.DocTestFinder().find(names["total"], "total", globs=names)
        assert found.examples
        assert results.run(found).failed == 0
        assert ast.get_docstring(ast.parse(text).body[0])
        texts.add(text)
    assert len(texts) > 10, "many shapes"
