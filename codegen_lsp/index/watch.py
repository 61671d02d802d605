"""Folders that are watched for changes, by watchfiles. One thread for each set of folders; nothing else is done in it.

Folders are watched each for itself and not with all that is below them: what the index does not enter (an environment,
`node_modules`) costs nothing, and a link cannot lead out. A new folder is therefore no part of it until it is covered.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from watchfiles import watch

logger = logging.getLogger(__name__)

STEP_MS = 25
"""A burst is over when nothing has happened for so long."""
DEBOUNCE_MS = 300
"""A burst that does not end is told in parts."""
UP_S = 2.0
"""How long a watch may take until it is there: some milliseconds for thousands of folders."""


class Watch:
    """Tells which paths have changed below the folders that are covered now."""

    def __init__(self, changed: Callable[[frozenset[Path]], None]) -> None:
        """`changed` is called in another thread."""
        self._changed = changed
        self._current: _Thread | None = None

    def cover(self, folders: Sequence[Path]) -> bool:
        """Watch these folders from now on, without a gap.

        False when that is not to be had (too many for the system, or one went meanwhile): those of before stay watched.
        """
        thread = _Thread([folder for folder in folders if folder.is_dir()], self._changed)
        thread.start()
        if not thread.up.wait(UP_S) or thread.has_failed:
            thread.stop()
            return False
        old, self._current = self._current, thread
        if old is not None:
            old.stop()
        return True

    def close(self) -> None:
        """Watch nothing any more."""
        if self._current is not None:
            self._current.stop()
            self._current.join()
            self._current = None


class _Thread(threading.Thread):
    """One set of folders. It is its own `stop_event`: that it is asked for the first time says that it is up."""

    def __init__(self, folders: Sequence[Path], changed: Callable[[frozenset[Path]], None]) -> None:
        super().__init__(name="watch", daemon=True)
        self._folders = folders
        self._changed = changed
        self._is_over = False
        self.up = threading.Event()
        self.has_failed = False

    def is_set(self) -> bool:
        """Whether it is to end; asked by watchfiles at each step."""
        self.up.set()
        return self._is_over

    def stop(self) -> None:
        """End at the next step."""
        self._is_over = True

    def run(self) -> None:
        """Tell what changes until the end."""
        try:
            changes = watch(
                *self._folders,
                watch_filter=None,
                debounce=DEBOUNCE_MS,
                step=STEP_MS,
                stop_event=self,
                recursive=False,
                raise_interrupt=False,
                ignore_permission_denied=True,
            )
            for batch in changes:
                self._changed(frozenset(Path(path) for _, path in batch))
        except OSError as error:
            logger.warning("folders are not watched (%s): changes are looked for instead", error)
            self.has_failed = True
        finally:
            self.up.set()
