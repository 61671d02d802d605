"""What `implement` and `hook` are given: files, and which of their functions are to be written; how much is tried.

Imports little: most commits have nothing to be written.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codegen_lsp.cli.files import read_text, source_encoding
from codegen_lsp.errors import FileError, SettingsError
from codegen_lsp.syntax.stubs import Stub, find_stubs

ENDINGS = (".py", ".pyi", ".pyw")
REQUIRE = ("parsed", "verified")
MAX_CANDIDATES = 100


@dataclass(frozen=True)
class Source:
    """A file, as it was read."""

    path: Path
    name: str
    """As the user gave it."""
    text: str
    encoding: str
    stubs: tuple[Stub, ...]
    """Those of its functions that are to be written."""


def read_sources(words: Sequence[str], exclude: Sequence[str] = ()) -> tuple[list[Source], list[str]]:
    """What FILE, FILE::NAME and folders mean, in the order given; and what is wrong with files of the folders.

    A file that is given without a name is meant as a whole. Raises FileError.
    """
    found: dict[Path, tuple[str, list[str]]] = {}
    wholes, faults, inner = set[Path](), list[str](), set[Path]()
    for word in words:
        name, mark, wanted = word.partition("::")
        if not name or (mark and not wanted):
            raise FileError(f"{word!r} is not a place; write FILE or FILE::NAME, for example shop.py::Basket.total.")
        for each in [name] if mark or not Path(name).is_dir() else _inside(Path(name)):
            path = Path(each).resolve()
            _, names = found.setdefault(path, (each, []))
            if mark:
                names.append(wanted)
            else:
                wholes.add(path)
            if each is not name:
                inner.add(path)
    sources = list[Source]()
    for path, (name, names) in found.items():
        try:
            sources.append(read_source(name, exclude, [] if path in wholes else names))
        except FileError as error:
            if path not in inner:
                raise
            faults.append(str(error))
    return sources, faults


def _inside(folder: Path) -> list[str]:
    """The Python files of a folder that git does not ignore, named as the folder was."""
    from codegen_lsp.index.files import Rules
    from codegen_lsp.index.place import workspace_of

    whole = folder.resolve()
    root = workspace_of(whole / "x") or whole
    inner = whole.relative_to(root).as_posix()
    entries = Rules(root).walk("" if inner == "." else inner)
    paths = (root / entry.path for entry in entries if entry.path.endswith(ENDINGS))
    return [str(folder / path.relative_to(whole)) for path in paths]


def read_source(name: str, exclude: Sequence[str] = (), wanted: Sequence[str] = ()) -> Source:
    """A Python file and its functions that are to be written; with `wanted` only those, which have to be there.

    Raises FileError.
    """
    path = Path(name)
    if path.suffix not in ENDINGS:
        raise FileError(
            f"{name}: only Python files have docstrings that can be judged; `codegen-lsp complete` writes others."
        )
    encoding = source_encoding(path)
    text = read_text(path, encoding)
    stubs = find_stubs(text, path.name, exclude)
    if wanted:
        stubs = tuple(stub for each in wanted for stub in _named(stubs, each, name, text))
        stubs = tuple(sorted(dict.fromkeys(stubs), key=lambda stub: stub.line))
    else:
        stubs = tuple(stub for stub in stubs if not _is_meant_empty(stub, text))
    return Source(path, name, text, encoding, stubs)


def _named(stubs: Sequence[Stub], wanted: str, name: str, text: str) -> list[Stub]:
    """The functions that a name means: itself, or all that are in it (a class's). Raises FileError when none is."""
    found = [stub for stub in stubs if stub.name == wanted or stub.name.startswith(f"{wanted}.")]
    found = found or [stub for stub in stubs if stub.name.rpartition(".")[2] == wanted]
    if found:
        return found
    known = ", ".join(dict.fromkeys(stub.name for stub in stubs)) or "none"
    is_there = f"def {wanted.rpartition('.')[2]}" in text
    why = "is written already, or is not to be (abstract, overload, protocol)" if is_there else "is not in it"
    raise FileError(f"{name}::{wanted}: the function {why}; to be written are: {known}.")


def _is_meant_empty(stub: Stub, text: str) -> bool:
    """Whether nobody has said that something is to be written: `def on_close(self): pass`, without a word."""
    return stub.is_wordless and stub.body.of(text).strip() == "pass"


def add_work_options(parser: argparse.ArgumentParser, candidates: int, require: str, limit: float | None) -> None:
    """Options that `hook` has, too, with other defaults."""
    group = parser.add_argument_group("work")
    group.add_argument(
        "--candidates",
        type=int,
        default=candidates,
        metavar="K",
        help="bodies that are tried for a function before it is left (default: %(default)s)",
    )
    group.add_argument(
        "--require",
        choices=REQUIRE,
        default=require,
        help="the least that a body has to be (default: %(default)s)",
    )
    group.add_argument(
        "--time-limit",
        type=float,
        default=limit,
        metavar="S",
        help="seconds after which the rest is left (default: " + ("none)" if limit is None else f"{limit:g})"),
    )
    group.add_argument(
        "--exclude", action="append", default=[], metavar="PATTERN", help='names to leave alone ("test_*", "Shop.*")'
    )
    group.add_argument("--max-tokens", type=int, metavar="N", help="longest body (default: 256)")


def check_work_options(args: argparse.Namespace) -> None:
    """Raises SettingsError for figures that make no sense, whether or not there is anything to do."""
    if not 1 <= args.candidates <= MAX_CANDIDATES:
        raise SettingsError(f"--candidates must be between 1 and {MAX_CANDIDATES}.")
    if args.time_limit is not None and not args.time_limit > 0:
        raise SettingsError("--time-limit must be more than 0 seconds.")
    if args.max_tokens is not None and not 1 <= args.max_tokens <= 4096:
        raise SettingsError("--max-tokens must be between 1 and 4096.")
