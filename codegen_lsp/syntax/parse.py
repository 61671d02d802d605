"""Parse a text, incrementally where possible; never fails. No caller sees a tree-sitter object.

tree-sitter counts bytes. The text is handed over with every character that is not ASCII replaced by the letter x, so
bytes and characters are the same and lone surrogates cannot hurt; only structure is read from the tree.

At most 64 Ki characters around the cursor are parsed (48 Ki before, 16 Ki after). A file of 10 MB costs what one of
2,000 lines does. A parse that keeps going back over its text is stopped and has no tree; one that is slow inside a
single stretch cannot be (in Python `/*` and a line end, repeated: 7 s for 8 KB).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, cached_property

import tree_sitter

from codegen_lsp.syntax.languages import find
from codegen_lsp.syntax.page import Page
from codegen_lsp.syntax.row import Language
from codegen_lsp.text import Edit, Span

BEFORE = 48 * 1024
AFTER = 16 * 1024
MARGIN = 8 * 1024
"""An old window is kept while the cursor is this far from where it was cut."""
MAX_WHOLE = 1024 * 1024
"""Of a file that is parsed whole, so much."""
MAX_ERRORS = 200
"""Errors are counted up to here: a text with more is not a program."""
MAX_VISITS = 20_000
READ = 16384
"""Bytes that the parser is given at a time."""
MAX_READS = 30
"""How often it may come back for a piece, on average: for code it is twice, for `/*` again and again without limit."""

_NOT_PLAIN = re.compile(r"(?P<before>[A-Za-z0-9_]?)(?P<odd>[^\x01-\x7f]+)")
_LINE_END = re.compile(r"\r\n?|\n")
_LONE_CR = re.compile(r"\r(?!\n)")
_TOP_LEVEL = re.compile(
    r"^(?:def |class |async def |@|import |from |export |function |func |type |pub |fn |impl |use |public |static )",
    re.MULTILINE,
)


class Tree:
    """A parsed text, or the part of it around a cursor."""

    def __init__(self, text: str, language: Language, window: Span, source: bytes, parsed: tree_sitter.Tree | None):
        self.text = text
        self.language = language
        self.window = window
        """Characters that were parsed."""
        self._source = source
        self._parsed = parsed

    @cached_property
    def page(self) -> Page:
        """The window as lines of code, comment and string."""
        return Page(self.text, self.language, self.window)

    @cached_property
    def errors(self) -> tuple[int, ...]:
        """Where the parser met something it did not understand or missed; offsets, at most MAX_ERRORS."""
        if self._parsed is None:
            return ()
        return tuple(self.window.start + start for start in _errors(self._parsed))

    @cached_property
    def fault(self) -> int | None:
        """Start of the line at which the language's own parser gives up: tree-sitter lets wrong indentation pass.

        None when it does not, or cannot be asked: of a part of a text it would complain for the cut.
        """
        check = self.language.fault
        if check is None or len(self.window) != len(self.text):
            return None
        source = self._source.decode("ascii")
        row = check(source)
        return None if row is None else sum(len(line) + 1 for line in source.split("\n")[:row])

    @property
    def is_cut(self) -> bool:
        """Whether it begins inside a line, one so long that nothing in it can be understood."""
        return self.window.start > 0 and self.text[self.window.start - 1] not in "\r\n"

    @property
    def root(self) -> tree_sitter.Node | None:
        """For this room only; its bytes are the characters of the window."""
        return self._parsed.root_node if self._parsed else None

    def shape(self) -> str:
        """The tree as text, for comparison in tests."""
        return str(self._parsed.root_node) if self._parsed else ""


def parse(text: str, language: str, around: int = 0, old: Tree | None = None, edits: Sequence[Edit] = ()) -> Tree:
    """Parse `text` around an offset. `edits` lead from `old.text` to `text`, one after the other."""
    row = find(language)
    if old is not None and old.language is row:
        tree = _again(text, around, old, edits)
        if tree is not None:
            return tree
    return _parsed(text, row, _window(text, around))


def parse_whole(text: str, language: str) -> Tree:
    """Parse all of a text, as far as MAX_WHOLE: what is asked of it are its definitions."""
    return _parsed(text, find(language), Span(0, min(len(text), MAX_WHOLE)))


def _parsed(text: str, row: Language, window: Span) -> Tree:
    source = _plain(window.of(text))
    return Tree(text, row, window, source, _read(row, source))


def _again(text: str, around: int, old: Tree, edits: Sequence[Edit]) -> Tree | None:
    """Parse by way of the old tree; None when the edits or the cursor left its window."""
    start, end, source = old.window.start, old.window.end, old._source
    parsed = old._parsed.copy() if old._parsed else None
    for edit in edits:
        if not start <= edit.span.start <= edit.span.end <= end:
            return None
        first, last = edit.span.start - start, edit.span.end - start
        changed = source[:first] + _plain(edit.text) + source[last:]
        if parsed:
            _tell(parsed, source, changed, Span(first, last), len(edit.text))
        source, end = changed, end + len(edit.text) - len(edit.span)
    window = Span(start, end)
    # Also finds edits that do not lead to this text, and one that came between \r and \n.
    if end > len(text) or not _covers(window, text, around) or source != _plain(window.of(text)):
        return None
    if parsed is None:
        return Tree(text, old.language, window, source, None)
    again = _read(old.language, source, parsed)
    if again and again.root_node.has_error:
        # How tree-sitter recovers from an error can depend on the old tree (1 in 10,000 random edits).
        again = _read(old.language, source)
    return Tree(text, old.language, window, source, again)


def _tell(parsed: tree_sitter.Tree, before: bytes, after: bytes, span: Span, length: int) -> None:
    """Move the nodes of a tree for an edit that put `length` bytes in the place of a span."""
    start, old, new = span.start, span.end, span.start + length
    parsed.edit(start, old, new, _point(before, start), _point(before, old), _point(after, new))


def _point(source: bytes, offset: int) -> tuple[int, int]:
    """(row, column in bytes) of an offset."""
    return source.count(b"\n", 0, offset), offset - source.rfind(b"\n", 0, offset) - 1


def _window(text: str, around: int) -> Span:
    if len(text) <= BEFORE + AFTER:
        return Span(0, len(text))
    start = max(0, around - BEFORE)
    if start:
        # A top-level statement is the best place to begin: it is not inside a string.
        # The next best is any line; in the middle of an endless one nothing can be told.
        found = _TOP_LEVEL.search(text, start, start + MARGIN)
        line = _LINE_END.search(text, start, around)
        start = found.start() if found else line.end() if line else start
    return Span(start, min(len(text), around + AFTER))


def _covers(window: Span, text: str, around: int) -> bool:
    if len(window) > 2 * (BEFORE + AFTER):
        return False
    enough_before = window.start == 0 or around - window.start >= MARGIN
    enough_after = window.end == len(text) or window.end - around >= MARGIN
    return window.start <= around <= window.end and enough_before and enough_after


def _plain(text: str) -> bytes:
    """ASCII of the same length with the same structure: what no identifier may hold stays an error outside strings."""
    if "\r" in text:
        text = _LONE_CR.sub("\n", text)
    if text[:1] == "\ufeff":
        text = "\f" + text[1:]  # a byte-order mark, which does not indent the line
    if not text.isascii() or "\0" in text:
        text = _NOT_PLAIN.sub(_stand_ins, text)
    return text.encode("ascii")


def _stand_ins(match: re.Match[str]) -> str:
    """The character before and, for each of the others, "x" where an identifier may have it, else "?"."""
    shown = match["before"]
    for char in match["odd"]:
        is_inside = shown[-1:].isalnum() or shown[-1:] == "_"
        shown += "x" if char.isidentifier() or (is_inside and f"x{char}".isidentifier()) else "?"
    return shown


@cache
def _grammar(row: Language) -> tree_sitter.Language | None:
    """The grammar of a language, None where it has none that is installed and fits."""
    try:
        return tree_sitter.Language(row.grammar()) if row.grammar else None
    except (ImportError, AttributeError, ValueError):
        return None


def _read(row: Language, source: bytes, old: tree_sitter.Tree | None = None) -> tree_sitter.Tree | None:
    """Parse what the parser is to see of a text; None where there is no grammar, or the text was made to be slow."""
    grammar = _grammar(row)
    if grammar is None:
        return None
    if row.wants_line_end:
        source += b"\n"
    most = MAX_READS * (1 + len(source) // READ)
    num_reads = 0
    whole, views = memoryview(source), list[memoryview]()

    def read(start: int, _point: object) -> bytes | memoryview:
        nonlocal num_reads
        num_reads += 1
        if len(source) - start < 2:
            return source[start:]  # an object that there is already
        views.append(whole[start : start + READ])
        return views[-1]

    def is_enough(_offset: int, _has_error: bool) -> bool:
        return num_reads > most

    parser = tree_sitter.Parser(grammar)
    try:
        if old:
            return parser.parse(read, old, progress_callback=is_enough)
        return parser.parse(read, progress_callback=is_enough)
    except ValueError:  # it was enough
        return None
    finally:
        # py-tree-sitter 0.26 never lets go of what it was given to read: of 18 KB a parse of 14 KB, 1 KB is left so.
        for view in (*views, whole):
            view.release()


def _errors(parsed: tree_sitter.Tree) -> list[int]:
    """Starts of ERROR and MISSING nodes. By cursor: a query takes minutes on a deep tree."""
    cursor, found = parsed.walk(), list[int]()
    for _ in range(MAX_VISITS):
        node = cursor.node
        if node is None or len(found) == MAX_ERRORS:
            break
        # What is missing can be a node that the cursor does not show (a line end): then its parent counts.
        if node.is_error or node.is_missing or (node.has_error and not any(map(_is_bad, node.children))):
            found.append(node.start_byte)
        if node.has_error and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return found
    return found


def _is_bad(node: tree_sitter.Node) -> bool:
    return node.has_error or node.is_missing
