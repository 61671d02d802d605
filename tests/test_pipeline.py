"""complete() and complete_text(): what is asked of the engine, when it is stopped, what is kept of it."""

from __future__ import annotations

import asyncio
import math
import random
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from fakes import MODEL, ByteTokenizer
from test_syntax import random_text

from codegen_lsp.core import (
    Completion,
    Delta,
    ModelInfo,
    Prompt,
    SamplingParams,
    Snapshot,
    Snippet,
    StopReason,
    Trigger,
)
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.errors import EngineFailed
from codegen_lsp.pipeline import MAX_TOKENS, OFF, Options, complete, complete_text
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.syntax.parse import parse
from codegen_lsp.trace import Stopwatch, Trace

FMT, TOKENIZER = BY_NAME["codegen"], ByteTokenizer()


async def ask(source: str, engine: ScriptedEngine, options: Options | None = None, **more: object) -> Completion:
    before, after = source.split("⟦⟧")
    snapshot = Snapshot("a.py", "python", before + after, len(before), uri="file:///a.py")
    return await complete(snapshot, engine, MODEL, FMT, TOKENIZER, options=options or Options(), **more)  # type: ignore[arg-type]


async def insert(prefix: str, suffix: str, answer: str, **more: object) -> str:
    engine = ScriptedEngine([answer])
    text, _ = await complete_text(prefix, suffix, "a.py", engine, MODEL, FMT, TOKENIZER, **more)  # type: ignore[arg-type]
    return text


async def test_what_the_engine_is_asked() -> None:
    engine = ScriptedEngine(["1", "return 1"])
    await ask("x = ⟦⟧\n", engine)
    await ask("def f():\n    # one\n    ⟦⟧\n", engine, Options(max_tokens=7, temperature=0.5, seed=3))
    (prompt, params, document, heal), (_, wide, _, heal_below) = engine.requests
    assert (params.max_tokens, params.temperature) == (MAX_TOKENS["line"], 0.0)  # type: ignore[index]
    assert wide == SamplingParams(7, 0.5, 1.0, 3)
    assert (document, heal, heal_below) == ("file:///a.py", True, False)
    shown = {part.name: part.text for part in prompt.segments}
    assert (shown["prefix"], shown["suffix"], shown["path"]) == ("x = ", "\n", "a.py\n")


async def test_markers_in_the_text_are_never_control_tokens() -> None:
    engine = ScriptedEngine(["1"])
    await ask("x = '<|fim_middle|>' + ⟦⟧ # <|endoftext|>\n", engine)
    ids = [number for number in engine.requests[0][0].ids if number >= 1000]
    assert len(ids) == 4  # file separator, prefix, suffix, middle


async def test_generation_is_closed_when_the_answer_is_complete() -> None:
    engine = ScriptedEngine(["1\ny = 2\nz = 3\n"])
    done = await ask("x = ⟦⟧\n", engine)
    assert (done.text, done.stop, engine.num_cancelled) == ("1", StopReason.SYNTAX, 1)


async def test_half_an_answer_is_none() -> None:
    class Preempted(ScriptedEngine):
        async def generate(
            self, prompt: Prompt, params: SamplingParams, *, document: str, heal: bool
        ) -> AsyncIterator[Delta]:
            yield Delta("first = 1\nsecond", logprobs=(-0.1,), tokens=("first = 1\nsecond",))
            yield Delta("", finish="cancelled")

    done = await ask("# two numbers\n⟦⟧\n", Preempted([""]))
    assert (done.edit, done.stop) == (None, StopReason.EMPTY)


async def test_cancelling_closes_the_generation() -> None:
    class Endless(ScriptedEngine):
        closed = False

        async def generate(
            self, prompt: Prompt, params: SamplingParams, *, document: str, heal: bool
        ) -> AsyncIterator[Delta]:
            try:
                while True:
                    await asyncio.sleep(0.001)
                    yield Delta("x ")
            finally:
                self.closed = True

    engine = Endless([""])
    task = asyncio.create_task(ask("x = ⟦⟧", engine))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.closed


async def test_engine_errors_pass() -> None:
    def fail(prompt: Prompt) -> str:
        raise EngineFailed("no")

    with pytest.raises(EngineFailed):
        await ask("x = ⟦⟧", ScriptedEngine(fail))


async def test_confidence_is_of_the_kept_tokens_and_gates() -> None:
    class Sure(ScriptedEngine):
        async def generate(
            self, prompt: Prompt, params: SamplingParams, *, document: str, heal: bool
        ) -> AsyncIterator[Delta]:
            yield Delta("12", logprobs=(-0.5, -0.5), tokens=("1", "2"))
            yield Delta("\nyy", logprobs=(-9.0, -9.0), tokens=("\n", "yy"), finish="stop", usage={"prompt_tokens": 3})

    done = await ask("x = ⟦⟧", Sure([]))
    assert done.confidence == pytest.approx(2.718281828**-0.5)
    assert [text for text, _ in done.tokens] == ["1", "2", "\n", "yy"]
    assert done.usage == {"prompt_tokens": 3}
    gated = await ask("x = ⟦⟧", Sure([]), Options(min_confidence=0.9))
    assert (gated.edit, gated.filters, gated.stop) == (None, ("confidence",), StopReason.EMPTY)


@pytest.mark.parametrize(("least", "num_tokens"), [(0.0, 29), (0.9, 29), (0.92, 14), (0.95, 9)])
async def test_what_cannot_become_sure_is_not_waited_for(least: float, num_tokens: int) -> None:
    engine = ScriptedEngine([" + ".join(map(str, range(15)))])  # of 29 words, each with a log-probability of -0.1
    done = await ask("x = ⟦⟧", engine, Options(min_confidence=least))
    assert len(done.tokens) == num_tokens
    assert engine.num_cancelled == (num_tokens < 29)
    assert done.confidence == pytest.approx(math.exp(-0.1) if num_tokens < 29 else done.confidence)
    assert ("confidence" in done.filters) == (done.edit is None and num_tokens < 29)


async def test_no_intent_asks_nobody() -> None:
    engine = ScriptedEngine(["x"])
    snapshot = Snapshot("a.py", "python", "", 0, trigger=Trigger.AUTOMATIC)
    done = await complete(snapshot, engine, MODEL, FMT, TOKENIZER)
    assert (done.edit, done.stop, engine.requests) == (None, StopReason.EMPTY, [])


@pytest.mark.parametrize(
    ("first", "is_off"),
    [
        ("# codegen: off\n", True),
        ("#!/bin/sh\n\n// Codegen:off\n", True),
        ("/* codegen: off */\n", True),
        ("# codegen: official\n", False),
        ("x = 'codegen: off'\n", False),
        ("\n" * 6 + "# codegen: off\n", False),
        ("\r" * 6 + "# codegen: off\r", False),
    ],
)
async def test_a_file_that_says_so_is_left_alone(first: str, is_off: bool) -> None:
    engine = ScriptedEngine(["1"])
    done = await ask(first + "x = ⟦⟧\n", engine)
    assert (done.edit is None, len(engine.requests), done.filters == (OFF,)) == (is_off, 1 - is_off, is_off)


@contextmanager
def touched() -> Iterator[list[str]]:
    """What of the disk is looked at while the block lasts."""
    found, is_on = list[str](), True

    def hook(event: str, args: tuple[object, ...]) -> None:
        if is_on and event in ("open", "os.listdir", "os.scandir", "sqlite3.connect"):
            found.append(f"{event} {args[0]}")

    sys.addaudithook(hook)  # there is no way to take one away
    yield found
    is_on = False


async def test_a_completion_does_not_touch_the_disk() -> None:
    source = "import os\n\n\ndef total(rows):\n    # the sum of the prices\n    ⟦⟧\n"
    await ask(source, ScriptedEngine(["return 1"]))  # what is imported late is there now
    with touched() as found:
        await ask(source, ScriptedEngine(["return sum(rows)"]), snippets=[Snippet("b.py", "x = 1\n", "similar", 0.5)])
    assert found == []


async def test_trace_and_timings() -> None:
    trace, ticks = Trace(capacity=2), iter(range(1000))
    for number in range(3):
        await ask(f"x{number} = ⟦⟧", ScriptedEngine(["1"]), trace=trace, clock=lambda: float(next(ticks)))
    assert [record.number for record in trace.records()] == [2, 3]
    last = trace.last
    assert last is not None
    assert last.context is not None
    assert (last.context.prefix, last.completion.text, last.model) == ("x2 = ", "1", "scripted")
    stages = last.completion.timings_ms
    assert list(stages) == ["parse", "intent", "context", "prompt", "generate", "postprocess", "total"]
    assert stages["parse"] == 1000.0


def test_stopwatch_adds_up_and_survives_errors() -> None:
    ticks = iter([0.0, 1.0, 2.0, 5.0, 7.0, 10.0])
    watch = Stopwatch(lambda: next(ticks))
    with watch.stage("a"):
        pass
    with pytest.raises(ValueError, match="no"), watch.stage("a"):
        raise ValueError("no")
    assert watch.totals() == {"a": 3000.0, "total": 10000.0}


async def test_the_prompt_fits_the_model() -> None:
    small = ModelInfo("s", "", "codegen", context_window=400, prompt_budget=300)
    for text in ("x = 1\n" * 5000, "é🙂" * 5000, "# ask me\n"):
        engine = ScriptedEngine(["y = 1"])
        await complete(Snapshot("a.py", "python", text, len(text)), engine, small, FMT, TOKENIZER)
        prompt, params, _, _ = engine.requests[0]
        assert len(prompt.ids) <= 300
        assert len(prompt.ids) + params.max_tokens <= 400


async def test_anywhere_in_a_large_file() -> None:
    text = "def f(a):\n    b = (a + 1)\n    return b\n\n\n" * 40_000
    for place in (0, 50_000, len(text) // 2, len(text)):
        offset = text.find("    return", place)
        offset = offset if offset >= 0 else text.rfind("    return")
        source = text[:offset] + "    \n" + text[offset:]
        engine = ScriptedEngine(["c = f(b)\n    return b"])
        done = await complete(
            Snapshot("a.py", "python", source, offset + 4),
            engine,
            MODEL,
            FMT,
            TOKENIZER,
            tree=parse(source, "python", 0),
        )
        assert done.text == "c = f(b)"
        assert done.timings_ms["total"] < 3000


# -- complete_text: the kinds of ../shared/eval


@pytest.mark.parametrize(
    ("prefix", "suffix", "answer", "want"),
    [
        ("x = fo", "\ny = 1\n", "o(1)\nz", "o(1)"),
        ("def f():\n    a = 1\n    ", "\n    return b\n", "b = 2\n    return b", "b = 2"),
        ("def f():\n    # ask\n    ", "\n    return b\n", "b = 2\n    return b", "b = 2"),
        (
            "def f():\n    # ask\n    ",
            "\n\nx = 1\n",
            "if a:\n        b = 2\n    c = 3",
            "if a:\n        b = 2\n    c = 3",
        ),
        ('def f():\n    """Doc."""\n', "\n\nx = 1\n", "a = 1\n\n    return a\n\n\nx", "    a = 1\n\n    return a"),
        (
            'class A:\n    def f(self):\n        """D.\n        """\n',
            "\n\n    def g(self): pass\n",
            "return 1",
            " " * 8 + "return 1",
        ),
        ('class A:\n    def f(self):\n        """D."""\n', "", "return 1", " " * 8 + "return 1"),
        ('def f():\r\n    """D."""\r\n', "\r\n", "a = 1\n    return a", "    a = 1\r\n    return a"),
        ("# ask", "", "x = 1", "\nx = 1"),
        ("# ask\n", "", "x = 1", "x = 1"),
        ("def f():\n    # ask", "\n", "return 1", "\n    return 1"),
        ("def f():", "\n", "return 1", "\n    return 1"),
        ("def f():\n    x = 1\n", "\n    return x\n", "x += 1", "    x += 1"),
        ("", "", "import os", "import os"),
        ('def f():\n    """D."""\n    ', "pass\n", "return 1", ""),
    ],
)
async def test_complete_text(prefix: str, suffix: str, answer: str, want: str) -> None:
    assert await insert(prefix, suffix, answer) == want


@pytest.mark.parametrize("seed", range(10))
async def test_any_text_any_answer(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(40):
        prefix, suffix, answer = random_text(rng), random_text(rng), random_text(rng, 30)
        text = await insert(prefix, suffix, answer, language=rng.choice(["python", "go", "x"]))
        assert "\0" not in text or "\0" in prefix + suffix
