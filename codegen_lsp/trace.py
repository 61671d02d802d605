"""Stage timings, and a ring of the last requests: what `explain` shows.

The ring holds text, in memory only; nothing here is written to a log. The clock is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from codegen_lsp.core import Completion, Context, Snapshot

Clock = Callable[[], float]
"""Seconds, from any start, never going back."""


class Stopwatch:
    """Milliseconds by stage, in the order in which they were first entered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = clock()
        self.stages_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block, also when it raises; a stage entered twice adds up."""
        start = self._clock()
        try:
            yield
        finally:
            self.stages_ms[name] = self.stages_ms.get(name, 0.0) + (self._clock() - start) * 1000

    def since_start(self) -> float:
        """Milliseconds since it was made."""
        return (self._clock() - self._start) * 1000

    def totals(self) -> dict[str, float]:
        """The stages and "total", in milliseconds."""
        return {**self.stages_ms, "total": self.since_start()}


@dataclass(frozen=True)
class Record:
    """One request, as it went."""

    number: int
    path: str
    language: str
    version: int
    offset: int
    trigger: str
    model: str
    context: Context | None
    completion: Completion


class Trace:
    """The last `capacity` requests, oldest first."""

    def __init__(self, capacity: int = 20) -> None:
        self._records: deque[Record] = deque(maxlen=capacity)
        self._num_seen = 0

    def add(self, snapshot: Snapshot, model: str, context: Context | None, completion: Completion) -> Record:
        """Remember a request; the oldest is forgotten. The document's text is not kept, only what the model saw."""
        self._num_seen += 1
        record = Record(
            number=self._num_seen,
            path=snapshot.path,
            language=snapshot.language,
            version=snapshot.version,
            offset=snapshot.offset,
            trigger=str(snapshot.trigger),
            model=model,
            context=context,
            completion=completion,
        )
        self._records.append(record)
        return record

    def records(self) -> tuple[Record, ...]:
        """What is remembered, oldest first."""
        return tuple(self._records)

    @property
    def last(self) -> Record | None:
        """The newest request."""
        return self._records[-1] if self._records else None
