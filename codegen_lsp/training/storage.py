"""What a model folder costs: megabytes, seconds to load, and what eight-bit weights would lose."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

_LOAD = (
    "import sys, time\nfrom codegen_lsp import registry\nfrom codegen_lsp.host.load import load, set_environment\n"
    "set_environment()\nimport torch\nbegan = time.perf_counter()\n"
    "load(registry.find(sys.argv[1]))\nprint(time.perf_counter() - began)"
)

TIMES = 3


def megabytes(folder: Path) -> float:
    """Size of everything in the folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def load_seconds(folder: Path) -> tuple[float, float]:
    """Seconds that the host's loader needs, and those of a whole new process with its imports: medians of TIMES."""
    command = [sys.executable, "-c", _LOAD, str(folder.resolve())]
    alone, whole = [], []
    for _ in range(TIMES):
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        alone.append(float(done.stdout.split()[-1]))
        whole.append(time.perf_counter() - began)
    return median(alone), median(whole)


def int8(weight: Tensor) -> Tensor:
    """A matrix (rows, columns) as int8 with one fp16 scale a row (absmax), and back."""
    scale = (weight.abs().amax(1, keepdim=True) / 127).clamp(min=1e-7).half().float()
    return (weight / scale).round().clamp(-127, 127) * scale


def quantise(model: Any) -> None:
    """Put every matrix of a model through int8, in place."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.copy_(int8(weight))
