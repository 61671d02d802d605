"""Several editors at once: answers share the passes over the weights, and are what each would be alone."""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from machines import ask, fresh, ids_of, until

from codegen_lsp import registry
from codegen_lsp.host.cache import Forward, run
from codegen_lsp.host.decode import Machine, answer
from codegen_lsp.host.load import Loaded, _weights, load
from codegen_lsp.host.params import Request
from codegen_lsp.host.runners import Logits
from codegen_lsp.host.runners.llama import shape_of
from codegen_lsp.host.runners.static import StaticRunner
from codegen_lsp.host.scheduler import Job, Scheduler, Sign

pytest_plugins = ["machines"]


class Editors:
    """A scheduler over a machine, and what it gave to each request."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.widths: list[int] = []
        """How many answers shared each pass."""
        self.pieces: dict[str, list[Any]] = {}
        self.order: list[str] = []
        """Whose token came."""
        self.scheduler = Scheduler(lambda: None, self.forward)

    def forward(self, wanted: Sequence[Forward]) -> list[list[Logits]]:
        self.widths.append(len(wanted))
        return run(self.machine.runner, wanted)

    def submit(self, name: str, request: Request, is_background: bool = False) -> None:
        mine = self.pieces.setdefault(name, [])

        def work(job: Job) -> Generator[Any, Any, None]:
            yield from answer(request, self.machine, lambda: job.is_cancelled)

        def emit(item: Any) -> None:
            mine.append(item)
            self.order.append(name)

        self.scheduler.submit(Job(request.document, work, emit, is_background))

    def wait(self) -> None:
        until(lambda: not self.scheduler.num_jobs, 30)


def machine_of(kind: str, folders: dict[str, Path], loaded_models: dict[str, Loaded]) -> Loaded:
    if kind == "static":
        shape = shape_of(registry.read_config(folders["wide"]))
        assert shape is not None
        runner = StaticRunner(shape, _weights(folders["wide"], "cpu", torch.float32))
        return replace(loaded_models["wide"], machine=replace(loaded_models["wide"].machine, runner=runner))
    if kind != "compiled":
        return loaded_models[kind]
    loaded = load(registry.find(str(folders["wide"])), "cpu")
    if loaded.machine.runner.dtype != "int8":
        pytest.skip("no C compiler (cc)")
    return loaded


@pytest.mark.parametrize("kind", ["llama", "gpt2", "compiled", "static"])
def test_no_answer_is_changed_by_a_neighbour(
    kind: str, folders: dict[str, Path], loaded_models: dict[str, Loaded]
) -> None:
    loaded, rng = machine_of(kind, folders, loaded_models), random.Random(kind)
    editors = Editors(fresh(loaded).machine)
    requests: dict[str, Request] = {}
    texts = {document: [rng.randrange(20, 390) for _ in range(rng.randint(5, 60))] for document in "abcd"}
    for turn in range(8):
        for document, ids in texts.items():
            ids += [rng.randrange(20, 390) for _ in range(rng.randint(1, 3))]
            name, seed = f"{document}{turn}", rng.randrange(100)
            temperature = rng.choice([0.0, 0.0, 0.9])
            requests[name] = Request(
                tuple(ids), rng.randint(1, 16), temperature, seed=seed, document=document, heal=rng.random() < 0.3
            )
            editors.submit(name, requests[name], is_background=rng.random() < 0.2)
        if not turn:
            editors.scheduler.begin()
        editors.wait()
        assert editors.machine.cache.problems() == []
    assert editors.scheduler.stop(2)
    for name, request in requests.items():
        alone = ask(fresh(loaded).machine, request.ids, **{k: v for k, v in vars(request).items() if k != "ids"})
        got = [item for item in editors.pieces[name] if item is not Sign.END]
        assert ids_of(got) == ids_of(alone), name
        assert got[-1].finish == alone[-1].finish
    assert sum(editors.widths) / len(editors.widths) > 1.5, "passes are shared"


def test_what_nobody_waits_for_makes_room(loaded: Loaded) -> None:
    editors = Editors(loaded.machine)
    editors.scheduler.max_begun = 2
    for name in "yz":
        request = Request((*range(20, 40), ord(name)), 10**3, 0.0, document=name, ignore_eos=True)
        editors.submit(name, request, is_background=True)
    editors.scheduler.begin()
    until(lambda: all(len(editors.pieces[name]) > 3 for name in "yz"))
    editors.submit("a", Request(tuple(range(20, 40)), 5, 0.0, document="a", ignore_eos=True))
    editors.wait()
    assert [editors.pieces[name][-2].finish for name in "ayz"] == ["length", "cancelled", "cancelled"]
    assert editors.scheduler.stop(2)


def test_a_long_answer_holds_nobody_up(loaded: Loaded) -> None:
    editors = Editors(loaded.machine)
    editors.submit("long", Request(tuple(range(20, 40)), 150, 0.0, document="long", ignore_eos=True))
    for name in "abc":
        editors.submit(name, Request((*range(20, 40), ord(name)), 5, 0.0, document=name, ignore_eos=True))
    editors.scheduler.begin()
    editors.wait()
    ended = [editors.order.index(name) + len(editors.pieces[name]) for name in "abc"]
    assert max(editors.order[::-1].index(name) for name in "abc") > 100, "the long one goes on long after the others"
    assert max(ended) < 40
    assert editors.scheduler.stop(2)


def test_one_that_fails_takes_nobody_with_it(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    editors = Editors(loaded.machine)
    real = editors.machine.runner.run

    def fail(parts: Sequence[Any]) -> list[list[Logits]]:
        found = real(parts)
        if any(part.kv.length > 60 for part in parts):
            raise torch.OutOfMemoryError
        return found

    monkeypatch.setattr(editors.machine.runner, "run", fail)
    requests = {name: Request((*range(20, 40), ord(name)), 12, 0.0, document=name, ignore_eos=True) for name in "ab"}
    requests["big"] = Request(tuple(range(20, 70)), 50, 0.0, document="big", ignore_eos=True)
    for name, request in requests.items():
        editors.submit(name, request)
    editors.scheduler.begin()
    editors.wait()
    assert isinstance(editors.pieces["big"][-1], torch.OutOfMemoryError)
    monkeypatch.undo()
    for name in "ab":
        alone = ask(fresh(loaded).machine, requests[name].ids, max_tokens=12, ignore_eos=True)
        assert ids_of(editors.pieces[name][:-1]) == ids_of(alone)
    assert editors.machine.cache.problems() == []
    assert editors.scheduler.stop(2)
