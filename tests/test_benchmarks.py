"""The benchmark of typing: its pages, its judgement of answers, and a replay against a scripted engine."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent / "benchmarks"))

from answers import Asked, State, check
from editor import Pace, replay
from figures import percentile, summary, table
from index_client import IndexClient
from keystrokes import Page, Passage, is_line_over, next_block, read_pages, texts
from peers import common
from workspace import asked as asked_of
from workspace import built, copied, seen

from codegen_lsp.text import Edit, Span

SERVER = Path(__file__).resolve().parent / "scripted_server.py"


def test_the_pages_are_python_before_and_after_typing() -> None:
    for page in read_pages():
        assert 150 <= page.text.count("\n") <= 250
        ast.parse(page.text)
        *_, last = texts(page)
        text, cursor = last[-1]
        ast.parse(text)
        assert text[:cursor].endswith(page.passages[-1].text)
        assert len(text) == len(page.text) + sum(len(passage.text) for passage in page.passages)


def test_keys() -> None:
    keys = Passage(0, "\n    a\n\nb").keys
    assert keys == ["\n    ", "a", "\n", "\n", "b"]
    assert [at for at in range(len(keys) + 1) if is_line_over(keys, at)] == [2, 5]
    assert next_block(keys, 1) == 2
    assert next_block(keys, 3) == 5


def test_figures() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.95) == 3.0
    assert summary([1.0, 3.0]) == {"n": 2, "p50": 2.0, "p95": 3.0, "max": 3.0}
    assert summary([]) == {"n": 0}
    assert table(("", "ms"), [["a", 1.0], ["bc", None]]) == "    ms\na    1\nbc   –"
    assert [common([], [1]), common([1, 2], [1, 2, 3]), common([5], [6])] == [0, 2, 0]


def offer(text: str, column: int) -> dict[str, object]:
    place = {"line": 0, "character": column}
    return {"insertText": text, "range": {"start": place, "end": place}}


async def test_an_answer_is_sound_when_it_is_what_the_pipeline_says_to_that_text() -> None:
    states = [State("x", 1), State("x=", 2), State("x=1", 3)]

    async def again(state: State) -> Edit | None:
        return Edit(Span(1, 1), "=1+2") if state == states[0] else None

    first = Asked(1, version=0, sent=0.0, now=0, item=offer("=1+2", 1))
    typed = Asked(2, version=1, sent=0.0, now=2, item=offer("1+2", 2))
    late = Asked(3, version=0, sent=0.0, now=1, item=offer("1+2", 2))
    wrong_place = Asked(4, version=2, sent=0.0, now=2, item=offer("=1+2", 1))
    wrong_text = Asked(5, version=2, sent=0.0, now=2, item=offer("2", 3))
    nowhere = Asked(6, version=2, sent=0.0, now=2, item=offer("+2", 9))
    for asked, stale in (
        ([first, typed], []),
        ([typed], []),  # confirmed by asking for the text before, which was typed on
        ([late], []),
        ([first, wrong_place, wrong_text, nowhere], [4, 5, 6]),
    ):
        verdict = await check(asked, states, again)
        assert (verdict.offers, verdict.stale, verdict.unverified) == (len(asked), stale, 0)
    verdict = await check([first, typed, nowhere], states, None)
    assert (verdict.stale, verdict.unverified) == ([6], 1)


async def test_replay_with_a_scripted_engine(tmp_path: Path) -> None:
    page = Page("page.py", "import re\n\n\nA = 1\n", (Passage(9, "\n# the sum of two numbers\nb = 2"),))
    cold = Page("cold.py", "", (Passage(0, "x"), Passage(0, "\n# a number")))
    script = json.dumps({"answer": "answer = 1\n"})
    server = (sys.executable, str(SERVER), script)
    found = await replay([page], cold, Pace(0.25), seed=2, server=server)
    assert found["requests"] >= len("# the sum of two numbers")
    assert found["all"]["n"] == found["requests"]
    assert found["offered"] > 0
    assert found["stale"] == found["errors"] == found["exit_code"] == 0


def test_a_gguf_file_has_all_weights(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    from gguf_file import write
    from tiny import make_tiny

    folder = make_tiny(tmp_path / "tiny", "wide")
    write(folder, tmp_path / "tiny.gguf", "f16")
    found = gguf.GGUFReader(tmp_path / "tiny.gguf")
    assert len(found.tensors) == 2 + 9 * 2
    assert {tensor.tensor_type.name for tensor in found.tensors} == {"F32", "F16"}


def test_the_index_is_measured_on_what_was_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "tree"
    root.mkdir()
    files, lines, size = copied(Path(__file__).resolve().parent, root, 6)
    assert (files, len(list(root.rglob("*.py")))) == (6, 6)
    with IndexClient(root) as client:
        assert built(client, files, lines, size)["files_per_s"] > 0
        assert asked_of(client, root, 3)["at a new place"]["n"] == 3
        assert seen(client, root, 2)["n"] == 2
