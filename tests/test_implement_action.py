"""The code action "Implement from docstring": what is offered, what is said of it, and what is never run or written."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fakes import MODEL, ByteTokenizer, OpenJail
from lsp_client import events, scripted, until
from lsprotocol import types
from test_session import FakeEditor

from codegen_lsp.bench import Bench
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.server import actions as code_actions
from codegen_lsp.server import model as model_module
from codegen_lsp.server.documents import Change
from codegen_lsp.server.door import Client
from codegen_lsp.server.rpc import Code, RpcError
from codegen_lsp.server.session import Session
from codegen_lsp.text import LineIndex
from codegen_lsp.verify.jail import Job, Report, find_jail

URI = "file:///w/shop.py"
TOTAL = '''\
def total(prices):
    """The sum of prices.

    >>> total([1, 2])
    3
    >>> total([])
    0
    """
'''
RIGHT, WRONG = "return sum(prices)\n", "return len(prices) - 2\n"
UNKNOWN = "return sum_of_all(1, prices)\n"
ON, OFF = {"run_examples": True}, {"run_examples": False}
NOT_RUN = "unverified, examples are not run (setting verify.run_examples)"
PLAIN = "Implement from docstring"


class Desk:
    """A session with one document, whose model says what it is told."""

    def __init__(
        self,
        text: str = TOTAL,
        answers: Sequence[str] = (RIGHT,),
        options: Mapping[str, object] = ON,
        delay: float = 0.0,
        uri: str = URI,
        **client: Any,
    ) -> None:
        self.engine, self.editor, self.jail = ScriptedEngine(answers, delay, MODEL), FakeEditor(), OpenJail()
        client = {"resolves_edits": True, "has_document_changes": True, "roots": ("file:///w",), **client}
        self.session = Session(Client(options={**options, "look_ahead": False}, **client), self.editor, self._engine)
        self.session.implementing.bench = Bench(self.jail)
        self.uri = uri
        self.session.open(uri, "python", 1, text)

    def _engine(self, _: object) -> ScriptedEngine:
        return self.engine

    @property
    def text(self) -> str:
        return self.session.documents[self.uri].text

    async def actions(self, line: int = 0) -> list[dict[str, Any]]:
        place = types.Position(line, 3)
        params = types.CodeActionParams(
            types.TextDocumentIdentifier(self.uri), types.Range(place, place), types.CodeActionContext([])
        )
        return await code_actions.code_action(self.session, params)

    async def resolve(self, line: int = 0) -> dict[str, Any]:
        (action,) = await self.actions(line)
        return await code_actions.resolve_code_action(
            self.session, types.CodeAction(action["title"], data=action["data"])
        )

    async def refusal(self, line: int = 0) -> str:
        with pytest.raises(RpcError) as caught:
            await self.resolve(line)
        assert caught.value.code is Code.REQUEST_FAILED
        return str(caught.value)

    async def asked(self, number: int) -> None:
        while len(self.engine.requests) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def bytes_for_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "read_tokenizer", lambda info: ByteTokenizer())


def edits(resolved: Mapping[str, Any]) -> list[dict[str, Any]]:
    (change,) = resolved["edit"]["documentChanges"]
    return list(change["edits"])


def applied(resolved: Mapping[str, Any], text: str) -> str:
    """The text after a resolved action."""
    index, found = LineIndex(text), edits(resolved)
    spans = [[index.offset(*each["range"][end].values()) for end in ("start", "end")] for each in found]
    for (start, end), new in sorted(zip(spans, (each["newText"] for each in found), strict=True), reverse=True):
        text = text[:start] + new + text[end:]
    return text


# What is offered


@pytest.mark.parametrize(
    ("answers", "options", "written", "said", "num_asked"),
    [
        ([RIGHT], {**ON, "temperature": 0.7}, RIGHT, "verified 2/2 examples", 1),
        ([RIGHT], {"verify": {"runExamples": True}}, RIGHT, "verified 2/2 examples", 1),
        ([WRONG, WRONG, RIGHT], ON, RIGHT, "verified 2/2 examples", 5),
        ([WRONG, RIGHT], {**ON, "candidates": 2}, RIGHT, "verified 2/2 examples", 2),
        ([WRONG, RIGHT], OFF, WRONG, NOT_RUN, 1),
        ([WRONG, RIGHT], {}, WRONG, NOT_RUN, 1),
        ([UNKNOWN, RIGHT], OFF, RIGHT, NOT_RUN, 3),
    ],
    ids=["right", "camel", "wrong first", "two", "not run", "default", "undefined first"],
)
async def test_the_body_that_is_offered(
    answers: list[str], options: dict[str, object], written: str, said: str, num_asked: int
) -> None:
    desk = Desk(answers=answers, options=options)
    resolved = await desk.resolve()
    assert applied(resolved, TOTAL) == TOTAL + "    " + written
    assert resolved["title"] == f"{PLAIN} ({said.partition(',')[0]})"
    assert desk.editor.informed == [f"total: {said}"]
    assert len(desk.engine.requests) == num_asked
    assert bool(desk.jail.jobs) == ("verified 2/2" in said), "what is switched off is not run"
    how = [(params, name) for _, params, name, _ in desk.engine.requests]
    assert len({name for _, name in how}) == num_asked, "engines end an older request of the same name"
    assert [params.seed for params, _ in how] == [None, *range(1, num_asked)]
    assert how[0][0].temperature == 0
    assert all(params.temperature > 0 for params, _ in how[1:])


@pytest.mark.parametrize(
    ("answer", "options", "reason"),
    [
        (WRONG, ON, "total([1, 2]) gives 0, not 3"),
        (UNKNOWN, OFF, "sum_of_all"),
        ("return sum(prices) +\n", OFF, None),
    ],
    ids=["wrong", "undefined", "nothing that parses"],
)
async def test_what_is_refused(answer: str, options: dict[str, object], reason: str | None) -> None:
    desk = Desk(answers=[answer], options=options)
    message = await desk.refusal()
    assert message.startswith("Nothing was good enough: " if reason else "The model has no suggestion here.")
    assert (reason or "") in message
    assert message.endswith(".")
    assert not message.endswith("..")
    assert desk.editor.informed == []
    assert [action["title"] for action in await desk.actions()] == [PLAIN]


@pytest.mark.parametrize("name", ["helix", "", "Visual Studio Code"])
@pytest.mark.parametrize("answer", [UNKNOWN, "return sum(prices) +\n"], ids=["refused", "none"])
async def test_a_refusal_is_told_where_errors_are_not_shown(name: str, answer: str) -> None:
    desk = Desk(answers=[answer], options=OFF, name=name)
    message = await desk.refusal()
    assert desk.editor.shown == ([] if name == "Visual Studio Code" else [message])


async def test_without_a_sandbox_nothing_is_run() -> None:
    desk = Desk(answers=[WRONG, RIGHT])
    desk.session.implementing.bench = Bench(why_none="no sandbox works here")
    resolved = await desk.resolve()
    assert resolved["title"] == f"{PLAIN} (unverified)"
    assert desk.editor.informed == ["total: unverified, no sandbox works here"]
    assert applied(resolved, TOTAL) == TOTAL + "    " + WRONG


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("first", ["", "import re\n\n\n", '"""Rooms."""\n\nfrom typing import Any\n\n\n'])
async def test_an_import_that_is_lacking_is_an_edit_of_its_own(first: str, end: str) -> None:
    head, tail = 'def root(x):\n    """Root.\n\n    >>> root(9)\n    3.0\n    """\n', "\n\nLAST = 1\n"
    text = (first + head + "    pass\n" + tail).replace("\n", end)
    desk = Desk(text, ["y = x\n    return math.sqrt(y)\n"])
    line = first.count("\n")
    resolved = await desk.resolve(line)
    body, lacking = edits(resolved)
    assert body["newText"] == f"y = x{end}    return math.sqrt(y)"
    assert body["range"]["start"] == {"line": line + 6, "character": 4}
    assert lacking["newText"].strip() == "import math"
    assert lacking["range"]["start"] == lacking["range"]["end"]
    assert lacking["range"]["start"]["line"] <= line
    after = applied(resolved, text)
    assert after.endswith((head + "    y = x\n    return math.sqrt(y)\n" + tail).replace("\n", end))
    assert after.count("\n") == after.count(end)
    compile(after, "shop.py", "exec")
    assert resolved["title"] == f"{PLAIN} (verified 1/1 example)"


async def test_a_method() -> None:
    text = (
        'class Basket:\n    prices = [1]\n\n    def total(self):\n        """Sum.\n\n        >>> Basket().total()\n'
        + ('        1\n        """\n        raise NotImplementedError\n\n    def other(self): ...\n')
    )
    desk = Desk(text, ["return sum(self.prices)\n"])
    resolved = await desk.resolve(3)
    (edit,) = edits(resolved)
    assert edit["newText"] == "return sum(self.prices)"[len("r") :] or edit["newText"].endswith("sum(self.prices)")
    assert applied(resolved, text) == text.replace("raise NotImplementedError", "return sum(self.prices)")
    assert desk.editor.informed == ["Basket.total: verified 1/1 example"]


async def test_what_a_module_may_see_is_in_its_workspace(tmp_path: Path) -> None:
    (tmp_path / "rates.py").write_text("VAT = 0.2\n")
    (tmp_path / "app").mkdir()
    uri = (tmp_path / "app" / "shop.py").as_uri()
    desk = Desk("from rates import VAT\n\n\n" + TOTAL, uri=uri, roots=(tmp_path.as_uri(),))
    await desk.resolve(3)
    (job,) = desk.jail.jobs
    assert (job.name, job.file) == ("shop", str(tmp_path / "app" / "shop.py"))
    assert str(tmp_path / "rates.py") in job.readable
    assert str(tmp_path) in job.search


async def test_a_text_that_is_no_file() -> None:
    desk = Desk(uri="untitled:Untitled-1")
    assert (await desk.resolve())["title"] == f"{PLAIN} (verified 2/2 examples)"
    assert {(job.name, job.search, job.readable) for job in desk.jail.jobs} == {("module", (), ())}


@pytest.mark.parametrize(
    ("text", "line", "uri"),
    [
        (TOTAL + "    pass\n\n\ndef broken(:\n", 0, URI),
        ('class Shop:\n    """Sells."""\n', 0, URI),
        (TOTAL, 0, "vscode-notebook-cell:/w/shop.ipynb#1"),
        (TOTAL, 0, "file:///w/shop.pyi"),
    ],
    ids=["broken", "class", "cell", "interface"],
)
async def test_what_cannot_be_judged_is_offered_as_it_comes(text: str, line: int, uri: str) -> None:
    desk = Desk(text, ["pi = 3\n"], uri=uri)
    resolved = await desk.resolve(line)
    assert resolved["title"] == PLAIN
    assert "    pi = 3\n" in applied(resolved, text)
    assert (desk.editor.informed, desk.jail.jobs) == ([], [])


async def test_a_comment_is_not_judged() -> None:
    text = 'def total(prices):\n    """Sum."""\n    # the sum of all prices\n'
    desk = Desk(text, [UNKNOWN])
    (action,) = await desk.actions(2)
    assert action["title"] == "Write code from this comment"
    resolved = await desk.resolve(2)
    assert resolved["title"] == action["title"]
    assert UNKNOWN.strip() in applied(resolved, text)


# What is remembered


async def test_what_is_known_is_shown_and_not_asked_again() -> None:
    desk = Desk(TOTAL + "\n\n" + TOTAL.replace("total", "other"))
    first = await desk.resolve()
    num_asked, num_jobs = len(desk.engine.requests), len(desk.jail.jobs)
    for line in (0, 2, 7):
        (action,) = await desk.actions(line)
        assert action["title"] == f"{PLAIN} (verified 2/2 examples)"
        assert (await desk.resolve(line))["edit"] == first["edit"]
    assert (len(desk.engine.requests), len(desk.jail.jobs)) == (num_asked, num_jobs)
    assert [action["title"] for action in await desk.actions(10)] == [PLAIN], "another function"


@pytest.mark.parametrize("below", ["    ", "", "    \n"])
@pytest.mark.parametrize("is_written", [False, True])
async def test_where_the_cursor_is(below: str, is_written: bool) -> None:
    text = TOTAL + below + "\n\n" + TOTAL.replace("total", "other")
    desk = Desk(text)
    lines = [*range(9), 8 + 2 + below.count("\n")]
    if is_written:
        await desk.resolve()
    for line in lines:
        name, desk = "total" if line < 9 else "other", desk if is_written else Desk(text)
        (action,) = await desk.actions(line)
        assert action["title"] == PLAIN + " (verified 2/2 examples)" * (is_written and name == "total")
        await desk.resolve(line)
        assert desk.editor.informed[-1:] == [f"{name}: verified 2/2 examples"]


@pytest.mark.parametrize("change", ["text", "close", "settings"])
async def test_what_is_known_is_forgotten(change: str) -> None:
    desk = Desk()
    await desk.resolve()
    if change == "text":
        desk.session.change(URI, 2, [Change("# ", (0, 0), (0, 0)), Change("", (0, 0), (0, 2))])
    elif change == "close":
        desk.session.open(URI, "python", 1, TOTAL)
    else:
        await desk.session.configure(OFF)
    assert [action["title"] for action in await desk.actions()] == [PLAIN]
    num_asked = len(desk.engine.requests)
    await desk.resolve()
    assert len(desk.engine.requests) > num_asked


async def test_little_is_kept() -> None:
    text = "\n\n".join(TOTAL.replace("total", f"total{number}") for number in range(10))
    desk = Desk(text)
    for number in range(10):
        await desk.resolve(10 * number)
    titles = [(await desk.actions(10 * number))[0]["title"] for number in range(10)]
    assert [title != PLAIN for title in titles] == [False] * 2 + [True] * 8


# What is never done


@pytest.mark.parametrize("later", [ON, {"verify.runExamples": True}, {"codegen": {"verify": ON}}])
async def test_only_what_starts_the_server_switches_examples_on(later: dict[str, object]) -> None:
    desk = Desk(answers=[WRONG], options={})
    await desk.session.configure(later)
    (shown,) = desk.editor.shown
    assert "run_examples" in shown
    await desk.resolve()
    assert desk.jail.jobs == []
    allowed = Desk(answers=[RIGHT])
    await allowed.session.configure(OFF)
    await allowed.resolve()
    assert allowed.jail.jobs == []
    await allowed.session.configure(later)
    assert (await allowed.resolve())["title"] == f"{PLAIN} (verified 2/2 examples)"
    assert allowed.editor.shown == []


async def test_a_text_that_has_changed_gets_nothing() -> None:
    desk = Desk(delay=0.05)
    resolving = asyncio.create_task(desk.resolve())
    await desk.asked(1)
    desk.session.change(URI, 2, [Change("\n", (0, 0), (0, 0))])
    with pytest.raises(RpcError) as caught:
        await resolving
    assert caught.value.code is Code.CONTENT_MODIFIED
    assert desk.editor.informed == []
    assert [action["title"] for action in await desk.actions(1)] == [PLAIN]


async def test_cancelled_while_the_model_writes() -> None:
    desk = Desk(delay=30)
    resolving = asyncio.create_task(desk.resolve())
    await desk.asked(1)
    resolving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resolving
    assert (desk.engine.num_cancelled, desk.session.slots.num_waiting) == (1, 0)
    assert len(desk.jail.jobs) == 1, "without a body"


class SlowJail(OpenJail):
    """Runs when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.is_running, self.may_end = threading.Event(), threading.Event()

    def run(self, job: Job) -> Report:
        if len(self.jobs) == 1:  # behind the run without a body
            self.is_running.set()
            assert self.may_end.wait(5)
        return super().run(job)


async def test_cancelled_while_a_body_runs() -> None:
    desk, jail = Desk(), SlowJail()
    desk.session.implementing.bench = Bench(jail)
    resolving = asyncio.create_task(desk.resolve())
    assert await asyncio.to_thread(jail.is_running.wait, 5)
    resolving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(resolving, 1)
    jail.may_end.set()
    await asyncio.to_thread(lambda: None)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert len(jail.jobs) == 2, "nobody waits for the second run"


async def test_a_newer_order_takes_the_place_of_an_older_one() -> None:
    desk = Desk(delay=0.05)
    older = asyncio.create_task(desk.resolve())
    await desk.asked(1)
    newer = asyncio.create_task(desk.resolve())
    with pytest.raises(RpcError, match="A newer request took its place"):
        await older
    assert (await newer)["title"] == f"{PLAIN} (verified 2/2 examples)"


# Editors


async def test_editors_that_show_what_an_edit_is() -> None:
    desk = Desk(has_annotations=True)
    resolved = await desk.resolve()
    (edit,) = edits(resolved)
    annotation = resolved["edit"]["changeAnnotations"][edit["annotationId"]]
    assert annotation == {"label": PLAIN, "description": "verified 2/2 examples", "needsConfirmation": False}
    plain = Desk(has_annotations=True, has_document_changes=False)
    assert set((await plain.resolve())["edit"]) == {"changes"}
    other = (await Desk().resolve())["edit"]
    assert set(other) == {"documentChanges"}
    assert set(other["documentChanges"][0]["edits"][0]) == {"range", "newText"}
    comment = Desk("# the sum of two numbers\n", ["total = 1 + 2\n"], has_annotations=True)
    assert "changeAnnotations" not in (await comment.resolve())["edit"]


@pytest.mark.parametrize("is_applied", [True, False])
async def test_editors_that_cannot_resolve(is_applied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(resolves_edits=False)
    labels = list[str]()

    async def apply_edit(label: str, edit: dict[str, Any]) -> bool:
        labels.append(label)
        return is_applied

    monkeypatch.setattr(desk.editor, "apply_edit", apply_edit)
    for title in (PLAIN, f"{PLAIN} (verified 2/2 examples)"):
        (action,) = await desk.actions()
        assert (action["title"], action["command"]["title"]) == (title, title)
        command = types.ExecuteCommandParams("codegen.write", action["command"]["arguments"])
        assert await code_actions.execute_command(desk.session, command) is is_applied
    assert labels == [f"{PLAIN} (verified 2/2 examples)"] * 2
    assert desk.editor.informed == ["total: verified 2/2 examples"] * (2 * is_applied)


async def test_over_the_protocol() -> None:
    has_jail = find_jail().jail is not None
    capabilities = {
        "textDocument": {"codeAction": {"dataSupport": True, "resolveSupport": {"properties": ["edit"]}}},
        "workspace": {"workspaceEdit": {"documentChanges": True, "changeAnnotationSupport": {}}},
    }
    async with scripted(answer=RIGHT) as client:
        await client.initialize(capabilities, options={"verify": {"runExamples": True}})
        place = {"line": 0, "character": 3}
        here = {"textDocument": {"uri": client.open(TOTAL)}, "range": {"start": place, "end": place}}
        (action,) = await client.request("textDocument/codeAction", {**here, "context": {"diagnostics": []}})
        resolved = await client.request("codeAction/resolve", action)
        (note,) = client.notifications
        words = "verified 2/2 examples" if has_jail else "unverified, no sandbox works here"
        assert note["method"] == "window/showMessage"
        assert note["params"]["type"] == 3
        assert note["params"]["message"].startswith(f"total: {words}")
        assert resolved["title"] == f"{PLAIN} ({words.partition(',')[0]})"
        assert list(resolved["edit"]["changeAnnotations"]) == ["codegen"]
        assert applied(resolved, TOTAL) == TOTAL + "    " + RIGHT
        client.change(here["textDocument"]["uri"], 2, {"text": applied(resolved, TOTAL)})
        await client.items(client.inline(here["textDocument"]["uri"], 0, 3, kind=2))
        explained = await client.command("codegen.explainLast")
        assert explained["completion"]["text"] == RIGHT.strip()
        assert explained["verdict"].startswith(words.partition(",")[0])
        client.change(here["textDocument"]["uri"], 3, {"text": TOTAL})
        assert (await client.command("codegen.explainLast"))["verdict"] == ""


async def test_a_comment_s_code_is_explained_when_it_is_applied() -> None:
    async with scripted(answer="x = 1\n") as client:
        await client.initialize()
        uri = client.open("# the number one\n")
        place = {"line": 0, "character": 3}
        here = {"textDocument": {"uri": uri}, "range": {"start": place, "end": place}}
        (action,) = await client.request("textDocument/codeAction", {**here, "context": {"diagnostics": []}})
        client.answers["workspace/applyEdit"] = {"applied": True}
        await client.command("codegen.write", *action["command"]["arguments"])
        client.change(uri, 2, {"text": "# the number one\nx = 1\n"})
        explained = await client.command("codegen.explainLast")
        assert (explained["completion"]["text"], explained["verdict"]) == ("x = 1", "")
        assert (await client.command("codegen.status"))["accepted"] == 1


async def test_the_end_does_not_wait_for_what_runs(tmp_path: Path) -> None:
    if find_jail().jail is None:
        pytest.skip("no sandbox works here")
    log = tmp_path / "log"
    async with scripted(answer="while True: pass\n", log=str(log)) as client:
        await client.initialize(options={**ON, "look_ahead": False})
        place = {"line": 0, "character": 3}
        here = {"textDocument": {"uri": client.open(TOTAL)}, "range": {"start": place, "end": place}}
        (action,) = await client.request("textDocument/codeAction", {**here, "context": {"diagnostics": []}})
        written = client.ask("workspace/executeCommand", action["command"])
        await until(lambda: "generated" in events(log))
        await asyncio.sleep(0.2)
        assert await client.shut_down() == 0
        assert (await written)["error"]["code"] == Code.REQUEST_CANCELLED
    assert "Thread" not in client.log


def test_judging_is_loaded_when_it_is_used() -> None:
    names = ["codegen_lsp.verify", "codegen_lsp.implement", "codegen_lsp.bench", "codegen_lsp.syntax.stubs", "pyflakes"]
    script = f"import sys, codegen_lsp.server.handlers; print([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
