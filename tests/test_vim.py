"""Vim with ALE (its folder: CODEGEN_LSP_ALE), in a terminal, with our server; and what coc.nvim is configured with."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codegen_lsp.syntax.endings import LANGUAGES

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "editor-clients" / "vim"
ALE = Path(os.environ.get("CODEGEN_LSP_ALE", "/usr/share/vim-ale"))
VIM = shutil.which("vim.basic") or shutil.which("vim")
WAIT_S = 20.0

VIMRC = """
set nocompatible noswapfile nomore
set rtp^={ale}
filetype on
let g:ale_linters = {{'{filetype}': ['codegen']}}
let g:codegen_command = {command}
source {client}/ale.vim
"""


class Vim:
    """Vim in a terminal of its own. Use as `with Vim(folder, file) as vim`."""

    def __init__(self, folder: Path, file: Path, filetype: str) -> None:
        self.folder, self.file = folder, file
        command = json.dumps([sys.executable, str(ROOT / "tests" / "scripted_server.py")])
        vimrc = VIMRC.format(ale=ALE, client=CLIENT, command=command, filetype=filetype)
        Path(folder, "vimrc").write_text(vimrc)

    def __enter__(self) -> Vim:
        self.screen, inside = pty.openpty()
        assert VIM
        self.process = subprocess.Popen(
            [VIM, "-N", "-u", "vimrc", "-i", "NONE", str(self.file)],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            cwd=self.folder,
            env={
                **os.environ,
                "TERM": "xterm",
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "PYTHONPATH": str(ROOT),
            },
        )
        os.close(inside)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.type("\x1b\x1b:qall!\r")
            self.until(lambda _: self.process.poll() is not None)
        finally:
            self.process.kill()
            self.process.wait()
            os.close(self.screen)

    def type(self, keys: str) -> None:
        os.write(self.screen, keys.encode())

    def until(self, is_done: Callable[[str], bool], *, again: str = "") -> None:
        """Wait for the screen to say something, with keys that are typed again each second. Raises AssertionError."""
        end, said, next_s = time.monotonic() + WAIT_S, "", time.monotonic()
        while not is_done(said):
            assert time.monotonic() < end, said[-2000:]
            if again and time.monotonic() >= next_s:
                self.type(again)
                next_s += 1
            if select.select([self.screen], [], [], 0.05)[0]:
                try:
                    said += os.read(self.screen, 1 << 16).decode(errors="replace")
                except OSError:  # The other end is closed.
                    time.sleep(0.05)


@pytest.mark.skipif(VIM is None, reason="there is no vim on this machine")
@pytest.mark.skipif(not (ALE / "autoload" / "ale.vim").exists(), reason="ALE is not installed (CODEGEN_LSP_ALE)")
@pytest.mark.parametrize(
    ("filetype", "text", "title", "written"),
    [
        ("python", 'def one():\n    """The number one."""\n', "Implement from docstring", "    answer = 1\n"),
        ("sh", "# the answer\n", "Write code from this comment", "answer = 1\n"),
    ],
    ids=["python", "sh"],
)
def test_a_code_action_in_ale(tmp_path: Path, filetype: str, text: str, title: str, written: str) -> None:
    file = tmp_path / f"a.{filetype[:2]}"
    file.write_text(text)
    with Vim(tmp_path, file, filetype) as vim:
        vim.type("G")
        vim.until(lambda said: title in said, again=":ALECodeAction\r")
        vim.type("1\r")
        vim.until(lambda _: file.read_text() != text, again=":silent write\r")
    assert file.read_text() == text + written


def test_what_coc_is_told() -> None:
    servers = json.loads((CLIENT / "coc-settings.json").read_text())["languageserver"]
    assert set(servers["codegen"]["filetypes"]) == set(LANGUAGES.values()) - {"shellscript"}
    assert [servers["codegen"]["command"], *servers["codegen"]["args"]] == ["codegen-lsp", "serve"]
