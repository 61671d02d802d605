"""The experiment runner: every variant can be trained and asked, and nothing is done twice."""

import collections
import json
import random
from pathlib import Path

import pytest

from codegen_lsp.cli.main import parser
from codegen_lsp.training import experiment, neighbours, pretrain
from codegen_lsp.training.corpus import Document
from codegen_lsp.training.recipe import Mix, load_recipe

EXPERIMENTS, TOKENIZERS = experiment.load_experiments()
VARIANTS = [(name, label) for name, each in EXPERIMENTS.items() for label in each.variants]


@pytest.mark.parametrize(("name", "label"), VARIANTS)
def test_every_variant_is_a_recipe_and_a_command(name, label):
    variant = EXPERIMENTS[name].variants[label]
    start = experiment.STARTS[EXPERIMENTS[name].start]
    recipe = load_recipe(start.recipe or "cpu-seed", (*start.set, *variant.set))
    assert variant.tokenizer in TOKENIZERS
    assert recipe.hidden % recipe.heads == 0
    assert recipe.heads % recipe.kv_heads == 0
    parser().parse_args(["complete", "--jsonl", *variant.ask])


def test_variants_are_trained_once_and_differ():
    all_keys, starts = [], experiment.STARTS
    for each in EXPERIMENTS.values():
        assert each.start in starts
        if starts[each.start].recipe:
            keys = [variant.key(starts[each.start], 60, 1) for variant in each.variants.values()]
            assert len(set(keys)) == len(keys)
            all_keys += keys
        else:
            assert len({variant.ask for variant in each.variants.values()}) == len(each.variants)
    counts = collections.Counter(all_keys)
    assert sorted(count for count in counts.values() if count > 1) == [4, 6, 6], (
        "yardsticks: the model with more of the corpus, from scratch, the model"
    )


def test_a_changed_recipe_is_trained_again(monkeypatch):
    variant, start = experiment.Variant(), experiment.STARTS["model"]
    before = variant.key(start, 60, 1)
    load = experiment.load_recipe
    monkeypatch.setattr(experiment, "load_recipe", lambda name, changes: load(name, (*changes, "mix.bare=0.9")))
    assert variant.key(start, 60, 1) != before


def test_the_model_goes_on_from_its_weights(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(experiment.pretrain, "main", lambda argv: calls.append(pretrain.parser().parse_args(argv)) or 0)
    monkeypatch.setattr(experiment.export, "main", _exported)
    monkeypatch.setattr(experiment, "_measure", lambda *_: {"bits per byte": 1.5})
    model = tmp_path / "m"
    model.mkdir()
    command = ["chains", f"--out={tmp_path}", f"--corpus={tmp_path}", f"--items={tmp_path}", f"--init={model}"]
    for weights in ("first", "first", "other"):
        (model / "model.safetensors").write_text(weights)
        experiment.main(command)
    assert len(calls) == 4, "two variants from each of two models"
    assert {(call.cooldown, call.rate, call.init, call.tokenizer) for call in calls} == {(1.0, 0.4, model, model)}
    assert [call.set[-1] for call in calls[:2]] == ["warmup_steps=5", "mix.chains=0.0"]


def test_a_run_is_measured_once(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(experiment, "_tokenizer", lambda *_: tmp_path)
    monkeypatch.setattr(experiment.pretrain, "main", lambda argv: calls.append(argv) or 0)
    monkeypatch.setattr(experiment.export, "main", _exported)
    monkeypatch.setattr(experiment, "_measure", lambda *_: {"bits per byte": 1.5})
    command = ["healing", f"--out={tmp_path}", f"--corpus={tmp_path}", f"--items={tmp_path}"]
    assert experiment.main(command) == 0
    assert experiment.main(command) == 0
    assert not calls, "the variants differ in how they are asked alone"
    assert len(list(tmp_path.rglob("report*.json"))) == 2


def _exported(argv):
    out = Path(next(each for each in argv if each.startswith("--out=")).removeprefix("--out="))
    out.mkdir(parents=True)
    (out.parent / "state.pt").write_text("")
    return 0


def test_a_stopped_run_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(experiment, "_tokenizer", lambda *_: tmp_path)
    monkeypatch.setattr(experiment.pretrain, "main", lambda _: pretrain.STOPPED)
    with pytest.raises(SystemExit):
        experiment.main(["rate", f"--out={tmp_path}", f"--corpus={tmp_path}", f"--items={tmp_path}"])
    assert not list(tmp_path.rglob("report*.json"))


def test_a_table_has_a_column_for_each_variant():
    found = {"muon": {"bits per byte": 1.5, "x": 2.0}, "adamw": {"bits per byte": 1.7}}
    told = "\n".join(experiment.table(EXPERIMENTS["optimizer"], found))
    assert "Muon or AdamW" in told
    assert "1.5" in told
    assert "1.7" in told
    assert "nan" in told


@pytest.mark.parametrize(
    ("change", "message"), [("hiden=3", "cannot set"), ("mix.what=1", "cannot set"), ("hidden", "cannot set")]
)
def test_a_change_that_is_none_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        load_recipe("smoke", [change])


def test_changes_reach_the_recipe():
    recipe = load_recipe("smoke", ["muon_lr=0.5", "mix.psm=0.25", "optimizer='adamw'"])
    assert (recipe.muon_lr, recipe.mix, recipe.optimizer) == (0.5, Mix(psm=0.25), "adamw")


def test_neighbours_are_of_other_files_and_the_most_similar_is_next_to_the_file():
    texts = {"own.py": "parse_header(line)", "near.py": "def parse_header(line):\n    return line", "far.py": "x = 1"}
    others = [Document("p", path, text) for path, text in texts.items()]
    found = neighbours.neighbours("value = parse_header(first_line)", "own.py", others, 2, random.Random(1))
    assert [snippet.path for snippet in found] == ["near.py"]
    assert found[0].score > 0
    assert neighbours.words("readFile_22 HTTPServer") == {"read", "file", "22", "http", "server"}
    assert not neighbours.neighbours("x", "own.py", others[:1], 2, random.Random(1))
    assert json.dumps(found[0].text)
