"""Whose turn it is. One worker thread runs the jobs a step at a time; no tensors here.

A job is a generator; what it yields goes to the job's `emit`, from the worker's thread. Jobs take turns, a step each,
so a long answer holds nobody up; each document has at most one, since a newer one pre-empts it. What nobody waits for
(`is_background`) runs only while there is nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

MAX_BEGUN = 4
"""Jobs that take turns; more would wait longer for each of their tokens than for their turn."""


class Sign(Enum):
    """Emitted after a job's last item."""

    END = "end"


@dataclass(eq=False)
class Job:
    """Work for one request. Exactly one END, or one exception, is emitted, and it comes last."""

    document: str
    run: Callable[[Job], Iterator[Any]]
    emit: Callable[[Any], None]
    is_background: bool = False
    is_cancelled: bool = False
    """Set from any thread, read by `run` between two steps (assignment is atomic in Python)."""
    items: Iterator[Any] | None = None
    """What it yields; None as long as it waits for its first turn."""


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
        """Queue a job; older ones of the same named document end now, or at their next step.

        One in the background does not pre-empt what somebody waits for; it then ends itself.
        """
        with self._changed:
            for older in self._others(job):
                if job.is_background and not older.is_background:
                    job.is_cancelled = True
                else:
                    self._cancel(older)
            self._queue.append(job)
            if job.is_cancelled:
                self._cancel(job)
            self._changed.notify()

    def cancel(self, job: Job) -> None:
        """End a job: now if it waits, at its next step if it runs; nothing if it is over."""
        with self._changed:
            self._cancel(job)

    def stop(self, timeout: float) -> bool:
        """Cancel everything and end the worker; False when it is still busy after `timeout` seconds."""
        with self._changed:
            self._is_stopping = True
            for job in self._all():
                self._cancel(job)
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _all(self) -> list[Job]:
        return [*self._queue, *([self._running] if self._running else [])]

    def _others(self, job: Job) -> list[Job]:
        return [other for other in self._all() if job.document and other.document == job.document]

    def _cancel(self, job: Job) -> None:
        job.is_cancelled = True
        if job in self._queue and job.items is None:
            self._queue.remove(job)
            job.emit(Sign.END)

    def _work(self) -> None:
        self._start()
        while (job := self._next()) is not None:
            is_over = _step(job)
            with self._changed:
                self._running = None
                if not is_over:
                    self._queue.append(job)

    def _next(self) -> Job | None:
        """Wait for a job; None when the worker is to end and no job has anything left to put away."""
        with self._changed:
            while not self._queue and not self._is_stopping:
                self._changed.wait()
            if not self._queue:
                return None
            self._running = self._choose()
            self._queue.remove(self._running)
            return self._running

    def _choose(self) -> Job:
        """The first in the queue of those whose turn it may be."""
        pool = [job for job in self._queue if not job.is_background] or list(self._queue)
        begun = [job for job in self._queue if job.items is not None]
        # First those that only have to put away what they hold: a newer one may need it.
        if ending := [job for job in begun if job.is_cancelled]:
            return ending[0]
        begun = [job for job in begun if job in pool]
        return (begun if len(begun) >= MAX_BEGUN else pool)[0]


def _step(job: Job) -> bool:
    """Emit the next thing that a job yields; whether it is over. An exception is the request's trouble, not ours."""
    try:
        if job.items is None:
            job.items = job.run(job)
        job.emit(next(job.items))
    except StopIteration:
        job.emit(Sign.END)
    except Exception as error:
        job.emit(error)
    else:
        return False
    return True
