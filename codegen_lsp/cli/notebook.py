"""Notebooks on disk (nbformat 4): one code cell with the earlier ones as its context, and that cell written back.

Nothing but the text of the cell's "source" is replaced in the file: what a notebook's outputs, numbers and order of
keys look like is the business of who wrote it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from codegen_lsp.cells import MARKDOWN, PYTHON, Cell, disarmed, joint, lead
from codegen_lsp.cli.files import Opened, Place, offset_in, read_text, relative
from codegen_lsp.core import Snapshot
from codegen_lsp.errors import FileError
from codegen_lsp.text import Span, line_end_of, split_lines

FORMAT = 4
LANGUAGES = {"ipython": PYTHON, "ipython3": PYTHON, "bash": "shellscript", "c++": "cpp", "c#": "csharp", "f#": "fsharp"}
"""LSP ids of languages that Jupyter calls something else."""

_BLANK = re.compile(r"[ \t\r\n]*")
_NOT_ASCII = re.compile(r"\\u(?!00[0-7])[0-9a-fA-F]{4}")
_FIRST_KEY = re.compile(r'\s*\{[ \t]*\r?\n([ \t]+)"')


@dataclass(frozen=True)
class Notebook:
    """A notebook's file and its cells."""

    whole: str
    cells: tuple[Cell, ...]


def read_notebook(whole: str, name: str) -> Notebook:
    """The notebook in a file's text; raises FileError for what is none, or not of this format."""
    try:
        data = json.loads(whole)
        version, raw = data["nbformat"], data["cells"] if data["nbformat"] == FORMAT else []
        language = _language(data)
        cells = tuple(_cell(each, language) for each in raw)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{name} is no notebook: it is not JSON ({error}).") from error
    except (LookupError, TypeError, AttributeError) as error:
        raise FileError(f"{name} is no notebook: it has not what nbformat {FORMAT} asks for.") from error
    if version != FORMAT:
        raise FileError(f"{name} is a notebook of format {version}, not {FORMAT}; `jupyter nbconvert` can convert it.")
    return Notebook(whole, cells)


def open_cell(place: Place, number: int) -> Opened:
    """The cell of a place, with the code above it; raises FileError where nothing can be written."""
    notebook = read_notebook(read_text(place.path), str(place.path))
    if number > len(notebook.cells):
        raise FileError(f"{place.path} has {len(notebook.cells)} cells; cell {number} is outside it.")
    own, name = notebook.cells[number - 1], f"{place.path}, cell {number}"
    if not own.is_code:
        raise FileError(f"{name} is a {own.language} cell; code is written in code cells.")
    offset = offset_in(own.text, place, name)
    shown = disarmed(own)
    if own.is_foreign or _line(shown, place) != _line(own.text, place):
        raise FileError(f"{name}: nothing is written in IPython's own lines, or in cells of another language.")
    above = lead(joint(notebook.cells[: number - 1], own))
    text, floor = above + shown, len(above)
    snapshot = Snapshot(relative(place.path), own.language, text, floor + offset, floor=floor)
    return Opened(place.path, name, snapshot, own.text, notebook.whole, partial(replace_source, notebook.whole, number))


def replace_source(whole: str, number: int, source: str) -> str:
    """A notebook's text with another source in a cell, written as the file writes."""
    cells = dict(_members(whole, 0))["cells"]
    cell = list(_items(whole, cells.start))[number - 1]
    span = dict(_members(whole, cell.start))["source"]
    return whole[: span.start] + _written(source, span, whole) + whole[span.end :]


def _language(data: Mapping[str, Any]) -> str:
    metadata = data.get("metadata") or {}
    said = (metadata.get("language_info") or {}).get("name") or (metadata.get("kernelspec") or {}).get("language")
    return _id(said or PYTHON)


def _id(name: str) -> str:
    return LANGUAGES.get(name.lower(), name.lower())


def _cell(raw: Mapping[str, Any], language: str) -> Cell:
    """A cell from JSON. Raises LookupError, TypeError or AttributeError for what is none."""
    kind, source = raw["cell_type"], raw["source"]
    text = source if isinstance(source, str) else "".join(source)
    if kind != "code":
        return Cell(text, MARKDOWN if kind == "markdown" else str(kind), is_code=False)
    own = ((raw.get("metadata") or {}).get("vscode") or {}).get("languageId")
    return Cell(text, _id(own) if own else language)


def _line(text: str, place: Place) -> str:
    return split_lines(text)[place.line - 1]


# The text of JSON


def _members(text: str, start: int) -> Iterator[tuple[str, Span]]:
    """Keys of the object at an offset (blanks may stand before it), and where their values are."""
    at = _skip(text, _skip(text, start) + 1)
    while text[at] != "}":
        key, at = json.JSONDecoder().raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, at = json.JSONDecoder().raw_decode(text, start)
        yield key, Span(start, at)
        at = _next(text, at)


def _items(text: str, start: int) -> Iterator[Span]:
    """Where the items of the array at an offset are."""
    at = _skip(text, start + 1)
    while text[at] != "]":
        _, end = json.JSONDecoder().raw_decode(text, at)
        yield Span(at, end)
        at = _next(text, end)


def _next(text: str, at: int) -> int:
    """Behind the comma, if there is one."""
    at = _skip(text, at)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _written(source: str, span: Span, whole: str) -> str:
    """A source as JSON: a string or a list of lines, indented or not, as the one at `span` is."""
    is_ascii = whole.isascii() and _NOT_ASCII.search(whole) is not None
    old = span.of(whole)
    if not old.startswith("["):
        return json.dumps(source, ensure_ascii=is_ascii)
    lines = [line for line in split_lines(source) if line]
    line_start = whole.rfind("\n", 0, span.start) + 1
    before = whole[line_start : span.start]
    unit = _FIRST_KEY.match(whole)
    if unit is None or not before.lstrip().startswith('"source"') or ("\n" not in old and json.loads(old)):
        comma = ", " if before.endswith(" ") else ","
        return json.dumps(lines, ensure_ascii=is_ascii, separators=(comma, ": "))
    indent = before[: len(before) - len(before.lstrip())]
    text = json.dumps(lines, ensure_ascii=is_ascii, indent=unit[1])
    return text.replace("\n", line_end_of(whole) + indent)
