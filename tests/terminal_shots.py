"""The manuals' pictures: `python -m tests.terminal_shots editor-clients [NAME…]`, each of a real editor with our model.

Needs tmux, xterm, Xvfb and ImageMagick (Debian: tmux xterm xvfb xauth imagemagick fonts-dejavu-core) and the editors.
CODEGEN_LSP_NVIM, CODEGEN_LSP_EMACS and CODEGEN_LSP_VIM name other programs, the first of them is taken.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from tests.emacs_rig import Emacs
from tests.terminal import Terminal
from tests.vim_rig import PROGRAM as VIM

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ROOT / "editor-clients"
OURS = [sys.executable, "-m", "codegen_lsp"]
SERVER = [*OURS, "serve"]
SIZE = {"columns": 88, "rows": 18}
TEXT = '''"""Small tools for lists and text."""


def chunks(items: list[int], size: int) -> list[list[int]]:
    """Split a list into chunks of the given size."""
    return [items[i : i + size] for i in range(0, len(items), size)]


def is_palindrome(text: str) -> bool:
    """Whether a text reads the same backwards, ignoring case and blanks."""
'''
SAYS = "[::-1]"
"""What the bundled model writes, somewhere in it."""


def neovim(folder: Path, file: Path) -> None:
    """Ghost text."""
    with _neovim(folder) as terminal:
        terminal.picture(file)


def neovim_explain(folder: Path, file: Path) -> None:
    """`:Codegen explain`."""
    with _neovim(folder, rows=34) as terminal:
        terminal.type("C-l", "Escape")
        terminal.write(":Codegen explain")
        terminal.type("Enter")
        terminal.until("explained", lambda: terminal.says("docstring, one body"))
        terminal.picture(file)


def vim(folder: Path, file: Path) -> None:
    """Ghost text."""
    vimrc = folder / "vimrc"
    vimrc.write_text(VIMRC.format(command=json.dumps(SERVER), client=CLIENTS / "vim"))
    assert VIM, "there is no vim on this machine"
    with _suggested([VIM, "-N", "-u", str(vimrc), _written(folder)], folder) as terminal:
        terminal.picture(file)


VIMRC = """
let g:codegen_command = {command}
set rtp^={client}
set termguicolors background=dark number noswapfile autoindent viminfo= laststatus=2
filetype plugin indent on
syntax on
colorscheme habamax
"""


def emacs(folder: Path, file: Path) -> None:
    """Ghost text over eglot."""
    program = os.environ.get("CODEGEN_LSP_EMACS", "emacs").split(":")[0]
    with Emacs(program, "eglot", folder, SERVER, setup=EMACS, run=folder.parent, rows=SIZE["rows"]) as editor:
        editor.open("tools.py", TEXT.rstrip("\n"))
        editor.type("Enter")
        editor.terminal.until("suggested", lambda: editor.terminal.says(SAYS))
        editor.terminal.picture(file)


EMACS = """
(progn (load-theme 'modus-vivendi t) (set-face-attribute 'codegen-ghost nil :foreground "#9aa0a6" :slant 'italic)
       (add-hook 'python-mode-hook #'display-line-numbers-mode))
"""


@contextmanager
def _neovim(folder: Path, rows: int = SIZE["rows"]) -> Iterator[Terminal]:
    """Neovim with a suggestion below the docstring."""
    program = os.environ.get("CODEGEN_LSP_NVIM", "nvim").split(":")[0]
    setup = json.dumps(json.dumps({"cmd": SERVER}))
    options = f"set rtp^={CLIENTS / 'neovim'} termguicolors number noswapfile shortmess+=I"
    ready = f"hi ComplHint guifg=#9b9ea4 | lua require('codegen').setup(vim.fn.json_decode({setup}))"
    start = [program, "--clean", "--cmd", options, "-c", ready]
    with _suggested([*start, _written(folder)], folder, rows) as terminal:
        yield terminal


@contextmanager
def _suggested(command: Sequence[str], folder: Path, rows: int = SIZE["rows"]) -> Iterator[Terminal]:
    """An editor of Vim's kind in which the line below the docstring is begun, once the model suggests something."""
    env = {"HOME": str(folder), "PYTHONPATH": str(ROOT)}
    with Terminal(command, folder, env=env, columns=SIZE["columns"], rows=rows) as terminal:
        terminal.until("opened", lambda: terminal.says("is_palindrome"))
        terminal.type("G", "o")
        terminal.until("suggested", lambda: terminal.says(SAYS), again=lambda: terminal.type("x", "BSpace"))
        yield terminal


def _written(folder: Path) -> str:
    """The file that is edited."""
    file = folder / "tools.py"
    file.write_text(TEXT)
    return str(file)


SHOTS: dict[str, Callable[[Path, Path], None]] = {
    "emacs/ghost": emacs,
    "neovim/ghost": neovim,
    "neovim/explain": neovim_explain,
    "vim/ghost": vim,
}
"""Editor/name of a picture, and what takes it in a folder of its own."""


def main() -> None:
    target = Path(sys.argv[1]).resolve()
    room = Path(tempfile.mkdtemp(prefix="shots-"))  # The model's socket is in it: a short path.
    homes = {"HOME": str(room), "XDG_RUNTIME_DIR": str(room), "XDG_CACHE_HOME": str(room), "PYTHONPATH": str(ROOT)}
    with mock.patch.dict(os.environ, homes):
        try:
            # It is loaded before an editor asks, and shared by all of them.
            subprocess.run([*OURS, "host", "start"], check=True)
            for name in sys.argv[2:] or SHOTS:
                folder = room / name.replace("/", "-")
                folder.mkdir()
                editor, _, shot = name.partition("/")
                picture = target / editor / "images" / f"{shot}.png"
                picture.parent.mkdir(parents=True, exist_ok=True)
                SHOTS[name](folder, picture)
                print(picture)
        finally:
            subprocess.run([*OURS, "host", "stop"], check=False)
            shutil.rmtree(room)


if __name__ == "__main__":
    main()
