"""The folders of this user that we write to."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Logs, and what can be made again: $XDG_CACHE_HOME/codegen-lsp or ~/.cache/codegen-lsp."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "codegen-lsp"


def make_private(folder: Path) -> bool:
    """Make a 0700 folder of this user's; False when it cannot be had, or somebody else could get in."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        # A link, or another user's folder of that name, would hand what is put there to its owner.
        if folder.is_symlink() or found.st_uid != os.geteuid():
            return False
        if found.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError:
        return False
    return True
