"""Whether an offered edit belongs to the text that it was offered for: the check behind "stale answers: 0".

An answer is sound when its edit, read with a text that the editor had between the request and the reply,
1. replaces part of one line, the line of the cursor, and that part touches the cursor;
2. is what was offered earlier, less what was typed of it since; or else is what the same pipeline, asked once more
   after the run with that very text, answers (less what was typed between the request and the reply).
Everything else is stale. A server that is not ours cannot be asked again in that way: there the second half is only
counted, as unverified.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from codegen_lsp.text import Edit, LineIndex, Span

MAX_BACK = 40
"""Keys before a request at which a generation may have begun that still goes on."""


@dataclass(frozen=True)
class State:
    """A text and the cursor in it."""

    text: str
    cursor: int


@dataclass
class Asked:
    """A request, and what became of it. Versions are indices into the states of its document."""

    number: int
    version: int
    sent: float
    is_through: bool = False
    """Whether the key before it was the next one of the suggestion on the screen."""
    is_cancelled: bool = False
    ms: float | None = None
    now: int = 0
    """The version when the reply came."""
    item: dict[str, Any] | None = None
    error: str = ""

    @property
    def is_superseded(self) -> bool:
        """Whether it came back empty after the text had changed."""
        return self.item is None and not self.is_cancelled and self.now > self.version


@dataclass
class Verdict:
    """How many offers were stale, and how many of the others nobody could vouch for."""

    offers: int = 0
    stale: list[int] = field(default_factory=list)
    """Numbers of the requests."""
    unverified: int = 0


Again = Callable[[State], Awaitable[Edit | None]]
"""What the pipeline offers for a state when it is asked again."""


def edit_of(item: dict[str, Any], state: State) -> Edit | None:
    """An inline completion item as an edit of a text; None when the text has no such place."""
    new = item["insertText"]
    new = new if isinstance(new, str) else new["value"]
    where = item.get("range")
    if where is None:
        return Edit(Span(state.cursor, state.cursor), new)
    index = LineIndex(state.text)
    ends = []
    for place in (where["start"], where["end"]):
        line, column = place["line"], place["character"]
        if not 0 <= line < index.num_lines or not 0 <= column <= len(index.line_span(line)):
            return None
        ends.append(index.offset(line, column))
    return Edit(Span(*ends), new) if ends[0] <= ends[1] else None


def can_show(edit: Edit, state: State) -> bool:
    """Whether an editor can show it as ghost text at the cursor."""
    touches = edit.span.start <= state.cursor <= edit.span.end
    return touches and "\n" not in edit.span.of(state.text)


def ghost(edit: Edit, state: State) -> str:
    """What is seen behind the cursor."""
    before = state.text[edit.span.start : state.cursor]
    return edit.text[len(before) :] if edit.text.startswith(before) else ""


def typed_since(before: State, now: State) -> str | None:
    """What was typed at the cursor from one state to another; None when anything else happened."""
    typed = now.text[before.cursor : now.cursor]
    as_typed = before.text[: before.cursor] + typed + before.text[before.cursor :]
    return typed if now.cursor >= before.cursor and as_typed == now.text else None


def rest(edit: Edit, before: State, now: State) -> Edit | None:
    """What is left of an edit after typing; None when something else than it was typed."""
    typed = typed_since(before, now)
    if not typed:
        return None if typed is None else edit
    if edit.span.start != before.cursor or not edit.text.startswith(typed):
        return None
    return Edit(Span(now.cursor, edit.span.end + len(typed)), edit.text[len(typed) :])


async def check(asked: Sequence[Asked], states: Sequence[State], again: Again | None) -> Verdict:
    """Judge every offer of a document; `asked` in the order of the requests."""
    verdict = Verdict()
    sound: list[tuple[State, Edit]] = []
    for one in asked:
        if one.item is None:
            continue
        verdict.offers += 1
        readings = list(_readings(one, states))
        found = _continued(readings, sound)
        if found is None and again is None and readings:
            found = readings[0]
            verdict.unverified += 1
        elif found is None and again is not None:
            found = await _answered(one, states, readings, again)
        if found is None:
            verdict.stale.append(one.number)
        else:
            sound = [*sound[-64:], found]
    return verdict


def _readings(one: Asked, states: Sequence[State]) -> Iterator[tuple[State, Edit]]:
    """The edit, read with each text that it may be meant for, the newest first."""
    for version in range(one.now, one.version - 1, -1):
        state = states[version]
        edit = edit_of(one.item or {}, state)
        if edit is not None and can_show(edit, state):
            yield state, edit


def _continued(
    readings: Sequence[tuple[State, Edit]], sound: Sequence[tuple[State, Edit]]
) -> tuple[State, Edit] | None:
    for state, edit in readings:
        if any(rest(earlier, before, state) == edit for before, earlier in reversed(sound)):
            return state, edit
    return None


async def _answered(
    one: Asked, states: Sequence[State], readings: Sequence[tuple[State, Edit]], again: Again
) -> tuple[State, Edit] | None:
    """The reading that the pipeline confirms: for the text of the request, or of one before it that was typed on."""
    asked_at = states[one.version]
    for version in range(one.version, max(-1, one.version - MAX_BACK), -1):
        before = states[version]
        if typed_since(before, asked_at) is None:
            return None
        answer = await again(before)
        for state, edit in readings:
            if answer is not None and rest(answer, before, state) == edit:
                return state, edit
    return None
