"""The picture in Helix's manual page, taken anew with the bundled model: `python tests/helix_picture.py [FILE.png]`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from helix_rig import CLIENT, Helix
from tapped import REAL, SHOWN, stop_host
from xscreen import Screen

CONFIG = "[editor]\ntrue-color = true\n"


def main() -> int:
    """Take it; the exit code."""
    file = Path(sys.argv[1] if len(sys.argv) > 1 else CLIENT / "images" / "popup.png").absolute()
    file.parent.mkdir(exist_ok=True)
    os.environ["CODEGEN_LSP_EDITORS"] = "1"
    with tempfile.TemporaryDirectory() as folder, stop_host(Path(folder)):
        helix = Helix(Path(folder), SHOWN.text, servers={"codegen-lsp": REAL}, size=(88, 27))
        (helix.folder / ".config" / "helix" / "config.toml").write_text(CONFIG)
        with helix:
            helix.type(*["j"] * (SHOWN.line - 1), "A", SHOWN.comment)
            helix.until(SHOWN.offered, again=lambda: helix.type("C-x"))
            helix.type("Tab")
            helix.until("codegen")
            take(helix, file)
    return 0


def take(helix: Helix, file: Path) -> None:
    """The terminal as xterm shows it."""
    width, height = helix.size
    face = ["-fa", "DejaVu Sans Mono", "-fs", "11", "-bg", "black", "-geometry", f"{width}x{height}"]
    with Screen(helix.folder, os.environ) as screen:
        screen.start("xterm", *face, "-T", "Helix", "-e", "tmux", "-S", f"{helix.sockets.name}/tmux", "attach")
        helix.until_true(lambda: bool(screen.windows("Helix")), "a terminal")
        helix.until_true(lambda: helix.tmux("list-clients") != "", "attached")
        screen.settle()
        screen.picture(file, screen.windows("Helix")[0])


if __name__ == "__main__":
    sys.exit(main())
