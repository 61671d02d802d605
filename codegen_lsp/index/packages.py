"""What is installed in a project's environment, read as text: never imported, never run.

Nothing outside of the environment's own site-packages is read, not by way of a link either. `.pth` files are left
alone: what they add inside the workspace is in its index, and what they add elsewhere is not ours to read.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from codegen_lsp.index.modules import STUBS, File, Known, Source, glance, known

MAX_BYTES = 2 << 20
"""Of a file: the stubs of large libraries were written by programs and have more than 1 MB, parsed in 0.1 s."""
MAX_READS, MAX_PARSES = 40, 3
"""Files for one question, so that it never takes long. Most only hand names on, which is seen without a parse."""
MAX_SOURCES, MAX_PARSED = 512, 64
"""Files that are remembered."""
FOLDERS = (".venv", "venv", "env")
VARIABLES = ("VIRTUAL_ENV", "CONDA_PREFIX")
ENDS = ("/__init__.pyi", ".pyi", "/__init__.py", ".py")
"""What the path of a module may end with, in the order in which it is believed."""
SITES = ("lib/python3.*/site-packages", "lib64/python3.*/site-packages", "Lib/site-packages")

_DIST = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.dist-info")


def site_folders(root: Path, environ: Mapping[str, str]) -> list[Path]:
    """Where the environment in a workspace has its packages, else the active one; [] when there is none.

    A workspace's environment is a folder in it, no link: what a repository holds must not lead anywhere else.
    """
    bases = [base for name in FOLDERS if _is_environment(base := root / name)]
    bases += [Path(environ[name]) for name in VARIABLES if environ.get(name)]
    return next((found for base in bases if (found := _sites(base))), [])


def _is_environment(base: Path) -> bool:
    try:
        return not base.is_symlink() and (base / "pyvenv.cfg").is_file()
    except OSError:  # not ours to look into
        return False


def _sites(base: Path) -> list[Path]:
    try:
        base = base.resolve()
        found = [folder.resolve() for pattern in SITES for folder in sorted(base.glob(pattern))]
        return [each for each in dict.fromkeys(found) if each.is_dir() and each.is_relative_to(base)]
    except (OSError, RuntimeError):  # links in a circle
        return []


Value = TypeVar("Value")


class Packages:
    """The modules of an environment. Keeps what it read of the files that it was asked for last."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root, self._environ = root, environ
        self._sources: dict[File, Source | None] = {}
        self._parsed: dict[File, tuple[Known, ...]] = {}
        self.begin()

    def begin(self) -> None:
        """A new question: look anew where things are, and read as much as for any other."""
        self._sites = site_folders(self._root, self._environ)
        self._files: dict[str, list[File]] = {}
        self._versions: dict[str, str] | None = None
        self._reads, self._parses = MAX_READS, MAX_PARSES

    @property
    def has_any(self) -> bool:
        """Whether there is an environment."""
        return bool(self._sites)

    def sources(self, module: str) -> Iterator[Source]:
        """The files of a module, stubs first; without those that are not known yet and too many for one question."""
        if module not in self._files:
            self._files[module] = [file for site in self._sites for file in _files(site, module)]
        for file in self._files[module]:
            if file not in self._sources:
                if not self._reads:
                    continue
                self._reads -= 1
                text = _text(file)
                _keep(self._sources, file, None if text is None else glance(file, text), MAX_SOURCES)
            if source := self._sources[file]:
                yield source

    def definitions(self, source: Source) -> tuple[Known, ...]:
        """What a file defines; nothing when it is not known yet and too many were parsed for this question."""
        file = source.file
        if file not in self._parsed:
            if not self._parses:
                return ()
            self._parses -= 1
            _keep(self._parsed, file, tuple(known(file, _text(file) or "")), MAX_PARSED)
        return self._parsed[file]

    def dist(self, *packages: str) -> str:
        """The first of some top-level packages that is a distribution, with its version; else the last."""
        if self._versions is None:
            self._versions = dict(pair for site in reversed(self._sites) for pair in _versions(site))
        found = (f"{name} {self._versions[name.lower()]}" for name in packages if name.lower() in self._versions)
        return next(found, packages[-1])


def _keep(cache: dict[File, Value], file: File, value: Value, most: int) -> None:
    """Put a value into a cache, from which the oldest goes when it is full."""
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[file] = value


def _versions(site: Path) -> Iterator[tuple[str, str]]:
    """(name as a module is written, version) of each distribution in a site folder."""
    try:
        names = [each.name for each in site.iterdir()]
    except OSError:
        return
    for match in filter(None, map(_DIST.fullmatch, names)):
        yield re.sub(r"[-.]+", "_", match["name"]).lower(), match["version"]


def _files(site: Path, module: str) -> Iterator[File]:
    """The files that a module may be in one site folder, in the order in which they are believed."""
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        return
    path, stubs = "/".join(parts), "/".join((parts[0] + STUBS, *parts[1:]))
    for name in (f"{stubs}/__init__.pyi", f"{stubs}.pyi", *(f"{path}{end}" for end in ENDS)):
        if file := _file(site, name):
            yield file


def _file(site: Path, path: str) -> File | None:
    try:
        found = (site / path).stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            return None
        place = (site / path).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        return None
    return File(path, place, found.st_size, found.st_mtime_ns) if place.is_relative_to(site) else None


def _text(file: File) -> str | None:
    try:
        with file.place.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError:
        return None
    return None if len(raw) > MAX_BYTES or b"\0" in raw else raw.decode("utf-8-sig", errors="replace")
