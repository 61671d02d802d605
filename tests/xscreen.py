"""A screen that nobody sees (Xvfb, with openbox): programs on it, keys, window titles and pictures."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

PROGRAMS = ("Xvfb", "openbox", "xdotool")
START_S = 20.0
SIZE = "860x560"


def missing(*programs: str) -> list[str]:
    """Those of the programs, and of what a screen needs, that are not installed."""
    return [name for name in (*programs, *PROGRAMS) if shutil.which(name) is None]


class Screen:
    """Use as `with Screen(folder, env) as screen`; `env` is what programs see, `folder` has a log of what they say."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.log, self.env = folder / "programs.log", dict(env)
        self.running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Screen:
        try:
            self.env["DISPLAY"] = f":{self._number()}"
            self.start("openbox", "--sm-disable")
            until(lambda: self.xdotool("get_num_desktops").strip() > "0", lambda: "a window manager", START_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever is left goes, the last first."""
        for process in reversed(self.running):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _number(self) -> str:
        """That of a new screen."""
        mine, its = os.pipe()
        with os.fdopen(mine, "rb") as numbers:
            # Without -noreset it begins anew, and takes the window manager with it, when the first xdotool has gone.
            options = ["-screen", "0", f"{SIZE}x24", "-nolisten", "tcp", "-noreset"]
            self.start("Xvfb", "-displayfd", str(its), *options, passes=(its,))
            os.close(its)
            assert select.select([numbers], [], [], START_S)[0], "Xvfb does not start"
            return numbers.readline().decode().strip()

    def start(self, *command: str, passes: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
        """A program on the screen, which ends with it."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, env=self.env, cwd=self.log.parent, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=passes, start_new_session=True,
            )  # fmt: skip
        self.running.append(process)
        return process

    def key(self, *keys: str) -> None:
        """Keys as X names them, after each other."""
        self.xdotool("key", "--delay", "50", *keys)

    def windows(self, name: str) -> list[str]:
        """The numbers of visible windows whose title has this."""
        return self.xdotool("search", "--onlyvisible", "--name", name).split()

    def focus(self) -> str:
        """The title of the window that is worked in."""
        return self.xdotool("getactivewindow", "getwindowname").strip()

    def picture(self, file: Path, window: str = "root") -> None:
        """A window, or the whole screen, as a PNG of few colours (ImageMagick)."""
        taken = file.with_suffix(".full.png")
        subprocess.run(["import", "-window", window, str(taken)], check=True, env=self.env, timeout=20)
        quantised = ["-strip", "-colors", "128", "+dither", "-define", "png:compression-level=9", f"PNG8:{file}"]
        subprocess.run(["convert", str(taken), *quantised], check=True, timeout=20)
        taken.unlink()

    def settle(self) -> None:
        """Wait until two pictures in a row are the same. Raises AssertionError."""
        seen: list[bytes] = []

        def is_still() -> bool:
            command = ["import", "-window", "root", "rgb:-"]
            seen.append(subprocess.run(command, check=True, env=self.env, timeout=20, capture_output=True).stdout)
            time.sleep(0.3)
            return seen[-2:-1] == seen[-1:]

        until(is_still, lambda: "still", START_S)

    def xdotool(self, *words: str) -> str:
        command = ["xdotool", *words]
        return subprocess.run(command, check=False, env=self.env, capture_output=True, text=True, timeout=20).stdout


def until(
    is_done: Callable[[], object], what: Callable[[], str], limit_s: float, again: Callable[[], object] | None = None
) -> None:
    """Wait; `again` is done each second. Raises AssertionError with what has not happened."""
    end, next_s = time.monotonic() + limit_s, time.monotonic() + 0.5
    while not is_done():
        assert time.monotonic() < end, f"never: {what()}"
        if again and time.monotonic() >= next_s:
            again()
            next_s += 1
        time.sleep(0.05)
