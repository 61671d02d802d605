"""`codegen-lsp implement`: arguments, files, words, exit codes. The engine is scripted, the sandbox has no walls."""

import contextlib
import json
import stat
import sys

import pytest
from fakes import MODEL, ByteTokenizer, OpenJail

from codegen_lsp.cli import ask, work
from codegen_lsp.cli.ask import Desk
from codegen_lsp.cli.main import main
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.errors import EngineUnavailable
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.verify.jail import Found

ADD = 'def add(a, b):\n    """Add.\n\n    >>> add(1, 2)\n    3\n    """\n'
SUB = 'def sub(a, b):\n    """Take b from a."""\n    ...\n'
SHOP = f"{ADD}\n\n{SUB}"
RIGHT = {"def add": "return a + b\n", "def sub": "return a - b\n"}


class Room:
    """A folder, an engine that answers by the last `def` that it is shown, and the command."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys
        self.answers = dict(RIGHT)
        self.engine = ScriptedEngine(self._answer, info=MODEL)

    def _answer(self, prompt):
        shown = ByteTokenizer().decode(prompt.ids)
        last = max(self.answers, key=shown.rfind)
        answers = self.answers[last]
        return answers if isinstance(answers, str) else answers.pop(0)

    def write(self, text=SHOP, name="shop.py", encoding="utf-8"):
        path = self.folder / name
        path.write_bytes(text.encode(encoding))
        return path

    def run(self, *words):
        """(exit code, stdout, stderr)."""
        code = main(["implement", *map(str, words)])
        out, err = self.capsys.readouterr()
        return code, out, err


@pytest.fixture
def room(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    here = Room(tmp_path, capsys)

    @contextlib.asynccontextmanager
    async def opened(args, wire=None):
        yield Desk(here.engine, MODEL, BY_NAME["codegen"], ByteTokenizer(), args)

    monkeypatch.setattr(ask, "open_desk", opened)
    monkeypatch.setattr("codegen_lsp.verify.jail.find_jail", lambda: Found(OpenJail(), ()))
    return here


def test_a_diff_and_no_change(room):
    path = room.write()
    code, out, err = room.run(path)
    assert (code, path.read_text()) == (0, SHOP)
    assert "+    return a + b\n" in out
    assert "-    ...\n+    return a - b\n" in out
    assert "1 add  verified 1/1 example" in err
    assert "9 sub  unverified: no examples" in err
    assert "1 verified, 1 unverified; nothing was written" in err


def test_write(room):
    path = room.write()
    path.chmod(0o750)
    code, _, err = room.run(path, "--write")
    assert (code, path.read_text()) == (0, f"{ADD}    return a + b\n\n\n" + SUB.replace("...", "return a - b"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert "1 file changed" in err
    assert room.run(path)[0] == 6


def test_only_what_is_verified(room):
    path = room.write()
    code, _, err = room.run(path, "--write", "--require", "verified")
    assert (code, path.read_text()) == (1, f"{ADD}    return a + b\n\n\n{SUB}")
    assert "left: no examples" in err


def test_a_wrong_body_is_never_written(room):
    path = room.write(ADD)
    room.answers["def add"] = "return a * b\n"
    code, out, err = room.run(path, "--write")
    assert (code, path.read_text(), out) == (1, ADD, "")
    assert "refused: add(1, 2) gives 2, not 3 (5 candidates" in err


@pytest.mark.parametrize(
    ("words", "written"),
    [(["::add"], ["a + b"]), (["::sub"], ["a - b"]), (["::sub", "::add"], ["a + b", "a - b"]),
     (["::add", ""], ["a + b", "a - b"])],
)  # fmt: skip
def test_one_function_of_a_file(room, words, written):
    path = room.write()
    assert room.run(*(f"{path}{word}" for word in words), "--write")[0] == 0
    assert [each for each in ("a + b", "a - b") if each in path.read_text()] == written


def test_all_of_a_class_and_a_bare_name(room):
    path = room.write("class A:\n" + "".join(f"    {line}\n" for line in SUB.splitlines()) + f"\n\n{ADD}")
    assert room.run(f"{path}::A", "--write")[0] == 0
    assert ("a - b" in path.read_text(), "a + b" in path.read_text()) == (True, False)
    assert room.run(f"{path}::add", "--write")[0] == 0


@pytest.mark.parametrize(
    ("place", "said", "code"),
    [
        ("shop.py::nope", "the function is not in it; to be written are: add, sub", 3),
        ("shop.py::done", "is written already", 3),
        ("shop.py::", "is not a place", 3),
        ("missing.py", "No such file", 3),
        ("notes.txt", "only Python files", 3),
        ("latin.py", "is not UTF-8", 3),
        ("codec.py", "'rot13' is not a text encoding", 3),
    ],
)
def test_bad_places(room, place, said, code):
    room.write(SHOP + "\n\ndef done():\n    return 1\n")
    room.write("text", "notes.txt")
    room.write("x = 'é'\n", "latin.py", "latin-1")
    room.write("# coding: rot13\n", "codec.py")
    got, _, err = room.run(place)
    assert (got, said in err) == (code, True), err
    assert room.engine.requests == []


@pytest.mark.parametrize(
    "words",
    [["--candidates", "0"], ["--candidates", "1000"], ["--time-limit", "0"], ["--tests", "true"],
     ["--no-run", "--require", "verified"], ["--no-run", "--unprotected"], ["--max-tokens", "0"]],
)  # fmt: skip
def test_wrong_usage(room, words):
    code, _, err = room.run(room.write(), *words)
    assert (code, err.count("\n")) == (2, 1)


def test_nothing_to_do(room):
    path = room.write("def f():\n    return 1\n\n\ndef nothing(): pass\n")
    code, out, err = room.run(path)
    assert (code, out) == (6, "")
    assert "nothing to do" in err
    assert json.loads(room.run(path, "--json")[1])["counts"]["verified"] == 0


def test_an_empty_function_is_written_when_it_is_named(room):
    path = room.write("def sub(a, b): pass\n")
    assert room.run(path)[0] == 6
    assert room.run(f"{path}::sub", "--write")[0] == 0
    assert path.read_text() == "def sub(a, b):\n    return a - b\n"


def test_json(room):
    path = room.write()
    room.answers["def add"] = ["return a * b\n", "return json.loads(a) - b\n", "return b + a\n", "x\n", "x\n"]
    code, out, err = room.run(path, "--json")
    said = json.loads(out)
    add, sub = said["files"][0]["functions"]
    assert (code, err, said["sandbox"]) == (0, "", "open")
    assert said["counts"] == {"verified": 1, "unverified": 1, "refused": 0, "left": 0}
    assert (add["name"], add["line"], add["status"]) == ("add", 1, "verified")
    assert (add["examples"], add["body"], add["num_asked"]) == ({"passed": 1, "total": 1}, "return b + a", 5)
    assert (sub["status"], sub["reason"]) == ("unverified", "no examples")
    reasons = {each["body"]: each["reason"] for each in add["candidates"]}
    assert reasons["return a * b"] == "add(1, 2) gives 2, not 3"
    assert reasons["x"] == "undefined name 'x' (line 7)"


def test_added_imports_are_said(room):
    path = room.write(SUB)
    room.answers["def sub"] = "return math.floor(a - b)\n"
    _, out, err = room.run(path)
    assert "+import math\n" in out
    assert "added at the top: import math" in err


@pytest.mark.parametrize(
    ("encoding", "line_end", "head"),
    [("utf-8", "\r\n", ""), ("utf-8-sig", "\n", ""), ("latin-1", "\n", "# -*- coding: latin-1 -*-\n")],
)
def test_what_a_file_is_stored_as_is_kept(room, encoding, line_end, head):
    text = (f"{head}NAME = 'é'\n\n\n{SUB}").replace("\n", line_end)
    path = room.write(text, encoding=encoding)
    assert room.run(path, "--write")[0] == 0
    assert path.read_bytes() == text.replace("...", "return a - b").encode(encoding)


def test_what_an_encoding_does_not_have_is_not_written(room):
    text = f"# coding: latin-1\n{SUB}"
    path = room.write(text)
    room.answers["def sub"] = "return '→'\n"
    code, _, err = room.run(path, "--write")
    assert (code, path.read_text()) == (3, text)
    assert "has no '→'" in err


def test_a_file_that_changes_meanwhile_is_left(room):
    path = room.write(ADD)

    def late(prompt):
        path.write_text("# saved\n")
        return "return a + b\n"

    room.engine = ScriptedEngine(late, info=MODEL)
    code, _, err = room.run(path, "--write")
    assert (code, path.read_text()) == (3, "# saved\n")
    assert "has changed meanwhile" in err


@pytest.mark.parametrize(
    ("command", "code", "is_kept"),
    [("exit 0", 0, True), ("echo boom; exit 1", 1, False), ("grep -q 'a - b' shop.py", 0, True),
     ("grep -q 'a + b' shop.py", 1, False)],
)  # fmt: skip
def test_the_users_own_tests(room, command, code, is_kept):
    path = room.write(SUB)
    got, _, err = room.run(path, "--write", "--tests", command)
    assert (got, "a - b" in path.read_text()) == (code, is_kept), err
    assert ("the tests fail: boom" in err) == ("boom" in command)
    assert is_kept or path.read_text() == SUB


def test_tests_that_hang_end_with_the_time_limit(room):
    path = room.write(SUB)
    code, _, err = room.run(path, "--write", "--tests", "sleep 60", "--time-limit", "2")
    assert (code, path.read_text()) == (1, SUB)
    assert "did not end within the time limit" in err


def test_without_a_sandbox_nothing_is_run(room, monkeypatch):
    monkeypatch.setattr("codegen_lsp.verify.jail.find_jail", lambda: Found(None, ("landlock: none",)))
    path = room.write(ADD)
    code, _, err = room.run(path, "--require", "verified")
    assert (code, path.read_text()) == (1, ADD)
    assert "left: no sandbox works here" in err
    assert "so examples were not run (landlock: none)" in err
    assert room.run(path)[0] == 0  # shown, and said to be unverified
    assert room.run(path, "--no-run")[0] == 0


def test_unprotected_is_asked_for_by_the_call(room, monkeypatch):
    jail = OpenJail()
    monkeypatch.setattr("codegen_lsp.verify.jail.find_jail", lambda: Found(None, ("none",)))
    monkeypatch.setattr("codegen_lsp.verify.jail.unprotected", lambda: jail)
    code, _, err = room.run(room.write(ADD), "--unprotected", "--require", "verified")
    assert (code, len(jail.jobs)) == (0, 3)
    assert "verified 1/1" in err


def test_a_model_that_cannot_be_used(room, monkeypatch):
    @contextlib.asynccontextmanager
    async def broken(args, wire=None):
        raise EngineUnavailable("No host could be started.")
        yield

    monkeypatch.setattr(ask, "open_desk", broken)
    path = room.write()
    other = room.write(SUB, "other.py")
    code, _, err = room.run(path, other, "--write")
    assert (code, path.read_text(), other.read_text()) == (5, SHOP, SUB)
    assert "No host could be started." in err


def test_several_files(room):
    one, two = room.write(ADD, "one.py"), room.write(SUB, "two.py")
    code, _, err = room.run(one, two, "--write")
    assert (code, "2 files changed" in err) == (0, True)
    assert ("a + b" in one.read_text(), "a - b" in two.read_text()) == (True, True)


def test_a_run_takes_no_longer_than_there_is_time(room, monkeypatch):
    jail = OpenJail()
    monkeypatch.setattr("codegen_lsp.verify.jail.find_jail", lambda: Found(jail, ()))
    room.run(room.write(ADD), "--time-limit", "20")
    assert jail.jobs
    assert all(0 < job.seconds <= 20 for job in jail.jobs)


def test_a_folder(room):
    for name in ("one.py", "inner/two.py", "old/three.py", "four.txt"):
        (room.folder / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        room.write(SUB, f"src/{name}")
    room.write("old/\n", "src/.gitignore")
    room.write("x = 'é'\n", "src/latin.py", "latin-1")
    code, out, err = room.run("src", "src/one.py", "./src/one.py")
    assert (code, out.count("+    return a - b\n")) == (0, 2)
    assert "src/inner/two.py" in err
    assert "latin.py is not UTF-8" in err
    assert room.run("src/latin.py")[0] == 3


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["implement", "--help"])
    shown = capsys.readouterr().out
    for word in ("verified 3/3 examples", "--require", "exit codes", "shop.py::Basket.total"):
        assert word in shown


def test_the_model_is_not_started_for_what_cannot_be_verified(room, monkeypatch):
    monkeypatch.setattr(work.Desks, "_open", lambda self: sys.exit("started"))
    assert room.run(room.write(SUB), "--require", "verified")[0] == 1
