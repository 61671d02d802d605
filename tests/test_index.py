"""The index of a workspace: which files are read, what is kept, and that it is always what a fresh one would be."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from codegen_lsp.index import files
from codegen_lsp.index.build import Builder, Counts
from codegen_lsp.index.chunks import extents
from codegen_lsp.index.files import Entry, Rules, read
from codegen_lsp.index.ignore import is_ignored
from codegen_lsp.index.imports import imports, module_of
from codegen_lsp.index.place import only_writer, workspace_of
from codegen_lsp.index.query import Edited, Query
from codegen_lsp.index.rank import Piece, ranked
from codegen_lsp.index.sources import FAR, SOURCES, pieces, snippets
from codegen_lsp.index.store import Store
from codegen_lsp.index.view import MAX_BUFFERS, Buffers, View
from codegen_lsp.index.words import word_list
from codegen_lsp.settings import Settings
from codegen_lsp.text import Span

TREE = {
    "pkg/__init__.py": "from .shapes import Circle\n",
    "pkg/shapes.py": (
        'class Circle:\n    """A round thing."""\n\n    def area(self, precision):\n        return 3\n\n\nLIMIT = 7\n'
    ),
    "pkg/use.py": (
        "from pkg import Circle\n\n\ndef total(circles):\n    return sum(circle.area(2) for circle in circles)\n"
    ),
    "tests/test_shapes.py": "def test_area():\n    assert True\n",
    "web/app.js": "function greet(name) {\n  return name;\n}\n",
    "notes.txt": "no code\n",
}


def write(root: Path, tree: Mapping[str, str | bytes]) -> None:
    for path, text in tree.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "work", TREE)
    return tmp_path / "work"


@pytest.fixture
def store(root: Path, tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "index.sqlite", root)
    Builder(opened, root).reconcile()
    yield opened
    opened.close()


# Words, chunks, imports


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("readFile_22", ["read", "file", "22"]),
        ("HTTPServer XMLHttp", ["http", "server", "xml", "http"]),
        ("a = b + 1", []),
        ("größe", ["gr", "öß"]),
        ("x" * 100, []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert word_list(text) == expected


def test_pieces_cover_all_that_is_not_blank() -> None:
    text = "".join(f"line {number}\n" for number in range(25)) + "\n" * 12 + "end"
    found = list(extents(text))
    assert [(each.line, text[each.start : each.end].count("\n")) for each in found] == [
        (0, 10),
        (10, 10),
        (20, 10),
        (30, 7),
    ]
    assert max(each.end - each.start for each in extents("y" * 5000)) == 800


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from a.b import c, d as e", [("c", "a.b", "c"), ("e", "a.b", "d")]),
        ("from .m import (\n    x,  # why\n    y,\n)", [("x", "pkg.sub.m", "x"), ("y", "pkg.sub.m", "y")]),
        ("from .. import z", [("z", "pkg", "z")]),
        ("import a.b as c, d", [("c", "a.b", ""), ("d", "d", "")]),
        ("from a import *", []),
    ],
)
def test_imports(line: str, expected: list[tuple[str, str, str]]) -> None:
    assert list(imports(line + "\n", "pkg/sub/own.py")) == expected


def test_modules() -> None:
    assert [module_of(path) for path in ("a/b.py", "a/__init__.py", "c.py")] == ["a.b", "a", "c"]


# Which files


GLOBS = (
    "*.log", "/build", "doc/", "!keep.log", "a/**/z.py", "**/t", "x/*", "[ab].py", "q?.py", "\\#odd", "sub/**", "  ",
    "# no", "!x/y.py", "[!a]c.py",
)  # fmt: skip
NAMES = (
    "a", "b", "build", "doc", "t", "x", "sub", "z.py", "a.py", "ac.py", "cc.py", "q1.py", "keep.log", "d.log", "#odd",
    "y.py",
)  # fmt: skip


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_ignore_rules_are_those_of_git(tmp_path: Path) -> None:
    rng, num_compared = random.Random(5), 0
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    for _ in range(40):
        globs = rng.sample(GLOBS, rng.randint(1, 6))
        inner = rng.sample(GLOBS, rng.randint(0, 2))
        own = rng.sample(GLOBS, rng.randint(0, 2))
        (tmp_path / ".git/info").mkdir(exist_ok=True)
        (tmp_path / files.OWN_RULES).write_text("\n".join(own) + "\n")
        (tmp_path / ".gitignore").write_text("\n".join(globs) + "\n")
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "a/.gitignore").write_text("\n".join(inner) + "\n")
        paths = ["/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 4))) for _ in range(30)]
        said = subprocess.run(
            ["git", "-C", tmp_path, "check-ignore", "--stdin", "--no-index"],
            input="\n".join(paths), capture_output=True, text=True, check=False,
        ).stdout.split("\n")  # fmt: skip
        rules = Rules(tmp_path)._rules_in("") + Rules(tmp_path)._rules_in("a")
        for path in paths:
            parts = path.split("/")
            folders = ["/".join(parts[:size]) for size in range(1, len(parts))]
            found = any(is_ignored(rules, folder, True) for folder in folders) or is_ignored(rules, path, False)
            assert found == (path in said), (path, own, globs, inner)
            num_compared += 1
    print(f"{num_compared} paths compared with git")


NOT_READ: Mapping[str, str | bytes] = {
    ".hidden/a.py": "x = 1\n",
    "node_modules/m/a.js": "x\n",
    "venv/pyvenv.cfg": "",
    "venv/lib/a.py": "x = 1\n",
    "big.py": "x = 1\n" * 200_000,
    "blob.py": b"x\0y",
    "made.py": "# Code generated by a tool. DO NOT EDIT.\nx = 1\n",
    "flat.py": "x = '" + "y" * 2000 + "'\n",
    "off.py": "# codegen: off\nx = 1\n",
    "old/a.py": "x = 1\n",
    ".env": "KEY=1\n",
    "id_rsa": "secret\n",
    "secret.env": "KEY=1\n",
}


def test_what_is_never_kept_and_what_is_never_opened(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, NOT_READ)
    write(root, {".gitignore": "old\n"})
    (tmp_path / "outside.py").write_text("x = 1\n")
    (root / "link.py").symlink_to(tmp_path / "outside.py")
    (root / "loop").symlink_to(root)
    opened: list[str] = []

    def noted(base: Path, entry: Entry) -> Any:
        opened.append(entry.path)
        return read(base, entry)

    monkeypatch.setattr("codegen_lsp.index.build.read", noted)
    store = Store(tmp_path / "i.sqlite", root)
    Builder(store, root).reconcile()
    code = {path for path in TREE if not path.endswith(".txt")}
    assert set(store.stamps()) == code
    assert set(opened) - code == {"blob.py", "made.py", "flat.py", "off.py"}, "only their first bytes can tell"
    for path in NOT_READ:
        Builder(store, root).update([path])
    Builder(store, root).update(
        ["link.py", "loop/pkg/use.py", "/etc/passwd.py", "../outside.py", "venv/lib", "", "pkg//use.py"]
    )
    assert set(store.stamps()) == code
    store.close()


def test_switched_off_languages_and_paths(root: Path) -> None:
    rules = Rules(root, Settings(disabled_languages=("javascript",), disabled_globs=("tests/*",)))
    assert [entry.path for entry in rules.walk()] == ["pkg/__init__.py", "pkg/shapes.py", "pkg/use.py"]
    assert rules.entry("web/app.js") is rules.entry("tests/test_shapes.py") is None


# The store


def test_what_is_known(store: Store, root: Path) -> None:
    (circle,) = store.named(["Circle"])
    assert (circle.path, circle.kind, circle.doc) == ("pkg/shapes.py", "class", "A round thing.")
    assert circle.span.of(TREE["pkg/shapes.py"]).startswith("class Circle:")
    assert [each.name for each in store.in_file("pkg/shapes.py")] == ["Circle", "area", "LIMIT"]
    assert store.files_of("pkg.shapes") == store.files_of("shapes") == ["pkg/shapes.py"]
    assert store.files_of("pkg") == ["pkg/__init__.py"]
    assert store.imports_of("pkg/use.py") == [("pkg", "Circle")]
    assert [chunk.path for chunk in store.similar(["precision", "nowhere"], 5)] == ["pkg/shapes.py"]
    assert store.similar(["precision"], 5, exclude="pkg/shapes.py") == store.similar(['"', "*"], 5) == []
    assert store.text("pkg/use.py") == TREE["pkg/use.py"]
    (root / "pkg/use.py").write_text("changed = 1\n")
    assert store.text("pkg/use.py") is None, "its offsets are of another text"
    assert store.text("notes.txt") is store.text("../outside.py") is None


def contents(store: Store) -> Any:
    """All that can be asked of an index."""
    known = store.stamps()
    words = sorted({word for text in TREE.values() for word in word_list(text)} | {f"word{n}x" for n in range(9)})
    found = {word: sorted(chunk[:4] for chunk in store.similar([word], 200)) for word in words}
    return {path: (stamp.digest, store.in_file(path), store.imports_of(path)) for path, stamp in known.items()}, found


def test_a_workspace_that_changes_is_known_as_if_it_were_new(root: Path, tmp_path: Path) -> None:
    rng, num_steps, counts = random.Random(11), 60, Counts()
    store = Store(tmp_path / "kept.sqlite", root)
    for step in range(num_steps):
        touched = set(change(root, rng))
        counts += Builder(store, root).update(touched) if step % 3 else Builder(store, root).reconcile()
        if step % 3 == 0:
            fresh = Store(tmp_path / f"fresh{step}.sqlite", root)
            Builder(fresh, root).reconcile()
            assert contents(store) == contents(fresh), step
            fresh.close()
    print(f"{num_steps} bursts, {num_steps // 3} comparisons with a fresh index: {counts}")
    store.close()


def change(root: Path, rng: random.Random) -> Iterator[str]:
    """A burst of what people and git do to files; yields the paths."""
    for _ in range(rng.randint(1, 8)):
        there = sorted(path for path in root.rglob("*.py") if path.is_file())
        new = "/".join(rng.choice("abc") for _ in range(rng.randint(1, 3))) + f"/m{rng.randrange(6)}.py"
        what = rng.randrange(6)
        if what == 0 or not there:
            path = root / new
            if not any(parent.is_file() for parent in path.parents):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"def f{rng.randrange(9)}(word{rng.randrange(9)}x):\n    return 1\n")
            yield new
        elif what == 1:
            path = rng.choice(there)
            path.unlink()
            yield path.relative_to(root).as_posix()
        elif what == 2:
            path, target = rng.choice(there), root / new
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
            yield from (path.relative_to(root).as_posix(), new)
        elif what == 3:
            folder = rng.choice(there).parent
            if folder != root:
                shutil.rmtree(folder)
                yield folder.relative_to(root).as_posix()
        elif what == 4:
            (root / ".gitignore").write_text(rng.choice(["", "a/\n", "m1.py\n", "b/**/m*.py\n"]))
            yield from ("a", "b", "c", "pkg", "tests", "web")
        else:
            path = rng.choice(there)
            path.write_text(path.read_text() + f"\n\nword{rng.randrange(9)}x = 1\n")
            yield path.relative_to(root).as_posix()


def test_an_unchanged_workspace_is_not_read_again(store: Store, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen_lsp.index.build.read", lambda *_: pytest.fail("read"))
    assert Builder(store, root).reconcile() == Counts(unchanged=5)


def test_a_build_that_was_broken_off_goes_on(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codegen_lsp.index.build.BATCH", 2)
    store = Store(tmp_path / "i.sqlite", root)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Builder(store, root, progress=stop).reconcile()
    assert len(store.stamps()) == 2
    assert Builder(store, root).reconcile() == Counts(added=3, unchanged=2)
    store.close()


def test_an_index_that_is_worn_is_made_anew(store: Store, root: Path) -> None:
    for number in range(1200):
        (root / "pkg/use.py").write_text(f"word = {number}\n")
        Builder(store, root).update(["pkg/use.py"])
    assert store.is_worn
    Builder(store, root).reconcile()
    assert not store.is_worn
    assert [chunk.path for chunk in store.similar(["precision"], 5)] == ["pkg/shapes.py"]


@pytest.mark.parametrize("spoil", ["garbage", "version", "folder"])
def test_what_cannot_be_used_is_made_anew(spoil: str, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "i.sqlite"
    store = Store(path, root)
    Builder(store, root).reconcile()
    if spoil == "version":
        store._base.execute("PRAGMA user_version = 99")
    store.close()
    if spoil == "garbage":
        path.write_bytes(b"no database at all" * 500)
    where = tmp_path if spoil == "folder" else root
    with pytest.raises(sqlite3.DatabaseError):
        Store(path, where, is_writer=False)
    again = Store(path, where)
    assert again.stamps() == {}
    again.close()


def test_a_locked_index_is_kept(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "i.sqlite"
    store = Store(path, root)
    Builder(store, root).reconcile()

    def locked(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "noted", locked)
        with pytest.raises(sqlite3.OperationalError):
            Store(path, root)
    assert len(store.stamps()) == 5
    store.close()


def test_one_writer(tmp_path: Path) -> None:
    with only_writer(tmp_path / "i.sqlite") as first, only_writer(tmp_path / "i.sqlite") as second:
        assert (first, second) == (True, False)
    with only_writer(tmp_path / "i.sqlite") as again:
        assert again


def test_the_top_of_a_project(root: Path) -> None:
    (root / "pkg/pyproject.toml").write_text("")
    assert workspace_of(root / "pkg/use.py") == root / "pkg"


# Sources


def found(
    store: Store, path: str, text: str, buffers: Mapping[str, str] | None = None, **more: Any
) -> list[tuple[str, str]]:
    before, _, after = text.partition("⟦⟧")
    view = View(store, Buffers())
    for name, buffer in (buffers or {}).items():
        view.buffers.put(name, buffer)
    return [(piece.path, piece.reason) for piece in pieces(view, Query(path, before + after, len(before), **more))]


@pytest.mark.parametrize(
    ("path", "text", "source", "expected"),
    [
        ("pkg/new.py", "from pkg.shapes import Circle\n\nc = Circle(⟦⟧", "imported", ("pkg/shapes.py", "imported")),
        ("pkg/new.py", "from pkg import Circle as Round\n\nc = Round(⟦⟧", "imported", ("pkg/shapes.py", "imported")),
        ("pkg/new.py", "from pkg import shapes\n\nx = shapes.LIMIT⟦⟧", "imported", ("pkg/shapes.py", "imported")),
        ("other.py", "# the total of all\nx = total(⟦⟧", "defined", ("pkg/use.py", "name near the cursor")),
        ("other.py", "# area by precision of a round circle\n⟦⟧", "similar", ("pkg/shapes.py", "similar")),
        ("pkg/shapes.py", "def area(⟦⟧", "counterpart", ("tests/test_shapes.py", "counterpart")),
        ("tests/test_use.py", "def test_it():\n    assert total(⟦⟧", "counterpart", ("pkg/use.py", "counterpart")),
    ],
)
def test_a_source_finds(store: Store, path: str, text: str, source: str, expected: tuple[str, str]) -> None:
    assert expected in found(store, path, text, sources=frozenset([source]))


def test_open_documents(store: Store) -> None:
    opened = {"b.py": "def brush(colour):\n    return colour\n", "a.py": "# brush\n"}
    assert found(store, "a.py", "# brush\n⟦⟧", opened, sources=frozenset(["opened"])) == [("b.py", "open")]


def test_a_document_takes_the_place_of_its_file(store: Store) -> None:
    buffers = {"pkg/shapes.py": "class Round:\n    pass\n\n\ndef unsaved():\n    return 1\n"}
    only = frozenset(["imported", "defined"])
    assert found(store, "n.py", "x = unsaved(⟦⟧", buffers, sources=only) == [("pkg/shapes.py", "name near the cursor")]
    assert found(store, "n.py", "from pkg import Circle\nx = Circle(⟦⟧", buffers, sources=only) == []
    fresh = {"pkg/new.py": "def fresh(a):\n    return a\n"}
    asked = "from pkg.new import fresh\nfresh(⟦⟧"
    assert found(store, "n.py", asked, fresh, sources=only) == [("pkg/new.py", "imported")]


def test_few_documents_are_kept() -> None:
    buffers = Buffers()
    for number in range(MAX_BUFFERS + 3):
        buffers.put(f"m{number}.py", "x = 1\n")
    buffers.put("m3.py", "x = 2\n")
    buffers.put("large.py", "x = 1\n" * 100_000)
    buffers.drop("m4.py")
    assert [path for path, _ in buffers] == [*(f"m{number}.py" for number in range(5, MAX_BUFFERS + 3)), "m3.py"]


def test_where_the_user_wrote_last(store: Store) -> None:
    edited = (Edited("b.py", "def brush(colour):\n"), Edited("a.py", "# brush it\n"))
    only = frozenset(["edited"])
    assert found(store, "a.py", "# brush it\n⟦⟧", edited=edited, sources=only) == [("b.py", "edited just now")]
    far = "# brush it\n" + "x = 1\n" * FAR + "# colour it\n⟦⟧"
    assert [path for path, _ in found(store, "a.py", far, edited=edited, sources=only)] == ["a.py", "b.py"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Argument missing for parameter in call of `total`", True),
        ('"pkg.use.total" is not defined', True),
        ("undefined name ‘total’", True),
        ("total is wrong", False),
        ("'nothing_of_ours' is not defined", False),
    ],
)
def test_what_diagnostics_are_about(store: Store, message: str, expected: bool) -> None:
    shown = found(store, "n.py", "x = 1\n⟦⟧", messages=(message,))
    assert shown == ([("pkg/use.py", f"diagnostic: {message}")] if expected else [])


@pytest.mark.parametrize(
    ("before", "expected"), [("", True), ("# a line that is new\n", True), ("x = 1\n" * 1000, True), (None, False)]
)
def test_definitions_of_its_own_file_that_are_far_away(store: Store, before: str | None, expected: bool) -> None:
    text = "def helper(left, right):\n    return left\n"
    own = Buffers()
    own.put("n.py", text + "\n" + "x = 1\n" * FAR)
    changed = text if before is not None else text.replace("left", "up")
    now = (before or "") + changed + "\n" + "x = 1\n" * FAR + "y = helper("
    shown = pieces(View(store, own), Query("n.py", now, len(now), sources=frozenset(["own"])))
    assert [(each.reason, each.text) for each in shown] == ([("same file", text.rstrip())] if expected else [])
    near = text + "y = helper("
    assert not pieces(View(store, own), Query("n.py", near, len(near), sources=frozenset(["own"])))


def test_its_own_file_and_copies_of_what_is_there_are_not_shown(store: Store, root: Path) -> None:
    write(root, {"pkg/copy.py": TREE["pkg/use.py"]})
    Builder(store, root).update(["pkg/copy.py"])
    text = TREE["pkg/use.py"]
    assert all(path != "pkg/use.py" for path, _ in found(store, "pkg/use.py", text + "⟦⟧"))
    assert ("pkg/copy.py", "similar") not in found(store, "pkg/use.py", text + "⟦⟧")


def test_two_reasons_for_one_place_count_together() -> None:
    one, other = (
        Piece("a.py", Span(0, 9), "x", reason, score) for reason, score in (("similar", 0.5), ("imported", 0.6))
    )
    third = Piece("b.py", Span(0, 9), "y", "similar", 0.7)
    assert [(each.path, each.reason, round(each.score, 2)) for each in ranked([one, third, other])] == [
        ("a.py", "imported, similar", 0.8),
        ("b.py", "similar", 0.7),
    ]


def test_what_comes_over_a_seam_is_checked(store: Store) -> None:
    text = "from pkg import Circle\nx = Circle("
    found = snippets(View(store), {"path": "n.py", "text": text, "offset": len(text)})
    assert found[0].keys() == {"path", "text", "reason", "score"}
    assert "pkg/shapes.py" in [each["path"] for each in found]
    for bad in ({}, {"path": "x"}, {"path": "x", "text": "y", "offset": None}):
        with pytest.raises(ValueError, match=r"place|int"):
            snippets(View(store), bad)
    names = {"imported", "installed", "defined", "complained", "own", "similar", "opened", "edited", "counterpart"}
    assert set(SOURCES) == names


def test_queries_never_fail(store: Store) -> None:
    rng = random.Random(2)
    parts = ["from", "import", "(", ")", ".", "pkg", "Circle", "\n", " ", '"', "*", "é", "as", ",", "\\", "\r", "x.y"]
    for _ in range(300):
        text = "".join(rng.choice(parts) for _ in range(rng.randrange(60)))
        pieces(View(store), Query("a/b.py", text, rng.randint(0, len(text))))


def test_a_file_that_changes_its_kind_while_it_is_read(root: Path) -> None:
    entry = Entry("pkg/use.py", 1, 1)
    (root / "pkg/use.py").unlink()
    assert files.read(root, entry) is None
    (root / "pkg/use.py").symlink_to(root / "pkg/shapes.py")
    assert files.read(root, entry) is None
