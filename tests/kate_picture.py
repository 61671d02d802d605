"""The pictures in Kate's manual page, taken anew with the bundled model: `python tests/kate_picture.py [FOLDER]`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from kate_rig import CLIENT, Kate
from tapped import REAL, SHOWN, stop_host


def main() -> int:
    """Take them; the exit code."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else CLIENT / "images").absolute()
    folder.mkdir(exist_ok=True)
    os.environ["CODEGEN_LSP_EDITORS"] = "1"
    with tempfile.TemporaryDirectory() as name, stop_host(home := Path(name)):
        take(home, folder)
    return 0


def take(home: Path, folder: Path) -> None:
    """A comment that was written, and what the popup offers for it."""
    with Kate(home, SHOWN.text, line=SHOWN.line, server=REAL, wait_s=60) as kate:
        kate.screen.xdotool("getactivewindow", "windowmove", "0", "0", "windowsize", "852", "536")
        kate.type(SHOWN.comment)
        kate.key("Escape", "Return")
        kate.menu("ctrl+space", num_windows=2)
        kate.screen.settle()
        kate.screen.picture(folder / "popup.png")
        kate.key("Return")


if __name__ == "__main__":
    sys.exit(main())
