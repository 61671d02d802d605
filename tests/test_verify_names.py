"""What is new in a text and cannot be right: names that nothing defines, and what pyflakes knows to fail."""

from __future__ import annotations

import pytest

from codegen_lsp.verify.names import faults, unknown_names

STUB = '"""Doc."""\nimport os\n\nLIMIT = 3\n\n\ndef f(a, b=1):\n    """Does it."""\n    ...\n'


def written(body: str, stub: str = STUB) -> str:
    """The stub with a body in place of its dots."""
    return stub.replace("...", body.replace("\n", "\n    "))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return a + b + LIMIT + len(os.sep)", ()),
        ("return json.dumps(Counter(a), b)", ("json", "Counter")),
        ("return zeta(alpha(zeta))", ("zeta", "alpha")),
        ("try:\n    return unicode(a)\nexcept NameError:\n    return str(a)", ()),
        ("if a:\n    import json\nreturn json.dumps(a)", ()),
        ("return [c for c in a if (d := c)], d", ()),
        ("return [c for c in a], c", ("c",)),
        ("for c in a:\n    if b:\n        use = last\n    last = c\nreturn use", ()),
        ("for c in a:\n    pass\nreturn last\nlast = 1", ()),
        ("return g(a)\ndef g(x): return x", ()),
        ("def g(): return later\nlater = 1\nreturn g", ()),
        ("del a\nreturn a", ()),
        ("return __file__, __name__, WindowsError", ()),
        ("x: 'Later' = a\nreturn x", ("Later",)),
        ("return f'{a} {missing:>{width}}'", ("missing", "width")),
        ("return (", ()),
        ("return " + "(" * 5000, ()),
        ("return '\0'", ()),
    ],
)
def test_unknown_names(body: str, expected: tuple[str, ...]) -> None:
    assert unknown_names(STUB, written(body)) == expected


def test_what_was_unknown_before_is_not_new() -> None:
    old = "def g():\n    return _('text')\n\n\n" + STUB
    assert unknown_names(old, written("return _(a), __(b)", old)) == ("__",)
    assert unknown_names("from x import *\n" + STUB, "from x import *\n" + written("return y")) == ()
    assert unknown_names("\ufeff" + STUB, "\ufeff" + written("return y").replace("\n", "\r\n")) == ("y",)


def test_a_stub_without_a_body_does_not_parse() -> None:
    old = "def g():\n    return basestring\n\ndef f(a):\n    # add one\n"
    assert unknown_names(old, old + "    return a + one\n") == ("one",)
    assert faults(old, old + "    return one\n") == ("undefined name 'one' (line 6)",)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return a", ()),
        ("import json\nx = 1\nreturn f''", ()),
        ("return json.dumps(a)", ("undefined name 'json' (line 9)",)),
        ("n = n + a\nreturn n", ("local variable 'n' is read before it is given a value (line 9)",)),
        ("LIMIT += 1\nreturn LIMIT", ("local variable 'LIMIT' is read before it is given a value (line 9)",)),
        ("global LIMIT\nLIMIT += 1\nreturn LIMIT", ()),
        ("for c in a:\n    if b: return LIMIT\n    import x.y, z as LIMIT", ()),
        ("for c in a:\n    if b: return x\n    import x.y, z as LIMIT", ()),
        ("for c in a:\n    if b: return x\n    match c:\n        case {'y': 1, **x}: pass", ()),
        ("for c in a:\n    if b: return x\n    match c:\n        case [*x]: pass", ()),
        ("for c in a:\n    if b: x()\n    def x(): pass", ()),
        ("for c in a:\n    x()\ndef g():\n    x = 1", ("undefined name 'x' (line 10)",)),
        ("for c in a:\n    if b:\n        b += LIMIT\n    LIMIT = c\nreturn b", ()),
        ("for c in a:\n    b += LIMIT\nLIMIT = 1", ("local variable 'LIMIT' is read before",)),
        ("while a:\n    if b: return max\n    max = a", ()),
        ("try:\n    pass\nexcept OSError as e:\n    pass\nreturn e", ("local variable 'e' is read before",)),
        ("return '%s %s' % (a,)", ("2 placeholder(s) but 1 substitution(s)",)),
        ("return '%(x)s' % (a,)", ("expected mapping",)),
        ("return '{} {}'.format(a)", ("missing argument(s) for placeholder(s): 1",)),
        ("return '{}'.format(a, b)", ("unused arguments at position(s): 1",)),
        ("return '%d%%' % a", ()),
        ("return a is 'x'", ("use ==/!=",)),
        ("return a is None", ()),
        ("raise NotImplemented", ("should be 'raise NotImplementedError'",)),
        ("assert (a, 'text')", ("assertion is always true",)),
        ("return {'x': 1, 'x': 2}", ("key 'x' repeated",)),
        ("continue", ("not properly in loop",)),
        ("return a\nreturn = 3", ("invalid syntax (line 10)",)),
        ("return a\n  return b", ("indent (line 10)",)),
        ("return '\0'", ("null bytes",)),
        ("return " + "(" * 5000, ("",)),
        ("return " + "-" * 20000 + "a", ("",)),
    ],
)
def test_faults(body: str, expected: tuple[str, ...]) -> None:
    found = faults(STUB, written(body))
    assert len(found) == len(expected), found
    assert all(part in sentence for part, sentence in zip(expected, found, strict=True)), found


@pytest.mark.parametrize(
    ("added", "expected"),
    [("return 1\n", "'return' outside function (line 10)"), ("x = (yield)\n", "'yield' outside function (line 10)")],
)
def test_outside_a_function(added: str, expected: str) -> None:
    assert faults(STUB, STUB + added) == (expected,)


def test_what_is_no_fault() -> None:
    assert faults(STUB, STUB + "__all__ = ['nowhere']\n") == ()
    assert faults(STUB, STUB.replace("Does it.", "Does it.\n\n    >>> nowhere(f)\n    ")) == ()
    assert faults(STUB, STUB + "try:\n    import a\nexcept ImportError:\n    a = None\na.b\n") == ()
    assert faults(STUB, STUB + "x = 1  # type: Nowhere\n") == ()


def test_outside_of_functions() -> None:
    assert faults(STUB, STUB + "x + 1\nx = 1\n") == ("name 'x' is read before it is given a value (line 10)",)
    assert faults(STUB, STUB + "while LIMIT:\n    if LIMIT > 1: x + 1\n    x = 1\n") == ()
    assert faults(STUB, STUB + "class A:\n    y = x\n    x = 1\n") == ("undefined name 'x' (line 11)",)


def test_what_moved_is_not_new() -> None:
    old = "def g(a):\n    return '%s %s' % (a,), a is 'x', unicode\n\n\n"
    assert faults(old + STUB, "import sys\n\n\n" + old + written("return a, unicode")) == ()
    again = faults(old + STUB, old + written("return a is 'x'"))
    assert len(again) == 1
    assert "use ==/!=" in again[0]
