"""step.c, built once with the machine's own C compiler. Where there is none, nothing is lost but time.

The library lies in the user's private cache folder, named after everything that it depends on: the source, the
compiler, and the processor, since it is made for the processor at hand.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

from codegen_lsp.folders import cache_folder, make_private

log = logging.getLogger(__name__)
SOURCE = Path(__file__).with_name("step.c")
FLAGS = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC", "-pthread")
BUILD_S = 60.0
"""A compiler that takes longer is not waited for."""


class Build:
    """The library, or the compiler that is making it: begin early, ask late."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder() / "lib"
        self._compiler = shutil.which(os.environ.get("CC") or "cc")
        self._process: subprocess.Popen[bytes] | None = None
        self._partial = self._library = Path()
        if self._compiler and os.name == "posix" and make_private(self._folder):
            self._library = self._folder / f"step-{_key(self._compiler)}.so"
            if not self._library.exists():
                self._start(self._compiler)

    def library(self) -> Path | None:
        """The built library, waited for; None where it cannot be had, and the log says why."""
        if self._process is not None:
            self._finish(self._process)
        return self._library if self._library.is_file() else None

    def _start(self, compiler: str) -> None:
        number, name = tempfile.mkstemp(suffix=".so", dir=self._folder)
        os.close(number)
        self._partial = Path(name)
        command = [compiler, *FLAGS, "-o", name, str(SOURCE), "-lm"]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
        except OSError as error:
            self._partial.unlink()
            log.info("no compiled step: %s", error)

    def _finish(self, process: subprocess.Popen[bytes]) -> None:
        self._process = None
        try:
            _, errors = process.communicate(timeout=BUILD_S)
        except subprocess.TimeoutExpired:
            process.kill()
            _, errors = process.communicate()
        if process.returncode == 0:
            self._partial.replace(self._library)  # whole or not at all, should another host build too
            return
        self._partial.unlink(missing_ok=True)
        log.info("no compiled step: %s", errors.decode("utf-8", "replace").strip()[-500:] or "the compiler failed")


def _key(compiler: str) -> str:
    """Twelve hex digits for source, flags, compiler and processor."""
    file = Path(compiler).resolve()
    found = file.stat()
    parts = (SOURCE.read_text(), *FLAGS, str(file), str(found.st_mtime_ns), str(found.st_size), _processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _processor() -> str:
    """What tells processors with other instructions apart."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))
