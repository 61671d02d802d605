#!/usr/bin/env python3
"""What typing feels like, and how our engine compares with others on the same weights.

usage: typing_trace.py [--quick] [--only lsp|engines] [--peers NAMES] [--busy N] [--server "CMD"] …

A. Pages of Python are typed into the real language server over stdio, a request a key, some suggestions accepted
   (--server: into any other language server instead).
B. The prompts of such typing are put to our host and to other engines in turn, 16 greedy tokens each.

With --busy N both are measured once more beside N processes that do nothing but compute. Peers run as they come: where
another process takes a core, OpenMP's barriers spin, and OMP_WAIT_POLICY=PASSIVE makes llama.cpp much faster.
Printed: tables, the path of a plot of all times, and as the last line everything as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shlex
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import engines as part_b
import prompts
from editor import Pace, replay
from figures import bandwidths, busy_loops, plot, summary, table
from keystrokes import read_pages
from peers import PEERS, TITLES
from prompts import Ids

from codegen_lsp import registry
from codegen_lsp.engine.launch import stop_host
from codegen_lsp.folders import cache_folder
from codegen_lsp.host.load import num_cores

NUM_PAGES = 2
NUM_COLD = 3
QUICK = {"pages": 1, "passages": 2, "prompts": 24, "scale": 0.3}
QUICK_PEERS = ("llama-q8_0",)


@contextmanager
def own_hosts() -> Iterator[None]:
    """A runtime folder of our own: hosts are started afresh and end with the block; nobody else's are touched."""
    with tempfile.TemporaryDirectory(prefix="codegen-bench-") as folder:
        before = os.environ.get("XDG_RUNTIME_DIR")
        os.environ["XDG_RUNTIME_DIR"] = folder
        try:
            yield
        finally:
            asyncio.run(stop_host())
            if before is None:
                del os.environ["XDG_RUNTIME_DIR"]
            else:
                os.environ["XDG_RUNTIME_DIR"] = before


# Part A


def run_lsp(args: argparse.Namespace) -> dict[str, Any]:
    """Type, quiet and then beside busy loops."""
    pages = read_pages()
    typed, cold = pages[1 : 1 + args.pages], pages[0]

    def once() -> dict[str, Any]:
        say: Callable[[str], None] = print if args.transcript else lambda line: None
        with own_hosts():
            return asyncio.run(
                replay(
                    typed,
                    cold,
                    Pace(args.scale),
                    seed=args.seed,
                    num_passages=args.passages,
                    model=args.model,
                    server=shlex.split(args.server),
                    say=say,
                )
            )

    found = once()
    print(lsp_table(found))
    if args.busy:
        with busy_loops(args.busy):
            found["busy"] = once()
        print(f"\nbeside {args.busy} busy loops\n{lsp_table(found['busy'])}")
        found["p95_busy_over_quiet"] = {
            name: round(found["busy"][name]["p95"] / found[name]["p95"], 2)
            for name in ("all", "settled", "with_text", "asked_anew")
            if found[name]["n"] and found["busy"][name]["n"]
        }
        print(f"p95 busy / quiet: {found['p95_busy_over_quiet']}")
    return found


def lsp_table(found: Mapping[str, Any]) -> str:
    """The figures of one replay."""
    kinds = {
        "all": "all requests",
        "settled": "neither cancelled nor superseded",
        "with_text": "with text",
        "asked_anew": "  asked anew",
        "through": "  typed through",
    }
    rows = [
        [title, found[kind]["n"], *(found[kind].get(name) for name in ("p50", "p95", "max"))]
        for kind, title in kinds.items()
    ]
    num, through = found["requests"], found["typed_through"]
    instant = next(value for name, value in through.items() if name.startswith("within"))
    lines = [
        "Typing through the language server",
        table(("", "n", "p50 ms", "p95 ms", "max ms"), rows),
        f"initialize {found['initialize_ms']:.0f} ms, first request of a document {found['cold_ms']:.0f} ms"
        + (f", model ready {found['model_ready_ms']:.0f} ms" if "model_ready_ms" in found else ""),
        f"cancelled {found['cancelled'] / num:.0%}, superseded {found['superseded'] / num:.0%}, "
        f"errors {found['errors']}, stale {found['stale']} (unverified {found['unverified']})",
        f"pauses {found['pauses']}, with a suggestion {found['pauses_with_offer']}, accepted {found['accepted']} "
        f"({found['accepted_chars']} characters)",
        f"typed through {through['requests']}, answered with text {through['with_text']}, in under 5 ms {instant}",
        f"CPU seconds {found['cpu_s']}, per accepted character {found['cpu_s_per_accepted_char']}; "
        f"resident MB {found['resident_mb']}",
    ]
    return "\n".join(lines)


# Part B


def run_engines(args: argparse.Namespace) -> dict[str, Any]:
    """Ask every engine, quiet and then beside busy loops."""
    info = registry.find(args.model or registry.DEFAULT_MODEL)
    pages = read_pages()
    typed = prompts.trace(pages[1 : 1 + args.pages], info, args.prompts, args.seed, args.passages)
    cold = prompts.cold(pages[0], info, NUM_COLD)
    lengths = sorted(map(len, typed))
    found: dict[str, Any] = {
        "model": info.id,
        "prompts": len(typed),
        "prompt_tokens": {"least": lengths[0], "median": statistics.median(lengths), "most": lengths[-1]},
        "cold_tokens": [len(ids) for ids in cold],
        "engines": {},
    }
    print(f"{info.id}: {len(typed)} prompts of {lengths[0]} to {lengths[-1]} tokens, {part_b.NUM} tokens each")
    with own_hosts(), part_b.opened(args.peers, info.folder, args.cache, args.threads) as engines:
        _compare(engines, prompts.check(info), found)
        _measure_quiet(engines, typed, cold, found)
        _measure_limits(engines, cold[0], info.folder, args.threads, found)
        print(engine_table(found))
        if args.busy:
            some = [engine for engine in engines if engine.name in part_b.BUSY_ENGINES]
            with busy_loops(args.busy):
                _measure_busy(some, typed, found)
            print(f"p95 beside {args.busy} busy loops / quiet: {found['p95_busy_over_quiet']}")
    return found


def _compare(engines: Sequence[part_b.Engine], ids: Ids, found: dict[str, Any]) -> None:
    """Whether the engines have the same weights: what they say to a short prompt."""
    answers = {engine.name: engine.ask(ids, fresh=True) for engine in engines}
    ours = answers["ours"]
    num = len(part_b.said(ours))
    same = {TITLES[name]: f"{part_b.num_same(answer, ours)} of {num}" for name, answer in answers.items()}
    found["check"] = same
    print(f"same greedy tokens as ours for a short prompt: {', '.join(f'{name} {n}' for name, n in same.items())}")


def _measure_quiet(
    engines: Sequence[part_b.Engine], typed: Sequence[Ids], cold: Sequence[Ids], found: dict[str, Any]
) -> None:
    cold_answers = part_b.interleaved(engines, cold, fresh=True)
    answers = part_b.interleaved(engines, typed)
    for engine in engines:
        found["engines"][engine.name] = part_b.figures_of(engine, answers, cold_answers)


def _measure_limits(
    engines: Sequence[part_b.Engine], ids: Ids, folder: str, threads: int, found: dict[str, Any]
) -> None:
    """Milliseconds of a token without drafts, and how near that is to reading the weights once."""
    weights = part_b.num_weights(folder)
    found["weights"] = weights
    found["gb_per_s"] = bandwidths(weights, threads)
    fastest = max(found["gb_per_s"]["copy"], found["gb_per_s"]["read"])
    for engine in engines:
        if engine.name != "ours":
            ms = part_b.token_ms(engine, ids)
            limit = weights * engine.bytes_per_weight / fastest / 1e6
            rates = {"token_ms": round(ms, 3), "tokens_per_s": round(1000 / ms, 1), "of_limit": round(limit / ms, 3)}
            found["engines"][engine.name] |= rates


def _measure_busy(engines: Sequence[part_b.Engine], typed: Sequence[Ids], found: dict[str, Any]) -> None:
    answers = part_b.interleaved(engines, typed)
    ratios = {}
    for engine in engines:
        times = [answer.ms for answer in answers[engine.name].values()]
        quiet = found["engines"][engine.name]
        quiet["busy"] = summary(times)
        ratios[engine.name] = round(quiet["busy"]["p95"] / quiet["p95"], 2)
    found["p95_busy_over_quiet"] = ratios


def engine_table(found: Mapping[str, Any]) -> str:
    """A row for each engine."""
    head = ("", "n", "p50 ms", "p95 ms", "cold ms", "computed", "p50 / ours", "cold / ours", "same", "MB")
    names = ("n", "p50", "p95", "cold_ms", "computed", "ratio", "cold_ratio", "same", "resident_mb")
    rows = [[TITLES[name], *(each[key] for key in names)] for name, each in found["engines"].items()]
    decode = [
        [TITLES[name], each["tokens_per_s"], each["token_ms"], each["of_limit"]]
        for name, each in found["engines"].items()
        if "token_ms" in each
    ]
    ours, speed = found["engines"]["ours"], found["gb_per_s"]
    lines = [
        "Engines, prompt by prompt in turn",
        table(head, rows),
        f"ours: of {ours['prompt_tokens']:.0f} prompt tokens {ours['cached_tokens']:.0f} cached, "
        f"{ours['accepted_tokens']:.1f} of {ours['drafted_tokens']:.1f} drafted tokens accepted, "
        f"prefill {ours['prefill_ms']:.1f} ms, decode {ours['decode_ms']:.1f} ms on average",
        "\nDecode behind a prompt of about 1000 tokens, no drafts",
        table(("", "tokens/s", "ms", "of the limit"), decode),
        f"limit: {found['weights'] / 1e6:.1f} M weights read once a token; memory copies {speed['copy']} and reads "
        f"{speed['read']} GB/s; {found['weights'] / 1e6:.0f} MB again and again: {speed['read_model_size']} GB/s",
    ]
    return "\n".join(lines)


# Both


def panels(found: Mapping[str, Any]) -> dict[str, dict[str, Sequence[float]]]:
    """What is plotted."""
    drawn: dict[str, dict[str, Sequence[float]]] = {}
    for title, lsp in (("language server", found.get("lsp")), ("… busy", (found.get("lsp") or {}).get("busy"))):
        if lsp:
            times = lsp["times_ms"]
            drawn[title] = {"all": times["all"], "with text": times["with_text"], "typed through": times["through"]}
    if found.get("engines"):
        rows = found["engines"]["engines"]
        drawn["engines, 16 tokens"] = {TITLES[name]: each["times_ms"] for name, each in rows.items()}
    return drawn


def parse_args() -> argparse.Namespace:
    """The options, with --quick and --server worked in."""
    cache = cache_folder() / "bench"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a slice of it, under a minute")
    parser.add_argument("--only", choices=("lsp", "engines"), help="one of the two parts")
    parser.add_argument("--peers", help=f'names with commas, "" for none (default: {",".join(PEERS)})')
    parser.add_argument("--model", default="", help="name or folder (default: the bundled one)")
    parser.add_argument("--server", default="", metavar="CMD", help="another language server: part A alone")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="measure again beside N busy loops")
    parser.add_argument("--threads", type=int, default=num_cores(), help="of each engine (default: physical cores)")
    parser.add_argument("--pages", type=int, default=NUM_PAGES, help=f"pages that are typed (default: {NUM_PAGES})")
    parser.add_argument("--passages", type=int, help="passages of each page (default: all)")
    parser.add_argument("--prompts", type=int, default=160, help="prompts of part B, about (default: 160)")
    parser.add_argument("--scale", type=float, default=1.0, help="of all times between keys (default: 1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--transcript", action="store_true", help="print every message of part A")
    parser.add_argument("--cache", type=Path, default=cache, help="folder of converted models (default: %(default)s)")
    parser.add_argument("--plot", type=Path, help="the plot's file (default: typing.png in the cache)")
    parser.add_argument("--json", type=Path, help="write the last line there, too")
    args = parser.parse_args()
    if args.quick:
        for name, value in QUICK.items():
            setattr(args, name, value)
    if args.server:
        args.only = "lsp"
    try:
        args.peers = part_b.known_peers(
            ",".join(QUICK_PEERS if args.quick else PEERS) if args.peers is None else args.peers
        )
    except ValueError as error:
        parser.error(str(error))
    return args


def main() -> None:
    """Command line entry."""
    args = parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    found: dict[str, Any] = {
        "cores": num_cores(),
        "threads": args.threads,
        "machine": platform.machine(),
        "seed": args.seed,
        "scale": args.scale,
    }
    if args.only != "engines":
        found["lsp"] = run_lsp(args)
        print()
    if args.only != "lsp":
        found["engines"] = run_engines(args)
        print()
    path = args.plot or args.cache / "typing.png"
    try:
        plot(panels(found), path)
        print(f"plot: {path}")
    except ImportError:
        print("plot: skipped, the package matplotlib is not installed")
    line = json.dumps(found)
    if args.json:
        args.json.write_text(line + "\n", encoding="utf-8")
    print(line)


if __name__ == "__main__":
    main()
