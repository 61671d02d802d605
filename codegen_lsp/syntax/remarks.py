"""Do a function's docstring and comments say what its body is to do, and where?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from codegen_lsp.syntax.bodies import Body, line_above, line_start
from codegen_lsp.syntax.pattern import Pattern
from codegen_lsp.text import Span

_MARKS = re.compile(r"[#\s:!.,;-]+")
DIRECTIVE = Pattern(
    r"!|-\*-|coding[:=]|noqa\b|type:|pylint\b|pragma\b|fmt:|isort\b|mypy:|ruff:|flake8\b|nosec\b|pyright\b|yapf\b"
    r"|endregion\b|region\b|%%|[%?]\w|eslint|@?ts-|go:\w|cspell|prettier-|nolint|shellcheck\b|rubocop:|clang-format\b|istanbul\b"
    r"|frozen_string_literal:|@flow\b|biome-",
    re.IGNORECASE,
)
"""Comments for tools, without their marks: no orders (context/orders.py)."""
_MARKER = Pattern(r"(?:todo|fixme|xxx|hack|tbd|wip)\b(?:\([^()]*\))?", re.IGNORECASE)
_EMPTY = Pattern(
    r"(?:(?:not|to|be|please)\b\W*)*implement(?:ed|ation)?\b\W*(?:(?:me|this|it|here|yet|later)\b\W*)*"
    r"|(?:your )?code (?:goes )?here\W*",
    re.IGNORECASE,
)
_NOTHING = Pattern(r"[rRuU]?\W*(?:(?:do|does|is|a)\s+)*(?:nothing\b(?!\s+(?:but|else))|no-?op\b)", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
_LINE_ENDS = re.compile(r"[\r\n]+")
_QUOTES = re.compile(r"\A[rRuU]?[\"']+|[\"']+\Z")
_RULE = re.compile(r"[-=#*~_+/─]{3,}")
"""In a comment above a function: it separates, and is about more than the function."""


def find_order(text: str, start: int, body: Body) -> Span | None:
    """What says in words what a body is to do."""
    if body.docstring and has_words(_QUOTES.sub("", body.docstring.of(text))):
        return body.docstring
    return _first_comment(text, body.comments) or _comment_above(text, start)


def _first_comment(text: str, comments: Sequence[Span]) -> Span | None:
    """From the first comment with words to the last that goes on with it."""
    found: Span | None = None
    for each in comments:
        if not is_saying(each.of(text)):
            continue
        if found and text[found.end : each.start].strip():
            break
        found = Span(found.start if found else each.start, each.end)
    return found


def _comment_above(text: str, start: int) -> Span | None:
    """The comment in the lines right above an offset, indented as its line is."""
    first = line_start(text, start)
    indent, above, found = text[first:start], line_above(text, first), None
    while above and (line := above.of(text)).startswith(f"{indent}#"):
        if is_saying(line) and not _RULE.search(line):
            found = Span(above.start + len(indent), found.end if found else above.start + len(line.rstrip()))
        above = line_above(text, above.start)
    return found


def is_saying(comment: str) -> bool:
    """Whether a line of comment has words of its own: more than `TODO`, and no tool's directive."""
    return not DIRECTIVE.match(comment.lstrip("#: \t\f")) and has_words(comment)


def has_words(text: str) -> bool:
    """Whether the text of a comment or a docstring says more than that something is to be done."""
    return any(map(_has_words, _LINE_ENDS.split(text)))


def says_nothing_is_done(text: str) -> bool:
    """Whether a comment or a docstring begins with the word that a function is to do nothing: it is written."""
    return bool(_NOTHING.match(text))


def _has_words(line: str) -> bool:
    line = _MARKS.sub(" ", line).strip()
    if marker := _MARKER.match(line):
        line = line[marker.end() :].strip()
    return bool(_LETTER.search(line)) and not _EMPTY.fullmatch(line)
