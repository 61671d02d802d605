"""Nothing that generated code tries gets out of a sandbox; judged from outside, by what canaries saw."""

from __future__ import annotations

import itertools
import os
import platform
import random
import re
import subprocess
import sys
import textwrap
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from canaries import Canaries, laid_out, running

from codegen_lsp.verify.bwrap import Bwrap
from codegen_lsp.verify.jail import Jail, Job, Limits, Report, unprotected
from codegen_lsp.verify.own import Own

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes of Linux")

SMALL = Limits(
    cpu_seconds=1,
    wall_seconds=3,
    memory=160 << 20,
    file=1 << 18,
    descriptors=32,
    output=4 << 10,
    scratch=1 << 20,
    scratch_files=64,
)


def works(*command: str) -> bool:
    """Whether this machine has what a sandbox needs; asked without any code of ours, which could be what is broken."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


LANDLOCK = "import ctypes; raise SystemExit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)"
HAS_NAMESPACES = works("unshare", "-Urmpniu", "--fork", "true")
HAS_LANDLOCK = works(sys.executable, "-c", LANDLOCK)
HAS_BWRAP = works("bwrap", "--unshare-all", "--ro-bind", "/", "/", "true")
JAILS: dict[str, Jail] = {
    jail.name: jail
    for jail, can_work in (
        (Own(SMALL), HAS_NAMESPACES and HAS_LANDLOCK),
        (Own(SMALL, has_namespaces=False), HAS_LANDLOCK),
        (Own(SMALL, has_landlock=False), HAS_NAMESPACES),
        (Bwrap(SMALL), HAS_BWRAP),
    )
    if can_work
}
NUM_JAILS = 4
PROBES: dict[str, dict[str, Any]] = {
    f"{path.stem}-{probe['name']}": probe
    for path in sorted((Path(__file__).parent / "probes").glob("*.toml"))
    for probe in tomllib.loads(path.read_text(encoding="utf-8"))["probe"]
}
SLOW = {
    name for name, probe in PROBES.items() if re.search("took|processor|more than 160 MB", probe.get("problem", ""))
}
"""They take until a limit, so they are tried in one sandbox only."""
REFUSED = "|PermissionError|FileNotFoundError|ProcessLookupError|OSError|BlockingIOError|NotADirectoryError"
"""What an attempt that is stopped raises, or it says nothing: a probe with a mistake would prove nothing."""


def tried() -> Iterator[Any]:
    """Every probe with every sandbox that it is tried in."""
    for (place, jail), name in itertools.product(enumerate(JAILS), PROBES):
        if (place == 0 or name not in SLOW) and (jail != "seccomp+namespaces" or name.startswith("files")):
            yield pytest.param(jail, name, id=f"{name} [{jail}]")


@pytest.fixture(scope="module")
def canaries() -> Iterator[Canaries]:
    with laid_out() as found:
        yield found


@dataclass(frozen=True)
class Attempt:
    """What a probe did, and every sign that it got out."""

    report: Report
    signs: list[str]


def attempt(jail: Jail, probe: dict[str, Any], canaries: Canaries) -> Attempt:
    """Run a probe as the first example of a module, and look around."""
    body = textwrap.indent(probe["code"].strip(), "    ")
    later = f"LATER-{canaries.secret[12:24]}"
    seed = random.randrange(1, 1 << 32)
    job = Job(
        f"{canaries.names()}def attempt():\n{body}\n",
        ("attempt()\n", f"print(len({later!r}))\n"),
        readable=(str(canaries.readable),),
        seed=seed,
    )
    report = jail.run(job)
    # A refused path is named in its exception, which says nothing that the code did not know.
    errors = "\n".join(each.error for each in report.outcomes).replace(str(canaries.folder / canaries.secret[:12]), "")
    told = "\n".join([errors, report.problem, *(each.output for each in report.outcomes)])
    signs = [f"said {each}" for each in ("ESCAPED", canaries.secret, canaries.secret[:12], later) if each in told]
    attempted = Attempt(report, signs + canaries.harm() + [f"runs: {pid}" for pid in running(seed)])
    while running(seed):
        time.sleep(0.05)
    return attempted


@pytest.mark.parametrize(("jail", "name"), [*tried()])
def test_nothing_gets_out(jail: str, name: str, canaries: Canaries) -> None:
    probe = PROBES[name]
    skip_elsewhere(probe)
    if probe.get("only_namespaces") and jail == "landlock+seccomp":
        pytest.skip("without namespaces it can be seen what there is, but not read")
    found = attempt(JAILS[jail], probe, canaries)
    assert not found.signs
    report = found.report
    assert re.match(f"({probe.get('problem', '')})", report.problem) if "problem" in probe else not report.problem
    assert len(report.outcomes) in ((probe["outcomes"],) if "outcomes" in probe else (0, 1, 2))
    assert all(isinstance(text, str) for each in report.outcomes for text in (each.output, each.error))
    assert "problem" in probe or report.outcomes
    assert "claims" not in probe or any(outcome.output[:2] == "4\n" for outcome in report.outcomes)
    for outcome in report.outcomes[:1]:
        assert re.match(f"({probe.get('error', '')}{REFUSED})(:|$)", outcome.error), outcome


def skip_elsewhere(probe: dict[str, Any]) -> None:
    if re.search(r"syscall\(|prot=7", probe["code"]) and platform.machine() != "x86_64":
        pytest.skip("it has numbers or code of x86_64")


def test_every_sandbox_is_tried() -> None:
    if len(JAILS) < NUM_JAILS:
        pytest.skip(f"this machine can only have {', '.join(JAILS) or 'none'}")


CONTROLS = [name for name, probe in PROBES.items() if probe.get("control", True) is not False]


@pytest.mark.parametrize("name", CONTROLS)
def test_without_a_sandbox_it_would_get_out(name: str) -> None:
    if PROBES[name].get("control") == "root" and os.geteuid():
        pytest.skip("only root could")
    skip_elsewhere(PROBES[name])
    with laid_out() as canaries:
        found = attempt(unprotected(SMALL), PROBES[name], canaries)
        until = time.monotonic() + 5
        while not (signs := found.signs + canaries.harm()) and time.monotonic() < until:
            time.sleep(0.01)  # a signal may still be on its way
        assert signs, found.report


def test_the_suite_is_large_and_varied() -> None:
    groups = Counter(name.partition("-")[0] for name in PROBES)
    assert set(groups) == {"files", "network", "processes", "signals", "resources", "interpreter", "forgery"}
    assert min(groups.values()) >= 10
    assert len({probe["code"] for probe in PROBES.values()}) == len(PROBES) >= 200
    assert {name.partition("-")[0] for name in CONTROLS} >= {*groups} - {"forgery"}
