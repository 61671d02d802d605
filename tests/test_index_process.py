"""The index process: that what it sees by itself is what a walk would find, that it answers while it works, shares, and
survives files that no parser does."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from index_client import IndexClient, within
from test_index import TREE, change, contents, write

from codegen_lsp.index import keeper as keeper_module
from codegen_lsp.index.build import Builder, Counts
from codegen_lsp.index.files import Rules
from codegen_lsp.index.journal import Journal
from codegen_lsp.index.keeper import AFTER_SWITCH_S, MANY, UNWATCHED_S, WALK_EVERY_S, Keeper
from codegen_lsp.index.place import database
from codegen_lsp.index.store import Store
from codegen_lsp.index.watch import Watch


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "work", TREE)
    return tmp_path / "work"


def is_as_new(root: Path, folder: Path) -> bool:
    """Whether the index that is kept is what a fresh one is."""
    path = folder / "fresh.sqlite"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    kept, fresh = Store(database(root), root, is_writer=False), Store(path, root)
    try:
        Builder(fresh, root).reconcile()
        return bool(contents(kept) == contents(fresh))
    finally:
        kept.close()
        fresh.close()


# What it sees


def burst(root: Path, rng: random.Random) -> None:
    """More of what happens to folders than `change` has: new ones in new ones, moves, git."""
    what = rng.randrange(4)
    if what == 0:
        for number in range(rng.randint(1, 12)):
            write(root, {f"new{rng.randrange(5)}/a/b{number}/m{number}.py": f"def g{number}():\n    return {number}\n"})
    elif what == 1:
        target = root / rng.choice("xyz")
        folders = [path for path in root.iterdir() if path.is_dir() and path != target]
        if folders:
            shutil.rmtree(target, ignore_errors=True)
            shutil.move(rng.choice(folders), target)
    elif what == 2:
        folder = root / "again"
        shutil.rmtree(folder, ignore_errors=True)
        write(root, {f"again/m{rng.randrange(3)}.py": f"word{rng.randrange(9)}x = 1\n"})
    else:
        list(change(root, rng))


def test_what_it_sees_is_what_a_walk_finds(root: Path, tmp_path: Path) -> None:
    rng, num_bursts = random.Random(23), 40
    with IndexClient(root) as client:
        client.ask("build")
        for number in range(num_bursts):
            for _ in range(rng.randint(1, 3)):
                burst(root, rng)
            assert within(30, lambda: is_as_new(root, tmp_path)), f"after burst {number}"
    print(f"{num_bursts} bursts seen without a walk in between, each time equal to a fresh index")


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_another_branch(root: Path, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", "-C", root, *names, *words], check=True, capture_output=True)

    git("init", "-q", "-b", "one")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    git("checkout", "-q", "-b", "two")
    shutil.rmtree(root / "pkg")
    write(root, {f"deep/d{number}/f{number}.py": f"def f{number}():\n    return 1\n" for number in range(60)})
    git("add", "-A")
    git("commit", "-q", "-m", "two")
    with IndexClient(root) as client:
        client.ask("build")
        for branch in ("one", "two") * 4:
            git("checkout", "-q", branch)
            assert within(10, lambda: is_as_new(root, tmp_path)), branch


def test_what_the_editor_tells_is_looked_at(root: Path) -> None:
    with IndexClient(root, patch="import codegen_lsp.index.watch as w; w.Watch.cover = lambda *_: True") as client:
        assert client.ask("build")["added"] == 5
        write(root, {"pkg/told.py": "def told():\n    return 1\n"})
        assert client.ask("status")["files"] == 5
        client.say({"method": "touch", "params": {"paths": ["pkg/told.py", "../outside.py", "/etc/x.py"]}})
        assert within(10, lambda: client.ask("status")["files"] == 6)


class FakeWatch:
    """keeper.FolderWatch that sees nothing."""

    def __init__(self) -> None:
        self.covered: list[set[str]] = []
        self.works = True

    def cover(self, folders: Sequence[Path]) -> bool:
        self.covered.append({folder.name for folder in folders})
        return self.works


class Kept:
    """A keeper with a clock that stands still."""

    def __init__(self, root: Path, tmp_path: Path) -> None:
        self.now = 100.0
        self.watch = FakeWatch()
        self.store = Store(tmp_path / "kept.sqlite", root)
        rules = Rules(root)
        self.keeper = Keeper(rules, Builder(self.store, root, rules), self.watch, lambda: self.now)


def test_when_a_walk_is_due(root: Path, tmp_path: Path) -> None:
    kept = Kept(root, tmp_path)
    assert kept.keeper.wait_s == 0
    assert kept.keeper.work() == Counts(added=5)
    assert kept.watch.covered == [{"work", "pkg", "tests", "web"}]
    assert kept.keeper.wait_s == WALK_EVERY_S
    kept.keeper.touch([".git/index", ".git/objects"])
    assert kept.keeper.wait_s == WALK_EVERY_S
    kept.keeper.touch([".git/HEAD"])
    assert kept.keeper.wait_s == AFTER_SWITCH_S
    kept.now += AFTER_SWITCH_S
    assert kept.keeper.work() == Counts(unchanged=5)
    kept.keeper.touch(f"pkg/n{number}.py" for number in range(MANY + 1))
    assert kept.keeper.work() == Counts(unchanged=5), "a walk, and not file by file"
    assert len(kept.watch.covered) == 1


def test_folders_that_come_and_go_are_watched_anew(root: Path, tmp_path: Path) -> None:
    kept = Kept(root, tmp_path)
    kept.keeper.work()
    write(root, {"more/inner/a.py": "a = 1\n"})
    kept.keeper.seen([root / "more", Path("/elsewhere/b.py")])
    assert kept.keeper.work() == Counts(added=1)
    assert kept.watch.covered[-1] >= {"more", "inner"}
    shutil.rmtree(root / "more")
    kept.keeper.seen([root / "more/inner", root / "more"])
    assert kept.keeper.work() == Counts(removed=1)
    write(root, {"more/a.py": "a = 1\n"})
    kept.keeper.seen([root / "more"])
    assert kept.keeper.work() == Counts(added=1)
    assert "more" in kept.watch.covered[-1]
    assert "inner" not in kept.watch.covered[-1]
    write(root, {".gitignore": "more\n"})
    kept.keeper.seen([root / ".gitignore"])
    assert kept.keeper.work().removed == 1


def test_where_nothing_can_be_watched_it_looks_more_often(root: Path, tmp_path: Path) -> None:
    kept = Kept(root, tmp_path)
    kept.watch.works = False
    kept.keeper.work()
    assert kept.keeper.wait_s == UNWATCHED_S
    kept.watch.works = True
    kept.now += UNWATCHED_S
    kept.keeper.work()
    assert len(kept.watch.covered) == 2, "it is tried again"
    assert kept.keeper.wait_s == WALK_EVERY_S


def test_a_walk_that_takes_long_is_not_made_often(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(root, tmp_path)

    class Slow(Rules):
        def walk(self, *args: Any) -> Any:
            kept.now += 1
            return super().walk(*args)

    monkeypatch.setattr(kept.keeper, "_rules", Slow(root))
    kept.keeper.work()
    assert kept.keeper.wait_s == keeper_module.WALK_SHARE


def test_a_watch_that_cannot_be_had_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[frozenset[Path]]()
    watch = Watch(seen.append)
    assert watch.cover([tmp_path])

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left for watches")

    with monkeypatch.context() as patch:
        patch.setattr("codegen_lsp.index.watch.watch", full)
        assert not watch.cover([tmp_path, tmp_path])
    (tmp_path / "a.py").write_text("a = 1\n")
    assert within(5, lambda: bool(seen))
    watch.close()


def test_a_watch_of_folders_that_are_not_there(tmp_path: Path) -> None:
    watch = Watch(lambda _: None)
    assert watch.cover([tmp_path / "none"])
    assert watch.cover([tmp_path])
    watch.close()


# What it answers


def test_questions_are_answered_while_it_reads(root: Path) -> None:
    write(root, {f"many/m{number}.py": f"def f{number}(x):\n    return x\n" * 30 for number in range(400)})
    place = {"path": "pkg/use.py", "text": TREE["pkg/use.py"], "offset": len(TREE["pkg/use.py"])}
    with IndexClient(root) as client:
        build = client.begin("build")
        answered = 0
        while build not in client._said:
            client.ask("snippets", **place)
            answered += 1
        counts = client.end(build)["result"]
        assert counts["added"] + counts["unchanged"] == 405
        assert answered > 3
        assert client.progress[-1][0] == client.progress[-1][1] > 400
        assert "pkg/shapes.py" in [each["path"] for each in client.ask("snippets", **place)]


@pytest.mark.parametrize(
    "message",
    [
        {},
        [],
        7,
        {"method": "none"},
        {"id": 99, "method": "touch"},
        {"id": 99, "method": "snippets", "params": {"text": 3}},
    ],
)
def test_what_it_does_not_understand(root: Path, message: Any) -> None:
    with IndexClient(root) as client:
        client.say(message)
        assert client.ask("status")["writes"] is True


def test_what_is_kept_out_is_not_shown_because_it_is_open(root: Path) -> None:
    write(root, {".gitignore": "private\n"})
    secret = "def secret_word(colour):\n    return colour\n"
    ask = {"path": "n.py", "text": "# the secret word of a colour\nx = secret_word(", "offset": 46}
    kept_out = {"private/a.py": secret, ".hidden/b.py": secret, "off.py": f"# codegen: off\n{secret}", "x.env": secret}
    with IndexClient(root, settings={"disabled_globs": ["*.env"]}) as client:
        client.ask("build")
        for path, text in kept_out.items():
            client.ask("snippets", path=path, text=text, offset=0)
        told = [{"path": path, "text": text} for path, text in kept_out.items() if path != "off.py"]
        assert not any("secret" in each["text"] for each in client.ask("snippets", **ask, edited=told))
        client.ask("snippets", path="open.py", text=secret, offset=0)
        # It is read when nothing else waits, so perhaps only after the next answer.
        assert within(10, lambda: any(each["path"] == "open.py" for each in client.ask("snippets", **ask)))
        client.ask("snippets", path="open.py", text=f"# codegen: off\n{secret}", offset=0)
        assert not any(each["path"] == "open.py" for each in client.ask("snippets", **ask))


def test_two_processes_share_an_index(root: Path) -> None:
    with IndexClient(root) as first:
        assert first.ask("build")["added"] == 5
        with IndexClient(root, patch="import codegen_lsp.index.process as p; p.TAKE_OVER_S = 0.1") as second:
            assert second.ask("status") == {**first.ask("status"), "writes": False}
            assert second.ask("build") == {"error": "busy"}
            first.process.kill()
            assert within(10, lambda: second.ask("status")["writes"])
            write(root, {"pkg/after.py": "def after():\n    return 1\n"})
            assert within(10, lambda: second.ask("status")["files"] == 6)


# Files that no parser survives


class Died(BaseException):
    """In place of the end of the process."""


def test_a_file_that_ends_the_process_is_left_out(root: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "i.sqlite", root)
    entry = Rules(root).entry("pkg/use.py")
    assert entry
    for number in range(3):
        journal = Journal(tmp_path / "journal", store)
        assert journal.is_bad(entry) == (number == 2)
        reading = journal.reading(entry)
        reading.__enter__()  # and never again: the process has died
        journal.close()
    journal = Journal(tmp_path / "journal", store)
    with pytest.raises(ValueError, match="of ours"), journal.reading(entry):
        raise ValueError("of ours")
    journal.close()
    assert Journal(tmp_path / "journal", store).is_bad(entry._replace(size=1)) is False
    assert (tmp_path / "journal").read_text().startswith("\n")
    Builder(store, root, journal=Journal(tmp_path / "journal", store)).reconcile()
    assert store.in_file("pkg/use.py") == []
    assert store.in_file("pkg/shapes.py")
    assert store.similar(["circles"], 3)[0].path == "pkg/use.py", "its words are known all the same"
    store.close()


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="there are no timers here")
def test_a_file_that_is_parsed_for_ever_costs_two_processes(root: Path) -> None:
    write(root, {"web/slow.py": "/*\n" * 8000, "web/z.py": "def z():\n    return 1\n"})
    patch = "import codegen_lsp.index.deadline as d; d.LIMIT_S = 0.5"
    ends = 0
    for _ in range(2):
        with IndexClient(root, patch=patch) as client:
            with pytest.raises(EOFError):
                client.ask("build")
            ends += 1
    with IndexClient(root, patch=patch) as client:
        client.ask("build")
        assert client.ask("status")["files"] == 7
    assert ends == 2
