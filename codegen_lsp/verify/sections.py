"""What a docstring's sections promise: that something is returned or yielded, and what is raised.

Google's style (`Returns:` and what is indented below it), NumPy's (`Returns` underlined), and fields (`:returns: …`,
`:raises ValueError: …`, or `@return …`).
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TITLE = re.compile(r"(?P<title>Returns?|Yields?|Raises?)[ \t]*(?P<colon>:)?[ \t]*(?P<rest>.*)")
_RULE = re.compile(r"-{3,}|={3,}")
_FIELD = re.compile(r"[:@](?P<title>returns?|yields?|raises?|raise|except|exception|throws)\b[ \t]*(?P<rest>.*)")
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_FILLERS = frozenset({"this", "it", "the", "function", "method", "does", "return", "returns", "yield", "yields"})
_NOTHING = frozenset({"none", "nothing", "no", "not", "never", "n", "na", "void", "null"})


@dataclass(frozen=True)
class Promise:
    """What a docstring says of a call's outcome."""

    has_value: bool = False
    """It returns something other than None."""
    has_items: bool = False
    """It yields."""
    raised: tuple[str, ...] = ()
    """Names of exceptions, without their modules, in order."""


def promised(doc: str) -> Promise:
    """What the sections of a docstring (as `inspect.cleandoc` gives it) promise."""
    values, items, raised = list[str](), list[str](), list[str]()
    for title, lines in _sections(doc.split("\n")):
        if title == "raises":
            raised += _exceptions(lines)
        else:
            (values if title == "returns" else items).append("\n".join(lines).strip())
    return Promise(any(map(_is_something, values)), any(map(_is_something, items)), tuple(dict.fromkeys(raised)))


def _is_something(text: str) -> bool:
    """Whether a section says that there is something; one that has None in it may mean that."""
    words = (word for word in map(str.lower, _WORD.findall(text)) if word not in _FILLERS)
    return bool(text) and next(words, "") not in _NOTHING and "None" not in text


def _sections(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """(title, lines) of each section; the first line of those lines is what stands behind the title."""
    for at, line in enumerate(lines):
        shown = line.strip()
        if field := _FIELD.match(shown):
            yield _kind(field["title"]), [field["rest"], *_deeper(lines, at + 1, _indent(line))]
        elif title := _TITLE.fullmatch(shown):
            if _RULE.fullmatch("".join(lines[at + 1 : at + 2]).strip()):
                yield _kind(title["title"]), ["", *_under_rule(lines, at + 2)]
            elif title["colon"]:
                yield _kind(title["title"]), [title["rest"], *_deeper(lines, at + 1, _indent(line))]


def _kind(title: str) -> str:
    return {"ret": "returns", "yie": "yields"}.get(title[:3].lower(), "raises")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _deeper(lines: Sequence[str], start: int, indent: int) -> Iterator[str]:
    """The lines from `start` on that are indented by more than `indent`."""
    for at in range(start, len(lines)):
        if lines[at].strip() and _indent(lines[at]) <= indent:
            return
        yield lines[at]


def _under_rule(lines: Sequence[str], start: int) -> Iterator[str]:
    """The lines of a NumPy section: up to the next title that is underlined."""
    for at in range(start, len(lines)):
        if at + 1 < len(lines) and _RULE.fullmatch(lines[at + 1].strip()):
            return
        yield lines[at]


def _exceptions(lines: Sequence[str]) -> Iterator[str]:
    """The names of exceptions: of a field before its colon, of a section each line that is not indented further."""
    field, _, text = lines[0].partition(":")
    if lines[0]:
        names = _NAME.findall(field) if text or lines[0].endswith(":") else _NAME.findall(lines[0])[:1]
        yield from filter(_is_exception, (name.rpartition(".")[2] for name in names))
    entries = [line for line in lines[1:] if line.strip()]
    indent = min(map(_indent, entries), default=0)
    for entry in entries:
        if _indent(entry) == indent and not lines[0] and (name := _NAME.match(entry.strip().lstrip("`*-: "))):
            yield from filter(_is_exception, [name[0].rstrip(".").rpartition(".")[2]])


def _is_exception(name: str) -> bool:
    known = getattr(builtins, name, None)
    return name.endswith(("Error", "Exception")) or (isinstance(known, type) and issubclass(known, BaseException))
