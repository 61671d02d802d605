"""The evaluation table: sums that are known, and the development set's own scorer as the oracle."""

import json
import lzma
import math
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from codegen_lsp import registry
from codegen_lsp.host.load import load
from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training import bits, calibration, evaluate, exam, samples, storage, tasks
from codegen_lsp.training.exercises import idioms

SHARED = Path(__file__).parents[2] / "shared"
MODEL = Path(__file__).parents[1] / "models" / "seed-py"


def test_chance_rises_with_confidence_and_meets_the_shares():
    rng = random.Random(1)
    pairs = [(c, rng.random() < c**3) for c in (rng.random() for _ in range(4000))]
    steps = calibration.fit(pairs)
    assert [chance for _, chance in steps] == sorted(chance for _, chance in steps)
    for confidence in (0.3, 0.6, 0.9):
        assert calibration.chance(steps, confidence) == pytest.approx(confidence**3, abs=0.08)
    assert calibration.expected_error(pairs) > 0.2
    assert calibration.crossed_error(pairs) < 0.05


@pytest.mark.parametrize(
    ("pairs", "error"),
    [
        ([], 0.0),
        ([(1.0, True)], 0.0),
        ([(1.0, False)], 1.0),
        ([(0.5, True), (0.5, False)], 0.0),
        ([(0.25, False)], 0.25),
    ],
)
def test_expected_calibration_error(pairs, error):
    assert calibration.expected_error(pairs) == pytest.approx(error)


@pytest.mark.parametrize(
    ("pairs", "kept", "threshold"),
    [
        ([(0.9, True), (0.8, True), (0.5, False)], 1.0, 0.8),
        ([(0.9, False), (0.8, True), (0.7, True)], 0.5, 0.8),
        ([(0.9, False)], 1.0, 1.0),
        ([(n / 100, True) for n in range(100)], 0.9, 0.1),
        ([], 1.0, 1.0),
    ],
)
def test_a_threshold_hides_what_costs_next_to_nothing(pairs, kept, threshold):
    assert calibration.best_threshold(pairs, kept) == threshold


def test_shown():
    assert calibration.shown([(0.9, True), (0.5, False), (0.4, True)], 0.5) == (2, 1)


@pytest.mark.parametrize(
    ("k", "num", "right", "chance"), [(1, 10, 3, 0.3), (10, 10, 1, 1.0), (2, 4, 1, 0.5), (5, 5, 0, 0)]
)
def test_pass_at_k(k, num, right, chance):
    assert exam.pass_at(k, num, right) == pytest.approx(chance)


def test_int8_is_within_half_a_step_of_each_row():
    torch.manual_seed(0)
    weight = torch.randn(64, 32) * torch.logspace(-3, 1, 64).unsqueeze(1)
    step = weight.abs().amax(1, keepdim=True) / 127
    assert ((storage.int8(weight) - weight).abs() <= step * 0.57).all()  # the scale itself is rounded to fp16
    assert not storage.int8(torch.zeros(2, 3)).any()


def test_a_reply_is_judged_in_its_file():
    task = tasks.Task("1", "infilling", "a.py", "def f(x):\n    return ", "\n", "x + 1", "assert f(1) == 2")
    for text, passed in (("x + 1", True), ("x", False), ("x +", False), ("", False)):
        assert exam.passes(tasks.program(task, tasks.Reply(text, 0.5, 1.0))) is passed


def test_tally_is_the_sets_own_score(tmp_path):
    if not (SHARED / "eval" / "score.py").is_file() or not (SHARED / "corpus" / "dev.jsonl.xz").is_file():
        pytest.skip("the development set is not here")
    rng = random.Random(3)
    asked = tasks.dev_items(SHARED / "eval", SHARED / "corpus", 60)
    replies = []
    for task in asked:
        wrong = task.target[: rng.randrange(len(task.target))]
        text = rng.choice((task.target, task.target + "\nmore = 1", wrong, "", task.target.split("\n")[0] + "  "))
        replies.append(tasks.Reply(text, 0.5, 1.0))
    rows = (SHARED / "eval" / "dev-items.jsonl").read_text().splitlines()
    chosen = {task.id for task in asked}
    (tmp_path / "items").write_text("\n".join(row for row in rows if json.loads(row)["id"] in chosen))
    answers = [{"id": task.id, "completion": reply.text} for task, reply in zip(asked, replies, strict=True)]
    (tmp_path / "answers").write_text("\n".join(map(json.dumps, answers)))
    command = [sys.executable, SHARED / "eval" / "score.py", SHARED / "corpus" / "dev.jsonl.xz"]
    done = subprocess.run(
        [*command, tmp_path / "items", tmp_path / "answers", "--json"], capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout)
    for kind, row in tasks.tally(asked, replies).items():
        ours = [row.asked, *(round(100 * share / row.asked, 1) for share in (row.exact, row.first, row.empty))]
        assert ours == [theirs[kind][key] for key in ("n", "exact", "first", "empty")]
        assert 100 * row.similarity / row.asked == pytest.approx(theirs[kind]["es"], abs=0.06)


def test_only_what_can_be_measured_is(capsys):
    assert evaluate.main([str(MODEL), "--only", "size", "items", "bits", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"model", "size"}
    assert report["size"]["folder_mb"] < 64
    assert report["size"]["load_s"] > 0


def _development_set(folder):
    other = "def add_totals(first, second):\n    return first.total + second.total\n"
    text = "from shop.sums import add_totals\n\n\ndef both(a, b):\n    return add_totals(a, b)\n"
    start = text.index("add_totals(a")
    rows = [{"package": "shop", "path": path, "text": each} for path, each in (("a.py", text), ("sums.py", other))]
    with lzma.open(folder / "dev.jsonl.xz", "wt") as shard:
        shard.write("".join(json.dumps(row) + "\n" for row in rows))
    item = {"id": "1", "kind": "rest", "package": "shop", "path": "a.py", "start": start, "end": len(text) - 1}
    (folder / "dev-items.jsonl").write_text(json.dumps(item) + "\n")


def test_bits_of_answers_with_and_without_other_files(tmp_path, capsys):
    _development_set(tmp_path)
    command = [
        str(MODEL),
        f"--corpus={tmp_path}",
        f"--eval={tmp_path}",
        "--json",
        "--only",
        "bits",
        "answers",
        "workspace",
    ]
    assert evaluate.main(command) == 0
    report = json.loads(capsys.readouterr().out)
    row = report["workspace"]["rest"]
    assert row["n"] == 1
    assert row["bits file alone"] == pytest.approx(report["answers"]["rest"])
    assert row["bits with others"] != row["bits file alone"], "the other file reached the prompt"
    assert report["bits"]["files"] == 2


def test_bits_are_those_of_the_logits():
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    tokenizer = FileTokenizer((MODEL / "tokenizer.json").read_text(encoding="utf-8"))
    text = "def add(a, b):\n    return a + b\n"
    ids = torch.tensor([tokenizer.encode(text)])
    nats = model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
    assert bits.bits_per_byte(model, tokenizer, [text]) == pytest.approx(nats / math.log(2) / len(text), rel=1e-4)
    right, wrong = (samples.Sample("def add(a, b):\n    return ", "\n", middle) for middle in ("a + b", "q % 7"))
    assert bits.answer_bits(model, tokenizer, [right]) < bits.answer_bits(model, tokenizer, [wrong]) / 2
    assert bits.answer_bits(model, tokenizer, []) == 0


@pytest.mark.parametrize(("num", "kinds"), [(0, {"rest": 7, "line": 3}), (2, {"rest": 2, "line": 2})])
def test_so_many_of_each_kind(tmp_path, num, kinds):
    _development_set(tmp_path)
    row = json.loads((tmp_path / "dev-items.jsonl").read_text())
    rows = [row | {"id": str(n), "kind": "rest" if n < 7 else "line"} for n in range(10)]
    (tmp_path / "dev-items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = [task.kind for task in tasks.dev_items(tmp_path, tmp_path, num)]
    assert {kind: found.count(kind) for kind in found} == kinds


def test_what_was_measured_is_kept_in_the_model(tmp_path):
    (tmp_path / "codegen.json").write_text('{"format": "codegen"}')
    evaluate.keep(tmp_path, {"calibration": {"exercises": {"threshold": 0.7}}})
    assert json.loads((tmp_path / "codegen.json").read_text()) == {"format": "codegen", "sure_from": 0.7}
    with pytest.raises(SystemExit):
        evaluate.keep(tmp_path, {"size": {}})


def some_exercises():
    rng = random.Random(5)
    chosen = [idiom for idiom in idioms.load_idioms() if idiom.topic == "strings" and idiom.kind == "function"]
    return [filling for idiom in chosen[:12] for filling in idioms.combinations(idiom, 40, rng)]


def test_an_answer_right_up_to_a_name_passes_when_mended(monkeypatch):
    def misspelt(_loaded, sample, *_):
        (params,) = re.findall(r"def \w+\((.*?)\)", sample.prefix + sample.middle) or [""]
        name = re.split(r"\W", params)[0]
        return [(re.sub(rf"\b{name}\b", "unheard", sample.middle) if name in sample.prefix else "", 0.5)]

    monkeypatch.setattr(exam, "answers", misspelt)
    marks = list(exam.examine(None, some_exercises(), num=8, seed=1))
    asked = [mark for mark in marks if mark.way == "names"]
    assert any(mark.mended for mark in asked)
    assert not any(mark.passed for mark in asked)


def test_some_questions_are_sampled_too(monkeypatch):
    monkeypatch.setattr(exam, "MAX_NEW_TOKENS", 12)
    exercises = some_exercises()
    loaded = load(registry.find(str(MODEL)))
    how = {"num": 3, "seed": 1, "samples": 2, "num_sampled": 1}
    marks = list(exam.examine(loaded, exercises, **how))
    assert [mark.way for mark in marks] == [
        way for way in ("combination", "phrasing", "both", "names") for _ in range(3)
    ]
    assert [mark.num_sampled for mark in marks] == [2, 0, 0] * 4
    assert all(mark.sampled_passed <= mark.num_sampled for mark in marks)
    assert marks == list(exam.examine(loaded, exercises, **how)), "the seed decides"
