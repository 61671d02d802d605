"""Whose turn it is. One worker thread runs one job at a time; no tensors here.

A job is a generator; what it yields goes to the job's `emit`, from the worker's thread. Documents are served in turn:
each has at most one job waiting, since a newer one pre-empts it, so first come, first served is also round robin.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Sign(Enum):
    """Emitted after a job's last item."""

    END = "end"


@dataclass(eq=False)
class Job:
    """Work for one request. Exactly one END, or one exception, is emitted, and it comes last."""

    document: str
    run: Callable[[Job], Iterator[Any]]
    emit: Callable[[Any], None]
    is_cancelled: bool = False
    """Set from any thread, read by `run` between two steps (assignment is atomic in Python)."""


class Scheduler:
    """A queue and its worker. `start` is run first, in the worker: it loads the model."""

    def __init__(self, start: Callable[[], None]) -> None:
        self._start = start
        self._queue: deque[Job] = deque()
        self._running: Job | None = None
        self._is_stopping = False
        self._changed = threading.Condition()
        # A daemon: a load that takes minutes must not hold up the exit.
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    @property
    def num_jobs(self) -> int:
        """Jobs that wait or run."""
        with self._changed:
            return len(self._queue) + (self._running is not None)

    def begin(self) -> None:
        """Start the worker."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job; older ones of the same named document end now, or at their next step."""
        with self._changed:
            older = [other for other in self._queue if job.document and other.document == job.document]
            for other in older:
                self._drop(other)
            if self._running is not None and job.document and self._running.document == job.document:
                self._running.is_cancelled = True
            self._queue.append(job)
            self._changed.notify()

    def cancel(self, job: Job) -> None:
        """End a job: now if it waits, at its next step if it runs; nothing if it is over."""
        with self._changed:
            job.is_cancelled = True
            if job in self._queue:
                self._drop(job)

    def stop(self, timeout: float) -> bool:
        """Cancel everything and end the worker; False when it is still busy after `timeout` seconds."""
        with self._changed:
            self._is_stopping = True
            for job in list(self._queue):
                self._drop(job)
            if self._running is not None:
                self._running.is_cancelled = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _drop(self, job: Job) -> None:
        self._queue.remove(job)
        job.is_cancelled = True
        job.emit(Sign.END)

    def _work(self) -> None:
        self._start()
        while (job := self._next()) is not None:
            _run(job)

    def _next(self) -> Job | None:
        with self._changed:
            self._running = None
            while not self._queue and not self._is_stopping:
                self._changed.wait()
            if self._is_stopping:
                return None
            self._running = self._queue.popleft()
            return self._running


def _run(job: Job) -> None:
    """Emit all that a job yields; an exception is the request's trouble, not the worker's."""
    try:
        for item in job.run(job):
            job.emit(item)
    except Exception as error:
        job.emit(error)
    else:
        job.emit(Sign.END)
