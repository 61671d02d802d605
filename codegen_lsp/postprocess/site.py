"""Where an answer will stand: the text around the target, as the filters want it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from codegen_lsp.core import Intent, Snapshot
from codegen_lsp.syntax.languages import Language
from codegen_lsp.syntax.page import Page
from codegen_lsp.syntax.parse import Tree
from codegen_lsp.text import Span, with_newlines

REACH = 4000
"""Characters on each side that are looked at."""
MIN_LINE = 4
"""Characters of a line that says enough to be recognised."""
OPEN, CLOSE = "([{", ")]}"


@dataclass(frozen=True)
class Site:
    """The surroundings of a target; line ends are \\n."""

    language: Language
    opening: str
    """The text before the answer in its first line: indentation, or what was typed."""
    suffix: str
    """What follows the target, at most REACH characters."""
    depth: int
    """Brackets that are open where the answer's first line begins."""
    known: str
    """The user's text, whose odd characters are allowed."""

    @classmethod
    def of(cls, snapshot: Snapshot, intent: Intent, tree: Tree) -> Site:
        """The site of an intent; `tree` is of `snapshot.text`."""
        start, end = intent.target.start, intent.target.end
        line = tree.page.lines[tree.page.index(start)]
        before = snapshot.text[max(line.start, start - REACH) : start]
        is_below = "\n" in intent.lead or "\r" in intent.lead
        opening = intent.lead.lstrip("\r\n") if is_below else before + intent.lead
        suffix = with_newlines(snapshot.text[end : end + REACH])
        depth = line.depth_after if is_below else line.depth
        return cls(tree.language, opening, suffix, depth, snapshot.text)

    @cached_property
    def following(self) -> list[str]:
        """Lines below the cursor's that have something on them, if the first of them can be recognised."""
        lines = [line.rstrip() for line in self.suffix.split("\n")[1:] if line.strip()]
        return lines if lines and len(lines[0].strip()) >= MIN_LINE else []

    @cached_property
    def rest(self) -> str:
        """What follows the target in its own line."""
        return self.suffix.split("\n", 1)[0].strip()

    @cached_property
    def to_close(self) -> int:
        """Open brackets at the first line's start, less those that the text behind the target closes."""
        depth = lowest = 0
        for line in self.page(self.suffix).lines[:40]:
            if line.start and self.language.fresh.match(line.code):
                break
            for char in line.code:
                depth += (char in OPEN) - (char in CLOSE)
                lowest = min(lowest, depth)
        return self.depth + lowest

    def page(self, text: str) -> Page:
        """Any text as lines of this language."""
        return Page(text, self.language, Span(0, len(text)))
