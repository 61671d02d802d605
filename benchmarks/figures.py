"""Numbers for people and plots: percentiles, tables, what /proc says of a process, how fast memory is."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BUSY = "while True: pass"
LARGE_BYTES = 512 << 20
"""More than any cache holds."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed; not a number without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def summary(times_ms: Sequence[float]) -> dict[str, float]:
    """Number, median, p95 and maximum of times."""
    if not times_ms:
        return {"n": 0}
    found = {"p50": statistics.median(times_ms), "p95": percentile(times_ms, 0.95), "max": max(times_ms)}
    return {"n": len(times_ms), **{name: round(value, 2) for name, value in found.items()}}


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows in columns, the first to the left and the others to the right; None is a dash."""
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    lines = []
    for row in cells:
        first, *rest = (cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in _zip(row, widths))
        lines.append("  ".join((first, *rest)).rstrip())
    return "\n".join(lines)


def _zip(row: Sequence[str], widths: Sequence[int]) -> Iterator[tuple[int, tuple[str, int]]]:
    return enumerate(zip(row, widths, strict=True))


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)


# Processes


def cpu_seconds(pid: int) -> float:
    """Seconds of processor time that a process has used, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)


@contextmanager
def busy_loops(num: int) -> Iterator[None]:
    """So many processes that do nothing as fast as they can, one a core; they end with the block."""
    cores = sorted(os.sched_getaffinity(0))
    loops = []
    try:
        for number in range(num):
            loops.append(subprocess.Popen([sys.executable, "-I", "-S", "-c", BUSY]))
            os.sched_setaffinity(loops[-1].pid, {cores[number % len(cores)]})
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


# Memory


def bandwidths(model_bytes: int, threads: int) -> dict[str, float]:
    """GB/s: copying and reading more than any cache holds, and reading as many bytes as a model has again and again."""
    import torch

    torch.set_num_threads(threads)
    large, model = (torch.ones(size // 4) for size in (LARGE_BYTES, model_bytes))
    target = torch.empty_like(large)
    seconds = {
        "copy": (LARGE_BYTES, _best(lambda: target.copy_(large), 5)),
        "read": (LARGE_BYTES, _best(large.sum, 5)),
        "read_model_size": (model_bytes, _best(model.sum, 20)),
    }
    return {name: round(size / best / 1e9, 1) for name, (size, best) in seconds.items()}


def _best(work: Callable[[], Any], times: int) -> float:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)


# Plots


def plot(panels: Mapping[str, Mapping[str, Sequence[float]]], path: Path) -> None:
    """A panel with the share of answers that took at most so long, for each group of named times in ms."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(panels), figsize=(6.5 * len(panels), 5.5), squeeze=False)
    for axis, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for name, times_ms in curves.items():
            if times_ms:
                label = f"{name} (n {len(times_ms)}, p50 {statistics.median(times_ms):.3g} ms)"
                axis.ecdf([max(value, 0.01) for value in times_ms], label=label)
        axis.axvline(100, color="0.8", linewidth=1, zorder=0)
        axis.set(xscale="log", xlabel="ms to the answer", ylabel="share of requests", title=title, ylim=(0, 1.01))
        axis.grid(alpha=0.3, which="both")
        axis.legend(loc="upper left", bbox_to_anchor=(0, -0.15), fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
