"""What verdicts are worth: bodies with their verdict and what is true of them, and figures of many."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from figures import percentile, table
from problems import KINDS, Attempt, is_right, num_failing

from codegen_lsp.verify.jail import Jail
from codegen_lsp.verify.judge import Status

CANONICAL = "canonical"
NOTHING = "nothing offered"
NO_STUB = "no stub"


@dataclass(frozen=True)
class Row:
    """One body: what the product made of it, and what is true of it."""

    id: str
    k: int
    operator: str
    """CANONICAL, what was changed, or "model"."""
    kind: str
    """Of the problem's examples (KINDS)."""
    can_verify: bool
    status: str
    reason: str
    total: int
    """Examples."""
    is_chosen: bool
    is_right: bool
    """By the hidden tests; of what was chosen, or of the best that was refused."""
    num_failing: int
    """Examples that fail by Python's own doctest; -1 where that was not asked."""
    num_by_letter: int
    """The same, where it is as strict as it can be."""
    is_greedy_right: bool
    num_asked: int
    seconds: float
    judging: float
    jailed: float
    body: str


def row_of(found: Attempt, operator: str, jail: Jail, k: int = 1) -> Row:
    """Judge the judge."""
    done, problem = found.done, found.problem
    best = done.candidates[0] if done and done.candidates else None
    shown = (done.chosen if done and done.chosen else best) if done else None
    status, reason = (str(done.verdict.status), done.verdict.reason) if done else (NO_STUB, "there is no stub")
    if done and best is None and status == Status.REFUSED:
        status = NOTHING
    right = is_right(shown.text, problem, jail) if shown else False
    is_chosen = bool(done and done.chosen)
    failing = num_failing(shown.text, problem, found.examples, jail) if shown and found.examples else (-1, -1)
    is_greedy_same = shown and shown.text == found.raw
    greedy = right if is_greedy_same else bool(found.raw) and is_right(found.raw, problem, jail)
    return Row(
        problem.id,
        k,
        operator,
        found.kind,
        found.can_verify,
        status,
        reason,
        len(found.examples),
        is_chosen,
        right,
        *failing,
        greedy,
        done.num_asked if done else 0,
        round(found.seconds, 3),
        round(found.judging, 3),
        round(found.jailed, 3),
        shown.body if shown else "",
    )


def scripted_report(rows: Sequence[Row]) -> dict[str, Any]:
    """Figures of the scripted part, by group and kind of example."""
    canonical = [row for row in rows if row.operator == CANONICAL]
    changed = [row for row in rows if row.operator != CANONICAL]
    groups = {
        "right body": canonical,
        "changed, still right": [row for row in changed if row.is_right],
        "changed, wrong": [row for row in changed if not row.is_right],
    }
    failing = [row for row in rows if row.num_failing > 0]
    refused = [row for row in rows if row.status == Status.REFUSED]
    return {
        "groups": {name: {kind: _counts(group, kind) for kind in ("all", *KINDS)} for name, group in groups.items()},
        "examples_fail": len(failing),
        "examples_fail_and_accepted": [_named(row) for row in failing if row.is_chosen],
        "fail_by_the_letter_and_accepted": _by_id(row for row in rows if row.is_chosen and row.num_by_letter > 0),
        "examples_pass_and_refused": [_named(row) for row in refused if row.num_failing == 0],
        "right_and_refused": [_named(row) for row in refused if row.is_right],
        "right_and_not_offered": [_named(row) for row in canonical if row.status in (NOTHING, NO_STUB)],
        "canonical_fails_its_tests": [_named(row) for row in canonical if not row.is_right and row.body],
        "canonical_unverified": dict(Counter(row.reason for row in canonical if row.status == Status.UNVERIFIED)),
        "wrong_and_verified": _by_id(row for row in groups["changed, wrong"] if row.status == Status.VERIFIED),
    }


def _by_id(rows: Iterable[Row]) -> dict[str, int]:
    return dict(Counter(row.id for row in rows))


def _counts(rows: Sequence[Row], kind: str) -> dict[str, int]:
    mine = Counter(row.status for row in rows if kind in ("all", row.kind))
    names = (Status.VERIFIED, Status.UNVERIFIED, Status.REFUSED, NOTHING, NO_STUB)
    return {"n": mine.total(), **{str(name): mine[name] for name in names}}


def _named(row: Row) -> dict[str, Any]:
    keys = ("id", "operator", "kind", "reason", "num_failing")
    return {key: value for key, value in asdict(row).items() if key in keys}


def scripted_tables(report: dict[str, Any]) -> str:
    """The figures for people."""
    rows = [
        [f"{name}, {kind}", *counts.values()]
        for name, kinds in report["groups"].items()
        for kind, counts in kinds.items()
    ]
    names = list(report["groups"]["right body"]["all"])
    parts = [table(("scripted: body, examples", *names), rows)]
    num = len(report["examples_fail_and_accepted"])
    parts.append(f"Bodies whose examples fail: {report['examples_fail']}; of these accepted: {num}")
    for title, found in list(report.items())[2:]:
        lines = [f"  {_line(each)}" for each in (found.items() if isinstance(found, dict) else found)]
        parts.append("\n".join([f"{title.replace('_', ' ')}: {len(lines)}", *lines]))
    return "\n\n".join(parts)


def _line(found: Any) -> str:
    return " ".join(str(value) for value in (found.values() if isinstance(found, dict) else found))


def model_report(rows: Sequence[Row]) -> dict[str, Any]:
    """Figures of one number of candidates."""
    verified = [row for row in rows if row.status == Status.VERIFIED and row.is_chosen]
    unverified = [row for row in rows if row.status == Status.UNVERIFIED and row.is_chosen]
    judgeable = [row for row in rows if row.can_verify]
    num_right = sum(row.is_right for row in verified)
    low, high = wilson(num_right, len(verified))
    seconds = sum(row.seconds for row in rows)
    return {
        "problems": len(rows),
        "with_runnable_examples": len(judgeable),
        "implemented": len(verified) + len(unverified),
        "verified": len(verified),
        "verified_and_right": num_right,
        "precision_of_verified_%": _percent(num_right, len(verified)),
        "95_%_interval_from": low,
        "95_%_interval_to": high,
        "recall_of_all_%": _percent(num_right, len(rows)),
        "recall_where_examples_run_%": _percent(num_right, len(judgeable)),
        "unverified": len(unverified),
        "unverified_and_right": sum(row.is_right for row in unverified),
        "nothing_put_in": sum(not row.is_chosen for row in rows),
        "right_and_refused": sum(row.is_right and not row.is_chosen for row in rows),
        "first_answer_unjudged_and_right": sum(row.is_greedy_right for row in rows),
        "examples_fail_and_accepted": sum(row.is_chosen and row.num_failing > 0 for row in rows),
        "answers_asked_for": sum(row.num_asked for row in rows),
        "s_a_function_median": round(statistics.median(row.seconds for row in rows), 3),
        "s_a_function_p95": percentile([row.seconds for row in rows], 0.95),
        "s_judging_median": round(statistics.median(row.judging for row in rows), 3),
        "judging_%_of_the_time": _percent(sum(row.judging for row in rows), seconds),
        "sandbox_%_of_the_time": _percent(sum(row.jailed for row in rows), seconds),
    }


def model_table(name: str, found: dict[int, dict[str, Any]]) -> str:
    """The figures of each number of candidates for people."""
    first = next(iter(found.values()))
    rows = [[key.replace("_", " "), *(report[key] for report in found.values())] for key in first]
    return table((f"{name}, candidates", *map(str, found)), rows)


def verified_and_wrong(by_k: dict[int, list[Row]]) -> list[dict[str, Any]]:
    """Those for which the verdict was not worth its name, with the numbers of candidates at which they were chosen."""
    found = {
        row.id: row for rows in by_k.values() for row in rows if row.status == Status.VERIFIED and not row.is_right
    }
    return [{"id": row.id, "k": row.k, "body": row.body} for row in found.values()]


def wilson(num_right: int, num: int, z: float = 1.96) -> tuple[float | None, float | None]:
    """The interval of a proportion in %, at 95 % (Wilson 1927); None without trials."""
    if not num:
        return None, None
    share, square = num_right / num, z * z
    middle = share + square / (2 * num)
    half = z * math.sqrt(share * (1 - share) / num + square / (4 * num * num))
    low, high = ((middle + sign * half) / (1 + square / num) for sign in (-1, 1))
    return round(100 * low, 1), round(100 * high, 1)


def _percent(part: float, whole: float) -> float | None:
    return round(100 * part / whole, 1) if whole else None
