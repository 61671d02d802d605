"""Run exercises against their asserts; what fails may not be trained on.

    python -m codegen_lsp.training.exercises.validate [TOPIC ...] [--each N] [--out exercises.jsonl]

`--out` writes those that hold, and half as many with names from other idioms: what training reads. Each topic
runs in a process of its own, in a temporary folder, with limits on time and memory.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TextIO

from codegen_lsp.training.exercises.idioms import (
    Exercise,
    Words,
    combinations,
    load_idioms,
    num_combinations,
    problems,
    transplants,
)
from codegen_lsp.training.exercises.observe import Observer, is_steady

SECONDS = 5
MODULE = "codegen_lsp.training.exercises.validate"
DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef


def run_exercise(exercise: Exercise, observer: Observer | None = None) -> str | None:
    """None when the asserts hold, else what went wrong. Runs in this process: only for our own exercises.

    `observer` sees the asserts' calls of its function.
    """
    signal.signal(signal.SIGALRM, _timed_out)
    signal.alarm(SECONDS)
    stdin, stdout = sys.stdin, sys.stdout
    folder = Path.cwd()
    try:
        with tempfile.TemporaryDirectory() as scratch, Path(os.devnull).open("w+", encoding="utf-8") as null:
            os.chdir(scratch)
            sys.stdin = sys.stdout = null
            try:
                names: dict[str, Any] = {"__name__": "exercise"}
                for n, text in enumerate(exercise.parts):
                    # This module's own future imports are not the exercise's.
                    exec(compile(text, exercise.idiom, "exec", dont_inherit=True), names)
                    if observer and not n:
                        names[observer.name] = observer.watch(names[observer.name])
            finally:
                os.chdir(folder)
    except BaseException as error:  # an exercise may raise anything, SystemExit included
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        sys.stdin, sys.stdout = stdin, stdout
    return None


def _timed_out(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"longer than {SECONDS} s")


def judged(exercise: Exercise) -> tuple[list[str], Exercise]:
    """What is wrong with an exercise, read and executed; and it, with what its asserts show of its function."""
    if found := problems(exercise):
        return found, exercise
    if exercise.kind != "function":
        return list(filter(None, [run_exercise(exercise)])), exercise
    name = next(node.name for node in ast.parse(exercise.code).body if isinstance(node, DEFINITIONS))
    observer = Observer(name)
    if run_exercise(exercise, observer) is not None:  # some asserts look at the function itself, not at its results
        return list(filter(None, [run_exercise(exercise)])), exercise
    examples = observer.examples if is_steady(exercise.program) else []
    return [], replace(exercise, types=observer.annotations(), examples=tuple(examples))


def validate(topics: Iterable[str], each: int, out: TextIO | None) -> int:
    """Check every idiom of the topics; prints one line per fault; returns the number of faults."""
    rng, faults, ran = random.Random(0), 0, 0
    everything = load_idioms()
    words = Words.of(everything)
    idioms = [idiom for idiom in everything if not topics or idiom.topic in topics]
    for idiom in idioms:
        found = [] if len(idiom.asks) >= 5 and len(idiom.held) >= 2 else ["wants 5 asks and 2 held phrasings"]
        if set(idiom.asks) & set(idiom.held):
            found.append("a held phrasing is also an ask")
        for filling in combinations(idiom, each, rng):
            ran += 1
            fault, exercise = judged(filling)
            found += fault
            if out and not fault:
                out.write(json.dumps(asdict(exercise)) + "\n")
        if out:
            for filling in transplants(idiom, words, each // 2, rng):
                fault, exercise = judged(filling)
                if not fault:
                    out.write(json.dumps(asdict(exercise)) + "\n")
        for line in sorted(set(found)):
            print(f"{idiom.topic}.toml: {idiom.name}: {line}")
        faults += len(found)
    total = sum(map(num_combinations, idioms))
    print(f"{len(idioms)} idioms, {total} combinations, {ran} executed, {faults} faults")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("topics", nargs="*")
    parser.add_argument("--each", type=int, default=12, help="combinations of each idiom to execute")
    parser.add_argument("--out", type=Path, help="write the exercises that hold to this file")
    parser.add_argument("--jobs", type=int, default=1, help="topics at one time (default: 1)")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        with args.out.open("a", encoding="utf-8") if args.out else nullcontext() as out:
            return 1 if validate(args.topics, args.each, out) else 0
    topics = args.topics or sorted({idiom.topic for idiom in load_idioms()})
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(args.jobs) as pool:
        parts = {topic: Path(scratch) / f"{topic}.jsonl" for topic in topics}
        codes = list(pool.map(lambda topic: _in_a_process(topic, args.each, parts[topic], bool(args.out)), topics))
        if args.out:
            _join(parts.values(), args.out)
    return max(codes)


def _in_a_process(topic: str, each: int, part: Path, is_kept: bool) -> int:
    command = [sys.executable, "-m", MODULE, "--here", f"--each={each}"]
    command += [f"--out={part.resolve()}"] if is_kept else []
    return subprocess.run([*command, topic], check=False).returncode


def _join(parts: Iterable[Path], out: Path) -> None:
    """The parts as one file, which appears when it is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    with partial.open("wb") as file:
        for part in parts:
            file.write(part.read_bytes() if part.exists() else b"")
    partial.replace(out)


if __name__ == "__main__":
    sys.exit(main())
