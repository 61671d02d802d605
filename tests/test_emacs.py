"""The Emacs package in the real editor, over eglot and lsp-mode. CODEGEN_LSP_EMACS names others than `emacs`."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from codegen_lsp.syntax.endings import LANGUAGES
from tests import parrot_script
from tests.emacs_rig import PACKAGE, PROGRAMS, SERVER, Emacs, batch, lisp, version_of
from tests.terminal import TMUX, shows

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="there is no emacs on this machine (apt: emacs-nox)")
driven = pytest.mark.skipif(
    not os.environ.get("CODEGEN_LSP_EDITORS") or not TMUX,
    reason="set CODEGEN_LSP_EDITORS=1, and have tmux, to drive the real editors",
)

HEAD = "def add(left, right):\n    # add two numbers"
FIRST, SECOND = "total = left + right", "    return total"
WRITTEN = f"{HEAD}\n    {FIRST}\n{SECOND}"
STUB = 'def add(left, right):\n    """Add two numbers."""\n'
ALL, WORD, LINE, DISMISS, NEXT, PREVIOUS = "C-l", "M-f", "C-e", "C-g", "M-n", "M-p"
KINDS = [(program, client) for program in PROGRAMS for client in ("eglot", "lsp")]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{Path(kind[0]).name}-{kind[1]}")
def kind(request: pytest.FixtureRequest) -> tuple[str, str]:
    """An Emacs and its language client."""
    program, client = request.param
    said = version_of(program, client)
    if not said:
        pytest.skip(f"{program} has no {client} (apt: elpa-eglot, elpa-lsp-mode; CODEGEN_LSP_ELISP)")
    print(said)
    return program, client


@pytest.fixture(scope="module")
def real(kind: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emacs]:
    """An editor with our server, whose engine says the same, and two other things when it is asked by hand."""
    script = json.dumps({"answer": f"{FIRST}\n{SECOND}\n", "others": ["return left + right\n", "pass\n"]})
    with Emacs(*kind, tmp_path_factory.mktemp("real"), [*SERVER, script]) as emacs:
        yield emacs


class Parrot(parrot_script.Script):
    """An editor with a server that says what a file says."""

    def __init__(self, emacs: Emacs, script: Path) -> None:
        super().__init__(script)
        self.emacs = emacs

    def until(self, event: str) -> None:
        self.emacs.terminal.until(event, lambda: event in self.log())


@pytest.fixture(scope="module")
def parrot(kind: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parrot]:
    folder = tmp_path_factory.mktemp("parrot")
    script = folder / "script.json"
    command = parrot_script.command(script)
    with Emacs(*kind, folder, command, setup="(setq codegen-ghost-delay 0.02)") as emacs:
        yield Parrot(emacs, script)


def begin(emacs: Emacs, name: str) -> Path:
    """A new file with an order in it, point below it, and the suggestion shown."""
    file = emacs.open(name, HEAD)
    emacs.type("Enter")
    emacs.until_ghost(f"{FIRST}\n{SECOND}")
    return file


def num_accepted(emacs: Emacs) -> int:
    return int(emacs.ask_server("codegen.status")["accepted"])


# The whole way, with our server


@driven
def test_accept_all_is_seen_and_saved(real: Emacs) -> None:
    file, accepted = begin(real, "all.py"), num_accepted(real)
    real.terminal.until_shown(WRITTEN)
    real.type(ALL)
    real.until_text(WRITTEN)
    real.terminal.until("counted", lambda: num_accepted(real) == accepted + 1)
    real.save()
    assert file.read_text().rstrip("\n") == WRITTEN


@driven
def test_accept_all_is_one_step_of_undo(real: Emacs) -> None:
    begin(real, "undo.py")
    real.type(ALL)
    real.until_text(WRITTEN)
    real.type("C-_")
    real.until_text(f"{HEAD}\n    ")


@driven
def test_accept_by_word_and_line(real: Emacs) -> None:
    begin(real, "parts.py")
    accepted = num_accepted(real)
    for text, ghost in (("total", f" = left + right\n{SECOND}"), ("total =", f" left + right\n{SECOND}")):
        real.type(WORD)
        real.until_text(f"{HEAD}\n    {text}")
        real.until_ghost(ghost)
    real.type(LINE)
    real.until_text(f"{HEAD}\n    {FIRST}")
    real.until_ghost(f"\n{SECOND}")
    assert num_accepted(real) == accepted
    real.type(LINE)
    real.until_text(WRITTEN)
    real.terminal.until("counted", lambda: num_accepted(real) == accepted + 1)


@driven
def test_what_is_left_stays_while_it_is_typed(real: Emacs) -> None:
    begin(real, "typed.py")
    real.terminal.write("total =")
    real.until_ghost(f" left + right\n{SECOND}")
    real.type(ALL)
    real.until_text(WRITTEN)


@driven
def test_dismissed_and_left(real: Emacs) -> None:
    begin(real, "dismiss.py")
    real.type(DISMISS)  # While Emacs answers the rig, C-g is no key but ends that.
    real.terminal.until("dismissed", lambda: real.ghost() == "", again=lambda: real.type(DISMISS))
    begin(real, "leave.py")
    real.type("C-p")
    real.until_ghost("")
    real.type("C-n", "C-e")
    begin(real, "window.py")
    real.type("C-x", "2", "C-x", "o")
    real.until_ghost("")
    real.type("C-x", "1")
    assert real.text() == f"{HEAD}\n    "


@driven
def test_others_to_choose_from(real: Emacs) -> None:
    file = begin(real, "others.py")
    seen = {real.ghost()}
    for _ in range(2):
        before = real.ghost()
        real.type(NEXT)
        real.terminal.until("another", lambda before=before: real.ghost() not in ("", before))
        seen.add(real.ghost())
    assert seen == {f"{FIRST}\n{SECOND}", "return left + right", "pass"}
    real.type(PREVIOUS)
    real.terminal.until("the one before", lambda: real.ghost() == before)
    real.type(ALL)
    real.save()
    assert file.read_text().rstrip("\n") == f"{HEAD}\n    {before}"


@driven
def test_implement_from_docstring(real: Emacs) -> None:
    file = real.open("stub.py", STUB.rstrip("\n"))
    command = "eglot-code-actions" if real.client == "eglot" else "lsp-execute-code-action"
    real.type("M-x", *command, "Enter")
    if real.client == "eglot":
        real.terminal.until("offered", lambda: real.terminal.says("Implement from docstring"))
        real.type("Enter")
    real.terminal.until("written", lambda: FIRST in real.text())
    real.save()
    assert file.read_text().startswith(f"{STUB}    {FIRST}\n")


@driven
def test_explain_and_status(real: Emacs) -> None:
    begin(real, "explain.py")
    for name, says in (("explain", "scripted: comment-above, one block"), ("status", "state: ready")):
        real.type("M-x", *f"codegen-{name}", "Enter")
        buffer = f"*codegen {name}*"
        real.terminal.until(name, lambda shown=buffer: real.terminal.says(shown))
        assert says in real.lisp(f"(with-current-buffer {json.dumps(buffer)} (buffer-string))")
        real.type("C-x", "1")


@driven
def test_toggle(real: Emacs) -> None:
    real.open("toggle.py", HEAD)
    real.type("M-x", *"codegen-toggle", "Enter")
    real.terminal.until("off", lambda: not enabled(real))
    real.type("Enter", "C-c", "\\")
    real.terminal.until("nothing", lambda: real.terminal.says("no suggestion here"))
    real.type("M-x", *"codegen-toggle", "Enter")
    real.terminal.until("on", lambda: enabled(real))
    real.type("C-c", "\\")
    real.until_ghost(f"{FIRST}\n{SECOND}")


def enabled(emacs: Emacs) -> bool:
    return emacs.ask_server("codegen.inspect")["settings"]["enabled"] is True


@driven
def test_a_server_that_ends_is_told_and_starts_again(kind: tuple[str, str], tmp_path: Path) -> None:
    """eglot says so, and waits for `M-x eglot`; lsp-mode asks."""
    with Emacs(*kind, tmp_path, [*SERVER, json.dumps({"answer": f"{FIRST}\n{SECOND}\n"})]) as emacs:
        begin(emacs, "killed.py")
        os.kill(emacs.lisp(SERVER_ID), signal.SIGKILL)
        emacs.terminal.until("told", lambda: emacs.terminal.says("exited"))
        if emacs.client == "lsp":
            emacs.type("y")
        else:
            assert not emacs.lisp("codegen-ghost-mode")
            emacs.type("M-x", *"eglot", "Enter")
        emacs.terminal.until("served", lambda: emacs.lisp("(and codegen-ghost-mode (codegen-wire-server) t)"))
        begin(emacs, "again.py")


SERVER_ID = """
(let ((server (codegen-wire-server)))
  (process-id (if (fboundp 'jsonrpc--process) (jsonrpc--process server) (lsp--workspace-cmd-proc server))))
"""


@driven
def test_a_popup_never_waits_for_the_model(kind: tuple[str, str], tmp_path: Path) -> None:
    with Emacs(*kind, tmp_path, [*SERVER, json.dumps({"delay_s": 600})]) as emacs:
        emacs.open("menu.py", "first = 1\nfir")
        emacs.type("C-M-i", "x")
        emacs.until_text("first = 1\nfirx")


# Answers that ours never gives, with a parrot


class Case(NamedTuple):
    """The row, how far point goes left, the server's item, what is drawn, and the buffer once it is accepted."""

    line: str
    num_left: int
    says: dict[str, Any]
    ghost: str
    accepted: str


ITEMS = {
    "end": Case("x = ", 0, {"text": "1"}, "1", "x = 1"),
    "over a bracket": Case("x = f()", 1, {"text": "a)", "over": 1}, "a)", "x = f(a)"),
    "before a bracket": Case("x = f()", 1, {"text": "a"}, "a", "x = f(a)"),
    "lines before a bracket": Case("x = f()", 1, {"text": "a,\n  b"}, "a,\n  b", "x = f(a,\n  b)"),
    "a word begun": Case("  retu", 0, {"text": "return 1", "back": 4}, "rn 1", "  return 1"),
    "less indentation": Case("        ", 0, {"text": "    pass", "back": 8}, "pass", "    pass"),
    "utf-16": Case("s = 'é𝄞' + ", 0, {"text": "t"}, "t", "s = 'é𝄞' + t"),
    "utf-16 begun": Case("é𝄞 ret", 0, {"text": "return é𝄞", "back": 3}, "urn é𝄞", "é𝄞 return é𝄞"),
    "line ends": Case("if x:", 0, {"text": "\r\n  é = 1\r\n  y"}, "\n  é = 1\n  y", "if x:\n  é = 1\n  y"),
    "tab": Case("a", 0, {"text": "b\n\tc"}, "b\n\tc", "ab\n\tc"),
}


def ask(parrot: Parrot, line: str, num_left: int, ghost: str) -> None:
    """A file of one row, asked about by hand."""
    emacs = parrot.emacs
    emacs.open("item.py", "")
    emacs.lisp(f"(progn (erase-buffer) (insert {json.dumps(line, ensure_ascii=False)}) t)")
    emacs.type("M->", *["C-b"] * num_left, "C-c", "\\")
    emacs.until_ghost(ghost)


@driven
@pytest.mark.parametrize("case", ITEMS.values(), ids=ITEMS)
def test_an_item(parrot: Parrot, case: Case) -> None:
    parrot.says(**case.says)
    ask(parrot, case.line, case.num_left, case.ghost)
    point = len(case.line) - case.num_left
    shown = (case.line[:point] + case.ghost + case.line[point + case.says.get("over", 0) :]).expandtabs(8)
    if case is not ITEMS["less indentation"]:
        parrot.emacs.terminal.until_shown(shown)
    parrot.log()
    parrot.emacs.type(ALL)
    parrot.emacs.until_text(case.accepted)
    parrot.until("accepted")


STEPS = {
    "typed": ("f", 0, {"text": "(é, b)"}, [("(é", "f(é", ", b)"), ("BSpace", "f(", "é, b)"), ("x", "f(x", "")]),
    "before a bracket": ("f()", 1, {"text": "a, b)", "over": 1}, [("a", "f(a)", ", b)"), (ALL, "f(a, b)", "")]),
    "a bracket that is doubled": ("f", 0, {"text": "(a)"}, [("(", "f()", "a)"), (ALL, "f(a)", "")]),
    "lines": ("if x:", 0, {"text": "\n    y()\n    z()"}, [("Enter", "if x:\n    ", "y()\n    z()")]),
    "what is behind it": ("f()", 1, {"text": "a"}, [("C-d", "f(", "")]),
    "passed by": ("ab", 1, {"text": "bc"}, [("C-f", "ab", "")]),
    "another row": ("a", 0, {"text": "b"}, [("Enter", "a\n", "")]),
}  # fmt: skip


@driven
@pytest.mark.parametrize("name", STEPS)
def test_what_is_left_needs_no_answer(parrot: Parrot, name: str) -> None:
    line, num_left, says, steps = STEPS[name]
    emacs = parrot.emacs
    parrot.says(**says)
    emacs.lisp(f"(progn (electric-pair-mode {1 if 'doubled' in name else -1}) t)")
    ask(parrot, line, num_left, says["text"])
    parrot.says(mute=True)
    for keys, text, ghost in steps:
        before = emacs.lisp(STATE)
        emacs.type(keys)
        emacs.terminal.until("typed", lambda before=before: emacs.lisp(STATE) != before)
        assert (emacs.text(), emacs.ghost()) == (text, ghost)
    emacs.lisp("(progn (electric-pair-mode -1) t)")


LATE = {
    "typed on": "yz",
    "moved": "C-a",
    "a region": "C-@",
    "another buffer": '(progn (switch-to-buffer "*scratch*") t)',
    "an edit by a program": '(progn (save-excursion (goto-char (point-min)) (insert "y")) t)',
}


@driven
@pytest.mark.parametrize("name", LATE)
def test_an_answer_that_comes_too_late_is_never_shown(parrot: Parrot, name: str) -> None:
    emacs, change = parrot.emacs, LATE[name]
    parrot.says()
    emacs.open("late.py", "xa xb\nx")
    parrot.says(text="late", hold=True)
    parrot.log()
    emacs.type("y")
    parrot.until("ask")
    parrot.says(mute=True)
    before = emacs.lisp(STATE)
    if change.startswith("("):
        emacs.lisp(change)
    else:
        emacs.type(change)
    emacs.terminal.until("something happened", lambda: emacs.lisp(STATE) != before)
    emacs.lisp('(with-current-buffer "late.py" (rig-ask "release"))')
    assert emacs.lisp('(with-current-buffer "late.py" (rig-ghost))') == ""
    emacs.type(DISMISS)


STATE = "(list (point) (region-active-p) (buffer-name) (buffer-modified-tick))"


@driven
def test_keys_mean_what_they_meant_without_a_suggestion(parrot: Parrot) -> None:
    parrot.says()
    parrot.emacs.open("keys.py", "one two")
    parrot.emacs.type("C-a", "M-f")
    parrot.emacs.terminal.until("moved", lambda: parrot.emacs.lisp("(point)") == len("one") + 1)


@driven
def test_the_ghost_text_of_lsp_mode(kind: tuple[str, str], tmp_path: Path) -> None:
    """It has some from version 10; its key is none of a terminal."""
    with Emacs(*kind, tmp_path, setup=THEIRS) as emacs:
        if not emacs.lisp("(and (boundp 'lsp-managed-mode) (fboundp 'lsp-inline-completion-mode))"):
            pytest.skip("lsp-mode 10 is the first with ghost text of its own")
        emacs.open("theirs.py", HEAD)
        assert not emacs.lisp("codegen-ghost-mode")
        emacs.type("Enter")
        emacs.terminal.until_shown(f"{HEAD}\n    answer = 1")
        emacs.type("M-Enter")
        emacs.until_text(f"{HEAD}\n    answer = 1")


THEIRS = """
(progn (setq codegen-use-lsp-ghost-text t)
       (with-eval-after-load 'lsp-inline-completion
         (lsp-inline-completion--define-key
          lsp-inline-completion-active-map (kbd "M-RET") #'lsp-inline-completion-accept 'keep)))
"""


# Without a server


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda name: Path(name).name)
def test_it_compiles_and_its_documentation_is_in_order(program: str, tmp_path: Path) -> None:
    files = [str(shutil.copy(file, tmp_path)) for file in PACKAGE.glob("*.el")]
    said = batch(program, CHECK, "-L", str(tmp_path), "--eval", f"(setq rig-files '({' '.join(map(lisp, files))}))")
    assert said == ""
    assert len(list(tmp_path.glob("*.elc"))) == len(files)


CHECK = """
(progn (require 'bytecomp) (require 'checkdoc) (setq sentence-end-double-space t)
       (dolist (file rig-files) (byte-compile-file file) (checkdoc-file file)))
"""


def test_the_languages_are_those_of_the_server() -> None:
    said = batch(PROGRAMS[0], "(progn (require 'codegen) (princ (mapcar #'car codegen-languages)))")
    assert set(said.strip("()").split()) == set(LANGUAGES.values())


def test_the_screen_is_read() -> None:
    assert shows(["", "a", "c"], ["a", "c"])
    assert not shows(["a", "", "c"], ["a", "c"])
    assert not shows(["ab"], ["a"])
