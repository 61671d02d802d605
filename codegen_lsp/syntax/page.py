"""Lines of code, comment and string: what the intent, the scope and the answer's end are read from.

Works on broken code and without a grammar: comments and strings are masked by one regular expression, brackets are
counted, and blocks follow from indentation.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from typing import NamedTuple

from codegen_lsp.syntax.row import Blocks, Language
from codegen_lsp.text import Span, split_lines

_NOT_LINE_END = re.compile(r"[^\r\n]")
_DOCSTRING = re.compile(r'[rRuU]?"{2,}')
_BRACKET = re.compile(r"[()\[\]{}]")
QUOTES = ('"', "'", "`")
_REST = re.compile(r"[ \t\f]*(?=[\r\n]|\Z)")


class Line(NamedTuple):
    """One line. Offsets are characters of the document."""

    start: int
    end: int
    """Before the line end."""
    indent: str
    code: str
    """Without indentation and comment; every character of a string literal is a double quote."""
    comment: int | None
    """Where a comment begins."""
    in_string: bool
    """It begins inside a string literal."""
    depth: int
    """Open brackets where it begins."""
    depth_after: int
    in_comment: bool = False
    """It begins inside a comment."""

    @property
    def is_blank(self) -> bool:
        return not self.code and self.comment is None and not self.in_string

    @property
    def is_comment(self) -> bool:
        """Nothing but a comment."""
        return not self.code and self.comment is not None

    @property
    def width(self) -> int:
        """Columns of indentation."""
        return width(self.indent)

    @property
    def continues(self) -> bool:
        """It belongs to a statement that began above."""
        return self.in_string or self.depth > 0


def width(indent: str) -> int:
    """Columns of an indentation; a tab goes to the next multiple of 8, as in Python."""
    return len(indent.expandtabs(8))


class Page:
    """Consecutive lines of a document."""

    def __init__(self, text: str, language: Language, window: Span):
        self.text = text
        self.language = language
        self.strings: list[Span] = []
        self._comments: list[int] = []
        self._inside: set[int] = set()
        """Starts of lines that begin inside a comment."""
        self._window = window
        masked = language.tokens.sub(self._mask, window.of(text))
        self.lines = self._lines(masked)
        self._starts = [line.start for line in self.lines]

    def _mask(self, match: re.Match[str]) -> str:
        start, token = self._window.start + match.start(), match.group()
        if match.lastgroup == "comment":
            self._note(start, token)
            return _NOT_LINE_END.sub(" ", token)
        shown = token.partition("\n")[0] if match.lastgroup == "heredoc" else ""
        self.strings.append(Span(start + len(shown), start + len(token)))
        return shown + _NOT_LINE_END.sub('"', token[len(shown) :])

    def _note(self, start: int, comment: str) -> None:
        """Where a comment is in each of its lines, unless code follows it there."""
        rest = _REST.match(self.text, start + len(comment), self._window.end)
        lines = split_lines(comment)
        for number, line in enumerate(lines):
            if number < len(lines) - 1 or rest:
                self._comments.append(start + (len(_indent(line)) if number and line.strip() else 0))
            if number:
                self._inside.add(start)
            start += len(line)

    def _lines(self, masked: str) -> list[Line]:
        """All lines, in one pass over the masked text, the comments and the strings, which are in order."""
        lines, start, depths = list[Line](), self._window.start, _Depths(self.language)
        comments, strings = iter([*self._comments, len(self.text) + 1]), iter(self.strings)
        comment, string = next(comments), next(strings, None)
        for ended in split_lines(masked):
            shown = ended.rstrip("\r\n")
            end = start + len(shown)
            while string and string.end <= start:
                string = next(strings, None)
            in_string = string is not None and string.start < start
            indent = "" if in_string else _indent(self.text[start:end])
            code = shown[len(indent) :].strip()
            if depths.now and not in_string and self.language.fresh.match(code):
                depths.now = 0
            depth = depths.now
            if _BRACKET.search(code):
                depths.read(code)
            here = comment if comment <= end else None
            in_comment = start in self._inside
            lines.append(Line(start, end, indent, code, here, in_string, depth, depths.now, in_comment))
            while comment <= end:
                comment = next(comments)
            start += len(ended)
        return lines

    def index(self, offset: int) -> int:
        """The line in which an offset is."""
        return max(0, bisect_right(self._starts, offset) - 1)

    def string_at(self, offset: int) -> Span | None:
        """The string literal inside which an offset is; one that is not closed reaches behind its last character."""
        place = bisect_right(self.strings, offset, key=lambda span: span.start) - 1
        if place < 0:
            return None
        span = self.strings[place]
        is_inside = span.start < offset < span.end
        return span if is_inside or (offset == span.end and not _is_closed(span.of(self.text))) else None

    def before(self, index: int) -> int | None:
        """The nearest line above that is not blank."""
        return next((number for number in range(index - 1, -1, -1) if not self.lines[number].is_blank), None)

    def after(self, index: int) -> int | None:
        """The nearest line below that is not blank."""
        return next((number for number in range(index + 1, len(self.lines)) if not self.lines[number].is_blank), None)

    def statement(self, index: int) -> int:
        """First line of the statement to which a line belongs."""
        while index > 0 and (self.lines[index].continues or self.lines[index - 1].code.endswith("\\")):
            index -= 1
        return index

    def opener(self, index: int) -> int | None:
        """First line of the block opener that ends at a line, None when none does."""
        if self.lines[index].depth_after or not self.lines[index].code:
            return None
        first = self.statement(index)
        logical = "\n".join(line.code for line in self.lines[first : index + 1])
        return first if self.language.opener.fullmatch(logical) else None

    def header(self, index: int) -> tuple[int, int] | None:
        """(line of the opener, last line) of the definition whose header, decorators first, begins at a line."""
        language, last = self.language, len(self.lines) - 1
        while index < last and language.decorator.match(self.lines[index].code):
            index = self._statement_end(index) + 1
        end = self._statement_end(index)
        while end < last and language.joins.match(self.lines[end + 1].code):
            end = self._statement_end(end + 1)
        opener = self.opener(end) if language.definition.match(self.lines[index].code) else None
        return None if opener is None else (opener, end)

    def _statement_end(self, index: int) -> int:
        while index + 1 < len(self.lines) and self.lines[index + 1].continues:
            index += 1
        return index

    def docstring(self, index: int) -> tuple[int, int | None] | None:
        """(first line, the line of its opener or None for a module's) of the docstring that a line belongs to."""
        if not self.language.docstrings:
            return None
        first = self.statement(index)
        last = first
        while last + 1 < len(self.lines) and self.lines[last + 1].in_string:
            last += 1
        if not first <= index <= last:
            return None
        code = [line.code for line in self.lines[first : last + 1]]
        if not _DOCSTRING.fullmatch(code[0]) or any(line.strip('"') for line in code[1:]):
            return None
        above = self._code_before(first)
        if above is None:
            return (first, None) if not self.lines[first].indent else None
        opener = self.opener(above)
        if opener is None or not self.language.definition.match(self.lines[opener].code):
            return None
        return (first, opener) if self.lines[first].width > self.lines[opener].width else None

    def _code_before(self, index: int) -> int | None:
        return next((number for number in range(index - 1, -1, -1) if self.lines[number].code), None)

    def string_end(self, index: int) -> int:
        """Last line of the literal that begins in a line."""
        while index + 1 < len(self.lines) and self.lines[index + 1].in_string:
            index += 1
        return index

    def body(self, below: int, outer: int | None) -> list[int]:
        """Lines with something on them below a line, as far as they are indented more than line `outer`."""
        limit = -1 if outer is None else self.lines[outer].width
        found = list[int]()
        for number in range(below + 1, len(self.lines)):
            line = self.lines[number]
            if line.is_blank:
                continue
            if not line.continues and line.width <= limit:
                break
            found.append(number)
        return found

    def stub(self, lines: list[int]) -> Span | None:
        """From the first to the last character of a body's lines, when they only say that it is not written yet."""
        pattern = self.language.stub
        if not lines or pattern is None or lines[-1] - lines[0] > 10:
            return None
        first, last = self.lines[lines[0]], self.lines[lines[-1]]
        code = "\n".join(self.lines[number].code for number in lines)
        is_one = all(self.lines[number].continues for number in lines[1:])
        return Span(first.start + len(first.indent), last.end) if is_one and pattern.fullmatch(code) else None

    def unit(self, near: int = 0) -> str:
        """One step of indentation as the file has it."""
        steps, heads = Counter[str](), self.language.heads
        for above, line in zip(self.lines, self.lines[1:], strict=False):
            step = line.indent.removeprefix(above.indent)
            if above.code.endswith(heads) and not line.is_blank and step and line.indent.startswith(above.indent):
                steps[step] += 1
        if steps:
            return steps.most_common(1)[0][0]
        return "\t" if any(line.indent.startswith("\t") for line in self.lines) else self.language.unit


class _Depths:
    """Open brackets that a statement goes on in: inside braces that begin statements they are counted anew."""

    def __init__(self, language: Language) -> None:
        self.now = 0
        self._outer: list[int] = []
        self._brackets = language.brackets
        self._has_braces = language.blocks is Blocks.BRACES

    def read(self, code: str) -> None:
        """Go on behind a line of code."""
        if not self._has_braces:
            self.now = max(0, self.now + _net_brackets(code, self._brackets))
            return
        for match in _BRACKET.finditer(code):
            char = match.group()
            if char == "{":
                self._outer.append(self.now)
                self.now = 0
            elif char == "}":
                self.now = self._outer.pop() if self._outer else 0
            else:
                self.now = max(0, self.now + (1 if char in self._brackets[0] else -1))


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t\f"))]


def _net_brackets(code: str, brackets: tuple[str, str]) -> int:
    return sum(map(code.count, brackets[0])) - sum(map(code.count, brackets[1]))


def _is_closed(literal: str) -> bool:
    """Whether a literal has its closing quotes. One that begins with something else is only one because it has."""
    if literal[:1] not in QUOTES:
        return True
    quote = literal[:3] if literal[:3] in ('"""', "'''") else literal[:1]
    if len(literal) < 2 * len(quote) or not literal.endswith(quote):
        return False
    content = literal[len(quote) : -len(quote)]
    return (len(content) - len(content.rstrip("\\"))) % 2 == 0
