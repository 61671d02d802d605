"""Vim (CODEGEN_LSP_VIM) with our plugin, or with ALE (its folder: CODEGEN_LSP_ALE), in a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from codegen_lsp.syntax.endings import LANGUAGES
from tests import parrot_script
from tests.terminal import TMUX
from tests.vim_rig import CLIENT, PROGRAM, ROOT, SERVER, Vim, version

ALE = Path(os.environ.get("CODEGEN_LSP_ALE", "/usr/share/vim-ale"))
VIM = PROGRAM
WAIT_S = 20.0

VIMRC = """
set nocompatible noswapfile nomore
set rtp^={ale}
filetype on
let g:ale_linters = {{'{filetype}': ['codegen']}}
let g:codegen_command = {command}
source {client}/ale.vim
"""


class VimWithAle:
    """Vim in a terminal of its own. Use as `with VimWithAle(folder, file, "python") as vim`."""

    def __init__(self, folder: Path, file: Path, filetype: str) -> None:
        self.folder, self.file = folder, file
        command = json.dumps([sys.executable, str(ROOT / "tests" / "scripted_server.py")])
        vimrc = VIMRC.format(ale=ALE, client=CLIENT, command=command, filetype=filetype)
        Path(folder, "vimrc").write_text(vimrc)

    def __enter__(self) -> VimWithAle:
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
    with VimWithAle(tmp_path, file, filetype) as vim:
        vim.type("G")
        vim.until(lambda said: title in said, again=":ALECodeAction\r")
        vim.type("1\r")
        vim.until(lambda _: file.read_text() == text + written, again=":silent write\r")


def test_what_coc_is_told() -> None:
    servers = json.loads((CLIENT / "coc-settings.json").read_text())["languageserver"]
    assert set(servers["codegen"]["filetypes"]) == set(LANGUAGES.values()) - {"shellscript"}
    assert [servers["codegen"]["command"], *servers["codegen"]["args"]] == ["codegen-lsp", "serve"]


# Our plugin

driven = pytest.mark.skipif(
    not (os.environ.get("CODEGEN_LSP_EDITORS") and TMUX and VIM),
    reason="set CODEGEN_LSP_EDITORS=1, and have vim 9.0.1378 or later and tmux, to drive the real editor",
)

HEAD = "def add(left, right):\n    # add two numbers"
FIRST, SECOND = "total = left + right", "    return total"
WRITTEN = f"{HEAD}\n    {FIRST}\n{SECOND}"
ALL, WORD, LINE, DISMISS = "C-l", "C-f", "C-e", "C-]"
NEXT, PREVIOUS, REQUEST = ("C-g", "n"), ("C-g", "p"), ("C-g", "g")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vim]:
    """An editor with our server, whose engine says the same, and two other things when it is asked by hand."""
    print(version())
    script = json.dumps({"answer": f"{FIRST}\n{SECOND}\n", "others": ["return left + right\n", "pass\n"]})
    with Vim(tmp_path_factory.mktemp("real"), [*SERVER, script], setup="set autoindent") as vim:
        yield vim


def begin(vim: Vim, name: str) -> Path:
    """A new file with an order in it, the cursor below it, and the suggestion shown."""
    file = vim.open(name, HEAD + "\n")
    vim.type("A", "Enter")
    vim.until(ghost=f"{FIRST}\n{SECOND}")
    return file


def num_accepted(vim: Vim) -> int:
    vim.look()
    return int(vim.look()["status"]["accepted"])


@driven
def test_accept_all_is_seen_and_saved_and_one_step_of_undo(real: Vim) -> None:
    file, accepted = begin(real, "all.py"), num_accepted(real)
    real.terminal.until_shown(WRITTEN)
    real.type(ALL)
    real.until(text=WRITTEN, ghost="", mode="i", cursor=[4, len(SECOND) + 1])
    real.terminal.until("counted", lambda: num_accepted(real) == accepted + 1)
    real.command("write")
    real.terminal.until("saved", lambda: file.read_text() == WRITTEN + "\n")
    real.type("u")
    real.until(text=f"{HEAD}\n    ", mode="n")
    real.terminal.until("nothing is drawn", lambda: not real.terminal.says(FIRST))


@driven
def test_accept_by_word_and_line(real: Vim) -> None:
    begin(real, "parts.py")
    accepted = num_accepted(real)
    for text, ghost in (("total", f" = left + right\n{SECOND}"), ("total =", f" left + right\n{SECOND}")):
        real.type(WORD)
        real.until(text=f"{HEAD}\n    {text}", ghost=ghost)
        real.terminal.until_shown(WRITTEN)
    real.type(LINE)
    real.until(text=f"{HEAD}\n    {FIRST}", ghost=f"\n{SECOND}")
    assert num_accepted(real) == accepted
    real.type(LINE)
    real.until(text=WRITTEN)
    real.terminal.until("counted", lambda: num_accepted(real) == accepted + 1)


@driven
def test_what_is_left_stays_while_it_is_typed(real: Vim) -> None:
    begin(real, "typed.py")
    real.terminal.write("total =")
    real.until(text=f"{HEAD}\n    total =", ghost=f" left + right\n{SECOND}")
    real.terminal.until_shown(WRITTEN)
    real.type(ALL)
    real.until(text=WRITTEN)


@driven
@pytest.mark.parametrize(("key", "mode"), [(DISMISS, "i"), ("Escape", "n")])
def test_dismissed_and_left(real: Vim, key: str, mode: str) -> None:
    begin(real, "dismiss.py")
    real.type(key)
    real.until(ghost="", mode=mode)
    assert real.look()["text"].rstrip() == HEAD
    assert not real.terminal.says(FIRST)


@driven
def test_others_to_choose_from(real: Vim) -> None:
    begin(real, "others.py")
    seen = [real.look()["ghost"]]
    for _ in range(2):
        real.type(*NEXT)
        real.terminal.until("another", lambda: real.look()["ghost"] not in ("", seen[-1]))
        seen.append(real.look()["ghost"])
    assert {*seen} == {f"{FIRST}\n{SECOND}", "return left + right", "pass"}
    real.type(*PREVIOUS)
    real.until(ghost=seen[1])


@driven
def test_implement_from_docstring(real: Vim) -> None:
    text = 'def add(left, right):\n    """Add two numbers."""\n'
    file = real.open("stub.py", text)
    real.command("Codegen implement")
    real.until(text=f"{text}    {FIRST}\n{SECOND}")
    real.command("write")
    real.terminal.until("saved", lambda: file.read_text() == f"{text}    {FIRST}\n{SECOND}\n")


@driven
@pytest.mark.parametrize(
    ("name", "says"), [("explain", "scripted: comment-above, one block"), ("status", "state: ready")]
)
def test_what_the_server_says_in_a_window(real: Vim, name: str, says: str) -> None:
    begin(real, "explain.py")
    real.command(f"Codegen {name}")
    real.terminal.until("shown", lambda: real.terminal.says(f"codegen {name}"))
    assert says in real.look()["text"]
    real.type("q")


@driven
def test_columns_are_bytes(real: Vim) -> None:
    real.open("bytes.py", "# the sum\né𝄞 = ")
    real.type("A", *REQUEST)
    real.until(ghost=f"{FIRST}")
    real.type(ALL)
    real.until(text=f"# the sum\né𝄞 = {FIRST}")


@driven
def test_toggle(real: Vim) -> None:
    real.open("toggle.py", HEAD + "\n")
    real.command("Codegen toggle")
    real.type("G", "A", "Enter", *REQUEST)
    real.terminal.until("told", lambda: real.terminal.says("no suggestion here"))
    real.command("Codegen toggle")
    real.type("A", *REQUEST)  # Leaving insert mode took the indentation away.
    real.until(ghost=f"    {FIRST}\n{SECOND}")


@driven
def test_a_server_that_ends_is_told_and_starts_again(tmp_path: Path) -> None:
    wrapper = tmp_path / "serve"
    words = " ".join(f"'{word}'" for word in SERVER)
    wrapper.write_text(f"#!/bin/sh\necho $$ >'{tmp_path}/pid'\nexec {words}\n")
    wrapper.chmod(0o755)
    with Vim(tmp_path, [str(wrapper)]) as vim:
        vim.open("killed.py", HEAD + "\n")
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
        vim.terminal.until("told", lambda: vim.terminal.says("the server has ended"))
        vim.command("edit")
        vim.terminal.until("served", lambda: (vim.look()["status"] or {}).get("state") == "ready")
        vim.type("G", "o", *REQUEST)
        vim.until(ghost="    answer = 1")


@driven
def test_a_missing_server_is_told(tmp_path: Path) -> None:
    with Vim(tmp_path, ["no-such-codegen-lsp"]) as vim:
        vim.command("edit a.py")
        vim.command("Codegen status")
        vim.terminal.until("told", lambda: vim.terminal.says("no-such-codegen-lsp is not found"))


# Answers that ours never gives, with a parrot


class Parrot(parrot_script.Script):
    """An editor with a server that says what a file says."""

    def __init__(self, vim: Vim, script: Path) -> None:
        super().__init__(script)
        self.vim = vim

    def until(self, event: str) -> None:
        self.vim.terminal.until(event, lambda: event in self.log())


@pytest.fixture(scope="module")
def parrot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parrot]:
    folder = tmp_path_factory.mktemp("parrot")
    script = folder / "script.json"
    command = parrot_script.command(script)
    with Vim(folder, command, setup="let g:codegen_delay = 10 | set completeopt=menuone,noinsert") as vim:
        yield Parrot(vim, script)


class Case(NamedTuple):
    """The row, how far the cursor goes left, the server's item, what is seen, and the buffer once it is accepted."""

    line: str
    num_left: int
    says: dict[str, Any]
    seen: str
    accepted: str


ITEMS = {
    "end": Case("x = ", 0, {"text": "1"}, "x = 1", "x = 1"),
    "over a bracket": Case("x = f()", 1, {"text": "a)", "over": 1}, "x = f(a)", "x = f(a)"),
    "before a bracket": Case("x = f()", 1, {"text": "a"}, "x = f(a)", "x = f(a)"),
    "lines before a bracket": Case("x = f()", 1, {"text": "a,\n  b"}, "x = f(a,)\n  b", "x = f(a,\n  b)"),
    "a word begun": Case("  retu", 0, {"text": "return 1", "back": 4}, "  return 1", "  return 1"),
    "less indentation": Case("        ", 0, {"text": "    pass", "back": 8}, "        pass", "    pass"),
    "bytes": Case("s = 'é𝄞' + ", 0, {"text": "t"}, "s = 'é𝄞' + t", "s = 'é𝄞' + t"),
    "line ends": Case("if x:", 0, {"text": "\r\n  é = 1\r\n  y"}, "if x:\n  é = 1\n  y", "if x:\n  é = 1\n  y"),
    "tab": Case("a", 0, {"text": "b\n\tc"}, "ab\n        c", "ab\n\tc"),
}


@driven
@pytest.mark.parametrize("case", ITEMS.values(), ids=ITEMS)
def test_an_item(parrot: Parrot, case: Case) -> None:
    parrot.says(**case.says)
    parrot.vim.open("item.py", case.line)
    parrot.vim.type("A", *["Left"] * case.num_left)
    parrot.vim.terminal.until_shown(case.seen)
    parrot.log()
    parrot.vim.type(ALL)
    parrot.vim.until(text=case.accepted, ghost="")
    parrot.until("accepted")


STEPS = {
    "typed": ("f", 0, {"text": "(a, b)"}, [("(a", "f(a", ", b)"), ("BSpace", "f(", "a, b)"), ("x", "f(x", "")]),
    "before a bracket": ("f()", 1, {"text": "a, b)", "over": 1}, [("a", "f(a)", ", b)"), (ALL, "f(a, b)", "")]),
    "passed by": ("ab", 1, {"text": "bc"}, [("Right", "ab", "")]),
    "another row": ("a", 0, {"text": "b"}, [("Enter", "a\n", "")]),
}  # fmt: skip


@driven
@pytest.mark.parametrize("name", STEPS)
def test_what_is_left_needs_no_answer(parrot: Parrot, name: str) -> None:
    line, num_left, says, steps = STEPS[name]
    parrot.says(**says)
    parrot.vim.open("steps.py", line)
    parrot.vim.type("A", *["Left"] * num_left)
    parrot.vim.until(ghost=says["text"])
    parrot.says(mute=True)
    for keys, text, ghost in steps:
        before = parrot.vim.look()["cursor"]
        parrot.vim.type(keys)
        parrot.vim.terminal.until("typed", lambda before=before: parrot.vim.look()["cursor"] != before)
        seen = parrot.vim.look()
        assert (seen["text"], seen["ghost"]) == (text, ghost)


LATE = {"typed on": "y", "normal mode": "Escape", "completion menu": "C-n"}


@driven
@pytest.mark.parametrize("name", LATE)
def test_an_answer_that_comes_too_late_is_never_shown(parrot: Parrot, name: str) -> None:
    vim = parrot.vim
    parrot.says(text="late", hold=True)
    vim.open("late.py", "xa xb\nx")
    parrot.log()
    vim.type("A")
    parrot.until("ask")
    parrot.says(mute=True)
    before = {**vim.look(), "status": None}
    vim.type(LATE[name])
    vim.terminal.until("something happened", lambda: {**vim.look(), "status": None} != before)
    vim.release()
    assert vim.look()["ghost"] == ""
    vim.command("")


@driven
def test_a_key_without_a_suggestion_means_what_it_meant(parrot: Parrot) -> None:
    parrot.says()
    parrot.vim.open("keys.py", "x\nab")
    parrot.vim.type("A", ALL, "y", "C-g", "u", "z")
    parrot.vim.until(text="x\nab\fyz")


def test_the_plugin_knows_the_languages_of_the_server() -> None:
    source = (CLIENT / "autoload" / "codegen" / "server.vim").read_text()
    table = source.partition("LANGUAGES = {")[2].partition("}")[0]
    assert set(re.findall(r": '(\w+)'", table)) == set(LANGUAGES.values())
