"""Puts the labextension's scripts into a folder that has their digest for a name: browsers keep them for a year."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "share/jupyter/labextensions/codegen-lsp"


class Digested(BuildHookInterface):  # type: ignore[type-arg]
    """What package.json says of where they are is written anew."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        source = Path(self.root, "labextension")
        scripts = sorted((source / "static").iterdir())
        digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in scripts)).hexdigest()[:16]
        package = json.loads((source / "package.json").read_text(encoding="utf-8"))
        package["jupyterlab"]["_build"]["load"] = f"static/{digest}/remoteEntry.js"
        self.folder = Path(tempfile.mkdtemp())
        written = self.folder / "package.json"
        written.write_text(json.dumps(package, indent=2) + "\n", encoding="utf-8")
        moved = {str(path): f"{PLACE}/static/{digest}/{path.name}" for path in scripts}
        build_data["shared_data"].update({**moved, str(written): f"{PLACE}/package.json"})

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self.folder)
