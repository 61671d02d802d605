"""What is typed: pages of Python with passages that are not there yet, and the keys that put them there.

A page is a file in pages/. Its passages stand between two lines of marks; the page that is opened is the text without
them, and each passage is typed at the end of the line above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGES = Path(__file__).resolve().parent / "pages"
BEGIN, END = "# >>>", "# <<<"


@dataclass(frozen=True)
class Passage:
    """A text to type, and where: an offset in the page without any passage."""

    offset: int
    text: str

    @property
    def keys(self) -> list[str]:
        """Its keys."""
        return keys_of(self.text)

    @property
    def order(self) -> str:
        """Its first line, with the line ends before it."""
        found = re.match(r"\n*[^\n]*", self.text)
        return found.group() if found else ""


@dataclass(frozen=True)
class Page:
    """A file as it is opened, and what is typed into it from top to bottom."""

    name: str
    text: str
    passages: tuple[Passage, ...]


def read_page(path: Path) -> Page:
    """A page of its file."""
    lines: list[str] = []
    passages: list[Passage] = []
    typed: list[str] | None = None
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line == BEGIN:
            typed = []
        elif line == END and typed is not None:
            passages.append(Passage(len("\n".join(lines)), "".join(f"\n{each}" for each in typed)))
            typed = None
        else:
            (lines if typed is None else typed).append(line)
    return Page(f"{path.stem}.py", "\n".join(lines), tuple(passages))


def read_pages() -> list[Page]:
    """All pages, by name."""
    return [read_page(path) for path in sorted(PAGES.glob("*.txt"))]


def keys_of(text: str) -> list[str]:
    """Keys that type a text; the editor indents, so a line end and the blanks behind it are one."""
    return re.findall(r"\n *|.", text)


def texts(page: Page, num_passages: int | None = None) -> Iterator[list[tuple[str, int]]]:
    """The text and the cursor after each key of each passage, if everything is typed as planned."""
    text = page.text
    for passage in page.passages[:num_passages]:
        cursor, found = passage.offset + len(text) - len(page.text), []
        for key in passage.keys:
            text = text[:cursor] + key + text[cursor:]
            cursor += len(key)
            found.append((text, cursor))
        yield found


def is_line_over(keys: Sequence[str], at: int) -> bool:
    """Whether the key before `at` was the last one of a line that is not blank."""
    ends = at == len(keys) or keys[at].startswith("\n")
    return ends and at > 0 and not keys[at - 1].startswith("\n")


def next_block(keys: Sequence[str], at: int) -> int:
    """Where the blank line begins that ends the block at `at`; the number of keys when none does."""
    for place in range(at, len(keys) - 1):
        if keys[place].startswith("\n") and keys[place + 1].startswith("\n"):
            return place
    return len(keys)
