"""What was suggested lately, so that typing a suggestion needs no model.

The key of the peers that cache only by what stands before the cursor is wrong as soon as the text behind it changes;
ours is the text on both sides, and the settings.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import count

from codegen_lsp.core import Snapshot
from codegen_lsp.text import Edit, Span


@dataclass(frozen=True)
class Suggestion:
    """An edit for a place in a document, as of one text."""

    number: int
    uri: str
    prefix: str
    suffix: str
    key: object
    """The settings it was made with."""
    edit: Edit

    def becomes(self, text: str) -> bool:
        """Whether a text is what comes of it."""
        start, end = self.edit.span.start, self.edit.span.end
        length = len(self.prefix) + len(self.suffix) + len(self.edit.text) - (end - start)
        return len(text) == length and text == self.edit.apply(self.prefix + self.suffix)


@dataclass(frozen=True)
class Offer:
    """What is shown: the edit fits the text of the snapshot that was asked for."""

    number: int
    """Of the suggestion; comes back when the user accepts it, from most editors."""
    edit: Edit


class Suggestions:
    """The last few suggestions, newest wins."""

    def __init__(self, capacity: int = 16, max_chars: int = 16_000_000) -> None:
        self._capacity = capacity
        self._max_chars = max_chars
        self._numbers = count(1)
        self._kept: OrderedDict[int, Suggestion] = OrderedDict()
        self._noticed: frozenset[int] = frozenset()
        """The last ones that were seen to be accepted: an editor that says so says it afterwards."""
        self.num_accepted = 0

    def put(self, snapshot: Snapshot, edit: Edit, key: object) -> Suggestion:
        """Keep a suggestion; the oldest one goes."""
        prefix, suffix = snapshot.text[: snapshot.offset], snapshot.text[snapshot.offset :]
        number = next(self._numbers)
        kept = Suggestion(number, snapshot.uri, prefix, suffix, key, edit)
        self._kept[number] = kept
        while len(self._kept) > min(self._capacity, max(self._max_chars // (len(snapshot.text) + 1), 1)):
            self._kept.popitem(last=False)
        return kept

    def find(self, snapshot: Snapshot, key: object) -> Offer | None:
        """What is left of a suggestion that the user has typed the beginning of, or nothing of."""
        candidates = (kept for kept in reversed(self._kept.values()) if kept.uri == snapshot.uri and kept.key == key)
        return next(filter(None, (rest(kept, snapshot) for kept in candidates)), None)

    def accept(self, number: object) -> None:
        """The editor says that the user took one: it is not offered again."""
        known = number if isinstance(number, int) else 0
        self.num_accepted += known not in self._noticed
        self._kept.pop(known, None)

    def notice(self, uri: str, text: str) -> None:
        """A document has got this text at once: where that is what a suggestion comes to, the user took it.

        Some editors (eglot) never run an item's command.
        """
        taken = frozenset(kept.number for kept in self._kept.values() if kept.uri == uri and kept.becomes(text))
        if taken:
            self._noticed = taken
            self.num_accepted += 1
            for number in taken:
                del self._kept[number]

    def forget_document(self, uri: str) -> None:
        """Drop those of a document: opened again, it may be in another language."""
        for number in [number for number, kept in self._kept.items() if kept.uri == uri]:
            del self._kept[number]

    def clear(self) -> None:
        """Drop all."""
        self._kept.clear()


def rest(suggestion: Suggestion, snapshot: Snapshot) -> Offer | None:
    """What is left of a suggestion at a cursor; None when something else was written there, or all of it."""
    num_typed = snapshot.offset - len(suggestion.prefix)
    edit = suggestion.edit
    if num_typed < 0 or not snapshot.text.startswith(suggestion.prefix):
        return None
    if snapshot.text[snapshot.offset :] != suggestion.suffix:
        return None
    if num_typed == 0:
        return Offer(suggestion.number, edit)
    typed = snapshot.text[len(suggestion.prefix) : snapshot.offset]
    if edit.span.start != len(suggestion.prefix) or not edit.text.startswith(typed) or edit.text == typed:
        return None
    left = Edit(Span(snapshot.offset, edit.span.end + num_typed), edit.text[num_typed:])
    return Offer(suggestion.number, left)
