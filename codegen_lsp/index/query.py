"""What is being written where, as a question to the index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from codegen_lsp.index.imports import imports
from codegen_lsp.index.words import word_list

NEAR_LINES = 10
"""Lines before the cursor that say what is being written, as long as the pieces that they are compared with."""
NEAR_AFTER = 3
MAX_NAMES = 40
MAX_SPANS, MAX_SPAN = 8, 800
"""Spans that were edited, and characters of one."""
MAX_MESSAGE = 500

_NAME = re.compile(r"[^\W\d]\w{2,}")
_DOTTED = re.compile(r"([^\W\d]\w*)\s*\.\s*([^\W\d]\w*)")
_QUOTED = re.compile(r"[`'\"‘“]([^\W\d]\w*(?:\.[^\W\d]\w*)*)(?:\(\))?[`'\"’”]")


class Edited(NamedTuple):
    """Lines of a document around a place where the user wrote."""

    path: str
    text: str


@dataclass(frozen=True)
class Query:
    """A place in a document, and what the editor knows around it."""

    path: str
    text: str
    """The document as the editor has it."""
    offset: int
    edited: tuple[Edited, ...] = ()
    """Where the user wrote before, the latest first."""
    messages: tuple[str, ...] = ()
    """Of the diagnostics at the cursor."""
    sources: frozenset[str] | None = None
    """The sources to ask; None for all."""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Query:
        """From what came over the seam. Raises ValueError."""
        try:
            edited = tuple(Edited(str(each["path"]), str(each["text"])) for each in params.get("edited") or ())
            messages = tuple(str(each)[:MAX_MESSAGE] for each in params.get("messages") or ())
            chosen = frozenset(params["sources"]) if params.get("sources") else None
            place = str(params["path"]), str(params["text"]), int(params["offset"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a place in a document ({error})") from error
        return cls(*place, edited[:MAX_SPANS], messages, chosen)

    @cached_property
    def before(self) -> str:
        """The lines before the cursor."""
        return "".join(self.text[: self.offset].splitlines(keepends=True)[-NEAR_LINES:])

    @cached_property
    def near(self) -> str:
        """The lines around the cursor."""
        after = self.text[self.offset : self.offset + 1000].splitlines(keepends=True)[: NEAR_AFTER + 1]
        return "".join((self.before, *after))

    @cached_property
    def words(self) -> frozenset[str]:
        """Their words."""
        return frozenset(word_list(self.near))

    @cached_property
    def names(self) -> list[str]:
        """Names near the cursor, the nearest first."""
        after = self.near[len(self.before) :]
        found = [*reversed(_NAME.findall(self.before)), *_NAME.findall(after)]
        return list(dict.fromkeys(found))[:MAX_NAMES]

    @cached_property
    def attributes(self) -> dict[str, str]:
        """What stands behind the dot of a name near the cursor."""
        return dict(_DOTTED.findall(self.near))

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """What each imported name stands for: (module, name in it, "" for the module itself)."""
        return {name: (module, there) for name, module, there in imports(self.text, self.path)}

    @cached_property
    def complained(self) -> dict[str, str]:
        """Names that diagnostics are about, each with what is said of it."""
        return {name.rpartition(".")[2]: message for message in self.messages for name in _QUOTED.findall(message)[:4]}
