"""JupyterLab's side of codegen-lsp: a language server for each window (relay.py), and ghost text (labextension/)."""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "codegen_lsp_jupyterlab"}]


def _load_jupyter_server_extension(app: Any) -> None:
    from codegen_lsp_jupyterlab.relay import add_to

    add_to(app)
