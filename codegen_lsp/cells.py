"""What a code cell of a notebook is shown together with: the code of the cells before it, as one text.

IPython's own lines (`%matplotlib inline`, `!pip install pandas`) are no Python, and one of them would spoil the parse
of everything below it: they become comments. In the cell that is written, every character stays where it is.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from codegen_lsp.text import line_end_of, split_lines, with_newlines

MAX_LEAD = 100_000
"""Characters of earlier cells: more than any prompt has room for."""
MAX_NOTE_LINES = 20
"""Lines of a markdown cell that are shown, its last ones."""
NOTE_WIDTH = 100
GAP = "\n\n\n"
"""Behind each cell, as between the definitions of a file. With one blank line instead of two the bundled model took
orders below the imports for the wish to import more, and carried out 46 of 160 instead of 59.
"""
PYTHON, MARKDOWN = "python", "markdown"

_PYTHON_CELLS = frozenset({"time", "timeit", "capture"})
"""`%%time` and the like: the rest of such a cell is ordinary code."""
_SLASHES = frozenset({
    "c", "cpp", "csharp", "dart", "fsharp", "go", "java", "javascript", "javascriptreact", "kotlin", "rust", "scala",
    "swift", "typescript", "typescriptreact",
})  # fmt: skip

_CELL_MAGIC = re.compile(r"\s*%%(\w*)")
_STRANGE = re.compile(r"^[ \t]*[%!?]|=[ \t]*[%!]|\?[ \t\r]*$", re.MULTILINE)
"""Whether it is worth looking closer."""
_TOKEN = re.compile(
    r"""(?<!\\\n)^(?P<indent>[ \t]*)(?P<magic>(?:%{1,2}[A-Za-z_]|!|\?{1,2}[A-Za-z_])[^\r\n]*)
    |(?<!\\\n)^(?P<help>[ \t]*[A-Za-z_][\w.]*)(?P<marks>\?{1,2})(?=[ \t]*$|[ \t]*\r)
    |(?<!\\\n)^(?P<name>[ \t]*[A-Za-z_][\w., \t]*=[ \t]*)(?P<command>(?:%[A-Za-z_]|!)[^\r\n]*)
    |(?P<string>\"{3}(?:\\.|[^\\])*?(?:\"{3}|(?P<open>\Z))|'{3}(?:\\.|[^\\])*?(?:'{3}|(?P<open_too>\Z))
      |"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)
    |\#[^\r\n]*
    |(?P<bracket>[()\[\]{}])""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_HEADING = re.compile(r"#{1,6}[ \t]+")
_NO_WORDS = re.compile(r"[ \t]*(?:<|!\[)")
"""A line of HTML, or a picture."""


class Cell(NamedTuple):
    """One cell. `language` is an LSP language id."""

    text: str
    language: str
    is_code: bool = True

    @property
    def is_foreign(self) -> bool:
        """Whether another language or a file follows in it (`%%bash`, `%%writefile`)."""
        match = _CELL_MAGIC.match(self.text)
        return self.language == PYTHON and match is not None and match[1] not in _PYTHON_CELLS


class Joint(NamedTuple):
    """All that a lead depends on: while this stays the same, so does the lead."""

    above: tuple[Cell, ...]
    language: str
    is_apart: bool
    """The cell begins with a comment, which is not to go on with the markdown cell above it."""
    line_end: str


def joint(above: Iterable[Cell], own: Cell) -> Joint:
    """How a cell continues those above it."""
    is_apart = re.match(rf"\s*{_mark(own.language)}", own.text) is not None
    return Joint(tuple(above), own.language, is_apart, line_end_of(own.text))


def lead(place: Joint) -> str:
    """What stands before a cell: earlier code in its language, and the markdown right above.

    A markdown cell is what the cell below it is for, as a comment is: so it becomes one, with no blank line behind it.
    """
    code = [_plain(cell) for cell in _nearest(place.above, place.language)]
    note = _note(place.above[-1:], _mark(place.language))
    text = "".join(each + GAP for each in code if each) + note + ("\n" if note and place.is_apart else "")
    return text if place.line_end == "\n" else text.replace("\n", place.line_end)


def disarmed(cell: Cell) -> str:
    """A cell's text with IPython's lines as comments, and not a character longer or shorter; a huge one as it is."""
    is_plain = cell.language != PYTHON or len(cell.text) > MAX_LEAD
    return cell.text if is_plain else _without_magic(cell.text, _SAME_LENGTH)


def _nearest(above: Sequence[Cell], language: str) -> list[Cell]:
    """The code cells whose code is shown, in order; as many as fit, whole."""
    found, room = list[Cell](), MAX_LEAD
    for cell in reversed(above):
        if not cell.is_code or cell.language != language or cell.is_foreign:
            continue
        room -= len(cell.text)
        if room < 0:
            break
        found.append(cell)
    return found[::-1]


def _plain(cell: Cell) -> str:
    """Code that others can follow; "" when what stands below it would be taken for a part of it."""
    text = with_newlines(cell.text).strip("\n").rstrip()
    if cell.language != PYTHON:
        return text
    last = text.rpartition("\n")[2].lstrip()
    if _is_open(text) or (last.endswith(("\\", ":")) and not last.startswith("#")):
        return ""
    return _without_magic(text, _READABLE)


def _note(above: Sequence[Cell], mark: str) -> str:
    """The markdown cell right above, as comment lines."""
    if not above or above[0].is_code or above[0].language != MARKDOWN:
        return ""
    shown = above[0].text[-MAX_NOTE_LINES * NOTE_WIDTH :]
    paragraphs = [_HEADING.sub("", line.strip()) for line in split_lines(shown) if not _NO_WORDS.match(line)]
    lines = [line for text in paragraphs for line in textwrap.wrap(text, NOTE_WIDTH) or [""]]
    while lines and not lines[-1]:
        lines.pop()
    text = "\n".join(lines[-MAX_NOTE_LINES:]).lstrip("\n")
    return "".join(f"{mark} {line}".rstrip() + "\n" for line in text.split("\n")) if text else ""


def _mark(language: str) -> str:
    return "//" if language in _SLASHES else "--" if language == "sql" else "#"


def _squeezed(magic: str) -> str:
    """A magic line as a comment of the same length, still to be told from an order: a blank or the end makes room."""
    head, blank, tail = magic.partition(" ")
    return f"#{head}{tail}" if blank else f"#{magic[:-1]}"


def _quoted(command: str) -> str:
    """What `files = !ls` gives, as a string of the same length."""
    return '"' + re.sub(r'["\\]', " ", command[1:-1]) + '"' if len(command) > 1 else command


def _squeezed_inside(magic: str) -> str:
    """The same where a block needs a statement."""
    return f"0{_squeezed(magic)[:-1]}"


class _Style(NamedTuple):
    """How IPython's lines are written in Python."""

    magic: Callable[[str], str]
    inside: Callable[[str], str]
    """In a block, which it may be all of."""
    command: Callable[[str], str]
    """Behind an `=`."""
    mark: str
    """Each of the marks in `name??`."""


_READABLE = _Style("# {}".format, "pass  # {}".format, "None  # {}".format, "")
_SAME_LENGTH = _Style(_squeezed, _squeezed_inside, _quoted, " ")


def _without_magic(text: str, style: _Style) -> str:
    if not _STRANGE.search(text):
        return text
    parts, end = list[str](), 0
    for match in _tokens(text):
        if match["magic"]:
            new = match["indent"] + (style.inside if match["indent"] else style.magic)(match["magic"])
        elif match["marks"]:
            new = match["help"] + style.mark * len(match["marks"])
        elif match["command"]:
            new = match["name"] + style.command(match["command"])
        else:
            continue
        parts += (text[end : match.start()], new)
        end = match.end()
    return "".join((*parts, text[end:]))


def _is_open(text: str) -> bool:
    """Whether a bracket or a string is not closed at the end."""
    depth = 0
    for match in _tokens(text):
        if match["open"] is not None or match["open_too"] is not None:
            return True
        if bracket := match["bracket"]:
            depth = max(0, depth + (1 if bracket in "([{" else -1))
    return depth > 0


def _tokens(text: str) -> Iterator[re.Match[str]]:
    """Strings, comments, brackets and IPython's lines; those only where a statement can begin."""
    depth = start = 0
    while match := _TOKEN.search(text, start):
        start = match.end()
        if bracket := match["bracket"]:
            depth = max(0, depth + (1 if bracket in "([{" else -1))
        elif depth and (match["magic"] or match["command"] or match["marks"]):
            start = match.start() + 1
            continue
        yield match
