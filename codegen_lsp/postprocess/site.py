"""Where an answer will stand: the text around the target, as the filters want it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, takewhile

from codegen_lsp.core import Intent, Shape, Snapshot
from codegen_lsp.syntax.page import Line, Page, width
from codegen_lsp.syntax.parse import Tree
from codegen_lsp.syntax.row import NEVER, Blocks, Language
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
    unclosed: str | None = None
    """Indentation of the opener of the body that is written, when its end is to be written too."""

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
        site = cls(tree.language, opening, suffix, depth, snapshot.text)
        opener = _opener_above(tree.page, line, intent) if intent.shape is Shape.BODY else None
        return site if opener is None or site._is_closed_at(opener.width) else replace(site, unclosed=opener.indent)

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
        return self.depth + min([0, *self._depths_behind()])

    @cached_property
    def to_go_on(self) -> int:
        """The same without braces that begin statements: how many brackets keep the statement from ending."""
        if self.language.blocks is Blocks.INDENT:
            return self.to_close
        inside = takewhile(lambda depth: depth >= 0, self._depths_behind("{", "}"))
        num_inside = sum(1 for _ in inside)
        return self.depth + min([0, *islice(self._depths_behind("([", ")]"), num_inside)])

    def _depths_behind(self, opening: str = OPEN, closing: str = CLOSE) -> Iterator[int]:
        """Open brackets behind each character of code that follows the target."""
        depth = 0
        for line in self.page(self.suffix).lines[:40]:
            if line.start and self.language.fresh.match(line.code):
                break
            for char in line.code:
                depth += (char in opening) - (char in closing)
                yield depth

    def _is_closed_at(self, column: int) -> bool:
        """Whether the text behind the target ends a block that was opened at a column."""
        lines = (line for line in self.page(self.suffix).lines[1:] if line.code and not line.continues)
        outer = next((line for line in lines if line.width <= column), None)
        return outer is not None and outer.width == column and bool(self.language.closer.match(outer.code))

    def page(self, text: str) -> Page:
        """Any text as lines of this language."""
        return Page(text, self.language, Span(0, len(text)))


def _opener_above(page: Page, line: Line, intent: Intent) -> Line | None:
    """The line whose block is written, in a language in which blocks have an end that can be seen."""
    if page.language.closer is NEVER:
        return None
    indent = width(intent.indent)
    above = reversed(page.lines[: page.index(line.start) + 1])
    return next((each for each in above if each.code and not each.continues and each.width < indent), None)
