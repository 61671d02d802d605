"""Prompts of a typing trace, exactly those of the product: its pipeline runs with an engine that only listens."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from keystrokes import Page, texts

from codegen_lsp.core import ModelInfo, Snapshot, Trigger
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.pipeline import complete
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.tokens import FileTokenizer

RUN = 40
"""Prompts of one place in a page, at least, where there are more places than one."""
CHECKED = """def mean(values):
    total = sum(values)
    return total / len(values)


def mean(values):
    total ="""
"""It says everything twice, so that what comes does not depend on how weights are rounded."""
Ids = tuple[int, ...]


def tokenizer_of(info: ModelInfo) -> FileTokenizer:
    """The tokenizer of a model."""
    return FileTokenizer(Path(info.folder, "tokenizer.json").read_text(encoding="utf-8"))


class Listener:
    """What the product asks a model for."""

    def __init__(self, info: ModelInfo) -> None:
        self._info = info
        self._tokenizer = tokenizer_of(info)

    def prompt(self, name: str, text: str, cursor: int) -> Ids | None:
        """The prompt of an automatic request; None where the product asks for nothing."""
        engine = ScriptedEngine([""], info=self._info)
        snapshot = Snapshot(name, "python", text, cursor, uri=name, trigger=Trigger.AUTOMATIC)
        fmt = BY_NAME[self._info.format]
        asyncio.run(complete(snapshot, engine, self._info, fmt, self._tokenizer))
        return engine.requests[0][0].ids if engine.requests else None


def trace(pages: Sequence[Page], info: ModelInfo, num: int, seed: int, num_passages: int | None = None) -> list[Ids]:
    """At most `num` prompts: long runs of keys that follow one another, as nobody goes elsewhere after a few keys."""
    rng, listener, found = random.Random(f"{seed} prompts"), Listener(info), list[Ids]()
    passages = [(page.name, states) for page in pages for states in texts(page, num_passages)]
    num_runs = max(1, min(len(passages), num // RUN))
    length = num // num_runs
    for run in range(num_runs):
        name, states = passages[run * len(passages) // num_runs]
        start = rng.randrange(max(1, len(states) - length))
        prompts = (listener.prompt(name, text, cursor) for text, cursor in states[start : start + length])
        found += [ids for ids in prompts if ids]
    return found


def cold(page: Page, info: ModelInfo, num: int) -> list[Ids]:
    """Prompts of a page that nobody has asked about, each of a file of another name."""
    listener = Listener(info)
    *_, states = texts(page, 2)
    text, cursor = states[-1]
    found = [listener.prompt(f"{number}_{page.name}", text, cursor) for number in range(num)]
    return [ids for ids in found if ids]


def check(info: ModelInfo) -> Ids:
    """A short prompt to which all engines should say the same."""
    ids = Listener(info).prompt("check.py", CHECKED, len(CHECKED))
    assert ids
    return ids
