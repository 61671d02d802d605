"""`index build|status|query|clear`: what is known of a project's other files."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen_lsp.cli.terminal import Status, paint
from codegen_lsp.core import Snapshot, Snippet
from codegen_lsp.errors import FileError

if TYPE_CHECKING:
    from codegen_lsp.index.store import Store

MAX_PROCESSES = 20

DESCRIPTION = """\
Read a project's source files, so that `complete` and `explain` can show the model what it needs of them.

build   read what is new or changed (the first time everything)      clear   forget the project
status  what is known                                                query   definitions and places for words

Files that git ignores, hidden, binary, generated and secret ones, and those with a comment "codegen: off"
in their first five lines are not read. The index is in your cache folder; nothing is written to the project.
"""


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("action", choices=tuple(ACTIONS), metavar="build|status|query|clear")
    parser.add_argument("words", nargs="*", metavar="TEXT", help="for query: names, or words")
    parser.add_argument("--folder", type=Path, default=Path(), help="the project (default: this folder)")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    import sqlite3  # here and below: `complete` imports this file, mostly where there is no index

    root = args.folder.resolve()
    if not root.is_dir():
        raise FileError(f"{args.folder} is no folder.")
    if bool(args.words) != (args.action == "query"):
        raise FileError("Words go with query: codegen-lsp index query TEXT.")
    try:
        code: int = ACTIONS[args.action](args, root)
    except sqlite3.Error as error:
        raise FileError(f"The index of {root} cannot be used ({error}); try `codegen-lsp index clear`.") from error
    return code


def _build(args: argparse.Namespace, root: Path) -> int:
    from codegen_lsp.index.place import database

    database(root)  # says what is wrong with the cache folder
    counts, seconds = _built(root), 0.0
    if "error" in counts and counts["error"] != "busy":
        raise FileError(f"{root} cannot be read; the reason is above.")
    is_kept = "error" in counts
    if not is_kept:
        seconds = counts.pop("seconds")
    with _opened(root) as store:
        known = store.counts()
    if args.json:
        print(json.dumps({**({"kept": True} if is_kept else counts), **known, "seconds": round(seconds, 3)}))
    elif is_kept:
        print(f"{root}: an editor that is open keeps it up to date; {_in_words(known)}")
    else:
        changes = ", ".join(f"{value} {name}" for name, value in counts.items() if value) or "no files"
        print(f"{changes} in {seconds:.1f} s; {_in_words(known)}")
    return 0


def _built(root: Path) -> dict[str, Any]:
    """Have everything looked at by a process of its own: a file that ends it is left out the next time but one."""
    for _ in range(MAX_PROCESSES):
        try:
            return _built_once(root)
        except EOFError:
            print("codegen-lsp: a file ended the process that read it; going on …", file=sys.stderr)
    raise FileError(f"{root} cannot be read: its files keep ending the process that reads them.")


def _built_once(root: Path) -> dict[str, Any]:
    """What the index process says when it has looked at everything. Raises EOFError when it ends before."""
    import subprocess

    from codegen_lsp import children

    status = Status()
    with subprocess.Popen(
        children.command("codegen_lsp.index"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env=children.environment(),
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        for message in ({"root": str(root)}, {"id": 1, "method": "build"}):
            process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            said = json.loads(line)
            if said.get("method") == "progress":
                status("{done} of {total} files …".format(**said["params"]))
            elif said.get("id") == 1:
                status.clear()
                process.stdin.close()
                result: dict[str, Any] = said.get("result") or said
                return result
        status.clear()
    raise EOFError


def _status(args: argparse.Namespace, root: Path) -> int:
    with _opened(root) as store:
        known, built = store.counts(), int(store.noted("built") or 0)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(built)) if built else "not finished yet"
    size = store.path.stat().st_size
    if args.json:
        print(json.dumps({"folder": str(root), **known, "built": built, "bytes": size, "database": str(store.path)}))
    else:
        print(f"{root}: {_in_words(known)}; built {when}, {size / 1e6:.1f} MB in {store.path}")
    return 0


def _query(args: argparse.Namespace, root: Path) -> int:
    from codegen_lsp.index.words import word_list

    with _opened(root) as store:
        began = time.perf_counter()
        definitions = store.named(args.words, 20)
        chunks = store.similar(word_list(" ".join(args.words)), 10)
        ms = (time.perf_counter() - began) * 1000
    if args.json:
        places = [{"path": each.path, "line": each.line + 1, "score": round(each.score, 2)} for each in chunks]
        found = [{"path": each.path, "kind": each.kind, "signature": each.signature} for each in definitions]
        print(json.dumps({"definitions": found, "places": places, "ms": round(ms, 2)}))
    else:
        for each in definitions:
            print(f"{each.path}  {paint(each.signature, 'bold')}" + (f"  {each.doc}" if each.doc else ""))
        for chunk in chunks:
            print(f"{chunk.path}:{chunk.line + 1}  {paint(f'{chunk.score:.1f}', 'dim')}")
    return 0 if definitions or chunks else 1


def _clear(args: argparse.Namespace, root: Path) -> int:
    from codegen_lsp.index.place import database, only_writer
    from codegen_lsp.index.store import remove_files

    path = database(root)
    with only_writer(path) as is_ours:
        if not is_ours:
            raise FileError(f"An editor that is open, or another command, keeps the index of {root}; close it first.")
        had_any = path.exists()
        remove_files(path)
    print(
        json.dumps({"cleared": had_any}) if args.json else f"{root}: " + ("forgotten" if had_any else "was not known")
    )
    return 0


ACTIONS = {"build": _build, "status": _status, "query": _query, "clear": _clear}


@contextmanager
def _opened(root: Path) -> Iterator[Store]:
    from codegen_lsp.index.place import database
    from codegen_lsp.index.store import Store

    path = database(root)
    if not path.exists():
        raise FileError(f"{root} has no index yet; `codegen-lsp index build` makes one.")
    with closing(Store(path, root, is_writer=False)) as store:
        yield store


def _in_words(known: dict[str, int]) -> str:
    return f"{known['files']} files, {known['lines']} lines, {known['definitions']} definitions"


def snippets_at(path: Path, snapshot: Snapshot) -> list[Snippet]:
    """What the index of the project around a file says of a place in it; [] without one."""
    from codegen_lsp.index.place import database, workspace_of

    root = workspace_of(path)
    if root is None or not (base := database(root)).exists():
        return []
    import sqlite3

    from codegen_lsp.index.installed import Installed
    from codegen_lsp.index.sources import snippets
    from codegen_lsp.index.store import Store
    from codegen_lsp.index.view import View

    try:
        with closing(Store(base, root, is_writer=False)) as store:
            own = path.resolve().relative_to(root).as_posix()
            params = {"path": own, "text": snapshot.text, "offset": snapshot.offset}
            found = snippets(View(store, installed=Installed(root, os.environ)), params)
            return [Snippet(**each) for each in found]
    except (sqlite3.Error, OSError) as error:
        print(f"codegen-lsp: the index of {root} is not used ({error}).", file=sys.stderr)
        return []
