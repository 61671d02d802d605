"""An end to what cannot be interrupted."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

LIMIT_S = 10.0
"""For a file, or a question: a thousand times what they take."""


@contextmanager
def deadline() -> Iterator[None]:
    """The system ends this process when the block takes longer than LIMIT_S.

    A parser that loops in C hears no exception. For a process that can be started again and has nothing to lose.
    Does nothing where there are no such timers.
    """
    if not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
