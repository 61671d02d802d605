"""The picture of JupyterLab's manual, with the bundled model: python tests/jupyterlab_shot.py. Needs Pillow, too."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from jupyterlab_rig import FOLDER, Rig, install_extension, notebook, write
from PIL import Image

COLOURS = 64
CELLS = ('prices = {"tea": 3.5, "coffee": 4.2, "cake": 5.1}', "")


def main() -> int:
    install_extension()
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder))
        write(rig.notebook, json.dumps(notebook(*CELLS)))
        rig.install_server(sys.executable, "-m", "codegen_lsp", "serve")
        rig.tell_server({"idle_exit_s": 5})
        print(rig.drive("notebook", "picture", shots=folder))
        with Image.open(Path(folder, "picture.png")) as image:
            image.convert("RGB").quantize(COLOURS).save(FOLDER / "images" / "ghost.png", optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
