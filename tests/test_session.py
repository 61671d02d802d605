"""The session without pipes: typed-through suggestions, stale answers, one slot, the model."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from scripted_server import Script, ScriptedEngine

from codegen_lsp.core import Completion, Snapshot, StopReason, Trigger
from codegen_lsp.errors import EngineFailed
from codegen_lsp.server import generations as generations_module
from codegen_lsp.server import session as session_module
from codegen_lsp.server.asks import Purpose
from codegen_lsp.server.convert import Selected, inline_items, popup_items
from codegen_lsp.server.documents import Change, Document
from codegen_lsp.server.door import Client, read_client
from codegen_lsp.server.model import State
from codegen_lsp.server.session import MAX_PATH, Session
from codegen_lsp.server.suggestions import Key, Suggestions
from codegen_lsp.settings import Settings
from codegen_lsp.text import Edit, Encoding, Span

URI = "file:///w/a.py"


# Suggestions


def snapshot(before: str, after: str = "", uri: str = URI) -> Snapshot:
    return Snapshot("a.py", "python", before + after, len(before), uri=uri)


def insertion(at: Snapshot, text: str) -> Edit:
    return Edit(Span(at.offset, at.offset), text)


@pytest.mark.parametrize(
    ("before", "after", "key", "rest"),
    [
        ("x = ", "\n", 1, "foo(1)"),
        ("x = f", "\n", 1, "oo(1)"),
        ("x = foo(", "\n", 1, "1)"),
        ("x = foo(1)", "\n", 1, None),
        ("x = g", "\n", 1, None),
        ("x =", "\n", 1, None),
        ("y = f", "\n", 1, None),
        ("x = f", ")\n", 1, None),
        ("x = f", "", 1, None),
        ("x = f", "\n", 2, None),
    ],
)
def test_typing_a_suggestion_needs_no_model(before: str, after: str, key: int, rest: str | None) -> None:
    suggestions = Suggestions()
    asked = snapshot("x = ", "\n")
    suggestions.put(asked, insertion(asked, "foo(1)"), Key(1))
    offer = suggestions.find(snapshot(before, after), Key(key))
    assert (offer.edit.text if offer else None) == rest
    if offer:
        assert offer.edit.apply(before + after) == "x = foo(1)\n"


def test_suggestions_of_another_document_are_not_offered() -> None:
    suggestions = Suggestions()
    suggestions.put(snapshot("x"), insertion(snapshot("x"), "y"), Key(1))
    assert suggestions.find(snapshot("x", uri="file:///b.py"), Key(1)) is None


def test_few_suggestions_are_kept() -> None:
    suggestions = Suggestions(capacity=2)
    for text in "abc":
        suggestions.put(snapshot(text), insertion(snapshot(text), "!"), Key(1))
    assert [suggestions.find(snapshot(text), Key(1)) is not None for text in "abc"] == [False, True, True]


def test_ghost_text_needs_the_cursor_and_one_line() -> None:
    document = Document(URI, "python", 1, "ab\ncd")
    assert inline_items(document, Edit(Span(3, 5), "x"), 2, 1, Encoding.UTF16) == []
    assert inline_items(document, Edit(Span(1, 4), "x"), 2, 1, Encoding.UTF16) == []
    (item,) = inline_items(document, Edit(Span(0, 2), "x"), 2, 1, Encoding.UTF16)
    assert item["filterText"] == "ab"


POPUPS = {
    "goes on in the word": ("retu", Edit(Span(4, 4), "rn 1"), 0, "return 1", "return 1"),
    "takes the word's place": ("retu", Edit(Span(0, 4), "return 1"), 0, "return 1", "return 1"),
    "from the middle of it": ("x = retu", Edit(Span(6, 8), "turn 1"), 4, "return 1", "return 1"),
    "takes more than the word's place": ("a.retu", Edit(Span(0, 6), "b.c = 1"), 0, "b.c = 1", "retub.c = 1"),
    "behind a word": ("return", Edit(Span(6, 6), " 1"), 0, "return 1", "return 1"),
    "no word": ("x = ", Edit(Span(4, 4), "1"), 4, "1", "1"),
    "below": ("# one", Edit(Span(5, 5), "\n    x = 1\n    y"), 2, "x = 1…", "onex = 1"),
    "two lines": ("x =", Edit(Span(3, 3), " f(\n    1)"), 3, "f(…", "f("),
}
"""A line with the cursor at its end, an edit; where the item's own edit begins, its label and its filter."""


@pytest.mark.parametrize(("text", "edit", "start", "label", "words"), POPUPS.values(), ids=POPUPS)
def test_a_popup_shows_and_replaces_the_whole_word(text: str, edit: Edit, start: int, label: str, words: str) -> None:
    (item,) = popup_items(Document(URI, "python", 1, text), edit, len(text), 1, Client())
    assert (item["label"], item["filterText"]) == (label, words)
    assert item["textEdit"]["range"]["start"]["character"] == start
    assert text[:start] + item["textEdit"]["newText"] == edit.apply(text)


ADJUSTED = {
    "block": ("    ", "if a:\n        b\n\n    c", "if a:\n    b\n\nc"),
    "below": ("    # one", "\n    x = 1\n    y", "one\nx = 1\ny"),
    "less": ("        ", "a\n    b", None),
    "one line": ("    x = ", "1", "1"),
}
"""A line with the cursor at its end, what is to be written there, and what is sent to an editor that indents lines."""


@pytest.mark.parametrize(("text", "written", "sent"), ADJUSTED.values(), ids=ADJUSTED)
def test_an_editor_that_indents_lines_itself_gets_them_without(text: str, written: str, sent: str | None) -> None:
    capability = {"completion": {"completionItem": {"insertTextModeSupport": {"valueSet": [2]}}}}
    client = read_client({"capabilities": {"textDocument": capability}})
    edit = Edit(Span(len(text), len(text)), written)
    items = popup_items(Document(URI, "python", 1, text), edit, len(text), 1, client)
    assert [item["textEdit"]["newText"] for item in items] == ([] if sent is None else [sent])
    assert {item["insertTextMode"] for item in items} <= {2}


@pytest.mark.parametrize(("edit", "joined"), [(Edit(Span(9, 9), "()"), Edit(Span(4, 6), "print()")),
                                              (Edit(Span(3, 3), "()"), None)])  # fmt: skip
def test_an_answer_extends_the_selected_item(edit: Edit, joined: Edit | None) -> None:
    assert Selected(Edit(Span(4, 6), "print")).joined(edit) == joined


# The session


PLAIN = Script()


class FakeBar:
    """model.Bar that nobody sees."""

    def tell(self, done: int, total: int) -> None: ...
    def end(self) -> None: ...


class FakeEditor:
    """model.Editor that remembers."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.informed: list[str] = []
        self.bars = 0

    def show(self, message: str) -> None:
        self.shown.append(message)

    def inform(self, message: str) -> None:
        self.informed.append(message)

    def begin_progress(self, title: str) -> FakeBar:
        self.bars += 1
        return FakeBar()

    async def watch_files(self, globs: Sequence[str]) -> None: ...

    async def apply_edit(self, label: str, edit: dict[str, Any]) -> bool:
        return True

    async def pull_settings(self) -> Any:
        return {"max_tokens": 7}


class SilentEditor(FakeEditor):
    """One that cannot be asked for settings."""

    async def pull_settings(self) -> Any:
        return None


class Bench:
    """A session whose model answers `answer` when `gate` is open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, script: Script = PLAIN, options: object = None) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.answer = "foo(1)"
        self.num_asked = 0
        self.error: Exception | None = None
        self.editor = FakeEditor()
        self.engines: list[ScriptedEngine] = []
        self.hear: Callable[[str], None] = lambda text: None
        self.how: list[dict[str, bool]] = []
        self.num_ended = 0
        monkeypatch.setattr(session_module, "AHEAD_AFTER_S", 60.0)
        monkeypatch.setattr(
            Session, "_complete", lambda _, ask, loaded, hear, **how: self.complete(ask.snapshot, hear, how)
        )
        self.session = Session(Client(options=options), self.editor, lambda _: self.engine(script))
        self.session.open(URI, "python", 1, "x = \n")

    def engine(self, script: Script) -> ScriptedEngine:
        self.engines.append(ScriptedEngine(script))
        return self.engines[-1]

    async def complete(
        self, snapshot: Snapshot, hear: Callable[[str], None] | None, how: dict[str, bool]
    ) -> Completion:
        self.num_asked += 1
        self.hear = hear or self.hear
        self.how.append(how)
        try:
            await self.gate.wait()
        finally:
            self.num_ended += 1
        if self.error:
            raise self.error
        return Completion(insertion(snapshot, self.answer), self.answer, StopReason.END, 0.5)

    def suggest(self, column: int, trigger: Trigger = Trigger.INVOKED) -> asyncio.Task[Any]:
        ask = self.session.ask(URI, (0, column), trigger)
        assert ask
        return asyncio.create_task(self.session.slots.newest(ask.slot, self.session.suggest(ask, 5.0)))

    def type(self, column: int, text: str, end: int | None = None) -> None:
        version = self.session.documents[URI].version + 1
        self.session.change(URI, version, [Change(text, (0, column), (0, column if end is None else end))])

    async def begun(self, number: int) -> None:
        while self.num_asked < number:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_suggestion_and_its_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    assert (await bench.suggest(4)).edit.text == "foo(1)"
    bench.type(4, "fo")
    assert (await bench.suggest(6)).edit.text == "o(1)"
    assert bench.num_asked == 1


async def test_an_answer_for_an_older_text_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.gate.clear()
    asked = bench.suggest(4)
    await bench.begun(1)
    bench.type(4, "bar")
    bench.gate.set()
    assert await asked is None


async def test_an_answer_is_kept_when_its_beginning_was_typed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.gate.clear()
    asked = bench.suggest(4)
    await bench.begun(1)
    bench.type(4, "foo")
    bench.gate.set()
    offer = await asked
    assert offer.edit.apply(bench.session.documents[URI].text) == "x = foo(1)\n"


@pytest.mark.parametrize(
    ("said", "typed", "num_asked"), [("fo", "f", 1), ("", "fo", 1), ("f", "foo", 1), ("fo", "fx", 2), ("", "g", 2)]
)
async def test_a_call_goes_on_while_what_it_says_is_typed(
    monkeypatch: pytest.MonkeyPatch, said: str, typed: str, num_asked: int
) -> None:
    bench = Bench(monkeypatch)
    bench.gate.clear()
    older = bench.suggest(4)
    await bench.begun(1)
    bench.hear(said)
    bench.type(4, typed)
    newer = bench.suggest(4 + len(typed))
    assert await asyncio.wait_for(older, 1) is None
    if said and num_asked == 2:
        await bench.begun(2)  # at once: what it has said is something else
    else:
        await asyncio.sleep(0.05)
        assert bench.num_asked == 1
        bench.hear("foo(1)"[len(said) :])
    if num_asked == 2:
        await bench.begun(2)
    bench.gate.set()
    offer = await newer
    assert bench.num_asked == num_asked
    written = offer.edit.apply(bench.session.documents[URI].text)
    assert written == ("x = foo(1)\n" if num_asked == 1 else f"x = {typed}foo(1)\n")


async def test_a_call_that_nobody_waits_for_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations_module, "GRACE_S", 0.03)
    bench = Bench(monkeypatch)
    bench.gate.clear()
    cancelled = bench.suggest(4)
    await bench.begun(1)
    cancelled.cancel()
    await asyncio.sleep(0.01)
    bench.type(4, "f")
    again = bench.suggest(5)
    await asyncio.sleep(0.05)
    assert (bench.num_asked, bench.num_ended) == (1, 0), "the next request has come in time"
    again.cancel()
    await asyncio.sleep(0.06)
    assert bench.num_ended == 1


async def test_what_follows_an_accepted_suggestion_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    monkeypatch.setattr(session_module, "AHEAD_AFTER_S", 0.02)
    offer = await bench.suggest(4, Trigger.AUTOMATIC)
    bench.answer = "; y"
    await bench.begun(2)
    assert bench.how[1] == {"is_background": True, "only_prefill": False}
    bench.type(4, offer.edit.text)
    assert (await bench.suggest(10, Trigger.AUTOMATIC)).edit.text == "; y"
    assert bench.num_asked <= 3, "the second one's successor, perhaps, but not itself"


async def test_looking_ahead_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what waits for its pause nor what has said nothing yet is waited for."""
    bench = Bench(monkeypatch)
    offer = await bench.suggest(4, Trigger.AUTOMATIC)
    bench.type(4, offer.edit.text)
    assert (await asyncio.wait_for(bench.suggest(10, Trigger.AUTOMATIC), 1)).edit.text == "foo(1)"
    assert bench.num_asked == 2
    monkeypatch.setattr(session_module, "AHEAD_AFTER_S", 0.0)
    bench.type(10, "?")
    here = bench.session.ask(URI, (0, 11), Trigger.AUTOMATIC)
    assert here
    bench.gate.clear()
    bench.session.warm(here)
    await bench.begun(3)
    asked = bench.suggest(11, Trigger.AUTOMATIC)
    await asyncio.wait_for(bench.begun(4), 1)
    bench.gate.set()
    assert await asked is not None


async def test_looking_ahead_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    monkeypatch.setattr(session_module, "AHEAD_AFTER_S", 0.0)
    assert await bench.suggest(4) is not None
    bench.gate.clear()
    await bench.begun(2)
    bench.type(4, "?")
    asked = bench.suggest(5)
    await bench.begun(3)
    assert bench.num_ended == 2
    bench.gate.set()
    assert await asked is not None
    off = Bench(monkeypatch, options={"look_ahead": False})
    monkeypatch.setattr(session_module, "AHEAD_AFTER_S", 0.0)
    assert await off.suggest(4) is not None
    await asyncio.sleep(0.02)
    assert off.num_asked == 1


async def test_the_model_reads_where_the_cursor_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    monkeypatch.setattr(session_module, "AHEAD_AFTER_S", 0.0)
    await bench.session.model.ready(5.0)
    here = bench.session.ask(URI, (0, 4), Trigger.AUTOMATIC)
    assert here
    bench.session.warm(here)
    bench.session.warm(here)
    await bench.begun(1)
    assert bench.how == [{"is_background": True, "only_prefill": True}]


@pytest.mark.parametrize("reopens", [False, True])
async def test_an_answer_for_a_closed_document_is_dropped(monkeypatch: pytest.MonkeyPatch, reopens: bool) -> None:
    bench = Bench(monkeypatch)
    bench.gate.clear()
    asked = bench.suggest(4)
    await bench.begun(1)
    bench.session.close_document(URI)
    if reopens:
        bench.session.open(URI, "python", 1, "x = \n")
    assert await asyncio.wait_for(asked, 1) is None, "it has not waited for the model"
    bench.gate.set()


async def test_a_document_in_another_language_is_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    assert await bench.suggest(4) is not None
    bench.session.open(URI, "javascript", 1, "x = \n")
    assert await bench.suggest(4) is not None
    assert bench.num_asked == 2


async def test_what_the_engine_takes_for_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    async def complete(snapshot: Snapshot, *_: object, **__: object) -> Completion:
        names.append(snapshot.uri)
        return Completion(None, "", StopReason.EMPTY, 0.0)

    monkeypatch.setattr("codegen_lsp.pipeline.complete", complete)
    for _ in range(2):  # two editors with the same file
        session = Session(Client(), FakeEditor(), lambda _: ScriptedEngine(PLAIN))
        session.open(URI, "python", 1, "x = \n")
        for purpose in (Purpose.GHOST_TEXT, Purpose.POPUP, Purpose.ORDER, Purpose.GHOST_TEXT):
            ask = session.ask(URI, (0, 4), purpose=purpose)
            assert ask
            loaded = await session.prepare(ask, 5.0)
            assert loaded
            assert (await session.answer(ask, loaded)).edit is None
        await session.close()
    assert [names.index(name) for name in names] == [0, 1, 2, 0, 4, 5, 6, 4]


async def test_a_long_path_leaves_room_for_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, options={"disabledGlobs": ["*/secret/*"]})
    bench.session.roots = ("file:///w",)
    for uri in ("file:///w/" + "x" * 4000 + "/a.py", "file:///secret/" + "x" * 4000 + "/a.py"):
        bench.session.open(uri, "python", 1, "x = \n")
    asked, refused = (bench.session.ask(uri, 4) for uri in list(bench.session.documents)[1:])
    assert asked
    assert asked.snapshot.path.endswith("x/a.py")
    assert len(asked.snapshot.path) == MAX_PATH
    assert refused is None


async def test_outside_of_every_workspace_the_model_is_shown_the_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.session.roots = ("file:///home/me/project",)
    for uri, path in (("file:///home/me/notes/a.py", "a.py"), ("file:///home/me/project/src/b.py", "src/b.py")):
        bench.session.open(uri, "python", 1, "x = \n")
        ask = bench.session.ask(uri, 4)
        assert ask
        assert ask.snapshot.path == path


async def test_random_races_never_offer_a_stale_text(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, rng = Bench(monkeypatch), random.Random(4)
    for _ in range(500):
        document = bench.session.documents[URI]
        bench.answer = rng.choice(["ab", "abab", "ba"])
        column = rng.randrange(document.position(len(document.text) - 1, Encoding.UTF16)[1] + 1)
        bench.gate.clear()
        count = bench.num_asked
        ask = bench.session.ask(URI, (0, column))
        assert ask
        task = asyncio.create_task(bench.session.suggest(ask, 5.0))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        edits = 0 if task.done() else rng.randrange(3)
        for _ in range(edits):
            bench.type(rng.randrange(column + 2), rng.choice("ab"))
        bench.gate.set()
        offer = await task
        if edits and offer:
            # What is offered must complete what stood there with what was answered then, to the letter.
            written = insertion(ask.snapshot, bench.answer).apply(ask.snapshot.text)
            assert offer.edit.apply(document.text) == written
        assert offer or edits or bench.num_asked == count
        if len(document.text) > 40:
            bench.type(0, "", 30)


async def test_the_newest_request_of_a_document_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.gate.clear()
    older = [bench.suggest(4) for _ in range(5)]
    await asyncio.sleep(0.01)
    newest = bench.suggest(4)
    assert await asyncio.wait_for(asyncio.gather(*older), 1) == [None] * 5
    bench.gate.set()
    assert (await newest).edit.text == "foo(1)"
    assert bench.session.slots.num_waiting == 0


async def test_superseded_automatic_requests_never_reach_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, options={"debounceMs": 300})
    tasks = []
    for _ in range(10):
        tasks.append(bench.suggest(4, Trigger.AUTOMATIC))
        await asyncio.sleep(0.001)
    offers = await asyncio.gather(*tasks)
    assert offers[:-1] == [None] * 9
    assert offers[-1] is not None
    assert bench.num_asked == 1


async def test_a_cancelled_request_is_cancelled_and_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.gate.clear()
    task = bench.suggest(4)
    await bench.begun(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_lost_engine_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.error = EngineFailed("killed")
    assert await bench.suggest(4) is None
    assert bench.session.model.state is State.IDLE
    bench.error = None
    assert await bench.suggest(4) is not None
    assert len(bench.engines) == 1


async def test_a_slow_model_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Script(load_s=0.6))
    ask = bench.session.ask(URI, (0, 4), Trigger.AUTOMATIC)
    assert ask
    began = time.perf_counter()
    assert await bench.session.suggest(ask, 0.05) is None
    assert time.perf_counter() - began < 0.4
    assert bench.session.model.state is State.LOADING
    assert await bench.session.suggest(ask, 5.0) is not None
    assert bench.editor.bars == 1


async def test_a_failure_is_shown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, Script(unavailable="No model."))
    for _ in range(3):
        assert await bench.suggest(4) is None
    assert bench.editor.shown == ["No model."]
    assert bench.session.model.state is State.FAILED


async def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, options={"max_tokens": "x"})
    assert bench.editor.shown == ["codegen-lsp settings: max_tokens: expected a number from 1 to 4096"]
    await bench.session.configure({"trigger": "invoked"})
    assert bench.session.ask(URI, (0, 4), Trigger.AUTOMATIC) is None
    assert bench.session.ask(URI, (0, 4), Trigger.INVOKED) is not None
    await bench.session.configure({"disabledLanguages": ["python"]})
    assert bench.session.ask(URI, (0, 4)) is None
    await bench.session.configure(None)
    assert bench.session.settings.completion.max_tokens == 7
    await bench.session.model.ready(5.0)
    await bench.session.configure({"model": "other"})
    assert bench.session.model.state is State.IDLE
    await bench.session.model.ready(5.0)
    assert len(bench.engines) == 2


async def test_older_versions_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    bench.session.change(URI, 5, [Change("five")])
    bench.session.change(URI, 4, [Change("four")])
    assert bench.session.documents[URI].text == "five"
    bench.session.change("file:///unknown", 1, [Change("x")])
    bench.session.change(URI, None, [Change("six")])
    assert bench.session.documents[URI].version == 6


@pytest.mark.parametrize("later", [None, {}, {"temperature": 0.5}])
async def test_what_initialize_said_stays(later: object) -> None:
    session = Session(Client(options={"maxTokens": 9}), SilentEditor(), lambda _: ScriptedEngine(Script()))
    await session.configure(later)
    assert session.settings.completion.max_tokens == 9
    await session.configure({"maxTokens": 8})
    await session.configure({"maxTokens": None})
    assert session.settings.completion.max_tokens is None


def test_settings_of_the_command_line_win() -> None:
    session = Session(Client(options={"model": "a"}), FakeEditor(), lambda _: ScriptedEngine(Script()), {"model": "b"})
    assert session.settings == Settings(engine=session.settings.engine)
    assert session.settings.engine.model == "b"


async def test_an_offset_outside_is_clamped(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)
    asks = [bench.session.ask(URI, offset) for offset in (-5, 3, 99)]
    assert [ask and ask.snapshot.offset for ask in asks] == [0, 3, 5]
