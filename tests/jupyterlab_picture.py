"""The picture in JupyterLab's manual, taken anew with the bundled model: `python tests/jupyterlab_picture.py [FOLDER]`.

Needs what the tests need (editor-clients/jupyterlab/e2e/setup.sh), and Pillow.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from jupyterlab_rig import FOLDER, Rig, install_extension, notebook, write
from PIL import Image
from tapped import REAL, stop_host

COLOURS = 64
CELLS = ('prices = {"tea": 3.5, "coffee": 4.2, "cake": 5.1}', "")


def main() -> int:
    """Take it; the exit code."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else FOLDER / "images").absolute()
    folder.mkdir(exist_ok=True)
    install_extension()
    with tempfile.TemporaryDirectory() as name, stop_host(home := Path(name)):
        take(home)
        with Image.open(home / "picture.png") as image:
            image.convert("RGB").quantize(COLOURS).save(folder / "ghost.png", optimize=True)
    return 0


def take(home: Path) -> None:
    """A comment that is written in a cell, and what is offered below it."""
    rig = Rig(home)
    write(rig.notebook, json.dumps(notebook(*CELLS)))
    rig.install_server(*REAL)
    print(rig.drive("notebook", "picture", shots=str(home)))


if __name__ == "__main__":
    sys.exit(main())
