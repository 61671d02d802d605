"""Where does an answer end? Decided line by line while it streams, so that the engine can be stopped early.

A blank line never ends an answer by itself. What ends it: the end of the logical line (Shape.LINE), a line indented
less than the block (BODY, BLOCK), what follows a finished function or a new comment (BLOCK), the line that stands
behind the cursor already, and repetition (of lines, or within one: that line is dropped).
"""

from __future__ import annotations

from codegen_lsp.core import Intent, IntentKind, Shape, StopReason
from codegen_lsp.postprocess.site import Site
from codegen_lsp.postprocess.trim import is_stuck, num_repeated
from codegen_lsp.syntax.page import Line, Page, width
from codegen_lsp.syntax.row import NEVER

MAX_BRACKET_LINES = 24
"""A single statement in open brackets is followed over this many lines."""


class Stream:
    """feed() pieces until it says that the answer is complete, then flush(); `answer` and `stop` are the result."""

    def __init__(self, intent: Intent, site: Site) -> None:
        self.intent = intent
        self.site = site
        self.stop: StopReason | None = None
        self._lines: list[tuple[int, str]] = []
        """(blank lines before it, line)"""
        self._blanks = 0
        self._partial = ""
        self._has_definition = False

    @property
    def answer(self) -> str:
        """What was accepted so far; the first line without its indentation, later ones with all of theirs."""
        return "".join("\n" * (blanks + (number > 0)) + line for number, (blanks, line) in enumerate(self._lines))

    def feed(self, text: str) -> bool:
        """Take a piece of the answer; True when it is complete and nothing more is wanted."""
        seen = len(self._partial)
        self._partial += text.replace("\r", "")
        while self.stop is None and "\n" in self._partial:
            line, self._partial = self._partial.split("\n", 1)
            self._take_unless_stuck(line, seen)
            seen = 0
        if self.stop is None and is_stuck(self._partial, seen):
            self.stop = StopReason.REPETITION
        if self.stop is None and self._lines and self._partial.strip() and self._is_surely_outside(self._partial):
            self.stop = StopReason.SYNTAX
        return self.stop is not None

    def flush(self, is_cut: bool) -> str:
        """The answer is over; `is_cut`: at the token limit, so that its last line may be half a line."""
        is_half = is_cut and self.intent.shape is not Shape.LINE and bool(self._lines)
        if self.stop is None and self._partial and not is_half:
            self._take(self._partial, is_last=True)
        self._partial = ""
        if self.stop is None:
            self.stop = StopReason.LENGTH if is_cut else StopReason.END
        return self.answer

    def _take_unless_stuck(self, line: str, start: int) -> None:
        """A line in which the model went in circles is dropped whole: what begins it is no better."""
        if is_stuck(line, start):
            self.stop = StopReason.REPETITION
        else:
            self._take(line)

    def _take(self, line: str, is_last: bool = False) -> None:
        """Accept one more line, or stop."""
        if not line.strip():
            self._take_blank()
            return
        line = self._without_indent(line)
        seen = self._seen(line)
        self.stop = self._reason(line, seen)
        if self.stop:
            return
        code = seen.code
        self._has_definition |= (
            self._at_level(seen)
            and bool(self.site.language.definition.match(code))
            and not self.site.language.decorator.match(code)
        )
        self._lines.append((self._blanks if self._lines else 0, line))
        self._blanks = 0
        repeated = num_repeated([text for _, text in self._lines])
        if repeated:
            del self._lines[-repeated:]
            self.stop = StopReason.REPETITION
        elif self._closes(seen) or (self.intent.shape is Shape.LINE and not is_last and not self._is_open()):
            self.stop = StopReason.SYNTAX

    def _take_blank(self) -> None:
        self._blanks += 1
        # In the middle of a line an empty rest means: nothing to add.
        if not self._lines and self.intent.kind is IntentKind.MID_LINE and not self._is_open():
            self.stop = StopReason.SYNTAX

    def _reason(self, line: str, seen: Line) -> StopReason | None:
        """Why the answer ends before this line; None when it goes on."""
        full = line if self._lines else self.site.opening + line
        if [full.rstrip()] == self.site.following[:1]:
            return StopReason.SUFFIX
        is_next = self.intent.shape is Shape.BLOCK and self._is_next(seen)
        is_over = is_next or (self._is_outside(line) and not self._closes(seen))
        return StopReason.SYNTAX if self._lines and is_over else None

    def _is_next(self, seen: Line) -> bool:
        """Whether a line begins something that the order did not ask for."""
        language = self.site.language
        if not self._at_level(seen) or language.closer.match(seen.code) or language.joins.match(seen.code):
            return False
        if self._has_definition and (not self.intent.indent or self.site.language.definition.match(seen.code)):
            return True
        return seen.is_comment and self._blanks > 0

    def _at_level(self, seen: Line) -> bool:
        return not seen.continues and seen.width == width(self.intent.indent)

    def _is_outside(self, line: str) -> bool:
        """Whether a line is indented less than the block. Lines of a string or in brackets may be."""
        if self.intent.shape is Shape.LINE:
            return False
        indent = line[: len(line) - len(line.lstrip(" \t"))]
        return width(indent) < width(self.intent.indent) and not self._seen(line).continues

    def _is_surely_outside(self, line: str) -> bool:
        """The same of half a line, which may become the one that closes the body."""
        return self._is_outside(line) and (self.site.unclosed is None or self._seen(line).indent != self.site.unclosed)

    def _closes(self, seen: Line) -> bool:
        """Whether a line closes the body, where the text behind the cursor does not."""
        return seen.indent == self.site.unclosed and bool(self.site.language.end.fullmatch(seen.code))

    def _is_open(self) -> bool:
        """Whether the statement so far goes on in the next line: in brackets that it has to close, in a string, or in
        a block that it opened."""
        after = self._seen("x")
        is_open = after.in_string or after.depth + self.site.to_go_on > 0 or self._is_in_block()
        return is_open and len(self._lines) < MAX_BRACKET_LINES

    def _is_in_block(self) -> bool:
        """Whether a block that the answer opened has not come to its end, where blocks have one that can be seen."""
        if self.site.language.closer is NEVER or not self._lines:
            return False
        page = self.site.page(self.site.opening + self.answer)
        first, last = page.lines[0], page.lines[-1]
        has_ended = last.width <= first.width and self.site.language.end.fullmatch(last.code)
        return not has_ended and any(_opens(page, number) for number in range(len(page.lines)))

    def _seen(self, line: str) -> Line:
        """The last line of the answer as it would be with `line` behind it."""
        text = self.site.opening + self.answer + "\n" * (self._blanks + bool(self._lines)) + line
        return self.site.page(text).lines[-1]

    def _without_indent(self, line: str) -> str:
        """The first line, if the model began on a new line, without the indentation that stands before it already."""
        is_new_line = not self._lines and self._blanks and self.intent.kind is not IntentKind.MID_LINE
        return line.removeprefix(self.site.opening) if is_new_line else line


def _opens(page: Page, number: int) -> bool:
    """Whether a line opens a block with an end of its own: not a `case x:`."""
    return page.opener(number) is not None and page.lines[number].code[-1] not in ":>"
