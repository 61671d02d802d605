"""`codegen-lsp hook`, in this process: what is written, in which files, and what is said of it."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import ByteTokenizer
from hook_room import ADD, DONE, SUB, entered, forbid

from codegen_lsp.cli.main import main
from codegen_lsp.verify.jail import find_jail

NOTHING = "Nothing was written, and the commit goes on.\n"


@pytest.fixture
def room(tmp_path, monkeypatch, capsys):
    with entered(tmp_path, monkeypatch, capsys) as room:
        yield room


@pytest.fixture
def untouched(room, monkeypatch):
    forbid(monkeypatch)
    return room


# -- what is written


def test_what_examples_confirm_is_written_and_what_they_do_not_is_left(room):
    path = room.write(f"{ADD}\n\n{SUB}")
    code, out = room.run("shop.py")
    assert (code, path.read_text()) == (1, f"{ADD}    return a + b\n\n\n{SUB}")
    first, add, sub, last = out.splitlines()
    assert (first, sub) == ("shop.py", "      9 sub  left: no examples")
    assert add.startswith("      1 add  verified 1/1 example (1 candidate, ")
    assert last == "1 file was changed. Look at what is new, stage it, and commit again: git diff -- shop.py"


def test_the_second_commit_goes_through(room):
    path = room.write(f"{ADD}\n\n{SUB}")
    assert room.run("shop.py")[0] == 1
    after, num_asked = path.read_bytes(), len(room.engine.requests)
    code, out = room.run("shop.py")
    assert (code, path.read_bytes(), len(room.engine.requests)) == (0, after, num_asked)
    assert out == f"shop.py\n     10 sub  left: no examples\n{NOTHING}"


@pytest.mark.parametrize(
    ("text", "answer", "reason"),
    [
        (ADD, "return a * b\n", "refused: add(1, 2) gives 2, not 3"),
        (ADD, "return 3\n", "reads none of its parameters"),
        (ADD.replace("(1, 2)\n    3", "(10, 20)\n    30"), "return a == 10 and 30\n", "they stand in it"),
        (ADD, "return a +\n", "left: the model has nothing to offer"),
        (ADD, "return plus(a, b)\n", "refused: undefined name 'plus'"),
        (ADD.replace(">>> add(1, 2)\n    3", ""), "return a + b\n", "left: no examples"),
        (ADD.replace("add(1, 2)\n    3", "[add][:0]\n    []"), "return a + b\n", "left: the examples pass without it"),
        (ADD.replace("add(1, 2)", "plus(1, 2)"), "return a + b\n", "left: an example fails before the function"),
    ],
)
def test_by_default_nothing_unverified_is_written(room, text, answer, reason):
    path = room.write(text)
    room.answers["def add"] = answer
    code, out = room.run("shop.py")
    assert (code, path.read_text()) == (0, text)
    assert reason in out
    assert out.endswith(f")\n{NOTHING}" if "candidate" in out else NOTHING)


def test_less_is_required_when_it_is_asked_for(room):
    path = room.write(SUB)
    code, out = room.run("--require", "parsed", "shop.py")
    assert (code, path.read_text()) == (1, SUB.replace("...", "return a - b"))
    assert "3 sub" not in out
    assert "1 sub  unverified: no examples" in out


def test_the_model_is_shown_nothing_but_the_file(room, monkeypatch):
    monkeypatch.setattr("codegen_lsp.cli.index.snippets_at", lambda path, snapshot: pytest.fail("an index was asked"))
    (room.folder / "pyproject.toml").touch()
    room.write("SECRET = 'unstaged'\n\n\ndef adding(a, b):\n    return SECRET\n", "other.py")
    room.write(ADD)
    assert room.run("shop.py")[0] == 1
    assert "SECRET" not in ByteTokenizer().decode(room.engine.requests[0][0].ids)


@pytest.mark.skipif(find_jail().jail is None, reason="no sandbox works here")
@pytest.mark.parametrize(("answer", "code"), [("return plus(a, b)\n", 1), ("return plus(a, a)\n", 0)])
def test_in_a_real_sandbox_with_the_projects_own_module(room, answer, code):
    room.jail = find_jail().jail
    (room.folder / "pyproject.toml").touch()
    room.write("def plus(a, b):\n    return a + b\n", "sums.py")
    path = room.write(f"from sums import plus\n\n\n{ADD}")
    room.answers["def add"] = answer
    assert room.run("shop.py")[0] == code
    assert path.read_text().endswith(answer) == (code == 1)


# -- files


@pytest.mark.parametrize(
    ("name", "stored", "head", "mode"),
    [
        ("shop.py", ("utf-8", "\n"), "", 0o644),
        ("script.py", ("utf-8", "\n"), "#!/usr/bin/env python\n", 0o755),
        ("dos.py", ("utf-8", "\r\n"), "", 0o640),
        ("mac.py", ("utf-8", "\r"), "", 0o600),
        ("mark.py", ("utf-8-sig", "\r\n"), "", 0o644),
        ("latin.py", ("latin-1", "\n"), "# -*- coding: latin-1 -*-\n", 0o644),
        ("cyrillic.py", ("cp1251", "\r\n"), "# vim: set fileencoding=cp1251 :\n", 0o644),
        ("a b.py", ("utf-8", "\n"), "", 0o644),
        ("-x.py", ("utf-8", "\n"), "", 0o644),
        ("--check.py", ("utf-8", "\n"), "", 0o644),
        ("é.py", ("utf-8", "\n"), "", 0o644),
        ("it's.pyw", ("utf-8", "\n"), "", 0o644),
    ],
)
def test_a_file_is_kept_but_for_what_is_new(room, name, stored, head, mode):
    encoding, line_end = stored
    sign = "ж" if encoding == "cp1251" else "é"
    text = f"{head}NAME = '{sign}'\n\n\n{ADD}\n\nEND = '{sign}'".replace("\n", line_end)
    path = room.write(text, name, encoding, mode)
    assert room.run("--", name)[0] == 1
    new = f'    """{line_end}    return a + b{line_end}'
    assert path.read_bytes() == text.replace(f'    """{line_end}{line_end}', f"{new}{line_end}").encode(encoding)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_names_that_a_shell_would_split_are_quoted(room):
    for name in ("a b.py", "-x.py"):
        room.write(ADD, name)
    _, out = room.run("--", "a b.py", "-x.py")
    assert out.endswith("2 files were changed. Look at what is new, stage it, and commit again: "
                        "git diff -- 'a b.py' -x.py\n")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("notes.txt", ADD, "utf-8"),
        ("shop.pyi", ADD, "utf-8"),
        ("shop.py.orig", ADD, "utf-8"),
        ("page.ipynb", ADD, "utf-8"),
        ("binary.so", "\xff\0", "latin-1"),
        ("done.py", DONE, "utf-8"),
        ("empty.py", "", "utf-8"),
        ("meant.py", "class Door:\n    def on_close(self):\n        pass\n", "utf-8"),
        ("off.py", f"# codegen: off\n{ADD}", "utf-8"),
    ],
)
@pytest.mark.parametrize("words", [(), ("--check",), ("--require", "parsed")])
def test_nothing_to_do_touches_nothing(untouched, name, text, encoding, words):
    path = untouched.write(text, name, encoding)
    before = path.read_bytes(), path.stat().st_mtime_ns
    assert untouched.run(*words, name) == (0, "")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("words", [(), ("--check",), ("--on-error", "fail"), ("--",)])
def test_no_files(untouched, words):
    assert untouched.run(*words) == (0, "")


def test_what_no_body_can_be_verified_for_starts_nothing(untouched):
    path = untouched.write(SUB)
    assert untouched.run("shop.py") == (0, f"shop.py\n      1 sub  left: no examples\n{NOTHING}")
    assert path.read_text() == SUB


def test_links_are_not_followed(untouched, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text(ADD)
    (untouched.folder / "link.py").symlink_to(outside)
    (untouched.folder / "broken.py").symlink_to(tmp_path / "nowhere.py")
    assert untouched.run("link.py", "broken.py") == (0, "")
    assert outside.read_text() == ADD


def test_a_file_that_is_given_twice_is_written_once(room):
    path = room.write(ADD)
    code, out = room.run("shop.py", "shop.py")
    assert (code, "codegen-lsp:" in out) == (1, False)
    assert path.read_text() == f"{ADD}    return a + b\n"


def test_importing_is_left_to_those_who_have_something_to_do(tmp_path):
    (tmp_path / "done.py").write_text(DONE)
    code = (
        "import sys\nfrom codegen_lsp.cli.main import main\nassert main(['hook', 'done.py']) == 0\n"
        "ours = {name.split('.')[1] for name in sys.modules if name.startswith('codegen_lsp.')}\n"
        "print(sorted({'asyncio', 'doctest', 'aiohttp', 'pyflakes', 'subprocess'} & set(sys.modules)), "
        "sorted({'engine', 'verify', 'implement', 'pipeline', 'index'} & ours - {'engine'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                         env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    assert ran.stdout == "[] []\n"


# -- the report


def test_check(untouched):
    path = untouched.write(f"{DONE}\n\n{ADD}\n\n{SUB}\n\nclass Cart:\n    def total(self):\n        ...\n")
    three = ADD.replace('"""\n', '>>> add(2, 2)\n    4\n    """\n')
    untouched.write(three.replace("Add.", "Add.\n\n    add(0, 0) -> 0"), "a b.py")
    untouched.write("def double(x):\n    # Twice x: double(2) -> 4\n", "words.py")
    before = path.read_bytes()
    code, out = untouched.run("--check", "shop.py", "a b.py", "words.py", "notes.txt")
    assert (code, path.read_bytes()) == (1, before)
    assert out == (
        "shop.py:5: add is still to be written (1 example)\n"
        "shop.py:13: sub is still to be written\n"
        "shop.py:19: Cart.total is still to be written\n"
        "a b.py:1: add is still to be written (3 examples)\n"
        "words.py:1: double is still to be written (1 example)\n"
    )


@pytest.mark.parametrize("text", [f"{ADD}\n\ndef broken(:\n", ADD.replace(">>> add(1, 2)", ">>>add(1, 2)")])
def test_check_where_examples_cannot_be_counted(untouched, text):
    untouched.write(text)
    assert untouched.run("--check", "shop.py") == (1, "shop.py:1: add is still to be written\n")


@pytest.mark.parametrize("words", [(), ("--check",)])
def test_exclude(untouched, words):
    untouched.write(ADD)
    assert untouched.run(*words, "--exclude", "a*", "shop.py") == (0, "")


def test_added_imports_are_said(room):
    path = room.write(ADD)
    room.answers["def add"] = "return math.floor(a + b)\n"
    code, out = room.run("shop.py")
    assert (code, path.read_text().startswith("import math\n")) == (1, True)
    assert "added at the top: import math" in out


# -- which packages examples may import


def site(folder, name):
    """A virtual environment that has a module."""
    packages = folder / "lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    (folder / "bin").mkdir()
    (packages / f"{name}.py").write_text("def plus(a, b):\n    return a + b\n")
    return folder


@pytest.mark.parametrize(
    ("set_by", "path", "found"),
    [
        (("1", "hook"), "hook user", "user"),
        (("1", "hook"), "hook", ""),
        (("1", "user"), "user", "user"),
        (("", "hook"), "hook user", "hook"),
        (("1", ""), "user", ""),
    ],
)
def test_the_projects_packages_are_not_those_of_the_hook(room, monkeypatch, set_by, path, found):
    pre_commit, virtual = set_by
    bases = {name: site(room.folder.parent / name, name) for name in ("hook", "user")}
    monkeypatch.setattr(sys, "prefix", str(bases["hook"]))
    monkeypatch.setenv("PRE_COMMIT", pre_commit)
    monkeypatch.setenv("VIRTUAL_ENV", str(bases.get(virtual, "")))
    monkeypatch.setenv("CONDA_PREFIX", "")
    folders = [str(bases[name] / "bin") for name in path.split()]
    monkeypatch.setenv("PATH", os.pathsep.join(["/usr/bin", *folders, "", "bin"]))
    (room.folder / "pyproject.toml").touch()
    room.write(ADD)
    room.run("shop.py")
    sites = [Path(each).parents[2].name for each in room.jail.jobs[0].readable if each.endswith("site-packages")]
    assert sites == found.split()


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["hook", "--help"])
    shown = capsys.readouterr().out
    for word in ("docstring-to-code", "--on-error", "--time-limit", "exit codes", "default: 60", "default: verified"):
        assert word in shown
