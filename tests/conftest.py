"""A run over the editors says at its end which of them were driven, in which versions, and how it went."""

from __future__ import annotations

import os
import re
import subprocess
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
    for file, version in _editors().items():
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
    except (OSError, ValueError, AssertionError, subprocess.SubprocessError) as error:
        return f"absent ({type(error).__name__})"


def _editors() -> Mapping[str, Callable[[], str]]:
    """What each test file drives, in words."""
    import helix_rig  # Not at the top: most runs are of other tests.
    import jupyterlab_rig
    import kate_rig
    import test_neovim
    import vscode_rig

    from tests import emacs_rig

    return {
        "test_vscode.py": vscode_rig.version,
        "test_neovim.py": lambda: "; ".join(
            _output(name, "--version").splitlines()[0] for name in test_neovim.PROGRAMS
        ),
        "test_emacs.py": emacs_rig.version,
        "test_vim.py": _vim,
        "test_helix.py": helix_rig.version,
        "test_kate.py": kate_rig.version,
        "test_jupyterlab.py": lambda: f"JupyterLab {jupyterlab_rig.version()}",
        "test_sublime.py": lambda: "Sublime Text: as its package's source has it",
        "test_api.py": lambda: "Zed: as its source has it",
        "test_interop.py": lambda: f"{len(list(INITIALIZE.glob('*.json')))} messages of initialize, replayed",
    }


def _vim() -> str:
    import test_vim
    import vim_rig

    said = _output(str(vim_rig.PROGRAM), "--version")
    vim, patches = re.search(r"Vi IMproved (\S+)", said), re.search(r"Included patches: ([\d-]+)", said)
    ale = re.search(r"current_ale_version = \[([\d, ]+)\]", test_vim.ALE.joinpath("autoload", "ale.vim").read_text())
    parts = [f"Vim {vim[1]}" if vim else "", f"patches {patches[1]}" if patches else ""]
    return ", ".join(filter(None, [*parts, f"ALE {ale[1].replace(', ', '.')}" if ale else ""]))


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


INITIALIZE = Path(__file__).parent / "initialize"
