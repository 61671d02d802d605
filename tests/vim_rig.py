"""Vim in a terminal, with our plugin: keys in, the screen and what Vim knows out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "editor-clients" / "vim"
SERVER = [sys.executable, str(ROOT / "tests" / "scripted_server.py")]
PROGRAM = shutil.which(os.environ.get("CODEGEN_LSP_VIM", "vim.basic")) or shutil.which("vim")

VIMRC = """
set nocompatible noswapfile nomore viminfo= encoding=utf-8 shortmess+=I
let g:codegen_command = {command}
set rtp^={client}
filetype on
{setup}
function! Keep(said, problem) abort
  let g:status = a:said
endfunction
function! Look() abort
  call codegen#server#Ask('workspace/executeCommand', {{'command': 'codegen.status'}}, function('Keep'))
  let known = {{'text': join(getline(1, '$'), "\\n"), 'ghost': codegen#ghost#Text(), 'mode': mode(),
        \\ 'cursor': [line('.'), col('.')], 'menu': pumvisible(), 'status': get(g:, 'status', {{}})}}
  call writefile([json_encode(known)], 'look.new')
  call rename('look.new', 'look')
endfunction
function! Release() abort
  call codegen#server#Ask('workspace/executeCommand', {{'command': 'release'}}, {{_, __ -> writefile([], 'released')}})
endfunction
inoremap <F11> <Cmd>call Release()<CR>
nnoremap <F11> <Cmd>call Release()<CR>
inoremap <F12> <Cmd>call Look()<CR>
nnoremap <F12> <Cmd>call Look()<CR>
"""


class Vim:
    """One editor with an empty home. Use as `with Vim(folder, [*SERVER, script]) as vim`."""

    def __init__(
        self, folder: Path, command: Sequence[str] = SERVER, *, setup: str = "", run: Path | None = None
    ) -> None:
        self.folder = folder
        vimrc = VIMRC.format(command=json.dumps(list(command)), client=CLIENT, setup=setup)
        Path(folder, "vimrc").write_text(vimrc)
        home = str(folder)
        env = {"HOME": home, "XDG_RUNTIME_DIR": str(run or home), "XDG_CACHE_HOME": home, "PYTHONPATH": str(ROOT)}
        assert PROGRAM
        self.terminal = Terminal([PROGRAM, "-N", "-u", "vimrc"], folder, env={**env, "TMPDIR": home})

    def __enter__(self) -> Vim:
        self.terminal.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminal.type("Escape", "Escape")
        self.terminal.write(":qall!\r")
        self.terminal.__exit__()

    def open(self, name: str, text: str) -> Path:
        """Edit a file, the cursor at its end, and wait for the server and its model."""
        file = self.folder / name
        file.write_text(text)
        self.command(f"silent! %bwipeout! | silent edit! {name}")
        self.terminal.until("ready", lambda: (self.look()["status"] or {}).get("state") == "ready")
        self.type("G", "$")
        return file

    def type(self, *keys: str) -> None:
        """Keys as tmux names them."""
        self.terminal.type(*keys)

    def command(self, text: str) -> None:
        """A command line, from any mode."""
        self.type("Escape", "Escape")
        self.terminal.write(f":{text}\r")

    def look(self) -> dict[str, Any]:
        """The buffer's text, the suggestion, the mode, the cursor, and (of the last look) the server's status."""
        seen = self.folder / "look"
        seen.unlink(missing_ok=True)
        self.type("F12")
        self.terminal.until("looked", seen.exists)
        return dict(json.loads(seen.read_text()))

    def release(self) -> None:
        """Have the parrot say what it held, and wait until that has come."""
        done = self.folder / "released"
        done.unlink(missing_ok=True)
        self.type("F11")
        self.terminal.until("released", done.exists)

    def until(self, **wanted: object) -> None:
        """Wait until Vim looks so. Raises AssertionError with how it looks."""
        seen: dict[str, Any] = {}

        def probe() -> bool:
            seen.update(self.look())
            return all(seen[name] == value for name, value in wanted.items())

        try:
            self.terminal.until(f"{wanted}", probe)
        except AssertionError as error:
            raise AssertionError(f"{seen}\n{error}") from None


def version() -> str:
    """What is driven: "Vim 9.0.1378"."""
    assert PROGRAM
    said = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"IMproved ([\d.]+).*?patches: 1-(\d+)", said, re.DOTALL)
    return f"Vim {found[1]}.{found[2]}" if found else said[:40]
