"""What was suggested lately, so that typing a suggestion needs no model.

The key of the peers that cache only by what stands before the cursor is wrong as soon as the text behind it changes;
ours is the text on both sides, and the settings.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from codegen_lsp.core import Completion, Snapshot
from codegen_lsp.text import Edit, Span


@dataclass(frozen=True)
class Key:
    """What a suggestion depends on besides the text."""

    settings: object
    only_line: bool = False
    """Whether it is one line where the place asks for more."""

    def serves(self, wanted: Key) -> bool:
        """Whether what was made so is good for who wants it so: all where one line would do, but not the reverse."""
        return self.settings == wanted.settings and self.only_line <= wanted.only_line


MAX_TRIMMED = 200
"""Characters: what is shorter by more is not looked at."""


@dataclass(frozen=True)
class Suggestion:
    """An edit for a place in a document, as of one text."""

    number: int
    uri: str
    prefix: str
    suffix: str
    key: Key
    edit: Edit
    completion: Completion | None = None
    """How it came about."""
    verdict: str = ""
    """What is known of it, where it was judged."""

    def becomes(self, text: str) -> bool:
        """Whether a text is what comes of it, but for blanks at lines' ends: editors take away their own."""
        start, end = self.edit.span.start, self.edit.span.end
        length = len(self.prefix) + len(self.suffix) + len(self.edit.text) - (end - start)
        if not 0 <= length - len(text) <= MAX_TRIMMED:
            return False
        expected = self.edit.apply(self.prefix + self.suffix)
        return text == expected or (len(text) < length and _trimmed(text) == _trimmed(expected))


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
        self._varied: tuple[Snapshot, Key] | None = None
        """Where others were last asked for, and with which settings."""
        self._noticed: frozenset[int] = frozenset()
        """The last ones that were seen to be accepted: an editor that says so says it afterwards."""
        self.num_accepted = 0

    def put(
        self, snapshot: Snapshot, edit: Edit, key: Key, completion: Completion | None = None, verdict: str = ""
    ) -> Suggestion:
        """Keep a suggestion; the oldest one goes."""
        prefix, suffix = snapshot.text[: snapshot.offset], snapshot.text[snapshot.offset :]
        number = next(self._numbers)
        kept = Suggestion(number, snapshot.uri, prefix, suffix, key, edit, completion, verdict)
        self._kept[number] = kept
        while len(self._kept) > min(self._capacity, max(self._max_chars // (len(snapshot.text) + 1), 1)):
            self._kept.popitem(last=False)
        return kept

    def find(self, snapshot: Snapshot, key: Key) -> Offer | None:
        """What is left of a suggestion that the user has typed the beginning of, or nothing of."""
        return next(self._fitting(snapshot, key), None)

    def all(self, snapshot: Snapshot, key: Key) -> list[Offer]:
        """What is left of all that fit, those of the same words once: the one of `find` first."""
        offers = dict[str, Offer]()
        for offer in self._fitting(snapshot, key):
            offers.setdefault(" ".join(offer.edit.text.split()), offer)
        return list(offers.values())

    def is_varied(self, snapshot: Snapshot, key: Key) -> bool:
        """Whether others were asked for at this place already, and no place since."""
        return self._varied == (snapshot, key)

    def vary(self, snapshot: Snapshot, answers: Iterable[tuple[Edit, Completion]], key: Key) -> None:
        """Keep other answers for a place, the best one last. They come after what `find` gives there."""
        first = self.find(snapshot, key)
        for edit, answer in answers:
            self.put(snapshot, edit, key, answer)
        self._varied = snapshot, key
        if first is not None and first.number in self._kept:
            self._kept.move_to_end(first.number)

    def get(self, number: object) -> Suggestion | None:
        """One that is still known, by its number."""
        return self._kept.get(number) if isinstance(number, int) else None

    def accept(self, number: object) -> Suggestion | None:
        """The editor says that the user took one: it is not offered again. The one that it was, if known."""
        known = number if isinstance(number, int) else 0
        self.num_accepted += known not in self._noticed
        return self._kept.pop(known, None)

    def notice(self, uri: str, text: str) -> Suggestion | None:
        """A document has got this text at once: where that is what a suggestion comes to, the user took it.

        Some editors (eglot) never run an item's command.
        """
        taken = [kept for kept in self._kept.values() if kept.uri == uri and kept.becomes(text)]
        if not taken:
            return None
        self._noticed = frozenset(kept.number for kept in taken)
        self.num_accepted += 1
        for kept in taken:
            del self._kept[kept.number]
        return taken[-1]

    def forget_document(self, uri: str) -> None:
        """Drop those of a document: opened again, it may be in another language."""
        for number in [number for number, kept in self._kept.items() if kept.uri == uri]:
            del self._kept[number]

    def clear(self) -> None:
        """Drop all."""
        self._kept.clear()
        self._varied = None

    def _fitting(self, snapshot: Snapshot, key: Key) -> Iterator[Offer]:
        """What is left of each that fits, the newest first."""
        for kept in reversed(self._kept.values()):
            if kept.uri == snapshot.uri and kept.key.serves(key) and (offer := rest(kept, snapshot)):
                yield offer


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


def shown_edit(completion: Completion, snapshot: Snapshot) -> Edit | None:
    """A completion's edit as it can be shown: ghost text can only be inserted at the cursor.

    Where that is not enough it stays as it is: a popup may still take it.
    """
    # Imported here: tree-sitter would delay the answer to `initialize`.
    from codegen_lsp.postprocess.edit import at_cursor

    edit = completion.edit
    return (at_cursor(edit, snapshot.text, snapshot.offset) or edit) if edit else None


def _trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.split("\n")]
