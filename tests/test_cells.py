"""What a notebook's cell is shown together with."""

from __future__ import annotations

import ast
import random
import time
from collections.abc import Sequence

import pytest

from codegen_lsp import cells
from codegen_lsp.cells import MARKDOWN, PYTHON, Cell, disarmed, joint, lead


def code(text: str, language: str = PYTHON) -> Cell:
    return Cell(text, language)


def prose(text: str) -> Cell:
    return Cell(text, MARKDOWN, is_code=False)


def lead_of(*above: Cell, own: str = "", language: str = PYTHON) -> str:
    return lead(joint(above, Cell(own, language)))


@pytest.mark.parametrize(
    ("above", "own", "expected"),
    [
        ([], "", ""),
        ([code("x = 1")], "", "x = 1\n\n\n"),
        ([code("x = 1\n\n"), code(""), code("\ny = 2")], "", "x = 1\n\n\ny = 2\n\n\n"),
        ([code("x = 1"), code("ls", "shellscript"), Cell("raw", "raw", is_code=False)], "", "x = 1\n\n\n"),
        ([code("x = 1\r\ny = 2")], "", "x = 1\ny = 2\n\n\n"),
        ([code("x = 1\ny = 2")], "z\r\n", "x = 1\r\ny = 2\r\n\r\n\r\n"),
        # IPython's lines
        ([code("%matplotlib inline\n!pip install it's\nx = 1")], "",
         "# %matplotlib inline\n# !pip install it's\nx = 1\n\n\n"),
        ([code("if x:\n    !ls\nfiles = !ls\nlen?\n?len")], "",
         "if x:\n    pass  # !ls\nfiles = None  # !ls\nlen\n# ?len\n\n\n"),
        ([code("%%time\nx = 1")], "", "# %%time\nx = 1\n\n\n"),
        ([code("%%bash\nls"), code("\n%%writefile a.py\nx"), code("%%html\n<p>")], "", ""),
        ([code('"""\n%d\n!x\n"""\nx = (1\n  %y)')], "", '"""\n%d\n!x\n"""\nx = (1\n  %y)\n\n\n'),
        # What the next cell would be a part of
        ([code("x = (1,"), code('"""open'), code("def f():"), code("x = \\"), code("y = 1")], "", "y = 1\n\n\n"),
        ([code('x = "("  # ['), code("# and now:")], "", 'x = "("  # [\n\n\n# and now:\n\n\n'),
        # Markdown right above
        ([code("x = 1"), prose("## Load the *rows*\n\n- all of them\n")], "",
         "x = 1\n\n\n# Load the *rows*\n#\n# - all of them\n"),
        ([prose("Load the rows")], "rows = ", "# Load the rows\n"),
        ([prose("Load the rows")], "\n  # the rows", "# Load the rows\n\n"),
        ([prose("Far above"), code("x = 1")], "", "x = 1\n\n\n"),
        ([prose('<a id="x"></a>\n![](a.png)\n\n')], "", ""),
        ([prose("\n".join(map(str, range(50))))], "", "".join(f"# {number}\n" for number in range(30, 50))),
    ],
)  # fmt: skip
def test_what_stands_before_a_cell(above: Sequence[Cell], own: str, expected: str) -> None:
    assert lead_of(*above, own=own) == expected


@pytest.mark.parametrize(("language", "mark"), [("r", "#"), ("javascript", "//"), ("sql", "--")])
def test_other_languages_have_their_own_comments(language: str, mark: str) -> None:
    above = [code("x <- it's", language), code("no", PYTHON), prose("All rows")]
    assert lead_of(*above, language=language) == f"x <- it's\n\n\n{mark} All rows\n"


def test_a_long_notebook_is_cut_between_cells() -> None:
    above = [code(f"x{number} = '{'a' * 9_000}'") for number in range(30)]
    found = lead_of(*above)
    assert cells.MAX_LEAD * 0.9 < len(found) < cells.MAX_LEAD * 1.01
    assert found.startswith("x19 =")
    assert found.count(cells.GAP) == 11


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("%matplotlib inline\nx = 1\n", "#%matplotlibinline\nx = 1\n"),
        ("!ls", "#!l"),
        ("%%time\nx", "#%%tim\nx"),
        ("if x:\n    !ls -l\n", "if x:\n    0#!ls-\n"),
        ("files = !ls -l\n", 'files = "ls -"\n'),
        ("str.join??\n", "str.join  \n"),
        ("x = (1\n  %y)\nz != 1", "x = (1\n  %y)\nz != 1"),
    ],
)
def test_a_cell_without_magic_is_as_long(text: str, shown: str) -> None:
    assert disarmed(code(text)) == shown
    assert disarmed(code(text, "r")) == text


def test_any_text_stays_as_long_and_good_code_as_it_is() -> None:
    rng = random.Random(11)
    pieces = [
        "%",
        "!",
        "?",
        "x",
        " ",
        "=",
        "\n",
        "\r\n",
        "(",
        ")",
        '"',
        "'",
        '"""',
        "\\",
        "#",
        "%time",
        "é",
        "\n    ",
        ":",
    ]
    for _ in range(3000):
        text = "".join(rng.choice(pieces) for _ in range(rng.randrange(14)))
        assert len(disarmed(code(text))) == len(text)
        if is_python(text):
            assert disarmed(code(text)) == text
            assert lead_of(code(text)).strip() in (text.replace("\r\n", "\n").strip(), "")


def is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


@pytest.mark.parametrize("text", [" " * 200_000 + "%", "= " * 100_000 + "!", "x" * 200_000 + "?", '"""' * 60_001 + "?"])
def test_texts_that_were_made_to_be_slow(text: str) -> None:
    began = time.perf_counter()
    disarmed(code(text))
    lead_of(code(text))
    assert time.perf_counter() - began < 3
