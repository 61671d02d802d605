"""Streaming equals taking it all at once; filters are idempotent; an edit never makes a document worse."""

from __future__ import annotations

import os.path
import random
from pathlib import Path

import pytest
from test_syntax import random_text

from codegen_lsp.context.intent import find_intent
from codegen_lsp.core import Intent, Shape, Snapshot, StopReason, Trigger
from codegen_lsp.postprocess.edit import at_cursor, fit, minimal
from codegen_lsp.postprocess.names import mend
from codegen_lsp.postprocess.site import Site
from codegen_lsp.postprocess.stream import Stream
from codegen_lsp.postprocess.trim import num_repeated, trim, visible
from codegen_lsp.syntax.languages import PYTHON, find
from codegen_lsp.syntax.parse import Tree, parse
from codegen_lsp.text import Edit, Span


def at(source: str, language: str = "python") -> tuple[Snapshot, Tree, Intent]:
    before, after = source.split("⟦⟧")
    snapshot = Snapshot("a.py", language, before + after, len(before))
    tree = parse(snapshot.text, language, snapshot.offset)
    intent = find_intent(snapshot, tree)
    assert intent is not None
    return snapshot, tree, intent


def streamed(source: str, pieces: list[str], is_cut: bool = False) -> tuple[str, StopReason | None, int]:
    """(answer, stop, pieces that were wanted)"""
    snapshot, tree, intent = at(source)
    stream, num_fed = Stream(intent, Site.of(snapshot, intent, tree)), 0
    for piece in pieces:
        num_fed += 1
        if stream.feed(piece):
            break
    return stream.flush(is_cut), stream.stop, num_fed


PLACES = [
    "x = 1\n# ask\n⟦⟧\n",
    "def f(a):\n    # ask\n    ⟦⟧\n    return a\n",
    'class A:\n    def f(self):\n        """Doc."""\n⟦⟧\n\n    def g(self): pass\n',
    "x = f(⟦⟧)\n",
    "x = 1\n⟦⟧",
    "f(\n    a,\n    ⟦⟧\n)\n",
    "x = '⟦⟧'\n",
    "def f(\n\r\t# é🙂⟦⟧\r\n",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("seed", range(5))
def test_pieces_do_not_matter(seed: int, place: str) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        answer = random_text(rng, 30)
        cuts = sorted(rng.choices(range(len(answer) + 1), k=rng.randrange(6)))
        pieces = [answer[left:right] for left, right in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
        assert streamed(place, pieces)[:2] == streamed(place, [answer])[:2]
        assert streamed(place, list(answer))[:2] == streamed(place, [answer])[:2]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("seed", range(5))
def test_no_edit_makes_a_document_worse(seed: int, place: str) -> None:
    rng = random.Random(100 + seed)
    snapshot, tree, intent = at(place)
    site = Site.of(snapshot, intent, tree)
    for _ in range(40):
        stream = Stream(intent, site)
        stream.feed(random_text(rng, 30))
        answer, _ = trim(stream.flush(rng.random() < 0.5), intent, site)
        assert trim(answer, intent, site)[0] == answer
        found = fit(answer, snapshot, intent, tree)
        if found is None:
            continue
        edit, kept = found
        changed = edit.apply(snapshot.text)
        assert answer.startswith(kept)
        assert kept.strip()
        assert intent.target.start <= edit.span.start <= edit.span.end <= intent.target.end
        assert changed.startswith(snapshot.text[: intent.target.start])
        assert changed.endswith(snapshot.text[intent.target.end :])
        if not tree.errors:
            assert not parse(changed, "python").errors
        assert not set("\0\x85\u202e\u200b") & set(edit.text) - set(snapshot.text)


def test_stops_as_soon_as_it_can() -> None:
    body = "def f(a):\n    # ask\n    ⟦⟧\n"
    assert streamed(body, ["a = 1", "\n", "d", "ef"])[1:] == (StopReason.SYNTAX, 3)
    assert streamed("x = ⟦⟧\n", ["1", "\n", "y"])[1:] == (StopReason.SYNTAX, 2)
    assert streamed(body, ["a = 1\n\n\n", "    b = 2"])[0] == "a = 1\n\n\n    b = 2"


def test_half_a_line_at_the_limit_is_dropped() -> None:
    body = "def f(a):\n    # ask\n    ⟦⟧\n"
    assert streamed(body, ["a = 1\n    retu"], is_cut=True)[:2] == ("a = 1", StopReason.LENGTH)
    assert streamed(body, ["a = 1\n    retu"], is_cut=False)[:2] == ("a = 1\n    retu", StopReason.END)
    assert streamed("x = ⟦⟧\n", ["fo"], is_cut=True)[0] == "fo"


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("import a\n\nimport a\n\n\ndef f(): ...", "import a\n\n\ndef f(): ..."),
        ("import a\nimport b\nimport a\nf()", "import a\nimport b\nf()"),
        ("import a\nf()\n    import a", "import a\nf()\n    import a"),
        ("f()\n\n\nf()", "f()\n\n\nf()"),
    ],
)
def test_an_import_is_written_once(answer: str, kept: str) -> None:
    snapshot, tree, intent = at("# ask⟦⟧\n")
    assert trim(answer, intent, Site.of(snapshot, intent, tree))[0] == kept


@pytest.mark.parametrize(
    ("lines", "repeated"),
    [
        ([], 0), (["go()"], 0), (["go()", "go()"], 0), (["done()"] * 3, 2), ([")"] * 5, 0), (["aaaa", "bbbb"] * 3, 4),
        (["aaaa", "bbbb"] * 2, 0), (["aaaa", "b", "c", "d"] * 2, 4), (["x = 1", *["done()"] * 3], 2),
    ],
)  # fmt: skip
def test_repetition(lines: list[str], repeated: int) -> None:
    assert num_repeated(lines) == repeated


@pytest.mark.parametrize(
    ("line", "stuck"),
    [
        ("x = " + "0" * 70, True), ("x = " + "0" * 50, False), ("# the" + " a" * 40, True), ("# " + "-" * 100, False),
        ("# " + "=" * 200, True), ("x = [" + "0, " * 9 + "0]", False), (" " * 200 + "x", False),
        ("x = " + "1000" * 20 + "7", True), ("return a + b * c - d / e % f ** g // h | i & j ^ k << l >> m", False),
    ],
)  # fmt: skip
def test_a_line_that_goes_in_circles_ends_the_answer(line: str, stuck: bool) -> None:
    body = "def f(a):\n    # ask\n    ⟦⟧\n"
    expected = ("a = 1", StopReason.REPETITION) if stuck else (f"a = 1\n    {line}", StopReason.END)
    for pieces in (["a = 1\n    ", line], list(f"a = 1\n    {line}"), [f"a = 1\n    {line}\n    b = 2"]):
        got = streamed(body, pieces)
        assert got[:2] == expected if stuck or len(pieces) > 1 else line in got[0]


@pytest.mark.parametrize(
    ("answer", "known", "shown"),
    [
        ("a\u200bb", "", "ab"), ("a\u200bb", "\u200b", "a\u200bb"), ("a\u00a0b", "", "a b"), ("a\x1bb\x00", "", "ab"),
        ("\ufeffa\u202e", "", "a"), ("é漢🙂", "", "é漢🙂"), ("a\tb\n", "", "a\tb\n"), ("a\ufffd", "", "a"),
        ("\ud800", "", ""),
    ],
)  # fmt: skip
def test_visible(answer: str, known: str, shown: str) -> None:
    assert visible(answer, known) == shown


@pytest.mark.parametrize(
    ("span", "new", "want"),
    [
        ((2, 4), "cd", ((4, 4), "")),
        ((2, 4), "cxd", ((3, 3), "x")),
        ((2, 2), "new", ((2, 2), "new")),
        ((2, 4), "", ((2, 4), "")),
        ((2, 4), "cc", ((3, 4), "c")),
    ],
)
def test_minimal(span: tuple[int, int], new: str, want: tuple[tuple[int, int], str]) -> None:
    edit = minimal(Edit(Span(*span), new), "abcdef")
    assert (edit.span, edit.text) == (Span(*want[0]), want[1])
    assert edit.apply("abcdef") == Edit(Span(*span), new).apply("abcdef")


@pytest.mark.parametrize(
    ("text", "offset", "span", "new", "want"),
    [
        ("ab", 1, (1, 1), "x", "x"),
        ("ab  ", 4, (2, 4), "  x", "x"),
        ("ab\n  \n", 2, (3, 5), "  x", None),
        ("ab\n\n", 2, (3, 3), "x", "\nx"),
        ("ab pass", 3, (3, 7), "x", None),
        ("ab", 2, (1, 1), "x", None),
    ],
)
def test_at_cursor(text: str, offset: int, span: tuple[int, int], new: str, want: str | None) -> None:
    edit = at_cursor(Edit(Span(*span), new), text, offset)
    assert (edit and edit.text) == want
    assert edit is None or edit.span == Span(offset, offset)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_cut_out_of_real_code_fits_back(seed: int) -> None:
    """Any whole line of the standard library, taken out and answered, gives the file again, byte for byte."""
    rng = random.Random(seed)
    text = Path(os.path.__file__).read_text(encoding="utf-8")
    lines = text.split("\n")
    plain = [
        n for n, line in enumerate(lines) if line.startswith("    ") and line.rstrip().endswith(")") and "=" in line
    ]
    for number in rng.sample(plain, 12):
        indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
        source = "\n".join([*lines[:number], indent + "⟦⟧", *lines[number + 1 :]])
        snapshot, tree, intent = at(source)
        site = Site.of(snapshot, intent, tree)
        stream = Stream(intent, site)
        stream.feed(lines[number].strip() + "\n" + "\n".join(lines[number + 1 : number + 3]))
        answer, _ = trim(stream.flush(False), intent, site)
        found = fit(answer, snapshot, intent, tree)
        assert found is not None
        if intent.shape is Shape.LINE:
            assert found[0].apply(snapshot.text) == text


@pytest.mark.parametrize(
    ("source", "answer", "kept"),
    [
        ("x = 1\n⟦⟧\ny = 2\n", "    z = 3", None),
        ("for x in y:⟦⟧\n    print(x)\n", " pass", None),
        ("def f():\n    # ask\n    ⟦⟧\n    return 0\n", "a = 1\nb = 2\n      c = 3", "a = 1\n    b = 2"),
        ("def f():\n    # ask\n    ⟦⟧\n", "return 0s = 3", None),
        ("x = 1\n# ask\n⟦⟧\n", "def f(a, a):\n    return a", None),
        ("x = 1\n# ask\n⟦⟧\n", "y = 2\nreturn y", "y = 2"),
        ("def f(x):\n    # ask\n    ⟦⟧\n", "a = 1\n      b = 2", "a = 1"),
        ("# ask\n⟦⟧\nx = 1\n", "y = 'a' + 😀", None),
        # A fault of the text's own, further down: it may move, but nothing new may come before it.
        ("class C:\n  def f(self):\n    return 1\n⟦⟧\n  x = 1\nreturn x\n", "+ a", None),
        ("# ask\n⟦⟧\nreturn x\n", "y = 2", "y = 2"),
        ("return x\n# ask\n⟦⟧\n", "y = 2", "y = 2"),
    ],
)
def test_what_python_refuses_is_not_offered(source: str, answer: str, kept: str | None) -> None:
    snapshot, tree, intent = at(source)
    answer = answer.replace("\nb", f"\n{intent.indent}b")
    found = fit(answer, snapshot, intent, tree)
    assert (found and found[1]) == kept


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("import json\n\n\ndef f():\n    pass", "def f():\n    pass"),
        ("import re\nimport json\n\n\ndef f():\n    pass", "import re\n\n\ndef f():\n    pass"),
        ("import re\n\n\ndef f():\n    pass", "import re\n\n\ndef f():\n    pass"),
        ("def f():\n    import json", "def f():\n    import json"),
        ("import json", ""),
        ("from os import (\n    path,\n)\n\n\nx = path", "from os import (\n    path,\n)\n\n\nx = path"),
    ],
)
def test_imports_of_the_file_are_not_written_again(answer, kept):
    text = "import json\nfrom os import (\n    sep,\n)\n\n\n# do it\n"
    snapshot = Snapshot("a.py", "python", text, len(text), trigger=Trigger.INVOKED)
    tree = parse(text, "python", len(text))
    intent = find_intent(snapshot, tree)
    assert trim(answer, intent, Site.of(snapshot, intent, tree))[0] == kept


@pytest.mark.parametrize(
    ("source", "mended"),
    [
        # One parameter that nobody reads: whatever is unknown stands for it.
        ("def f(ledger):\n    ⟦return sum(s) / len(s)⟧\n", "return sum(ledger) / len(ledger)"),
        ("def f(rows, city):\n    ⟦return [x for x in rows if x == name]⟧\n", "return [x for x in rows if x == city]"),
        ("class A:\n    def f(self, ledger):\n        ⟦self.n = len(s)⟧\n", "self.n = len(ledger)"),
        ("async def f(ledger):\n    ⟦await s.go()⟧\n", "await ledger.go()"),
        ("⟦def f(ledger):\n    return s⟧\n", "def f(ledger):\n    return ledger"),
        ("def f(a):\n    ⟦def g():\n        return s\n    return g⟧\n", "def g():\n        return a\n    return g"),
        ("def f(é, ledger):\n    ⟦return é + 'é' + s⟧\n", "return é + 'é' + ledger"),
        ("def g(s):\n    # later\n\ndef f(ledger):\n    ⟦return s⟧\n\ndef (\n", "return ledger"),
        ("x = 1  # of s\n# as s\ndef f(ledger):\n    ⟦return s⟧\n", "return ledger"),
        # Spelled nearly alike, used already or not.
        ("def f(ledger, other):\n    ⟦return ledgers⟧\n", "return ledger"),
        ("def f(budget_q):\n    ⟦return budget_q + budget_q1⟧\n", "return budget_q + budget_q"),
        ("def f(a):\n    ⟦total = a\n    return totals⟧\n", "total = a\n    return total"),
        # Not clear, or nothing wrong.
        ("def f(first, second):\n    ⟦return x⟧\n", None),
        ("def f(path, data):\n    ⟦json.dump(data, open('x'))⟧\n", None),
        ("def f(json_x, data):\n    ⟦print(json.dumps(data))⟧\n", None),
        ("def f(loads):\n    ⟦return load()⟧\n", None),
        ("def f(path):\n    ⟦return Path('x')⟧\n", None),
        ("def f(path):\n    ⟦return LIMIT⟧\n", None),
        ("def f(path):\n    ⟦return __name__⟧\n", None),
        ("s = 1\ndef f(ledger):\n    ⟦return s⟧\n", None),
        ("def f(ledger):\n    ⟦return s⟧\n\ns = 1\n", None),
        ("def f(ledger):\n    global s\n    s = 1\ndef g(a):\n    ⟦return s⟧\n", None),
        ("def outer(s):\n    def f(ledger):\n        ⟦return s⟧\n", None),
        ("def f(ledger):\n    ⟦return [s for s in range(3)]⟧\n", None),
        ("def f(ledger):\n    ⟦import os as s\n    return s⟧\n", None),
        ("from x import *\ndef f(ledger):\n    ⟦return s⟧\n", None),
        ("def f(ledger):\n    ⟦return s⟧\n    x = (\n", None),
        ("if a:\n    s = 1\ndef f(ledger):\n    ⟦return s⟧\n", None),
        ("from a import (\n    s,\n)\ndef f(ledger):\n    ⟦return s⟧\n", None),
        ("def f(ledger):\n    x = s\n    ⟦return 1⟧\n", None),
        ("x = ⟦s⟧\n", None),
        ("def f(self):\n    ⟦return s⟧\n", None),
        ("def f(ledger):\n    ⟦return '\ud800', s⟧\n", None),
    ],
)
def test_names_that_nothing_defines(source: str, mended: str | None) -> None:
    before, _, rest = source.partition("⟦")
    code, _, after = rest.partition("⟧")
    want = code if mended is None else mended
    assert mend(before, code, after, PYTHON) == want
    assert mend(before, want, after, PYTHON) == want
    assert mend(before, code, after, find("go")) == code


def test_a_name_of_another_function_is_unknown_here() -> None:
    assert mend("def g(s):\n    return s\n\ndef f(ledger):\n    ", "return s", "\n", PYTHON) == "return ledger"


@pytest.mark.parametrize("literal", ["f'{s}'", "f'''{\n s}'''", "f'é {s!r:>{s}}'"])
def test_names_in_an_f_string_are_mended_whole_or_not_at_all(literal: str) -> None:
    got = mend("def f(ledger):\n    ", f"return {literal}, s", "\n", PYTHON)
    whole = literal.replace("{s", "{ledger").replace(" s}", " ledger}")
    assert got in {f"return {literal}, s", f"return {whole}, ledger"}
