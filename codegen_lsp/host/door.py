"""The host's socket: one host a path, never a half-made one, nobody else's.

A lock file that is never unlinked says who may hold the socket. Only its holder removes a stale socket, binds a
temporary name under umask 0177 in a 0700 folder, listens, and renames it into place, so whoever can see the socket
can connect to it.
"""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import IO


class Busy(Exception):
    """Another live host holds the lock."""


class Door:
    """A listening unix socket at `path`, from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: IO[bytes] | None = None

    def open(self) -> socket.socket:
        """Take the lock and listen. Raises Busy, and OSError when the folder cannot be used."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _take_lock(self._path.with_suffix(".lock"))
        temporary = self._path.with_suffix(f".{os.getpid()}")
        temporary.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listener.bind(str(temporary))
            listener.listen(128)
            temporary.rename(self._path)
        except OSError:
            listener.close()
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        finally:
            os.umask(before)
        return listener

    def unlink(self) -> None:
        """Nobody new gets in; those inside are served. Only while the lock is held, so the socket is ours."""
        if self._lock is not None:
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let the next host take the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _take_lock(path: Path) -> IO[bytes]:
    # 0600 from the start; never unlinked, or two processes could hold locks on two files of one name.
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise Busy(str(path)) from error
    return file
