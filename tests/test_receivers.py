"""What is read from a text without a parse: what a variable is, what an import binds, and never slowly."""

from __future__ import annotations

import time

import pytest

from codegen_lsp.index import modules
from codegen_lsp.index.imports import bound, imports, stars
from codegen_lsp.index.receivers import receivers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("client = httpx.Client(timeout=3)", {"client": "httpx.Client"}),
        ("    self.db = await connect(url)", {"self.db": "connect"}),
        ("with httpx.Client() as client:", {"client": "httpx.Client"}),
        ("async with a.B(\n    x(1), (y),\n) as b, C() as c:", {"b": "a.B", "c": "C"}),
        ("except httpx.HTTPError as error:", {"error": "httpx.HTTPError"}),
        ("def f(client: httpx.Client, n: int = 3) -> X:", {"client": "httpx.Client", "n": "int"}),
        ("def f(\n    a: 'x.A | None' = None,\n    *args: B,\n): ...", {"a": "x.A"}),
        ("def f(a: Optional[A], b: t.Annotated[B, 1]): ...", {"a": "A", "b": "B"}),
        ("client: httpx.Client = make()", {"client": "httpx.Client"}),
        ("a = B()\na = C()", {"a": "C"}),
        ("import numpy as np\na = b\na == c(1)\nf(a=B())\n", {}),
        ("a = B[int]()\n# a.b = c()\n", {}),
    ],
)
def test_receivers(text: str, expected: dict[str, str]) -> None:
    assert receivers(text) == expected


def test_what_an_import_binds() -> None:
    text = "import a.b, c as d\nfrom e import f as g\nfrom .h import *  # all\nfrom i import (*)\nfrom j import k\n"
    assert bound(text, "p/q.py") == {"a": ("a", ""), "d": ("c", ""), "g": ("e", "f"), "k": ("j", "k")}
    assert stars(text, "p/q.py") == ["p.h", "i"]


@pytest.mark.parametrize(
    "unit", ["from ", "from\n", "from x import (", "f(", "f(x ", "f()", "a.", "a", "(", ",\n", " ", "\n", "x: ", "'''"]
)
def test_texts_that_were_made_to_be_slow(unit: str) -> None:
    text = f"from {unit}" * (100_000 // len(unit)) + "from" + " " * 100_000 + "\n" + "f(" + "()" * 50_000
    start = time.process_time()
    list(imports(text, "a.py"))
    receivers(text)
    modules._DEFINED.findall(text)
    modules._ALIAS.findall(text)
    modules._fields(f"class A:\n    {text}")
    assert time.process_time() - start < 5
