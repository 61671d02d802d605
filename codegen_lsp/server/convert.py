"""LSP to our nouns and back. Notifications are read leniently, from plain JSON: they have no reply to complain in."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from codegen_lsp.server.documents import Change, Document, Position
from codegen_lsp.server.door import Client
from codegen_lsp.text import Edit, Encoding, Span, split_lines

MAX_POSITION = 1 << 40
NOTEBOOK_CELL = "vscode-notebook-cell:"
FILES = ("file:", NOTEBOOK_CELL)
"""Schemes whose path is a file's; a cell has its notebook's, also in an editor that opens cells as documents alone."""


@dataclass(frozen=True)
class Selected:
    """The popup's selected item, as an edit of the document: an inline suggestion has to continue it."""

    edit: Edit

    def joined(self, edit: Edit) -> Edit | None:
        """An edit of the text with the item in it, as one edit of the text without; None when it does not extend it."""
        cursor = self.edit.span.start + len(self.edit.text)
        if edit.span.start != cursor:
            return None
        end = self.edit.span.end + edit.span.end - cursor
        return Edit(Span(self.edit.span.start, end), self.edit.text + edit.text)


def text_of(value: Any, default: str = "") -> str:
    """A string, or the default."""
    return value if isinstance(value, str) else default


def field(data: Any, *names: str) -> Any:
    """A member of nested JSON objects; None where there is none."""
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def number_of(value: Any) -> int | None:
    """An integer, or None; positions beyond any document are clamped later."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < MAX_POSITION:
        return None
    return int(value)


def position_of(value: Any) -> Position | None:
    """A position from JSON."""
    line, column = field(value, "line"), field(value, "character")
    if not isinstance(line, int | float) or not isinstance(column, int | float):
        return None
    return _clamped(line), _clamped(column)


def changes_of(params: Any) -> list[Change] | None:
    """The content changes of didChange; None when one of them cannot be read, and so none may be applied."""
    changes = []
    raw = field(params, "contentChanges")
    for item in raw if isinstance(raw, list) else []:
        text, span = field(item, "text"), field(item, "range")
        start, end = position_of(field(span, "start")), position_of(field(span, "end"))
        if not isinstance(text, str) or (span is not None and (start is None or end is None)):
            return None
        changes.append(Change(text, start, end or (0, 0)))
    return changes


def shown_path(path: str) -> str:
    """What the model and `explain` are shown of a `ruled_path`: outside of every workspace the name alone.

    The command line does the same: no model was trained on anyone's home folder, and it is nobody's business.
    """
    return path.rsplit("/", 1)[-1] if path.startswith("/") else path


def ruled_path(uri: str, roots: Sequence[str]) -> str:
    """The path that rules are matched against: relative to the workspace folder that holds it, decoded once.

    Nothing is opened by it. Documents that are no files keep the last part of their name.
    """
    path, is_file = _path(uri), uri.startswith(FILES)
    for root in roots:
        folder = _path(root).rstrip("/") + "/"
        if is_file and path.startswith(folder):
            return path[len(folder) :]
    return path if is_file else path.rsplit("/", 1)[-1]


def file_path(uri: str) -> Path | None:
    """The path of a `file:` URI of this machine."""
    path = _path(uri)
    if not uri.startswith("file:") or not path:
        return None
    return Path(path.removeprefix("/") if os.name == "nt" else path)


def lsp_range(document: Document, span: Span, encoding: Encoding) -> dict[str, Any]:
    """A range of JSON."""
    (line, column), (end_line, end_column) = (
        document.position(span.start, encoding),
        document.position(span.end, encoding),
    )
    return {"start": {"line": line, "character": column}, "end": {"line": end_line, "character": end_column}}


def inline_items(document: Document, edit: Edit, cursor: int, number: int, encoding: Encoding) -> list[dict[str, Any]]:
    """The ghost text of an edit: none when the protocol cannot show it (it needs one line with the cursor in it)."""
    where = lsp_range(document, edit.span, encoding)
    if not edit.span.start <= cursor <= edit.span.end or where["start"]["line"] != where["end"]["line"]:
        return []
    item: dict[str, Any] = {
        "insertText": edit.text,
        "range": where,
        "command": {"title": "Accepted", "command": "codegen.accepted", "arguments": [number]},
    }
    replaced = document.text[edit.span.start : cursor]
    if not edit.text.startswith(replaced):
        item["filterText"] = replaced  # Editors hide what does not begin with the text that it replaces.
    return [item]


def popup_items(document: Document, edit: Edit, cursor: int, number: int, client: Client) -> list[dict[str, Any]]:
    """The same as an item of the completion popup, over all of the word: Kate replaces that, whatever the range."""
    where = lsp_range(document, edit.span, client.encoding)
    if not edit.span.start <= cursor <= edit.span.end or where["start"]["line"] != where["end"]["line"]:
        return []
    start = cursor
    while start > 0 and (document.text[start - 1].isalnum() or document.text[start - 1] == "_"):
        start -= 1
    word, begun = document.text[start:cursor], document.text[start : edit.span.start]
    label = _label(edit, begun)
    whole = Edit(Span(min(start, edit.span.start), edit.span.end), begun + edit.text)
    text = _without(_indentation(document.text, cursor), whole.text) if client.adjusts_lines else whole.text
    if text is None:
        return []
    return [
        {
            "label": label[:60] + ("…" if len(label) > 60 or "\n" in edit.text.strip() else ""),
            "kind": 1,  # Text: Helix would expand a Snippet (15), whatever its format: $1, and the indentation twice.
            "detail": "codegen",
            "documentation": edit.text[:2000],
            "filterText": label if label.startswith(word) else word + label,
            "sortText": "\x7f",
            "insertTextMode": 2 if client.adjusts_lines else 1,  # 1: as it is, its lines carry their indentation.
            "textEdit": {"range": lsp_range(document, whole.span, client.encoding), "newText": text},
            "command": {"title": "Accepted", "command": "codegen.accepted", "arguments": [number]},
        }
    ]


def _label(edit: Edit, begun: str) -> str:
    """The first line of code, with the part of a word that it goes on from: Kate shows no item without it."""
    lines = split_lines(edit.text)
    is_below = not lines[0].strip()
    return (("" if is_below else begun) + next((line for line in lines if line.strip()), "")).strip()


def _indentation(text: str, cursor: int) -> str:
    """That of the cursor's line, up to the cursor."""
    before = split_lines(text[:cursor])[-1]
    return before[: len(before) - len(before.lstrip())]


def _without(indentation: str, text: str) -> str | None:
    """A text for an editor that indents its lines after the first; None where one of them has less indentation."""
    first, *others = split_lines(text)
    if any(line.strip() and not line.startswith(indentation) for line in others):
        return None
    return first + "".join(line.removeprefix(indentation) for line in others)


@dataclass(frozen=True)
class Note:
    """What an editor may show with an edit."""

    label: str
    description: str


def workspace_edit(
    document: Document, edits: Sequence[Edit], encoding: Encoding, *, versioned: bool, note: Note | None = None
) -> dict[str, Any]:
    """Edits of one document, for the version that they were made for where the client can check that.

    A note goes only with versioned edits: the others have no place for it.
    """
    changes = [{"range": lsp_range(document, edit.span, encoding), "newText": edit.text} for edit in edits]
    if not versioned:
        return {"changes": {document.uri: changes}}
    place = {"uri": document.uri, "version": document.version}
    if note is None:
        return {"documentChanges": [{"textDocument": place, "edits": changes}]}
    annotated = [{**change, "annotationId": "codegen"} for change in changes]
    shown = {"label": note.label, "description": note.description, "needsConfirmation": False}
    return {
        "documentChanges": [{"textDocument": place, "edits": annotated}],
        "changeAnnotations": {"codegen": shown},
    }


def _clamped(value: float) -> int:
    """A line or column; what no document has is brought near the end of the longest."""
    return int(value) if abs(value) < MAX_POSITION else MAX_POSITION if value > 0 else 0


def _path(uri: str) -> str:
    try:
        path = unquote(urlsplit(uri).path)
    except ValueError:
        return ""
    return path.replace("\0", "")
