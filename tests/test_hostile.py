"""What a repository of somebody else's may hold, and a command that is ended: terminals and files are as they were."""

import asyncio
import contextlib
import io
import os
import signal
import sys
import unicodedata

import pytest
from hook_room import ADD, entered

from codegen_lsp.cli import terminal, work
from codegen_lsp.cli.main import main
from codegen_lsp.index.ignore import rules_of
from codegen_lsp.text import printable
from codegen_lsp.verify import module

STEERING = "\x1b]0;title\x07\x1b[2J\r\u202e\u2066\u200b\u2028\x9b31m"
"""A terminal's title, its screen, its line; text that is turned, and that is not seen."""
RAISES = f"raise ValueError({STEERING!r})\n"
NAME = "a\x1b[31m\n\u202e.py"
UNREADABLE = "no UTF-8"
SAYS = {
    "an import that fails": ("shop.py", f"{RAISES}\n\n{ADD}", "return a + b\n"),
    "an exception of the body's": ("shop.py", ADD, f"raise ValueError({STEERING!r})\n"),
    "what the body prints": ("shop.py", ADD, f"print({STEERING!r})\nreturn a + b\n"),
    "an example": ("shop.py", ADD.replace("add(1, 2)\n", "add(1, 2)  # \x1b[2J\u202e\n"), "return a - b\n"),
    "a file's name": (NAME, ADD, "return a + b\n"),
    "the name of one that cannot be read": (NAME, UNREADABLE, ""),
}


@pytest.fixture
def room(tmp_path, monkeypatch, capsys):
    with entered(tmp_path, monkeypatch, capsys) as room:
        yield room


def steering(text):
    return {char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@pytest.mark.parametrize("words", [("hook",), ("hook", "--check"), ("implement", "--no-index")], ids=" ".join)
@pytest.mark.parametrize("place", SAYS)
def test_nothing_steers_a_terminal(place, words, room, capsys):
    name, text, body = SAYS[place]
    room.answers = {"def add": body}
    room.write(text, name, encoding="utf-16" if text == UNREADABLE else "utf-8")
    main([*words, name])
    said = "".join(capsys.readouterr())
    assert said
    assert not steering(said)
    assert name.split("\n")[0] not in said or name == "shop.py"


def test_a_diff_steers_no_terminal_and_can_be_applied_elsewhere(monkeypatch):
    before, after = f"# {STEERING}\n\tx = 1\n", f"# {STEERING}\n\tx = 2\n"
    assert STEERING.replace("\r", "\n ") in terminal.diff(before, after, "a.py")
    with contextlib.closing(io.StringIO()) as shown:
        shown.isatty = lambda: True
        monkeypatch.setattr(sys, "stdout", shown)
        monkeypatch.setenv("NO_COLOR", "1")
        assert steering(terminal.diff(before, after, "a\x1b.py")) == {"\t"}


def test_text_that_can_be_seen_stays():
    assert printable("naïve 文字 😀 \\x") == "naïve 文字 😀 \\x"
    assert printable("a\x1b\u202e\udce9\tb\n", "\t") == "a\\x1b\\u202e\\udce9\tb\\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_body_that_is_tried_out_goes_with_the_command(name, room, monkeypatch):
    number, raised = signal.Signals[name], []
    before = signal.signal(number, signal.SIG_DFL)
    monkeypatch.setattr(work.signal, "raise_signal", lambda each: raised.append((each, path.read_text())))
    path = room.write(ADD)
    tests = f"grep return {path} >{room.folder}/tried; kill -{number} {os.getpid()}; sleep 60; touch {room.folder}/late"
    try:
        with pytest.raises(asyncio.CancelledError):
            main(["implement", "--no-index", "--write", "--tests", tests, str(path)])
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert (room.folder / "tried").read_text() == "    return a + b\n"
    assert raised == [(number, ADD)], "the file is put back first"
    assert not (room.folder / "late").exists()


def test_a_file_is_read_once_however_much_of_it_is_to_be_written(room, monkeypatch, capsys):
    room.write("".join(ADD.replace("add", f"add{number}") + "\n\n" for number in range(50)))
    num_read, read = [], module.read
    monkeypatch.setattr(module, "read", lambda text: num_read.append(1) or read(text))
    assert main(["hook", "--check", "shop.py"]) == 1
    assert capsys.readouterr().out.count("is still to be written (1 example)\n") == 50
    assert len(num_read) == 1


PATTERNS = [
    "*a" * 20 + "b",
    "**/a/" * 12 + "b",
    "[a-z]*" * 30 + "0",
    "?*" * 40 + "0",
    "*a*/" * 12 + "b",
    "a**" * 20 + "b",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_an_ignore_file_takes_no_time(pattern):
    """Patterns that would be tried in more ways than there are seconds; there is one for each place of a path."""
    (rule,) = rules_of(pattern, "")
    assert not rule.matches("/".join(["a" * 200] * 20), is_folder=False)
    assert not rule.matches("a/" * 60 + "c", is_folder=False)
    assert rule.matches(pattern.replace("**/", "x/").replace("[a-z]", "q").replace("?", "q").replace("*", "a"), False)
