#!/usr/bin/env python3
"""What a sandbox adds to running an example: milliseconds, against the same interpreter started without one.

usage: jail.py [--rounds 100]

Each round runs every kind once, in turn, so that what else the machine does falls on all alike; the least of all rounds
is what it takes on a machine that does nothing else. `plain` is
`python -I -S -B -c` with the same module and example, its output read; `none` is our child with limits and no sandbox,
so what it adds is the protocol, and what is above that is the sandbox. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable

from figures import summary, table

from codegen_lsp.verify.jail import Jail, Job, Limits, candidates, find_jail, unprotected
from codegen_lsp.verify.readable import interpreter
from codegen_lsp.verify.selftest import weakness

MODULE = '''
import re

def slug(text):
    """A title as part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
'''
EXAMPLE = "slug('Hello, World!')\n"
EXPECTED = "'hello-world'\n"


def plain() -> str:
    """The output of the example in a bare interpreter."""
    code = f"{MODULE}\nprint(repr({EXAMPLE.strip()}))"
    command = [interpreter(), "-I", "-S", "-B", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout


def jailed(jail: Jail) -> Callable[[], str]:
    """The output of the example in a jail."""
    job = Job(MODULE, (EXAMPLE,))
    return lambda: jail.run(job).outcomes[0].output


def measure(kinds: dict[str, Callable[[], str]], num_rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each round, by kind."""
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(num_rounds + 2):
        for name, run in kinds.items():
            began = time.perf_counter()
            output = run()
            if number >= 2:  # the first ones read files from the disk
                times[name].append((time.perf_counter() - began) * 1000)
            assert output == EXPECTED, (name, output)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    jails = [unprotected(), *(jail for jail in candidates(Limits()) if not weakness(jail, Limits()))]
    times = measure({"plain": plain, **{jail.name: jailed(jail) for jail in jails}}, options.rounds)
    found = {name: summary(each) for name, each in times.items()}
    base = found["plain"]["p50"]
    added = {name: round(each["p50"] - base, 2) for name, each in found.items()}
    least = {name: min(each) for name, each in times.items()}
    rows = [
        [name, each["p50"], each["p95"], added[name], least[name], least[name] - least["plain"]]
        for name, each in found.items()
    ]
    print(table(("", "ms p50", "p95", "added", "least", "added"), rows))
    proofs = summary([timed(find_jail) for _ in range(5)])
    print(f"finding a jail (self-test included): {proofs['p50']} ms")
    print(json.dumps({"rounds": options.rounds, "ms": found, "added_ms": added, "self_test_ms": proofs}))


def timed(call: Callable[[], object]) -> float:
    """Milliseconds that it takes."""
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
