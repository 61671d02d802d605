"""What a user of the hook sees, printed: a fresh repository, a commit with stubs, the diff, the second commit.

`python tests/hook_story.py` lends the hook this environment's packages; with `--install` everything is installed.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path

import pre_commit_rig
from pre_commit_rig import SHOP, Ran, Repository


def main() -> int:
    """Tell it; returns the exit code."""
    if reason := pre_commit_rig.missing():
        print(f"{reason}, so there is nothing to be shown.", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        print("The hook's repository is a copy of this tree …\n")
        with pre_commit_rig.rig(Path(folder), is_lent="--install" not in sys.argv) as rig:
            return 0 if tell(rig.repository("shop", {"shop.py": SHOP})) else 1


def tell(here: Repository) -> bool:
    """The story; whether it went as it should."""
    show(here, "cat", ".pre-commit-config.yaml")
    show(here, "cat", "shop.py")
    first = show(here, "git", "commit", "-m", "Prices")
    show(here, "git", "status", "--short")
    show(here, "git", "diff")
    show(here, "git", "add", "shop.py")
    second = show(here, "git", "commit", "-m", "Prices")
    show(here, "git", "log", "--oneline", "--stat")
    return (first.code, second.code) == (1, 0)


def show(here: Repository, *words: str) -> Ran:
    """Run a command as a user would, and print it as a terminal does."""
    ran = here.rig.run(*words, cwd=here.path)
    print(f"$ {shlex.join(words)}\n{ran.out.replace(str(here.rig.folder), '~')}", end="")
    print(f"(exit code {ran.code})\n" if ran.code else "")
    return ran


if __name__ == "__main__":
    sys.exit(main())
