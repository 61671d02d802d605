"""Part B: the same prompts, those of a typing trace, for every engine in turn.

Prompt k goes to every engine before prompt k + 1 does, the first one another each time, and each engine has the state
that prompt k - 1 left. So whatever else the machine does, it does to all of them.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from figures import resident_mb, summary
from peers import HERE, PEERS, TITLES
from prompts import Ids

from codegen_lsp import registry
from codegen_lsp.engine.launch import HostSpec, ensure_host, health
from codegen_lsp.engine.openai import OpenAIEngine, connect
from codegen_lsp.host.vocabulary import Vocabulary

NUM = 16
"""Tokens of an answer."""
SPARSE: Mapping[str, int] = {"transformers": 10}
"""Engines too slow for every prompt: only for every so manieth."""
BUSY_ENGINES = ("ours", "llama-q8_0", "llama-f16")


@dataclass(frozen=True)
class Answer:
    """What came back, and when."""

    ms: float
    pieces: tuple[str, ...]
    """The text of each token; "" is a control token."""
    computed: int | None
    """Tokens of the prompt that were not cached, and generated ones."""
    usage: Mapping[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """Something that answers prompts, and keeps what it needs for the next one."""

    name: str
    pid: int
    bytes_per_weight: float

    def ask(self, ids: Ids, num: int = NUM, *, fresh: bool = False) -> Answer:
        """`num` greedy tokens after a prompt; `fresh` forgets what was asked before."""


class Ours:
    """Our host, asked as the language server asks it."""

    name = "ours"
    bytes_per_weight = 1.0

    def __init__(self, folder: str) -> None:
        self._loop = asyncio.Runner()
        spec = HostSpec(folder, device="cpu")
        self._session, self.pid = self._loop.run(self._open(spec, folder))
        self._document = 0

    async def _open(self, spec: HostSpec, folder: str) -> tuple[aiohttp.ClientSession, int]:
        engine: OpenAIEngine = connect(folder, device="cpu")
        await engine.wait_ready()
        await engine.close()
        path = await ensure_host(spec)
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))), (await health(path))["pid"]

    def ask(self, ids: Ids, num: int = NUM, *, fresh: bool = False) -> Answer:
        """See Engine."""
        self._document += fresh
        return self._loop.run(self._ask(ids, num))

    async def _ask(self, ids: Ids, num: int) -> Answer:
        body = {"prompt": ids, "max_tokens": num, "temperature": 0, "ignore_eos": True, "stream": True, "logprobs": 0}
        body["document"] = f"trace {self._document}"
        pieces: list[str] = []
        last: dict[str, Any] = {}
        began = time.perf_counter()
        async with self._session.post("http://host/v1/completions", json=body) as response:
            assert response.status == 200, await response.text()
            async for line in response.content:
                if line.startswith(b"data: {"):
                    last = json.loads(line.removeprefix(b"data: "))
                    pieces += (last["choices"][0]["logprobs"] or {}).get("tokens", ())
        ms = (time.perf_counter() - began) * 1000
        usage = _usage(last)
        computed = usage["prompt_tokens"] - usage["cached_tokens"] + usage["completion_tokens"]
        return Answer(ms, tuple(pieces), int(computed), usage)

    def close(self) -> None:
        """Close the connection."""
        self._loop.run(self._session.close())
        self._loop.close()


class Peer:
    """One of peers.py. Raises RuntimeError with the reason when it cannot be had."""

    def __init__(self, name: str, folder: str, cache: Path, threads: int, vocabulary: Vocabulary) -> None:
        self.name, self._vocabulary = name, vocabulary
        command = [sys.executable, str(HERE / "peers.py"), name, folder, "--cache", str(cache)]
        cache.mkdir(parents=True, exist_ok=True)
        self._log = cache / f"{name}.log"
        with self._log.open("w", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [*command, "--threads", str(threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.pid = self._process.pid
        line = self._line()
        said = json.loads(line) if line else {"missing": f"it has died; see {self._log}"}
        if "missing" in said:
            self.close()
            raise RuntimeError(said["missing"])
        self.bytes_per_weight = float(said["bytes_per_weight"])

    def ask(self, ids: Ids, num: int = NUM, *, fresh: bool = False) -> Answer:
        """See Engine."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"ids": ids, "num": num, "fresh": fresh}) + "\n")
        self._process.stdin.flush()
        line = self._line()
        if not line:
            raise RuntimeError(f"{self.name} has died; see {self._log}")
        said = json.loads(line)
        pieces = tuple(self._vocabulary.bytes_of(number).decode("utf-8", "replace") for number in said["ids"])
        return Answer(said["ms"], pieces, said["computed"])

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@contextmanager
def opened(names: Sequence[str], folder: str, cache: Path, threads: int) -> Iterator[list[Engine]]:
    """Ours and the peers of those names; a line for each that cannot be had."""
    raw = Path(folder, "tokenizer.json").read_text(encoding="utf-8")
    vocabulary = Vocabulary(raw, registry.read_config(Path(folder))["vocab_size"])
    with ExitStack() as stack:
        ours = Ours(folder)
        stack.callback(ours.close)
        engines: list[Engine] = [ours]
        for name in names:
            try:
                peer = Peer(name, folder, cache, threads, vocabulary)
            except RuntimeError as error:
                print(f"{TITLES[name]}: skipped, {error}")
                continue
            stack.callback(peer.close)
            engines.append(peer)
        yield engines


# Measuring


def interleaved(
    engines: Sequence[Engine], prompts: Sequence[Ids], *, fresh: bool = False
) -> dict[str, dict[int, Answer]]:
    """Answers of each engine by the number of the prompt."""
    found: dict[str, dict[int, Answer]] = {engine.name: {} for engine in engines}
    for number, ids in enumerate(prompts):
        turn = number % len(engines)
        for engine in (*engines[turn:], *engines[:turn]):
            if fresh or number % SPARSE.get(engine.name, 1) == 0:
                found[engine.name][number] = engine.ask(ids, fresh=fresh)
    return found


def token_ms(engine: Engine, ids: Ids, rounds: int = 3) -> float:
    """Milliseconds of one token more, without drafts: what a long answer takes longer than a short one."""
    more = NUM if engine.name in SPARSE else 2 * NUM
    engine.ask(ids, 1)
    times = [(engine.ask(ids, 1).ms, engine.ask(ids, 1 + more).ms) for _ in range(rounds)]
    short, long = (statistics.median(column) for column in zip(*times, strict=True))
    return (long - short) / more


def said(answer: Answer) -> tuple[str, ...]:
    """The tokens before the first control token: behind an end nothing that is said means anything."""
    pieces = answer.pieces
    return pieces[: pieces.index("")] if "" in pieces else pieces


def num_same(answer: Answer, ours: Answer) -> int:
    """How many of our tokens another engine says, too, before it first differs."""
    pairs = list(zip(said(ours), answer.pieces, strict=False))
    return next((at for at, (left, right) in enumerate(pairs) if left != right), len(pairs))


def figures_of(
    engine: Engine, answers: Mapping[str, Mapping[int, Answer]], cold: Mapping[str, Mapping[int, Answer]]
) -> dict[str, Any]:
    """Everything that was measured of an engine."""
    mine, ours = answers[engine.name], answers["ours"]
    times = [answer.ms for answer in mine.values()]
    computed = [answer.computed for answer in mine.values() if answer.computed is not None]
    cold_ms = [answer.ms for answer in cold[engine.name].values()]
    usage = [answer.usage for answer in mine.values() if answer.usage]
    same = sum(num_same(answer, ours[number]) for number, answer in mine.items())
    found: dict[str, Any] = {
        **summary(times),
        "cold_ms": round(statistics.median(cold_ms), 1),
        "first_ms": round(cold_ms[0], 1),
        "computed": round(statistics.fmean(computed), 1) if computed else None,
        "ratio": round(statistics.median(times) / statistics.median(ours[number].ms for number in mine), 2),
        "cold_ratio": round(statistics.median(cold_ms) / statistics.median(a.ms for a in cold["ours"].values()), 2),
        "same": round(same / max(1, sum(len(said(ours[number])) for number in mine)), 3),
        "resident_mb": resident_mb(engine.pid),
        "times_ms": [round(value, 2) for value in times],
    }
    for name in ("prompt_tokens", "cached_tokens", "drafted_tokens", "accepted_tokens", "prefill_ms", "decode_ms"):
        if usage:
            found[name] = round(statistics.fmean(each[name] for each in usage), 2)
    return found


def num_weights(folder: str) -> int:
    """Weights that a token has to read: all of them, but not the embedding where the head is another matrix."""
    config = registry.read_config(Path(folder))
    total = 0
    for path in registry.weight_files(Path(folder)):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, entry in header.items():
            is_read = name != "__metadata__" and (config.get("tie_word_embeddings") or "embed_tokens" not in name)
            total += _product(entry["shape"]) if is_read else 0
    return total


def _product(sizes: Sequence[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def _usage(event: Mapping[str, Any]) -> dict[str, float]:
    usage, times = event["usage"], event["timings_ms"]
    drafts = usage["completion_tokens_details"]
    accepted = drafts["accepted_prediction_tokens"]
    return {
        "prompt_tokens": usage["prompt_tokens"],
        "cached_tokens": usage["prompt_tokens_details"]["cached_tokens"],
        "completion_tokens": usage["completion_tokens"],
        "accepted_tokens": accepted,
        "drafted_tokens": accepted + drafts["rejected_prediction_tokens"],
        "prefill_ms": times["prefill"],
        "decode_ms": times["decode"],
    }


def known_peers(wanted: str) -> list[str]:
    """Names of peers from a list with commas. Raises ValueError."""
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    if unknown := [name for name in names if name not in PEERS]:
        raise ValueError(f"unknown peers {', '.join(unknown)}; known are {', '.join(PEERS)}")
    return names
