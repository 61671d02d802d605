"""What a person sees: colour only on a terminal, progress only on stderr, diffs."""

from __future__ import annotations

import difflib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from codegen_lsp.text import printable, with_newlines

STYLES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2", "bold": "1", "plain": ""}


def has_colour(stream: TextIO) -> bool:
    """Whether to colour a stream: a terminal, and NO_COLOR (no-color.org) is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """The text in a style, plain where there is no colour."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if STYLES[style] and has_colour(stream or sys.stdout) else text


def diff(before: str, after: str, name: str) -> str:
    """A unified diff, on a terminal coloured and without what would steer it; elsewhere it can be applied."""
    name = printable(name)  # of one line, or there is no patch
    lines: Iterable[str] = difflib.unified_diff(_lines(before), _lines(after), name, name, n=3, lineterm="")
    if sys.stdout.isatty():
        lines = (printable(line, "\t") for line in lines)
    return "\n".join(map(_coloured, lines))


def _lines(text: str) -> list[str]:
    return with_newlines(text).split("\n")


def _coloured(line: str) -> str:
    for mark, style in (("+++", "bold"), ("---", "bold"), ("@@", "cyan"), ("+", "green"), ("-", "red")):
        if line.startswith(mark):
            return paint(line, style)
    return line


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end reads that hold up the event loop; asyncio's own handler would wait until they are over."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Status:
    """One line on stderr that says what is being waited for; nothing when stderr is not a terminal.

    Nor under pre-commit, which gives its hooks a terminal and shows what they wrote there when they have ended.
    """

    def __init__(self) -> None:
        self._shown = 0
        self._is_seen = sys.stderr.isatty() and not os.environ.get("PRE_COMMIT")

    def __call__(self, text: str) -> None:
        if self._is_seen:
            text = printable(text)
            sys.stderr.write("\r" + text.ljust(self._shown))
            sys.stderr.flush()
            self._shown = len(text)

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")
            sys.stderr.flush()
            self._shown = 0
