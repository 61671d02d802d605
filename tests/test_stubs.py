"""Which functions are still to be written, and that a completion at the place that `opened` makes writes them."""

from __future__ import annotations

import ast
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes import MODEL, ByteTokenizer

from codegen_lsp.context.orders import is_order
from codegen_lsp.core import Completion, Shape, Snapshot, Trigger
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.pipeline import complete
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.syntax import stubs
from codegen_lsp.syntax.bodies import may_be_unwritten
from codegen_lsp.syntax.remarks import has_words, is_saying
from codegen_lsp.syntax.stubs import Stub, find_stubs, opened
from codegen_lsp.text import with_newlines

ROOT = Path(__file__).parent.parent

# -- which are found

FOUND = {
    "a docstring": ('def f():\n    """Doc."""\n', "f"),
    "a docstring in the header's line": ('def f(): "Doc."\n', "f"),
    "an empty docstring": ('def f():\n    ""\n', "f"),
    "a docstring with a line end that is none": ('def f():\n    "a\\\n    b"\n', "f"),
    "far to the right": (f"if x:\n{' ' * 500}def f():\n{' ' * 504}'Doc.'\n{' ' * 500}y = 1\n", "f"),
    "dots": ("def f(): ...\n", "f"),
    "pass": ("def f():\n    pass\n", "f"),
    "several placeholders": ("def f():\n    ...; pass;\n    raise NotImplementedError\n", "f"),
    "raise": ("def f():\n    raise NotImplementedError\n", "f"),
    "raise, called": ("def f():\n    raise NotImplementedError(\n        'f')\n", "f"),
    "raise from None": ("def f():\n    raise NotImplementedError from None\n", "f"),
    "a comment": ("def f():\n    # Add.\n", "f"),
    "a comment behind the header": ("def f():  # Add.\n", "f"),
    "nothing": ("def f():\n", "f"),
    "async, decorated": ("@cached\n@app.get('/')\nasync def f(x: int = 1) -> int:\n    ...\n", "f"),
    "a header over lines": ("def f(\n    a: int,  # one\n    b=(1, [')']),\n) -> dict[str, int]:\n    ...\n", "f"),
    "type parameters": ("def f[T: int](x: T) -> T: ...\n", "f"),
    "quotes in an f-string": ('def f(a=f"{\'"\'}", b="\'", c="): x"): ...\n', "f"),
    "an annotation that is a lambda": ("def f() -> lambda: 1: ...\n", "f"),
    "a method of a class in a function": ("def f():\n    class A:\n        def m(self): ...\n    return A\n", "f.A.m"),
    "nested": ("def f():\n    def g():\n        pass\n    return g\n", "f.g"),
    "nested, next to a written one": ("def f():\n    def g(): ...\n    def h(): return 1\n    return g\n", "f.g"),
    "in blocks": (
        "if x:\n    def a(): ...\nelif y:\n    def b(): ...\nelse:\n    def c(): ...\n"
        "try:\n    def d(): ...\nexcept E:\n    def e(): ...\nfinally:\n    def f(): ...\n"
        "with x:\n    for y in z:\n        def g(): ...\nwhile x:\n    def h(): ...\n"
        "match x:\n    case 1:\n        def i(): ...\n",
        "a b c d e f g h i",
    ),
    "a property and its setter": (
        "class A:\n    @property\n    def x(self): ...\n    @x.setter\n    def x(self, value): ...\n",
        "A.x A.x",
    ),
    "what overrides": (
        "class A:\n    def f(self): raise NotImplementedError\nclass B(A):\n    def f(self): ...\n",
        "B.f",
    ),
    "what no derived class overrides": (
        "class A:\n    def f(self): raise NotImplementedError\nclass B(A):\n    def g(self): return 1\n",
        "A.f",
    ),
    "what says what it does, though overridden": (
        'class A:\n    def f(self):\n        """Doc."""\nclass B(A):\n    def f(self): return 1\n',
        "A.f",
    ),
    "a class that derives from itself": ("class A(A):\n    def f(self): ...\n", "A.f"),
    "of a class that derives from a Protocol": (
        "class P(Protocol):\n    def f(self): ...\nclass A(P):\n    def f(self): ...\n",
        "A.f",
    ),
    "the other branch of TYPE_CHECKING": (
        "if TYPE_CHECKING:\n    def f(): ...\nelif x:\n    def g(): ...\nelse:\n    def h(): ...\n",
        "g h",
    ),
    "in a file with an error": ("x = = 1\ndef f(): ...\ny = (\n", "f"),
    "in a class whose header does not parse": (
        "class $\n    x = 1\n    def f(self):\n        ...\n    y = 2\n@ g(): return 1\n",
        "f",
    ),
    "singledispatch, without a word of failure": ('@singledispatch\ndef f(x):\n    """Doc."""\n', "f"),
    "nothing but": ('def f(x):\n    """Nothing but the digits of x."""\n', "f"),
}
NOT_FOUND = {
    "written": "def f():\n    return 1\n",
    "written below a docstring": 'def f():\n    """Doc."""\n    return 1\n',
    "written below a placeholder": "def f():\n    ...\n    return 1\n",
    "a bare return": "def f():\n    return\n",
    "another error": "def f():\n    raise NotImplementedErrors\n",
    "an error from another": "def f():\n    raise NotImplementedError from x\n",
    "raise alone": "def f():\n    raise\n",
    "what is no docstring": 'def f():\n    f"{x}"\n',
    "bytes": 'def f():\n    b"x"\n',
    "two literals": 'def f():\n    "a" "b"\n',
    "a call of a literal": 'def f():\n    "a".strip()\n',
    "a tuple": 'def f():\n    "a",\n',
    "async, in a line of its own": "async \\\ndef f(): ...\n",
    "lambda": "f = lambda: ...\n",
    "a class": 'class A:\n    """Doc."""\n    ...\n',
    "an exception that is passed over": "def f():\n    try:\n        x()\n    except E:\n        pass\n",
    "abstract": "class A:\n    @abstractmethod\n    def f(self): ...\n    @a.abstractproperty\n    def g(self): ...\n",
    "overloads": "@typing.overload\ndef f(x: int) -> int: ...\n",
    "a Protocol": "class P(Protocol):\n    def f(self): ...\n",
    "a generic Protocol": 'class P(A, typing.Protocol[T]):\n    if x:\n        def f(self):\n            """Doc."""\n',
    "for type checkers": "if typing.TYPE_CHECKING:\n    class A:\n        def f(self): ...\n",
    "abstract by convention": (
        'class A:\n    def f(self):\n        """Doc."""\n        raise NotImplementedError\n    def g(self): ...\n'
        "class B(A): pass\nclass C(m.B[int]):\n    def f(self): return 1\n    def g(self): return 1\n"
    ),
    "what singledispatch falls back to": "@functools.singledispatch\ndef f(x):\n    raise NotImplementedError(x)\n",
    "off, the file": "# codegen: off\nx = 1\ndef f(): ...\n",
    "off, in the header": f"{'#' * 9}\n" * 6 + "def f():  # codegen: off\n    ...\n",
    "off, in the body": "\n" * 6 + "def f():\n    ...\n    # codegen:off\n",
    "off, above": "\n" * 6 + "# codegen: off\n@x\ndef f(): ...\n",
    "off, a class": "\n" * 6 + "class A:  # codegen: off\n    def f(self): ...\n",
    "nothing is to be done": 'def f():\n    """Nothing to close."""\ndef g():\n    # Does nothing here.\n    pass\n',
    "an error in its header": "def f(x=):\n    ...\n",
    "a body that is broken": 'def f():\n    """Doc."""\n    x = = 1\n',
    "a body whose rest is left out": 'def f():\n    """Doc."""\n def x = 1\n',
    "a body that is broken, lower": 'def f():\n    """Doc."""\n\n    # Add.\n    ) = 1\n',
}


def names(text: str, path: str = "x.py", exclude: tuple[str, ...] = ()) -> str:
    return " ".join(stub.name for stub in find_stubs(text, path, exclude))


@pytest.mark.parametrize(("text", "expected"), FOUND.values(), ids=FOUND)
def test_what_is_to_be_written_is_found(text: str, expected: str) -> None:
    for end in ("\n", "\r\n", "\r"):
        assert names(text.replace("\n", end)) == expected
        assert names((text + "x").replace("\n", end).removesuffix("x").removesuffix(end)) == expected


@pytest.mark.parametrize("text", NOT_FOUND.values(), ids=NOT_FOUND)
def test_what_is_meant_so_is_not(text: str) -> None:
    for end in ("\n", "\r\n", "\r"):
        assert not names(text.replace("\n", end))


def test_a_stub_file_has_none() -> None:
    assert names("def f(): ...\n", "x.py") == "f"
    assert not names("def f(): ...\n", "x.pyi")


def test_the_switch_is_for_one_function() -> None:
    assert names("\n" * 6 + "def f(): ...  # codegen: off\ndef g(): ...\n") == "g"


def test_a_user_leaves_out_names() -> None:
    text = "class A:\n    def f(self): ...\n    def g(self): ...\ndef f(): ...\ndef h(): ...\n"
    assert names(text, exclude=("A.*",)) == "f h"
    assert names(text, exclude=("f", "F", "*.h")) == "A.g h"


# -- what is said of them

PARTS = {
    # source: (line, docstring, order, body)
    'x = 1\n@a\ndef f():\n    """Doc."""\n    ...  # noqa\n': (3, '"""Doc."""', '"""Doc."""', "...  # noqa"),
    '# Add.\ndef f():\n    """TODO"""\n': (2, '"""TODO"""', "# Add.", ""),
    "def f():\n    # Add.\n    # More.\n\n    pass\n    # And.\n": (1, "", "# Add.\n    # More.", "pass"),
    "def f():  # Add.\n    pass  # TODO\n": (1, "", "# Add.", "pass  # TODO"),
    "def f():\n    # TODO(me): not implemented yet.\n    raise NotImplementedError(\n        '#'\n    )\n": (
        *(1, "", ""),
        "# TODO(me): not implemented yet.\n    raise NotImplementedError(\n        '#'\n    )",
    ),
    "class A:\n    # Above.\n    # And this.\n    # noqa\n    @property\n    def f(self): ...\n": (
        *(6, "", "# Above.\n    # And this."),
        "...",
    ),
    "# Far above.\n\ndef f(): ...\n": (3, "", "", "..."),
    "# ---- Public ----\ndef f(): ...\n": (2, "", "", "..."),
    "if x:\n    pass\n    # Of the block.\ndef f(): ...\n": (4, "", "", "..."),
    "def f():\n    ...\n# Below.\n": (1, "", "", "..."),
    "def f():  # TODO: sum the prices\n": (1, "", "# TODO: sum the prices", ""),
}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("source", PARTS)
def test_parts(source: str, end: str) -> None:
    text = source.replace("\n", end)
    (stub,) = find_stubs(text)
    line, *expected = PARTS[source]
    assert stub.line == line
    spans = [stub.docstring, stub.order, stub.body]
    assert [with_newlines(span.of(text)) if span else "" for span in spans] == expected
    assert stub.is_wordless == (not expected[1])


def test_whole() -> None:
    text = "x = 1\n@a\n@b\ndef f():\n    ...;  # noqa\n    # Add.  \n# Not.\n    # Nor this.\ny = 1\n"
    (stub,) = find_stubs(text)
    assert stub.whole.of(text) == "@a\n@b\ndef f():\n    ...;  # noqa\n    # Add."


WORDS = {
    **dict.fromkeys(
        ("# Add.", "# TODO: add", "# fixme(me) add", "#add", "# Überlege", "#: Add.", "# implement a heap"), 1
    ),
    **dict.fromkeys(
        ("# TODO", "# XXX: implement me!", "# ---", "#", "# 12", "# your code here", "# Implement this"), 0
    ),
    **dict.fromkeys(
        ("# noqa: E704", "# type: ignore", "#: noqa", "# pragma: no cover", "#!x", "# fmt: off", "# %% a"), 0
    ),
}


@pytest.mark.parametrize(("comment", "expected"), WORDS.items())
def test_a_comment_that_says_something(comment: str, expected: int) -> None:
    assert is_saying(comment) == bool(expected)
    if expected:
        assert is_order([comment], automatic=False), "it would be left in a body, and not be seen as the order"


def test_a_docstring_may_begin_like_a_directive() -> None:
    assert has_words("Region of interest.")
    assert not has_words("TODO:\n\n...")


# -- a completion writes them

BODY = "\ttotal = x\n\treturn total"
"""\t is one step of indentation."""
FORMS = {
    # name: (source, text expected above the body, shape)
    "docstring": ('def f(x):\n\t"""Doc."""', 'def f(x):\n\t"""Doc."""\n', Shape.BODY),
    "docstring, in quotes": ("def f(x):\n\t'Doc.'", "def f(x):\n\t'Doc.'\n", Shape.BODY),
    "docstring over lines": (
        'def f(x):\n\tr"""Doc.\n\n\t>>> f(1)\n\t1\n\t"""\n\t...',
        'def f(x):\n\tr"""Doc.\n\n\t>>> f(1)\n\t1\n\t"""\n',
        Shape.BODY,
    ),
    "docstring, dots": ('def f(x):\n\t"""Doc."""\n\t...', 'def f(x):\n\t"""Doc."""\n', Shape.BODY),
    "docstring, blank line, pass": ('def f(x):\n\t"""Doc."""\n\n\tpass', 'def f(x):\n\t"""Doc."""\n\n', Shape.BODY),
    "docstring; pass": ('def f(x):\n\t"""Doc."""; pass;', 'def f(x):\n\t"""Doc."""\n', Shape.BODY),
    "docstring, TODO, raise": (
        'def f(x):\n\t"""Doc."""  # noqa\n\t# TODO\n\traise NotImplementedError(\n\t\t"x # y",\n\t) from None',
        'def f(x):\n\t"""Doc."""  # noqa\n',
        Shape.BODY,
    ),
    "docstring in the header's line": ('def f(x): "Doc."', 'def f(x):\n\t"Doc."\n', Shape.BODY),
    "docstring over lines in the header's line": (
        'def f(x): """Doc.\n\n\tMore."""; ...  # noqa',
        'def f(x):\n\t"""Doc.\n\n\tMore."""  # noqa\n',
        Shape.BODY,
    ),
    "docstring below comments": (
        'def f(x):  # Header.\n\t# Above.\n\t"""Doc."""\n\t...',
        'def f(x):  # Header.\n\t# Above.\n\t"""Doc."""\n',
        Shape.BODY,
    ),
    "docstring and comment": (
        'def f(x):\n\t"""Doc."""\n\n\t# Add all.\n\n\t# Then return.\n\traise NotImplementedError',
        'def f(x):\n\t"""Doc."""\n\n\t# Add all.\n\n\t# Then return.\n',
        Shape.BLOCK,
    ),
    "dots": ("def f(x): ...", "def f(x):\n", Shape.BODY),
    "dots, comment": ("def f(x): ...  # Add all.", "def f(x):  # Add all.\n", Shape.BODY),
    "dots, directive": ("def f(x): ...  # noqa: E704", "def f(x):  # noqa: E704\n", Shape.BODY),
    "dots at once, comment": ("def f(x):...# Add all.", "def f(x):  # Add all.\n", Shape.BODY),
    "pass below": ("def f(x):\n\tpass", "def f(x):\n", Shape.BODY),
    "pass below, comment behind the header": ("def f(x):  # Add.\n\tpass", "def f(x):  # Add.\n", Shape.BODY),
    "pass, comment behind": ("def f(x):\n\tpass  # Add all.", "def f(x):\n\t# Add all.\n", Shape.BLOCK),
    "raise in the header's line": (
        'def f(x): raise NotImplementedError(\n\t"#")  # Add all.',
        "def f(x):\n\t# Add all.\n",
        Shape.BLOCK,
    ),
    "raise over lines": ('def f(x):\n\traise NotImplementedError(\n\n\t\t"x"\n\t)', "def f(x):\n", Shape.BODY),
    "comment": ("def f(x):\n\t# Add all.\n\t# And more.", "def f(x):\n\t# Add all.\n\t# And more.\n", Shape.BLOCK),
    "comment behind the header": ("def f(x): # Add all.", "def f(x): # Add all.\n", Shape.BODY),
    "comment, pass, comment": (
        "def f(x):\n\t# TODO: add all.\n\tpass\n\t# noqa\n\t# And more.",
        "def f(x):\n\t# TODO: add all.\n\t# And more.\n",
        Shape.BLOCK,
    ),
    "comment too far to the right": (
        'def f(x):\n\t"""Doc."""\n\t\t# Add all.',
        'def f(x):\n\t"""Doc."""\n\t# Add all.\n',
        Shape.BLOCK,
    ),
    "header over lines": (
        "def f(\n\tx: int,  # one\n) -> int: ...",
        "def f(\n\tx: int,  # one\n) -> int:\n",
        Shape.BODY,
    ),
    "nothing": ("def f(x):", "def f(x):\n", Shape.BODY),
}
PLACES = {
    "first": "\n\ndef after():\n\treturn 1\n",
    "method": "class A:\n\tx = 1\n\n\t⟦⟧\n\n\tdef after(self):\n\t\treturn 1\n",
    "last of a class": "class A:\n\tx = 1\n\n\t⟦⟧\n\n\nx = 1\n",
    "nested": "def outer(y):\n\tif y:\n\t\t⟦⟧\n\t\treturn f\n\treturn None\n",
    "last of all": "class A:\n\tx = 1\n\n\n⟦⟧",
    "comment behind": "class A:\n\tx = 1\n\n\t⟦⟧\n\t# Of y.\n\ty = 1\n",
}
HEADS = ("", "@cached\n@wraps(\n\tf,\n)\nasync ")


def inside(place: str, code: str, unit: str, end: str) -> str:
    """Code at the cursor of a place, in the file's manner."""
    before, after = place.split("⟦⟧") if "⟦⟧" in place else ("", place)
    indent = before.rpartition("\n")[2]
    lines = [line and indent * bool(number) + line for number, line in enumerate(code.split("\n"))]
    return (before + "\n".join(lines) + after).replace("\t", unit).replace("\n", end)


async def write(text: str, stub: Stub, answer: str) -> tuple[str, Completion]:
    """The text after the completion of a stub."""
    asked, offset = opened(text, stub)
    assert asked.startswith(text[: stub.colon])
    assert asked.endswith(text[stub.whole.end :])
    snapshot = Snapshot("case.py", "python", asked, offset, trigger=Trigger.INVOKED)
    done = await complete(snapshot, ScriptedEngine([answer]), MODEL, BY_NAME["codegen"], ByteTokenizer())
    assert done.edit is not None
    return done.edit.apply(asked), done


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize("form", FORMS)
async def test_a_completion_writes_it(form: str, end: str) -> None:
    source, expected, shape = FORMS[form]
    for place in PLACES.values():
        for head in HEADS:
            for unit in ("    ", "\t", "  "):
                text = inside(place, head + source, unit, end)
                (stub,) = (stub for stub in find_stubs(text) if stub.name.endswith("f"))
                indent = place.partition("⟦⟧")[0].rpartition("\n")[2] if "⟦⟧" in place else ""
                answer = f"total = x\n{indent}\treturn total".replace("\t", unit)
                got, done = await write(text, stub, answer)
                assert got == inside(place, head + expected + BODY, unit, end)
                assert done.intent is not None
                assert done.intent.shape is shape
                ast.parse(with_newlines(got))


async def test_a_comment_at_the_margin_is_moved_to_the_body() -> None:
    text = "def f(x):\n# Add all.\n    pass\n"
    got, _ = await write(text, *find_stubs(text), "return x")
    assert got == "def f(x):\n    # Add all.\n    return x\n"


async def test_the_body_is_deeper_than_the_function() -> None:
    text = "class A:\n    def f(self):\n  # noqa\n        pass  # Add.\n"
    got, _ = await write(text, *find_stubs(text), "return x")
    assert got == "class A:\n    def f(self):\n        # Add.\n        return x\n"


async def test_all_of_a_file_are_written_one_after_the_other() -> None:
    text = (
        'class A:\n    def f(self): ...\n\n    def g(self):\n        """Doc."""\n\n\ndef h():\n    # Add.\n    pass\n'
    )
    num_written = 0
    while found := find_stubs(text):
        text, _ = await write(text, found[-1], "return 1")
        num_written += 1
    assert num_written == 3
    assert [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)] == ["h", "f", "g"]
    assert text.count("return 1") == 3


# -- any module

STUB_BODIES = ("...", "pass", "raise NotImplementedError", '"""Doc."""', "'Doc.'; ...", "# Add.", "...  # noqa")
REAL_BODIES = ("return 1", "x = '...'", '"""Doc."""\n    return x', "pass\n    yield", "raise ValueError", "'a'.b()")
HEADERS = (
    "def {}():",
    "async def {}(a, b=1):  # Header: x",
    "def {}(\n    a: int = (1, ')'),\n) -> 'x[int]':",
    "def {}(a={{1: ':'}}, *, b: 'x' = f(y)) -> dict[str, int]:",
)
DECORATORS = (("", True), ("@a.b(c)\n", True), ("@abstractmethod\n", False), ("@x\n@t.overload\n", False))
BLOCKS = (("if x:", True), ("try:", True), ("with a as b:", True), ("if TYPE_CHECKING:", False))


@dataclass
class Writer:
    """Writes a module of which it knows the stubs."""

    chance: random.Random
    lines: list[str] = field(default_factory=list)
    known: list[tuple[str, int]] = field(default_factory=list)
    num_names: int = 0

    def add(self, code: str, depth: int) -> None:
        self.lines += [line and "    " * depth + line for line in code.split("\n")]

    def block(self, depth: int, names: tuple[str, ...] = (), are_stubs: bool = True) -> None:
        """Some statements."""
        for _ in range(self.chance.randint(1, 4)):
            self.num_names += 1
            self.chance.choice((self.function, self.function, self.type, self.wrap))(depth, names, are_stubs)
            if self.chance.random() < 0.4:
                self.add(self.chance.choice(("", "x = 1", "# Remark.\n", "\n\n", 'y = """def f(): ..."""')), depth)

    def function(self, depth: int, names: tuple[str, ...], are_stubs: bool) -> None:
        decorator, is_one = self.chance.choice(DECORATORS)
        names = (*names, f"f{self.num_names}")
        self.add(decorator.removesuffix("\n"), depth)
        line = len(self.lines) + 1
        self.add(self.chance.choice(HEADERS).format(names[-1]), depth)
        if self.chance.random() < 0.3 and depth < 4:
            self.block(depth + 1, names)
            self.add("return 1", depth + 1)
        elif self.chance.random() < 0.5:
            self.add(self.chance.choice(STUB_BODIES), depth + 1)
            self.known += [(".".join(names), line)] if are_stubs and is_one else []
        else:
            self.add(self.chance.choice(REAL_BODIES).replace("\n    ", "\n"), depth + 1)

    def type(self, depth: int, names: tuple[str, ...], are_stubs: bool) -> None:
        bases, is_one = self.chance.choice((("", True), ("(Base)", True), ("(Protocol[T])", False)))
        self.add(f"class C{self.num_names}{bases}:", depth)
        self.add('"""Doc."""', depth + 1)
        if depth < 4:
            self.block(depth + 1, (*names, f"C{self.num_names}"), is_one)

    def wrap(self, depth: int, names: tuple[str, ...], are_stubs: bool) -> None:
        opener, is_one = self.chance.choice(BLOCKS)
        num_known = len(self.known)
        self.add(opener, depth)
        self.add("pass", depth + 1)
        if depth < 4:
            self.block(depth + 1, names, are_stubs)
        if not is_one:
            del self.known[num_known:]
        if opener == "try:":
            self.add("except E:\n    pass", depth)


def module(seed: int) -> tuple[str, list[tuple[str, int]]]:
    """A module, and the names and lines of its stubs."""
    writer = Writer(random.Random(seed))
    writer.block(0)
    return "\n".join(writer.lines) + "\n" * (seed % 2), writer.known


def unfiltered(text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Stub, ...]:
    with monkeypatch.context() as patch:
        patch.setattr(stubs, "may_be_unwritten", lambda _: True)
        return find_stubs(text)


def test_the_stubs_of_any_module() -> None:
    num_stubs = num_without = 0
    for seed in range(300):
        text, known = module(seed)
        found = find_stubs(text.replace("\n", ("\n", "\r\n", "\r")[seed % 3]))
        assert [(stub.name, stub.line) for stub in found] == known, text
        num_stubs += len(known)
        num_without += not known
    assert num_stubs > 500
    assert num_without > 10


def test_opening_changes_one_stub_and_nothing_else() -> None:
    for seed in range(150):
        text, known = module(seed)
        for stub in find_stubs(text):
            asked, offset = opened(text, stub)
            assert asked[: stub.colon] == text[: stub.colon]
            assert asked[offset:] == text[stub.whole.end :]
            assert [each.name for each in find_stubs(asked)] == [name for name, _ in known]
            for span in (stub.docstring, *stub.comments):
                assert span is None or span.of(text) in asked[stub.colon : offset]


def test_the_cheap_look_understands_usual_headers() -> None:
    assert not may_be_unwritten(
        "class A:\n    def f(): return 1\ndef g(a=(')', ':')) -> list[int]:  # x\n    'x'\n\n    y()\n"
    )


def test_the_cheap_look_rules_out_no_file_with_a_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one that is broken; and most of those without a stub it does rule out."""
    chance, num_found = random.Random(1), 0
    for seed in range(300):
        text, _ = module(seed)
        start = chance.randrange(len(text))
        text = text[:start] + chance.choice(("", '"', "(", "\n", " ", "#")) + text[start + chance.randrange(12) :]
        found = unfiltered(text, monkeypatch)
        assert may_be_unwritten(text) or not found, text
        num_found += bool(found)
    assert num_found > 100
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "codegen_lsp").rglob("*.py")]
    without = [text for text in texts if not unfiltered(text, monkeypatch)]
    assert sum(map(may_be_unwritten, without)) < len(without) / 5
