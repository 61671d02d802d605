"""From the confidence of an answer to the chance that it is right, and from there to what is worth showing.

Confidence is exp(mean log-probability of the tokens). The chance is fitted by isotonic regression (pool adjacent
violators, Ayer et al. 1955): a step function that never falls. Judged by the expected calibration error (Naeini et
al. 2015) on answers that it was not fitted to.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

Pair = tuple[float, bool]
"""Confidence of an answer, and whether it was right."""
Step = tuple[float, float]
"""From this confidence on (until the next step), this chance."""
NUM_BINS = 10
KEPT = 0.99
"""Share of the right answers that a threshold must still show."""


def fit(pairs: Sequence[Pair]) -> list[Step]:
    """The steps that fit best."""
    blocks: list[list[float]] = []  # lowest confidence, number right, number
    for confidence, right in sorted(pairs):
        blocks.append([confidence, float(right), 1.0])
        while len(blocks) > 1 and blocks[-2][1] * blocks[-1][2] >= blocks[-1][1] * blocks[-2][2]:
            _, num_right, num = blocks.pop()
            blocks[-1][1] += num_right
            blocks[-1][2] += num
    return [(confidence, num_right / num) for confidence, num_right, num in blocks]


def chance(steps: Sequence[Step], confidence: float) -> float:
    """What the steps say of a confidence."""
    if not steps:
        return confidence
    return steps[max(0, bisect_right(steps, confidence, key=lambda step: step[0]) - 1)][1]


def expected_error(pairs: Sequence[Pair]) -> float:
    """Expected calibration error, 0 to 1: mean distance of the stated chance from the share that was right."""
    bins: dict[int, list[Pair]] = {}
    for pair in pairs:
        bins.setdefault(min(NUM_BINS - 1, int(pair[0] * NUM_BINS)), []).append(pair)
    gaps = (abs(sum(stated - right for stated, right in group)) for group in bins.values())
    return sum(gaps) / max(1, len(pairs))


def crossed_error(pairs: Sequence[Pair]) -> float:
    """Expected calibration error after fitting, each half judged by the steps of the other."""
    halves = pairs[::2], pairs[1::2]
    fitted = [fit(half) for half in halves]
    stated = [(chance(fitted[1 - n], pair[0]), pair[1]) for n, half in enumerate(halves) for pair in half]
    return expected_error(stated)


def best_threshold(pairs: Sequence[Pair], kept: float = KEPT) -> float:
    """The confidence below which hiding costs next to nothing: at most 1 - `kept` of the right answers lie there.

    A user forgives a wrong suggestion, which the next key takes away, more easily than a right one that never came; so
    it is not the number of right ones less that of wrong ones that is maximised. 1 when nothing is right.
    """
    rights = sorted(confidence for confidence, right in pairs if right)
    return rights[int((1 - kept) * len(rights) + 1e-9)] if rights else 1.0


def shown(pairs: Sequence[Pair], threshold: float) -> tuple[int, int]:
    """How many answers reach the threshold, and how many of those are right."""
    rights = [right for confidence, right in pairs if confidence >= threshold]
    return len(rights), sum(rights)
