"""When the index is asked, what is shown of what it says, and what never waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from lsprotocol import types
from test_session import URI, Bench

from codegen_lsp.core import Snippet, Trigger
from codegen_lsp.server import retrieval as retrieval_module
from codegen_lsp.server.actions import code_action
from codegen_lsp.server.asks import Ask
from codegen_lsp.server.documents import Change
from codegen_lsp.server.handlers import did_change_workspace_folders
from codegen_lsp.server.retrieval import MAX_EDITED, Retrieval, is_better
from codegen_lsp.settings import Settings

ROOT = "file:///w"


class FakeIndex:
    """retrieval.Index that says what it is told to, when `gate` is open."""

    def __init__(self) -> None:
        self.says: Any = []
        self.asked: list[Mapping[str, Any]] = []
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_closed = False
        self.state = "ready"

    async def request(self, method: str, params: Mapping[str, Any]) -> Any:
        self.asked.append({"method": method, **params})
        await self.gate.wait()
        return self.says

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        self.told.append((method, params))

    async def close(self) -> None:
        self.is_closed = True


def says(*scores: float, name: str = "b") -> list[dict[str, Any]]:
    return [
        {"path": f"{name}.py", "text": f"{name}{number}", "reason": "similar", "score": score}
        for number, score in enumerate(scores)
    ]


def snippets(*scores: float, name: str = "b") -> tuple[Snippet, ...]:
    return tuple(Snippet(**each) for each in says(*scores, name=name))


def opened(monkeypatch: pytest.MonkeyPatch) -> tuple[Bench, FakeIndex]:
    """A session with a document, and the index of its workspace."""
    monkeypatch.setattr(retrieval_module, "AFTER_S", 0.01)
    bench, index = Bench(monkeypatch), FakeIndex()
    bench.session.roots = (ROOT,)
    bench.session.retrieval = Retrieval(lambda root, settings: index, lambda: bench.session.roots)
    return bench, index


def ask_of(bench: Bench, column: int = 4, trigger: Trigger = Trigger.AUTOMATIC) -> Ask:
    ask = bench.session.ask(URI, (0, column), trigger)
    assert ask
    return ask


@pytest.mark.parametrize(
    ("new", "shown", "expected"),
    [
        (snippets(0.5), (), True),
        (snippets(0.2), (), False),
        ((), snippets(0.5), False),
        (snippets(0.9, 0.8), snippets(0.1, 0.1), False),  # the same pieces, whatever they score
        (snippets(0.9, name="c"), snippets(0.5), True),
        (snippets(0.9, name="c") + snippets(0.7), snippets(0.7), True),
        (snippets(0.2, name="c") + snippets(0.9), snippets(0.9), False),
        (snippets(*[0.1] * 9, name="c"), (), True),
        (snippets(0.9, 0.9, 0.9, 0.9) + snippets(0.9, name="c"), snippets(0.9, 0.9, 0.9, 0.9), False),  # no room for it
    ],
)
def test_what_is_shown_stays_until_there_is_better(
    new: tuple[Snippet, ...], shown: tuple[Snippet, ...], expected: bool
) -> None:
    assert is_better(new, shown) is expected


async def test_a_key_waits_for_no_index_and_a_pause_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, index = opened(monkeypatch)
    index.gate.clear()
    index.says = says(0.9)
    monkeypatch.setattr(retrieval_module, "AFTER_S", 60.0)  # a busy machine may be slow with its keys
    for column in (1, 2, 3):
        assert (await bench.suggest(column, Trigger.AUTOMATIC)).edit
    assert index.asked == []
    monkeypatch.setattr(retrieval_module, "AFTER_S", 0.01)
    assert (await bench.suggest(4, Trigger.AUTOMATIC)).edit
    await until(lambda: index.asked)
    assert [(each["path"], each["offset"], each["text"]) for each in index.asked] == [("a.py", 4, "x = \n")]
    assert bench.session.retrieval.snippets(URI) == ()
    index.gate.set()
    await until(lambda: bench.session.retrieval.snippets(URI))
    assert bench.session.retrieval.snippets(URI) == snippets(0.9)


async def test_the_model_reads_new_pieces_in_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, index = opened(monkeypatch)
    warmed = list[Ask]()
    bench.session.warm = warmed.append  # type: ignore[method-assign]
    index.says = says(0.9)
    await bench.suggest(4, Trigger.AUTOMATIC)
    await until(lambda: warmed)
    index.says = says(0.95)
    await bench.suggest(3, Trigger.AUTOMATIC)
    await until(lambda: len(index.asked) == 2)
    await asyncio.sleep(0.01)
    assert len(warmed) == 1, "the same pieces are no news"


async def test_who_asks_by_hand_gets_what_the_index_says_now(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, index = opened(monkeypatch)
    index.says = says(0.9)
    await bench.suggest(4)
    assert bench.session.retrieval.snippets(URI) == snippets(0.9)
    monkeypatch.setattr("codegen_lsp.server.session.FIRST_S", 0.01)
    bench.type(4, "y")
    index.gate.clear()
    assert (await bench.suggest(5)).edit, "an index that takes long is not waited for"


async def test_where_the_user_wrote_is_told_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, index = opened(monkeypatch)
    session, other = bench.session, f"{ROOT}/pkg/c%20d.py"
    session.open(other, "python", 1, "def far():\n    return 1\n" + "x = 1\n" * 100)
    session.change(other, 2, [Change("y", (0, 4), (0, 4)), Change("z", (1, 4), (1, 4))])
    session.change(other, 3, [Change("a", (50, 0), (50, 0))])
    session.change(other, 4, [Change("b", (1, 0), (1, 0))])
    bench.type(4, "q")
    session.change(other, 5, [Change("x = 1\n")])
    await session.retrieval.refresh(ask_of(bench), Settings())
    told = index.asked[-1]["edited"]
    assert [(each["path"], len(each["text"])) for each in told] == [("a.py", 6), ("pkg/c d.py", 6)]
    session.change(URI, None, [Change("x = 1\n" * 400)])
    for line in range(0, 400, 20):
        session.change(URI, None, [Change("", (line, 0), (line, 0))])
    await session.retrieval.refresh(ask_of(bench), Settings())
    assert len(index.asked[-1]["edited"]) == MAX_EDITED
    session.close_document(other)
    assert index.told == [("close", {"path": "pkg/c d.py"})]
    session.close_document(URI)
    assert session.retrieval._edited == {}
    assert session.retrieval.snippets(URI) == ()


async def test_nothing_is_told_of_what_is_kept_out_or_another_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, index = opened(monkeypatch)
    session = bench.session
    session.roots = (ROOT, "file:///other")
    for uri, text in (
        (f"{ROOT}/keys.env", "KEY=1\n"),
        (f"{ROOT}/off.py", "# codegen: off\n\nx = 1\n"),
        ("file:///other/a.py", "x = 1\n"),
        ("file:///elsewhere/a.py", "x = 1\n"),
        (f"{ROOT}/told.py", "x = 1\n"),
    ):
        session.open(uri, "python", 1, text)
        session.change(uri, 2, [Change("y", (0, 0), (0, 0))] if "off" not in uri else [Change("y", (2, 0), (2, 0))])
    await session.retrieval.refresh(ask_of(bench), Settings())
    assert index.asked[-1]["edited"] == [{"path": "told.py", "text": "yx = 1\n"}]


async def test_diagnostics_at_the_cursor_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, index = opened(monkeypatch)
    params = types.CodeActionParams(
        types.TextDocumentIdentifier(URI),
        types.Range(types.Position(0, 4), types.Position(0, 4)),
        types.CodeActionContext(
            [
                types.Diagnostic(types.Range(types.Position(line, 0), types.Position(line, 3)), f"`y{line}` is missing")
                for line in (0, 7)
            ]
        ),
    )
    await code_action(bench.session, params)
    await bench.session.retrieval.refresh(ask_of(bench), Settings())
    assert index.asked[-1]["messages"] == ["`y0` is missing"]


@pytest.mark.parametrize("answer", [None, {}, "x"])
async def test_an_index_that_is_not_there_changes_nothing(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    bench, index = opened(monkeypatch)
    index.says = answer
    assert (await bench.suggest(4)).edit
    assert bench.session.retrieval.snippets(URI) == ()


async def test_where_no_index_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, index = opened(monkeypatch)
    retrieval = bench.session.retrieval
    assert not await retrieval.refresh(ask_of(bench), Settings(index=False))
    bench.session.open("file:///elsewhere/d.py", "python", 1, "x = \n")
    outside = bench.session.ask("file:///elsewhere/d.py", (0, 4))
    assert outside
    assert not await retrieval.refresh(outside, Settings())
    assert index.asked == []


async def test_a_workspace_folder_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, index = opened(monkeypatch)
    index.says = says(0.9)
    assert await bench.session.retrieval.refresh(ask_of(bench), Settings())
    event = {"event": {"added": [{"uri": "file:///other"}], "removed": [{"uri": ROOT}]}}
    did_change_workspace_folders(bench.session, event)
    await until(lambda: index.is_closed)
    assert bench.session.retrieval.snippets(URI) == ()
    assert not await bench.session.retrieval.refresh(ask_of(bench), Settings())


async def test_changed_files_and_changed_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, index = opened(monkeypatch)
    session = bench.session
    index.says = says(0.9)
    await session.retrieval.refresh(ask_of(bench), Settings())
    session.retrieval.touched([f"{ROOT}/b.py", "file:///elsewhere/b.py"])
    assert index.told == [("touch", {"paths": ["b.py"]})]
    await session.configure({"disabled_globs": ["*.sql"]})
    assert index.is_closed
    assert session.retrieval.snippets(URI) == ()
    await session.close()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
