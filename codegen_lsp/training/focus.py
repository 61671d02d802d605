"""Focus: draw the idioms that a model knows least more often than those it knows.

Half of a run's exercises would otherwise teach what is known already. The measure is the one that training lowers, bits
of right answers given their prompts, of fillings that are trained on; held-out fillings and wordings play no part
(Katharopoulos and Fleuret 2018, "Not All Samples Are Created Equal", is the idea for single samples).
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training import bits
from codegen_lsp.training.exercises.forms import forms_of, render
from codegen_lsp.training.exercises.idioms import Exercise, by_idiom

LEAST = 0.15
"""Chance of an idiom that costs no bits at all: what is known must stay known."""
FULL_AT = 0.8
"""Quantile of idioms, by their bits, from which on the chance is 1."""


def idiom_bits(
    model: Any, tokenizer: FileTokenizer, exercises: Sequence[Exercise], num: int, seed: int
) -> dict[str, float]:
    """Bits per byte of right answers, by idiom: of `num` fillings each, in forms and trained wordings by the seed."""
    rng = random.Random(seed)
    found = {}
    for name, group in by_idiom(exercises).items():
        drawn = [rng.choice(group) for _ in range(num)]
        samples = [render(each, rng.choice(forms_of(each)), rng.choice(each.asks), [], rng).sample for each in drawn]
        found[name] = bits.answer_bits(model, tokenizer, samples)
    return found


def chances(measured: Mapping[str, float]) -> dict[str, float]:
    """Chance (LEAST to 1) that an idiom is taken when its turn comes, rising with its bits."""
    if len(measured) < 2:
        return dict.fromkeys(measured, 1.0)
    full = statistics.quantiles(measured.values(), n=100)[round(100 * FULL_AT) - 1] or 1.0
    return {name: LEAST + (1 - LEAST) * min(1.0, value / full) for name, value in measured.items()}
