"""Whose turn it is. One worker thread runs the jobs in rounds; no tensors here.

A job is a generator. What it yields goes to the job's `emit`, from the worker's thread; a Forward is something to be
run, and is run together with those of the other jobs of the round. So a long answer holds nobody up, and answers that
are under way at the same time share the pass over the weights (iteration-level scheduling: Yu et al. 2022, Orca). Each
document has at most one job, since a newer one pre-empts it. What nobody waits for (`is_background`) runs only while
there is nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from codegen_lsp.host.cache import Forward

MAX_BEGUN = 4
"""Jobs that go on at the same time; more would wait longer for each of their tokens than for their turn."""


class Sign(Enum):
    """Emitted after a job's last item."""

    END = "end"


@dataclass(eq=False)
class Job:
    """Work for one request. Exactly one END, or one exception, is emitted, and it comes last."""

    document: str
    run: Callable[[Job], Generator[Any, Any, None]]
    emit: Callable[[Any], None]
    is_background: bool = False
    is_cancelled: bool = False
    """Set from any thread, read by `run` between two steps (assignment is atomic in Python)."""
    items: Generator[Any, Any, None] | None = None
    """What it yields; None as long as it waits for its first round."""
    wanted: Forward | None = None
    """What it waits for."""
    result: Any = None
    """What came of it."""
    held: list[Any] = field(default_factory=list)
    """An item that came with the round's first one: its turn is the next round."""


class Scheduler:
    """A queue and its worker.

    `start` is run first, in the worker: it loads the model. `forward` runs what jobs want.
    """

    def __init__(
        self, start: Callable[[], None], forward: Callable[[Sequence[Forward]], Sequence[Any]] = lambda wanted: ()
    ) -> None:
        self._start = start
        self._forward = forward
        self.max_begun = MAX_BEGUN
        self._queue: deque[Job] = deque()
        self._is_stopping = False
        self._changed = threading.Condition()
        # A daemon: a load that takes minutes must not hold up the exit.
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)

    @property
    def num_jobs(self) -> int:
        """Jobs that wait or run."""
        with self._changed:
            return len(self._queue)

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
            for job in list(self._queue):
                self._cancel(job)
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _others(self, job: Job) -> list[Job]:
        return [other for other in self._queue if job.document and other.document == job.document]

    def _cancel(self, job: Job) -> None:
        job.is_cancelled = True
        if job in self._queue and job.items is None:
            self._queue.remove(job)
            job.emit(Sign.END)

    def _work(self) -> None:
        self._start()
        while group := self._next():
            over = [job for job in group if not _advance(job)]
            over += self._run([job for job in group if job.wanted is not None])
            with self._changed:
                for job in over:
                    self._queue.remove(job)

    def _next(self) -> list[Job]:
        """Wait for jobs, and choose those of the next round; none when the worker is to end and nothing has begun."""
        with self._changed:
            while not self._queue and not self._is_stopping:
                self._changed.wait()
            # First those that only have to put away what they hold: a newer one may need it.
            if ending := [job for job in self._queue if job.is_cancelled]:
                return ending
            begun = [job for job in self._queue if job.items is not None]
            urgent = [job for job in self._queue if not job.is_background]
            if urgent and len(begun) >= self.max_begun and (idle := [job for job in begun if job.is_background]):
                for job in idle:  # they keep what others need
                    job.is_cancelled = True
                return idle
            pool = urgent or list(self._queue)
            waiting = [job for job in pool if job.items is None][: max(0, self.max_begun - len(begun))]
            group = [*(job for job in begun if job in pool), *waiting][: self.max_begun]
            for job in group:
                job.items = job.items or job.run(job)
            return group

    def _run(self, jobs: Sequence[Job]) -> list[Job]:
        """Run what jobs want, together; those that are over, since it failed."""
        wanted = [job.wanted for job in jobs if job.wanted is not None]
        if not wanted:
            return []
        try:
            results = self._forward(wanted)
        except Exception as error:
            if len(jobs) > 1:  # Only the one whose fault it is shall fail.
                return [failed for job in jobs for failed in self._run([job])]
            _close(jobs[0])
            jobs[0].emit(error)
            return list(jobs)
        for job, result in zip(jobs, results, strict=True):
            job.wanted, job.result = None, result
        return []


def _advance(job: Job) -> bool:
    """Emit the next thing that a job yields, and find out what it wants after that; whether it goes on.

    An exception is the request's trouble, not ours.
    """
    assert job.items is not None
    try:
        if job.held:
            job.emit(job.held.pop())
            has_emitted = True
        else:
            has_emitted = False
        while True:
            item, job.result = job.items.send(job.result), None
            if isinstance(item, Forward):
                job.wanted = item
                return True
            if has_emitted:
                job.held.append(item)
                return True
            job.emit(item)
            has_emitted = True
    except StopIteration:
        job.emit(Sign.END)
    except Exception as error:
        job.emit(error)
    return False


def _close(job: Job) -> None:
    if job.items is not None:
        job.items.close()
