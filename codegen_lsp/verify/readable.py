"""What every child may read: the interpreter, its standard library, shared libraries, time zones. No user's data."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path, PurePath

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
SYSTEM = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo")


def interpreter() -> str:
    """The Python that runs this, not a virtual environment's link to it: no folder of a workspace is asked."""
    return str(getattr(sys, "_base_executable", "") or sys.executable)


def standard() -> list[str]:
    """Folders and files of the interpreter that are there; what C extensions need is among them."""
    config = sysconfig.get_config_var
    own = config("LIBDIR") or ""
    paths = [str(Path(os.__file__).parent), config("DESTSHARED"), *SYSTEM, *libraries(config("MULTIARCH"))]
    return there([*paths, "" if own.startswith(("/lib", "/usr/lib")) else own])


def libraries(multiarch: str | None) -> list[str]:
    """Where the system's shared libraries are: in folders for the machine, or else all together."""
    exact = [f"/lib/{multiarch}", f"/usr/lib/{multiarch}"] if multiarch else []
    return ["/lib64", "/usr/lib64", *(there(exact) or ["/lib", "/usr/lib"])]


def scratch_beside(paths: Iterable[str]) -> str:
    """Where the scratch folder goes: /tmp, or a name next to it when something that may be read lies in there."""
    folder, taken = "/tmp", [Path(path) for path in paths]
    while any(path.is_relative_to(folder) for path in taken):
        folder += "_"
    return folder


def there(paths: Iterable[str | None]) -> list[str]:
    """Those that exist, absolute, without those that lie in others of them."""
    found: list[str] = []
    for path in sorted(
        {os.path.normpath(Path(path).absolute()) for path in paths if path and "\0" not in path},
        key=lambda path: PurePath(path).parts,
    ):
        # Not Path.exists, which raises for a folder that may not be searched.
        if not (found and Path(path).is_relative_to(found[-1])) and os.access(path, os.F_OK):
            found.append(path)
    return found
