"""The editor's process: when it is gone, so are we, even if a child of it still holds the pipe."""

from __future__ import annotations

import asyncio
import os
import sys

POLL_S = 1.0


async def gone(pid: int) -> None:
    """Return when the process has ended; at once when there is none."""
    if sys.platform == "linux":
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except (OSError, OverflowError):
            await _poll(pid)
            return
        await _readable(descriptor)
    else:
        await _poll(pid)


async def _readable(descriptor: int) -> None:
    """A pidfd can be read when its process has ended, reaped or not."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    loop.add_reader(descriptor, ended.cancel)
    try:
        await asyncio.wait({ended})
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _poll(pid: int) -> None:
    # On Windows signal 0 would end the process; there the end of the pipe has to do.
    while os.name != "posix" or _is_alive(pid):  # noqa: ASYNC110
        await asyncio.sleep(POLL_S)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
