"""Take away what an answer should not have: what follows the cursor already, repetition, invisible characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from codegen_lsp.core import Intent, IntentKind
from codegen_lsp.postprocess.site import CLOSE, MIN_LINE, OPEN, Site
from codegen_lsp.syntax.page import Line, Page

MAX_CYCLE = 8
MAX_PIECE = 40
STUCK_CHARS = 60

_INVISIBLE = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def trim(answer: str, intent: Intent, site: Site) -> tuple[str, tuple[str, ...]]:
    """The answer after all filters, and the names of those that changed it."""
    applied = list[str]()

    def step(name: str, changed: str) -> None:
        nonlocal answer
        if changed != answer:
            applied.append(name)
            answer = changed

    step("invisible characters", visible(answer, site.known))
    step("trailing whitespace", _without_trailing_space(answer))
    step("extra indentation", _without_extra_indent(answer, intent, site))
    step("rest of line", _without_rest(answer, site))
    step("surplus brackets", _without_surplus(answer, site))
    step("lines that follow", _without_following(answer, site))
    step("imports that are there", _without_second_imports(answer, site))
    step("repetition", _without_stutter(answer))
    step("trailing whitespace", answer.rstrip())
    return answer, tuple(applied)


def visible(answer: str, known: str) -> str:
    """Without control, bidi and invisible characters that the user does not have; unusual spaces become spaces."""
    if answer.isascii() and answer.isprintable():
        return answer
    return "".join(map(lambda char: _shown(char, known), answer))


def _shown(char: str, known: str) -> str:
    if char in "\n\t" or " " <= char <= "~" or char in known:
        return char
    category = unicodedata.category(char)
    if category == "Zs":
        return " "
    return "" if category in _INVISIBLE or char == "\ufffd" else char


def num_repeated(lines: Sequence[str]) -> int:
    """How many lines at the end say again what the lines before them said: thrice, or twice from four lines on."""
    for period in range(1, MAX_CYCLE + 1):
        times = 3 if period < 4 else 2
        cycle = list(lines[max(0, len(lines) - period) :])
        if not any(sum(map(str.isalnum, line)) >= MIN_LINE for line in cycle):
            continue
        if len(lines) >= period * times and list(lines[len(lines) - period * times :]) == cycle * times:
            return period * (times - 1)
    return 0


def is_stuck(line: str, start: int = 0) -> bool:
    """Whether a line, as it was written, at some place beyond `start` only said the same again and again.

    It takes six times and 60 characters; rulers are let off up to 160.
    """
    return any(_is_stuck_at(line, end) for end in range(max(start + 1, STUCK_CHARS), len(line) + 1))


def _is_stuck_at(line: str, end: int) -> bool:
    for size in range(1, MAX_PIECE + 1):
        piece = line[end - size : end]
        # A cheap look first: most lines end here.
        if line[end - 2 * size : end - size] != piece or piece.isspace():
            continue
        length = STUCK_CHARS if any(map(str.isalnum, piece)) else 160
        if line.endswith(piece * max(6, length // size), 0, end):
            return True
    return False


def _without_trailing_space(answer: str) -> str:
    return "\n".join("" if line.isspace() else line for line in answer.split("\n")).rstrip()


def _without_extra_indent(answer: str, intent: Intent, site: Site) -> str:
    """The first line without indentation of its own; the others moved left by as much if all of them have it."""
    opening = site.opening
    first, *others = answer.split("\n")
    extra = first[: len(first) - len(first.lstrip(" \t"))]
    if opening + extra == intent.indent and intent.kind is IntentKind.LINE:
        return answer  # at column 0: the model chose the block
    if not extra or (intent.kind is IntentKind.MID_LINE and opening[-1:] not in (" ", "\t")):
        return answer
    deep = intent.indent + extra
    # Below an opener the next line is deeper by itself.
    is_shifted = all(line.startswith(deep) for line in others if line)
    if first.rstrip().endswith(site.language.heads):
        is_shifted &= bool(others) and others[0].startswith((deep + " ", deep + "\t"))
    if is_shifted:
        others = [line and intent.indent + line.removeprefix(deep) for line in others]
    return "\n".join([first.lstrip(" \t"), *others])


def _without_rest(answer: str, site: Site) -> str:
    """Without the rest of the cursor's line at the end of the answer. Brackets are left to _without_surplus."""
    rest, start = site.rest, len(site.opening)
    if not rest or set(rest) <= set(OPEN + CLOSE):
        return answer
    if rest[0] in "\"'":
        # In a literal that is closed behind the cursor: up to the quote that would close it first.
        literal = site.page(site.opening + answer + "\n").string_at(start)
        return (
            answer[: literal.end - start - 1]
            if literal and answer[literal.end - start - 1 :][:1] == rest[0]
            else answer
        )
    return answer if "\n" in answer else answer.removesuffix(rest)


def _without_surplus(answer: str, site: Site) -> str:
    """Up to the first closing bracket that closes nothing: neither one of the answer nor one that is left to it."""
    page = site.page(site.opening + answer)
    room, length, in_answer = site.to_close + (site.unclosed is not None), len(site.opening), False
    for line in page.lines:
        for offset, char in _brackets(line, page):
            if offset >= length and not in_answer:
                in_answer, room = True, max(room, 0)
            room += (char in OPEN) - (char in CLOSE)
            if in_answer and room < 0:
                return answer[: offset - length]
    return answer


def _brackets(line: Line, page: Page) -> list[tuple[int, str]]:
    """(offset, character) of the brackets of a line."""
    start = line.start + len(line.indent)
    shown = page.text[start : line.end]
    start += len(shown) - len(shown.lstrip())
    return [(start + place, char) for place, char in enumerate(line.code) if char in OPEN + CLOSE]


def _without_following(answer: str, site: Site) -> str:
    """Without the lines at the end that stand behind the cursor, in the same order."""
    lines, follows = answer.split("\n"), site.following
    full = [site.opening + lines[0], *lines[1:]]
    filled = [number for number, line in enumerate(full) if line.strip()]
    for count in range(min(len(filled), len(follows)), 0, -1):
        if [full[number].rstrip() for number in filled[-count:]] == follows[:count]:
            return "\n".join(lines[: filled[-count]])
    return answer


def _without_second_imports(answer: str, site: Site) -> str:
    """Without import lines that stand in the file or in the answer already, and the blank lines around them."""
    lines = answer.split("\n")
    imports = site.language.imports

    def is_import(line: str) -> bool:
        """A whole import in a line of its own, not indented."""
        return bool(imports.match(line)) and not line.endswith(("(", "{", "\\"))

    if not any(map(is_import, lines)):
        return answer
    # In a block the first line's indentation is before the answer: it may well import what the file does too.
    seen = set() if site.opening else set(filter(is_import, site.known.splitlines()))
    kept = list[str]()
    for line in lines:
        if line in seen:
            while kept and not kept[-1].strip():
                kept.pop()
            continue
        if is_import(line):
            seen.add(line)
        if line or kept:
            kept.append(line)
    return "\n".join(kept)


def _without_stutter(answer: str) -> str:
    """Without a piece of 3 to 60 characters that the last line says four times or more at its end."""
    head, newline, last = answer.rpartition("\n")
    for size in range(3, 61):
        piece = last[-size:]
        if len(last) < 4 * size or not any(map(str.isalpha, piece)) or not last.endswith(piece * 4):
            continue
        while last.endswith(piece * 2):
            last = last[:-size]
        return head + newline + last
    return answer
