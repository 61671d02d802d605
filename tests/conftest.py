"""A run over the editors says at its end which of them were driven, in which versions, and how it went."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

SHOWN = ("passed", "failed", "error", "skipped")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line for each editor, where they are to be driven."""
    if not os.environ.get("CODEGEN_LSP_EDITORS"):
        return
    counts = _counts(terminalreporter.stats)
    terminalreporter.section("editors")
    for file, version in EDITORS.items():
        went = ", ".join(f"{number} {outcome}" for outcome, number in counts.get(file, Counter()).items())
        terminalreporter.write_line(f"{file:<20} {_said(version)}: {went or 'not run'}")


def _counts(stats: Mapping[str, list[Any]]) -> dict[str, Counter[str]]:
    """Outcomes of each test file."""
    found: dict[str, Counter[str]] = {}
    for outcome in SHOWN:
        for report in stats.get(outcome, []):
            name = Path(getattr(report, "nodeid", "").partition("::")[0]).name
            found.setdefault(name, Counter())[outcome] += 1
    return found


def _said(version: Callable[[], str]) -> str:
    """What is driven; what is not there says so by failing."""
    try:
        return version() or "absent"
    except (OSError, ValueError, AssertionError, ImportError, StopIteration) as error:
        return f"absent ({type(error).__name__})"


def _vscode() -> str:
    from tests import vscode_rig

    return vscode_rig.version()


EDITORS: Mapping[str, Callable[[], str]] = {"test_vscode.py": _vscode}
