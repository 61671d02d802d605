"""What the one process that writes an index holds: the lock, the database, the journal, the watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from codegen_lsp.index.build import Builder, Progress
from codegen_lsp.index.files import Rules
from codegen_lsp.index.journal import Journal
from codegen_lsp.index.keeper import Keeper
from codegen_lsp.index.place import only_writer
from codegen_lsp.index.store import Store
from codegen_lsp.index.watch import Watch


class Writer(NamedTuple):
    """Both are one database's."""

    store: Store
    keeper: Keeper


@contextmanager
def writer(
    rules: Rules, path: Path, progress: Progress, changed: Callable[[frozenset[Path]], None]
) -> Iterator[Writer | None]:
    """The right to write a database for as long as the block lasts; None while another process has it.

    `changed` is called in another thread. Raises OSError or sqlite3.Error when the database cannot be had.
    """
    with only_writer(path) as is_ours:
        if not is_ours:
            yield None
            return
        with (
            closing(Store(path, rules.root)) as store,
            closing(Journal(path.with_suffix(".reading"), store)) as journal,
            closing(Watch(changed)) as watch,
        ):
            yield Writer(store, Keeper(rules, Builder(store, rules.root, rules, progress, journal), watch))
