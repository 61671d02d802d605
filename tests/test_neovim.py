"""The Neovim plugin in the real editor. CODEGEN_LSP_NVIM names other programs than `nvim`, separated by colons."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import parrot_script
from tests.nvim_client import PLUGIN, SERVER, Nvim

PROGRAMS = [name for name in os.environ.get("CODEGEN_LSP_NVIM", "nvim").split(":") if shutil.which(name)]
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="there is no nvim on this machine")

HEAD = "def add(left, right):\n    # add two numbers"
FIRST, SECOND = "total = left + right", "    return total"
WRITTEN = f"{HEAD}\n    {FIRST}\n{SECOND}"
ALL, WORD, LINE, DISMISS = "<C-l>", "<M-w>", "<M-l>", "<C-]>"


@pytest.fixture(scope="module", params=PROGRAMS or [None], ids=lambda name: Path(name or "none").name)
def program(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def real(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nvim]:
    """An editor with our server, whose engine always says the same."""
    script = json.dumps({"answer": f"{FIRST}\n{SECOND}\n"})
    setup = {"cmd": [*SERVER, script]}
    with Nvim(program, tmp_path_factory.mktemp("real"), setup=setup) as nvim:
        yield nvim


class Parrot(parrot_script.Script):
    """An editor with a server that says what a file says."""

    def __init__(self, nvim: Nvim, script: Path) -> None:
        super().__init__(script)
        self.nvim = nvim

    def until_asked(self) -> None:
        self.nvim.until("asked", probe=lambda: "ask" in self.log())

    @property
    def is_builtin(self) -> bool:
        """Whether Neovim draws the ghost text; what it draws, and when, is then not ours."""
        return bool(self.nvim.lua("return vim.lsp.inline_completion ~= nil"))


@pytest.fixture(scope="module")
def parrot(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parrot]:
    folder = tmp_path_factory.mktemp("parrot")
    script = folder / "script.json"
    setup = {"cmd": parrot_script.command(script), "debounce_ms": 10}
    with Nvim(program, folder, setup=setup) as nvim:
        yield Parrot(nvim, script)


def begin(nvim: Nvim, name: str) -> None:
    """A new file with an order in it, the cursor below it, and the suggestion shown."""
    nvim.open(name, HEAD + "\n")
    nvim.type("<Esc>GA<CR>")
    nvim.until_ghost(f"{FIRST}\n{SECOND}")


# The whole way, with our server


def test_accept_all_is_one_step_of_undo(real: Nvim) -> None:
    begin(real, "all.py")
    accepted = real.ask_server("codegen.status")["accepted"]
    real.type(ALL)
    real.until_text(WRITTEN)
    assert real.ghost() == ""
    assert real.cursor() == [4, len(SECOND)]
    assert real.mode() == "i"
    real.until("counted", probe=lambda: real.ask_server("codegen.status")["accepted"] == accepted + 1)
    real.type("  # sum<Esc>")
    real.until_text(f"{WRITTEN}  # sum")
    real.type("u")
    real.until_text(WRITTEN)
    real.type("u")
    real.until_text(f"{HEAD}\n    ")


def test_accept_by_word_and_line(real: Nvim) -> None:
    begin(real, "parts.py")
    accepted = real.ask_server("codegen.status")["accepted"]
    for text, ghost in (("total", f" = left + right\n{SECOND}"), ("total =", f" left + right\n{SECOND}")):
        real.type(WORD)
        real.until_text(f"{HEAD}\n    {text}")
        real.until_ghost(ghost)
    real.type(LINE)
    real.until_text(f"{HEAD}\n    {FIRST}")
    real.until_ghost(f"\n{SECOND}")
    assert real.ask_server("codegen.status")["accepted"] == accepted
    real.type(LINE)
    real.until_text(WRITTEN)
    real.until("counted", probe=lambda: real.ask_server("codegen.status")["accepted"] == accepted + 1)


def test_what_is_left_stays_while_it_is_typed(real: Nvim) -> None:
    begin(real, "typed.py")
    real.type("total =")
    real.until_ghost(f" left + right\n{SECOND}")
    real.type(ALL)
    real.until_text(WRITTEN)


def test_dismiss_and_leaving_insert_mode(real: Nvim) -> None:
    begin(real, "dismiss.py")
    real.type(DISMISS)
    real.until_ghost("")
    assert real.mode() == "i"
    begin(real, "leave.py")
    real.type("<Esc>")
    real.until_ghost("")
    assert FIRST not in real.text()


def test_explain_in_a_float(real: Nvim) -> None:
    begin(real, "explain.py")
    real.type("<Esc>:Codegen explain<CR>")
    lines = real.until(FLOAT)
    assert "scripted: comment-above, one block" in lines
    assert FIRST in lines
    assert any("add two numbers" in line for line in lines)
    real.type("jk")


def test_toggle(real: Nvim) -> None:
    real.open("toggle.py", HEAD + "\n")
    real.type("<Esc>:Codegen toggle<CR>")
    real.until("off", probe=lambda: not enabled(real))
    real.type("GA<CR>")
    real.until("return vim.api.nvim_get_mode().mode == 'i'")
    real.lua("vim.wait(400)")
    assert real.ghost() == ""
    real.type("<Esc>:Codegen toggle<CR>")
    real.until("on", probe=lambda: enabled(real))
    real.type("cc")
    real.until("shown", probe=real.ghost)


def enabled(nvim: Nvim) -> bool:
    return bool(nvim.ask_server("codegen.inspect")["settings"]["enabled"])


def test_health(real: Nvim) -> None:
    real.type("<Esc>")
    real.call("nvim_command", "checkhealth codegen")
    real.until("checked", probe=lambda: "the server is running" in real.text())
    text = real.text()
    assert f"{sys.executable} is there" in text
    assert "model scripted: ready" in text
    assert not {"ERROR", "WARNING"} & set(text.replace(":", " ").split())


FLOAT = """
for _, window in ipairs(vim.api.nvim_list_wins()) do
  if vim.api.nvim_win_get_config(window).relative ~= '' then
    local buffer = vim.api.nvim_win_get_buf(window)
    return vim.tbl_map(vim.trim, vim.api.nvim_buf_get_lines(buffer, 0, -1, false))
  end
end
return false
"""


def test_the_menu_is_left_to_those_who_call_it(real: Nvim) -> None:
    real.open("menu.py", HEAD + "\n    tot")
    place = {"line": 2, "character": 7}
    params = {"textDocument": {"uri": real.lua("return vim.uri_from_bufnr(0)")}, "position": place}
    answer = real.request("textDocument/completion", {**params, "context": {"triggerKind": 1}})
    assert not answer["items"]
    assert real.request("textDocument/inlineCompletion", {**params, "context": {"triggerKind": 1}})["items"]


def test_the_screen(real: Nvim) -> None:
    real.call("nvim_command", "tabonly! | only!")
    begin(real, "screen.py")
    assert real.screen() == [*HEAD.splitlines(), f"    {FIRST}", SECOND, "~"]


# Answers that ours never gives, with a parrot


class Case(NamedTuple):
    """The row, keys after <Esc>A, the server's item, what is drawn, and the buffer once it is accepted."""

    line: str
    move: str
    says: dict[str, Any]
    ghost: str
    accepted: str


ITEMS = {
    "end": Case("x = ", "", {"text": "1"}, "1", "x = 1"),
    "over a bracket": Case("x = f()", "<Left>", {"text": "a)", "over": 1}, "a)", "x = f(a)"),
    "before a bracket": Case("x = f()", "<Left>", {"text": "a"}, "a)", "x = f(a)"),
    "lines before a bracket": Case("x = f()", "<Left>", {"text": "a,\n  b"}, "a,\n  b)", "x = f(a,\n  b)"),
    "a word begun": Case("  retu", "", {"text": "return 1", "back": 4}, "rn 1", "  return 1"),
    "less indentation": Case("        ", "", {"text": "    pass", "back": 8}, "pass", "    pass"),
    "utf-16": Case("s = 'é𝄞' + ", "", {"text": "t"}, "t", "s = 'é𝄞' + t"),
    "utf-16 begun": Case("é𝄞 ret", "", {"text": "return é𝄞", "back": 3}, "urn é𝄞", "é𝄞 return é𝄞"),
    "line ends": Case("if x:", "", {"text": "\r\n  é = 1\r\n  y"}, "\n  é = 1\n  y", "if x:\n  é = 1\n  y"),
    "tab": Case("a", "", {"text": "b\n\tc"}, "b\n        c", "ab\n\tc"),
}


@pytest.mark.parametrize("case", ITEMS.values(), ids=ITEMS)
def test_an_item(parrot: Parrot, case: Case) -> None:
    if parrot.is_builtin and case is ITEMS["less indentation"]:
        pytest.skip("Neovim's own ghost text cannot show less than what stands before the cursor")
    nvim = parrot.nvim
    parrot.says(**case.says)
    nvim.open("item.py", case.line)
    nvim.lua("vim.bo.tabstop = 8")
    nvim.type("<Esc>A" + case.move)
    if parrot.is_builtin:
        nvim.until("shown", probe=nvim.ghost)
    else:
        nvim.until_ghost(case.ghost)
    parrot.log()
    nvim.type(ALL)
    nvim.until_text(case.accepted)
    nvim.until("told", probe=lambda: "accepted" in parrot.log())


STEPS = {
    "typed": ("f", "", {"text": "(é, b)"}, [("(é", "f(é", ", b)"), ("<BS>", "f(", "é, b)"), ("x", "f(x", "")]),
    "before a bracket": ("f()", "<Left>", {"text": "a, b)", "over": 1}, [("a", "f(a)", ", b)"), (ALL, "f(a, b)", "")]),
    "passed by": ("ab", "<Left>", {"text": "bc"}, [("<Right>", "ab", "")]),
    "another row": ("a", "", {"text": "b"}, [("<CR>", "a\n", "")]),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_what_is_left_needs_no_answer(parrot: Parrot, name: str) -> None:
    line, move, says, steps = STEPS[name]
    nvim = parrot.nvim
    if parrot.is_builtin:
        pytest.skip("Neovim's own ghost text shows what comes")
    parrot.says(**says)
    nvim.open("steps.py", line)
    nvim.type("<Esc>A" + move)
    nvim.until("shown", probe=nvim.ghost)
    parrot.says(mute=True)
    for keys, text, ghost in steps:
        column = nvim.cursor()
        nvim.type(keys)
        nvim.until("typed", probe=lambda before=column: nvim.cursor() != before)
        assert (nvim.text(), nvim.ghost()) == (text, ghost)


LATE = {
    "typed on": "vim.api.nvim_input('y')",
    "typed on, and back": "vim.api.nvim_input('y<BS><Left><Right>')",
    "an edit by a plugin": "vim.api.nvim_buf_set_lines(0, 1, 1, false, { '' })",
    "normal mode": "vim.api.nvim_input('<Esc>')",
    "one normal command": "vim.api.nvim_input('<C-o>')",
    "completion menu": "vim.o.completeopt = 'menuone,noinsert'; vim.api.nvim_input('<C-n>')",
}


@pytest.mark.parametrize("name", LATE)
def test_an_answer_that_comes_too_late_is_never_shown(parrot: Parrot, name: str) -> None:
    nvim = parrot.nvim
    if parrot.is_builtin:
        pytest.skip("Neovim's own ghost text shows what comes")
    parrot.says(text="late", hold=True)
    nvim.open("late.py", "xa xb\nx")
    parrot.log()
    nvim.type("<Esc>GA")
    parrot.until_asked()
    parrot.says(mute=True)
    before = nvim.lua(STATE)
    nvim.lua(LATE[name])
    nvim.until("something happened", probe=lambda: nvim.lua(STATE) != before)
    nvim.ask_server("release")
    nvim.lua("vim.wait(50)")
    assert nvim.ghost() == ""
    nvim.type("<C-e><Esc>")


STATE = """
return { vim.api.nvim_get_mode().mode, vim.fn.pumvisible(), vim.api.nvim_buf_get_changedtick(0) }
"""


def test_a_menu_hides_the_suggestion(parrot: Parrot) -> None:
    nvim = parrot.nvim
    if parrot.is_builtin:
        pytest.skip("Neovim's own ghost text is shown beside a menu")
    parrot.says(text="late")
    nvim.open("menu.py", "xa xb\nx")
    nvim.type("<Esc>GA")
    nvim.until_ghost("late")
    nvim.lua("vim.o.completeopt = 'menuone,noinsert'; vim.api.nvim_input('<C-n>')")
    nvim.until("return vim.fn.pumvisible() == 1")
    assert nvim.ghost() == ""
    nvim.type("<C-e><Esc>")


NEXT, PREVIOUS, REQUEST = "<M-]>", "<M-[>", "<M-Bslash>"


def test_cycling(parrot: Parrot) -> None:
    nvim = parrot.nvim
    parrot.says(text="one", others=["two", "three"])
    nvim.open("cycle.py", "x = ")
    nvim.type("<Esc>A")
    nvim.until("shown", probe=lambda: "one" in nvim.ghost())
    parrot.log()
    for key, text in ((NEXT, "two"), (NEXT, "three"), (NEXT, "one"), (PREVIOUS, "three"), (PREVIOUS, "two")):
        nvim.type(key)
        nvim.until(f"shown {text}", probe=lambda text=text: text in nvim.ghost())
    assert parrot.log() == ["ask", "by-hand"]
    nvim.type(ALL)
    nvim.until_text("x = two")


def test_there_is_no_other(parrot: Parrot) -> None:
    nvim = parrot.nvim
    parrot.says(text="one")
    nvim.open("alone.py", "x = ")
    nvim.type("<Esc>A")
    nvim.until("shown", probe=lambda: "one" in nvim.ghost())
    parrot.log()
    nvim.type(PREVIOUS)
    nvim.until("asked", probe=lambda: "by-hand" in parrot.log())
    nvim.until("shown", probe=lambda: "one" in nvim.ghost())


def test_asking_by_hand(parrot: Parrot) -> None:
    nvim = parrot.nvim
    parrot.says()
    nvim.open("hand.py", "x = ")
    nvim.type("<Esc>A")
    parrot.until_asked()
    parrot.says(text="one", others=["two"])
    nvim.type(REQUEST)
    nvim.until("shown", probe=lambda: "one" in nvim.ghost())
    assert "by-hand" in parrot.log()


def test_a_key_without_a_suggestion_means_what_it_meant(parrot: Parrot) -> None:
    parrot.says()
    parrot.nvim.open("keys.py", "x")
    parrot.nvim.lua("vim.cmd('inoremap <C-x>q q')")
    parrot.nvim.type("<Esc>A<C-l>y")
    parrot.nvim.until_text("x\fy")


def test_neovim_alone_needs_only_the_configuration(program: str, tmp_path: Path) -> None:
    with Nvim(program, tmp_path, setup=None) as nvim:
        if not nvim.lua("return vim.lsp.inline_completion ~= nil"):
            pytest.skip("Neovim 0.12 is the first with ghost text of its own")
        nvim.lua("vim.lsp.config('codegen', { cmd = ... })", SERVER)
        nvim.lua("vim.lsp.enable('codegen'); vim.lsp.inline_completion.enable()")
        nvim.open("alone.py", HEAD + "\n")
        nvim.type("GA<CR>")
        nvim.until_ghost("answer = 1")
        nvim.lua("vim.lsp.inline_completion.get()")
        nvim.until_text(f"{HEAD}\n    answer = 1")


# Without a server


def test_the_help_has_its_tags(program: str, tmp_path: Path) -> None:
    doc = Path(shutil.copytree(PLUGIN / "doc", tmp_path / "doc"))
    with Nvim(program, tmp_path) as nvim:
        nvim.call("nvim_command", f"helptags {doc}")
    tags = {line.partition("\t")[0] for line in (doc / "tags").read_text().splitlines()}
    sections = {tag for tag in tags if tag.startswith("codegen-")} - {"codegen-lsp"}
    text = (doc / "codegen.txt").read_text()
    assert {":Codegen", "codegen.txt"} <= tags
    assert set(re.findall(r"\|(codegen-\w+)\|", text)) == sections
    assert max(map(len, text.splitlines())) <= 80


def test_a_missing_server_is_told_by_checkhealth(program: str, tmp_path: Path) -> None:
    with Nvim(program, tmp_path, setup={"cmd": ["no-such-codegen-lsp"]}) as nvim:
        nvim.call("nvim_command", "edit a.py")
        nvim.call("nvim_command", "checkhealth codegen")
        nvim.until("told", probe=lambda: "no-such-codegen-lsp is not found" in nvim.text())
