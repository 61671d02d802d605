"""The training room: samples, batches, loss, resuming, export; tiny sizes, the real code."""

import ast
import collections
import dataclasses
import itertools
import json
import lzma
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from codegen_lsp.core import Context
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.prompt.render import render as render_prompt
from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training import batches, corpus, exam, export, focus, loader, memorised, model, pretrain, samples
from codegen_lsp.training.exercises import forms, idioms, rename, validate
from codegen_lsp.training.model import LinearCrossEntropy
from codegen_lsp.training.muon import Muon
from codegen_lsp.training.recipe import Mix, load_recipe
from codegen_lsp.training.tokenizer import SPECIALS, train_tokenizer

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
EACH = 2


@pytest.fixture(scope="module")
def exercises():
    rng = random.Random(0)
    chosen = [idiom for idiom in idioms.load_idioms() if idiom.topic in ("strings", "json_files", "lists", "classes")]
    fillings = [filling for idiom in chosen for filling in idioms.combinations(idiom, 6, rng)]
    judged = [validate.judged(filling) for filling in fillings]
    assert not any(faults for faults, _ in judged)
    return [exercise for _, exercise in judged]


@pytest.fixture(scope="module")
def tokenizer(exercises):
    trained = train_tokenizer([item.code for item in exercises], 600)
    return FileTokenizer(trained.to_str())


def test_there_are_enough_idioms_with_several_phrasings():
    found = idioms.load_idioms()
    assert len(found) >= 150
    assert min(len(idiom.asks) for idiom in found) >= 5
    assert min(len(idiom.held) for idiom in found) >= 2
    assert all(not set(idiom.asks) & set(idiom.held) for idiom in found)


@pytest.mark.parametrize("topic", sorted({idiom.topic for idiom in idioms.load_idioms()}))
def test_exercises_hold(topic):
    """A slice of every topic is executed; the whole is `python -m codegen_lsp.training.exercises.validate`."""
    command = [sys.executable, "-m", validate.__name__, topic, f"--each={EACH}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_transplants_borrow_names_that_the_order_says():
    found = idioms.load_idioms()
    idiom = next(idiom for idiom in found if idiom.name == "json_list_of_field")
    words, own = idioms.Words.of(found), set(idiom.slots["field"])
    assert len(words.names) > 500
    borrowed = list(idioms.transplants(idiom, words, 30, random.Random(0)))
    fields = [re.search(r'\["(\w+)"\]', item.code)[1] for item in borrowed]
    assert len(set(fields) - own) > 20
    for field, item in zip(fields, borrowed, strict=True):
        assert all(field.replace("_", " ") in ask for ask in (*item.asks, *item.held))


def test_a_wrong_exercise_is_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = idioms.Exercise("i", "t", "function", (), (), (), "def f(): return 1", "assert f() == 1", "", False)
    assert validate.run_exercise(good) is None
    for code in (
        "def f(): return 2",
        "def f(): raise SystemExit(0)",
        "def f(): input()",
        "def f():\n    while True: pass",
    ):
        monkeypatch.setattr(validate, "SECONDS", 1)
        assert validate.run_exercise(idioms.Exercise(**{**vars(good), "code": code}))


@pytest.mark.parametrize("form", forms.FORMS)
def test_forms_put_together_are_the_exercise(exercises, form):
    rng = random.Random(1)
    for exercise in exercises:
        if form in forms.forms_of(exercise):
            rendered = forms.render(exercise, form, exercise.asks[0], [], rng)
            sample = rendered.sample
            text = sample.prefix + sample.middle + sample.suffix
            ast.parse(text)
            assert sample.middle[0] not in " \n", "the prefix ends where the code begins"
            assert sample.middle == sample.middle.rstrip()
            assert not sample.suffix or sample.suffix.startswith("\n")
            assert exam.program(rendered, sample.middle) is not None


def test_a_bare_file_gets_its_imports_from_the_first_answer(exercises):
    rng = random.Random(6)
    made = [forms.bare(rng.sample(exercises, 5), rng) for _ in range(60)]
    found = [pieces for pieces in made if pieces]
    assert len(found) > 20
    for pieces in found:
        text = "".join(piece.text for piece in pieces)
        ast.parse(text)
        assert pieces[0].text.startswith("#")
        assert pieces[1].is_learnt
        assert re.match(r"import |from ", pieces[1].text)
        assert len(re.findall(r"^(?:import|from) ", text, re.MULTILINE)) == pieces[1].text.count("import ")
    assert any(len(pieces) > 4 for pieces in found)


def test_an_exam_expects_the_imports_of_a_bare_file(exercises):
    exercise = forms.with_imports(next(each for each in exercises if each.imports and each.kind == "function"))
    sample = samples.Sample("# do it\n", "\n", exercise.code)
    rendered = forms.Rendered(sample, exercise, "above", "do it")
    assert exam.passes(exam.program(rendered, exercise.code))
    without = "\n".join(line for line in exercise.code.split("\n") if not line.startswith(("import ", "from ")))
    assert not exam.passes(exam.program(rendered, without))


def test_an_exercise_form_passes_its_own_asserts(exercises):
    rng = random.Random(2)
    for exercise in rng.sample(exercises, 8):
        rendered = forms.render(exercise, rng.choice(forms.forms_of(exercise)), exercise.held[0], [], rng)
        assert exam.passes(exam.program(rendered, rendered.sample.middle)), rendered
        assert not exam.passes(exam.program(rendered, "pass"))


def test_variations_keep_names_and_numbers():
    rng = random.Random(3)
    asks = {forms.vary("return the first 25 lines of user_file", rng) for _ in range(200)}
    assert len(asks) > 20
    assert sum("25" in ask for ask in asks) > 0.8 * len(asks)


def test_tokenizer_never_merges_across_a_line_end(tokenizer):
    assert [tokenizer.special(token) for token in SPECIALS] == list(range(len(SPECIALS)))
    text = "def f(x):\r\n\treturn x + 10\n\n    # größe <|fim_middle|> 12 \U0001f600\r\n"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(range(len(SPECIALS)))
    for number in range(len(SPECIALS), tokenizer.vocab_size):
        assert "\n" not in tokenizer.decode([number]).lstrip("\r\n\t ")
    assert sum(piece.isdigit() for piece in map(tokenizer.decode, ([i] for i in ids))) == 4


def test_training_and_serving_show_the_model_the_same(tokenizer):
    sample = samples.Sample("def f(x):\n    # double x\n    ", "\n\nf(2)\n", "return 2 * x", "a.py")
    row = batches.encode(sample, tokenizer, batches.SPM, learn_all=False)
    prompt = render_prompt(Context("a.py", "python", sample.prefix, sample.suffix), BY_NAME["codegen"], tokenizer)
    assert row.ids[: row.learnt[0][0]] == prompt.ids
    assert tokenizer.decode(row.ids[row.learnt[0][0] : -1]) == "return 2 * x"
    assert row.ids[-1] in prompt.stop_ids


def test_a_chain_is_a_file_whose_answers_are_learnt(exercises, tokenizer):
    rng = random.Random(6)
    for _ in range(60):
        pieces = forms.chain(rng.sample(exercises, 4), rng)
        text = "".join(piece.text for piece in pieces)
        ast.parse(text)
        row = batches.encode_chain(pieces, "a.py", tokenizer)
        prompt = render_prompt(Context("a.py", "python", text, ""), BY_NAME["codegen"], tokenizer)
        assert row.ids[:-1] == prompt.ids, "pieces meet where the tokenizer splits"
        learnt = [tokenizer.decode(row.ids[start:end]) for start, end in row.learnt]
        assert learnt == [piece.text for piece in pieces if piece.is_learnt]
        assert row.learnt[-1][1] == len(row.ids)


def test_corpus_samples_cut_a_file_without_changing_it():
    text = (
        "import os\n\n\ndef f(a):\n    '''Add one to a number.'''\n    b = a + 1\n    return b\n\n\ndef g(a):\n"
        + "".join(f"    # make the number {n} times larger\n    a = a * {n}\n\n" for n in range(20))
    )
    found = list(samples.from_document(corpus.Document("p", "a.py", text), random.Random(4), Mix()))
    assert len(found) >= 5
    for sample in found:
        assert sample.middle
        assert text.find(sample.prefix[-40:] + sample.middle + sample.suffix[:20]) >= 0


def test_pieces_of_files_end_only_where_the_file_does(tokenizer):
    for length, ends in ((40, True), (3000, False)):
        document = corpus.Document("p", "a.py", "value = 1\n" * length)
        mix = Mix(orders=0, spans=0, files=4)
        for sample in samples.from_document(document, random.Random(length), mix):
            row = batches.encode(sample, tokenizer, batches.SPM, learn_all=True)
            at_end = document.text.endswith(sample.middle) and sample.is_complete
            assert (row.ids[-1] == tokenizer.required("<|endoftext|>")) is at_end
            assert sample.is_complete or not ends


@pytest.mark.skipif(not CORPUS.exists(), reason="../shared/corpus is not here")
def test_corpus_has_no_dev_package_in_training():
    assert all(path.name.startswith("train-") for path in corpus.train_shards(CORPUS))
    first = next(corpus.read_shard(CORPUS / "dev.jsonl.xz"))
    assert first.text


@pytest.mark.parametrize("num", [1, 511, 512, 1300])
def test_linear_cross_entropy_equals_torch(num):
    torch.manual_seed(num)
    hidden = torch.randn(num, 16, requires_grad=True)
    weight = torch.randn(50, 16, requires_grad=True)
    targets = torch.randint(0, 50, (num,))
    expected = torch.nn.functional.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    wanted = torch.autograd.grad(expected, (hidden, weight))
    got = LinearCrossEntropy.apply(hidden, weight, targets)
    assert torch.allclose(got, expected, rtol=1e-5)
    for mine, theirs in zip(torch.autograd.grad(got, (hidden, weight)), wanted, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)


def test_groups_are_whole_samples_of_bounded_size():
    rng = random.Random(5)
    rows = [batches.Row((n, *[1] * rng.randrange(5, 300)), ((2, 4),)) for n in range(1100)]
    found = list(batches.groups(iter(rows), 1000))
    used = padded = 0
    for group in found:
        part = loader.to_part(group, 0)
        assert part.ids.numel() <= 1000
        assert part.ids.shape[1] in batches.WIDTHS
        assert part.num_tokens == int((part.ids != 0).sum()) + any(row.ids[0] == 0 for row in group)
        used, padded = used + part.num_tokens, padded + part.ids.numel()
    assert used > 0.9 * padded
    first = [row.ids[0] for group in found for row in group]
    assert len(first) == len(set(first)) > 1000


def test_a_row_longer_than_all_others_is_a_group():
    assert [len(group) for group in batches.groups(iter([batches.Row((1,) * 9000, ((1, 9),))]), 1000)] == [1]


@pytest.mark.parametrize("heads", [(4, 2), (4, 4)])
def test_the_forward_pass_equals_that_of_transformers(heads):
    torch.manual_seed(5)
    recipe = dataclasses.replace(load_recipe("smoke"), heads=heads[0], kv_heads=heads[1])
    trained = model.new_model(recipe, 300, 0, 1)
    for weight in trained.parameters():
        torch.nn.init.normal_(weight, 0.0 if weight.ndim == 2 else 1.0, 0.3)
    ids = torch.randint(300, (3, 40))
    expected = trained.model(input_ids=ids).last_hidden_state
    got = model.hidden_states(trained, ids)
    assert torch.allclose(got, expected, atol=2e-4)
    assert not torch.allclose(got[:, 1:], got[:, :-1], atol=0.1)


def test_both_ways_to_the_slope_are_the_same():
    torch.manual_seed(6)
    logits, targets = torch.randn(40, 50) * 4, torch.randint(0, 50, (40,))
    one, other = model.softmax_slope(logits.clone(), targets), model.softmax_slope_in_place(logits.clone(), targets)
    for mine, theirs in zip(one, other, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4)


def test_what_cannot_be_compiled_is_trained_all_the_same(tokenizer, monkeypatch, capsys):
    def broken(*_args):
        raise RuntimeError("no compiler here")

    trainer = pretrain.Trainer(load_recipe("smoke"), tokenizer, tokenizer.vocab_size, "cpu")
    monkeypatch.setattr(pretrain, "compiled", lambda: model.Kernels(broken, broken))
    before = [weight.clone() for weight in trainer.model.parameters()]
    trainer.compile([(2, 32)])
    assert "torch.compile failed (RuntimeError)" in capsys.readouterr().out
    assert trainer.kernels == model.EAGER
    assert all(torch.equal(one, other) for one, other in zip(before, trainer.model.parameters(), strict=True))
    assert all(weight.grad is None for weight in trainer.model.parameters())


@pytest.mark.parametrize(
    ("done", "step", "factor"),
    [(0.0, 0, 0.1), (0.0, 9, 1.0), (0.5, 100, 1.0), (0.75, 100, 0.5), (1.0, 100, 0.0), (0.99, 0, 0.02)],
)
def test_rate_warms_up_stays_and_falls(done, step, factor):
    assert pretrain.rate_factor(done, step, 10, 0.5) == pytest.approx(factor)


def test_a_run_learns_resumes_and_exports(tmp_path, exercises, tokenizer):
    from transformers import AutoModelForCausalLM

    (tmp_path / "tokenizer.json").write_text(tokenizer._fast.to_str())
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps(vars(item)) + "\n" for item in exercises))
    command = ["smoke", "--run", str(tmp_path / "run"), "--tokenizer", str(tmp_path), "--items", str(items)]
    for _ in range(2):
        assert pretrain.main([*command, "--exercises=1", "--steps=20", "--minutes=5", "--device=cpu"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [row["steps"] for row in rows] == [10, 20, 30, 40]
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.5
    out = tmp_path / "tiny"
    assert export.main([*command[:5], "--out", str(out)]) == 0
    loaded = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    trainer = pretrain.Trainer(load_recipe("smoke"), tokenizer, tokenizer.vocab_size, "cpu")
    trainer.load(tmp_path / "run" / "state.pt")
    assert trainer.progress.steps == 40
    ids = torch.tensor([[5, 6, 7]])
    assert torch.allclose(loaded(ids).logits, trainer.model(ids).logits, atol=0.15), "bf16 rounding only"
    assert not list(tmp_path.rglob("*.partial"))
    again = pretrain.Trainer(load_recipe("smoke"), tokenizer, tokenizer.vocab_size, "cpu")
    again.start_from(out)
    assert torch.equal(again.model(ids).logits, loaded(ids).logits)
    assert again.progress.steps == 0


def test_lanes_add_up_to_the_same_step(exercises, tokenizer):
    recipe = load_recipe("smoke")
    source = batches.Source(None, exercises, recipe, tokenizer, seed=1)
    pad = tokenizer.required("<|fim_pad|>")
    one, two = (pretrain.Trainer(recipe, tokenizer, tokenizer.vocab_size, "cpu", lanes) for lanes in (1, 2))
    batch = next(loader.stream(source, pad, 0, 256))
    assert len(batch.parts) >= 4
    for trainer in (one, two):
        trainer.loss = trainer.step(batch, 1.0)
    assert one.loss == pytest.approx(two.loss, rel=1e-3)
    for mine, theirs in zip(one.model.parameters(), two.model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-2)


def test_a_stopped_run_goes_on_with_its_schedule(tmp_path, exercises, tokenizer, monkeypatch):
    (tmp_path / "tokenizer.json").write_text(tokenizer._fast.to_str())
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps(vars(item)) + "\n" for item in exercises))
    command = ["smoke", "--run", str(tmp_path), "--tokenizer", str(tmp_path), "--items", str(items), "--exercises=1"]
    command += ["--steps=8", "--minutes=5", "--device=cpu", "--cooldown=1"]
    factors, step = [], pretrain.Trainer.step

    def spied(trainer, batch, factor):
        factors.append(factor)
        if len(factors) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(trainer, batch, factor)

    monkeypatch.setattr(pretrain.Trainer, "step", spied)
    assert [pretrain.main(command) for _ in range(3)] == [pretrain.STOPPED, 0, 0]
    assert len(factors) == 8 + 8, "the stopped run and a new one"
    assert factors[7] == pytest.approx(1 / 8), "cooled down where the budget ends"


def test_another_shape_is_no_start(tmp_path, tokenizer):
    trainer = pretrain.Trainer(load_recipe("smoke"), tokenizer, tokenizer.vocab_size, "cpu")
    save_file({"model.norm.weight": torch.ones(64)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="other weights than the recipe smoke"):
        trainer.start_from(tmp_path)


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (16, 16)])
def test_muon_equals_torch(shape):
    torch.manual_seed(3)
    start = [torch.randn(shape) * 0.1 for _ in range(3)]
    grads = [[torch.randn(shape) for _ in start] for _ in range(3)]
    ours, theirs = ([torch.nn.Parameter(each.clone()) for each in start] for _ in range(2))
    optimizers = (Muon(ours, lr=0.02, dtype=torch.bfloat16), torch.optim.Muon(theirs, lr=0.02, weight_decay=0.01))
    for step in grads:
        for weights, optimizer in zip((ours, theirs), optimizers, strict=True):
            for weight, grad in zip(weights, step, strict=True):
                weight.grad = grad.clone()
            optimizer.step()
    for own, other, begun in zip(ours, theirs, start, strict=True):
        assert torch.allclose(own, other, atol=4e-3)
        assert not torch.allclose(own, begun, atol=2e-2)


def write_shard(path, numbers):
    text = "def f():\n    # add the numbers up\n    return 1\n" + "x = 1\n" * 40
    with lzma.open(path, "wt") as shard:
        for n in numbers:
            shard.write(json.dumps({"package": f"p{n // 30}", "path": f"{n}.py", "text": text}) + "\n")


def test_a_shard_that_arrives_is_taken_up(tmp_path):
    write_shard(tmp_path / "train-0.jsonl.xz", range(10))
    found = batches.corpus_samples(tmp_path, Mix(), random.Random(2))
    early = {sample.path for sample in itertools.islice(found, 100)}
    write_shard(tmp_path / "late.partial", range(10, 20))
    (tmp_path / "late.partial").rename(tmp_path / "train-1.jsonl.xz")
    late = {sample.path for sample in itertools.islice(found, 400)}
    assert early - {""} == {f"{n}.py" for n in range(10)}
    assert late - {""} == {f"{n}.py" for n in range(20)}


def test_the_cooldown_has_its_own_share_of_exercises(tmp_path, exercises, tokenizer):
    write_shard(tmp_path / "train-0.jsonl.xz", range(10))
    recipe = dataclasses.replace(load_recipe("smoke"), exercises=0.0, cooldown_exercises=1.0)
    source = batches.Source(tmp_path, exercises, recipe, tokenizer, seed=1)
    rows, shown = source.rows(), tokenizer.encode("add the numbers up")
    assert any(set(shown) <= set(row.ids) for row in itertools.islice(rows, 30))
    source.cooling.value = 1
    assert not any(tokenizer.decode(row.ids).count("x = 1\n") > 3 for row in itertools.islice(rows, 60))


def test_corpus_files_come_shuffled(tmp_path):
    write_shard(tmp_path / "train-0.jsonl.xz", range(60))
    found = itertools.islice(batches.corpus_samples(tmp_path, Mix(), random.Random(2)), 1_500)
    order = [int(sample.path.removesuffix(".py")) for sample in found if sample.path]
    first = [n // 30 for n in dict.fromkeys(order)][:20]
    assert 4 <= sum(first) <= 16, "files of both packages from the start"
    assert set(order) == set(range(60)), "and every file in turn"


def test_copied_spans_are_found_wherever_they_begin():
    rng = random.Random(4)
    texts = [bytes(rng.choices(range(32, 127), k=rng.randrange(10, 3000))) for _ in range(40)]
    copied = [text[at : at + 90] for text in texts[5:] for at in (0, len(text) // 3, len(text) - 90) if len(text) > 400]
    others = [bytes(rng.choices(range(32, 127), k=90)) for _ in range(50)]
    almost = [span[:-1] + b"\n" for span in copied]
    assert memorised.found_in([*copied, *others, *almost], texts) == set(copied)
    assert memorised.found_in([], texts) == set()


def test_workers_share_the_corpus(tmp_path, tokenizer):
    with lzma.open(tmp_path / "train-0.jsonl.xz", "wt") as shard:
        for n in range(40):
            text = f"def f_{n}():\n    # give the number {n}\n    return {n}\n" + f"value_{n} = {n}\n" * 30
            shard.write(json.dumps({"package": "p", "path": f"{n}.py", "text": text}) + "\n")
    mix = Mix(orders=0, spans=0, files=1)
    recipe = dataclasses.replace(load_recipe("smoke"), exercises=0.0, mix=mix)
    source = batches.Source(tmp_path, [], recipe, tokenizer, seed=1)
    pad = tokenizer.required("<|fim_pad|>")
    made = list(itertools.islice(loader.stream(source, pad, workers=2, part_tokens=512), 6))
    for batch in made:
        assert batch.num_tokens == sum(int((part.ids != pad).sum()) for part in batch.parts)
        assert 512 < sum(part.ids.numel() for part in batch.parts) <= 1024 + 256
        for part in batch.parts:
            assert part.ids.numel() <= 512
            assert part.num_learnt == int(part.counted.sum())
            assert not part.counted[part.ids == pad].any()
    halves = [dataclasses.replace(source, share=(n, 2)) for n in range(2)]
    firsts = [{row.ids for row in itertools.islice(half.rows(), 60)} for half in halves]
    assert firsts[0]
    assert not firsts[0] & firsts[1]


def test_before_the_cooldown_the_weights_are_kept(tmp_path, exercises, tokenizer):
    (tmp_path / "tokenizer.json").write_text(tokenizer._fast.to_str())
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps(vars(item)) + "\n" for item in exercises))
    command = ["smoke", "--run", str(tmp_path), "--tokenizer", str(tmp_path), "--items", str(items), "--exercises=1"]
    assert pretrain.main([*command, "--steps=6", "--minutes=5", "--device=cpu", "--cooldown=0.5"]) == 0
    kept = torch.load(tmp_path / pretrain.BEFORE_COOLDOWN, weights_only=True)
    assert kept["progress"]["steps"] == 3
    assert kept["progress"]["done"] == 0, "a run that goes on from here has its own schedule"


def test_what_is_known_least_is_drawn_most(exercises, tokenizer):
    torch.manual_seed(2)
    recipe = load_recipe("smoke")
    trained = pretrain.Trainer(recipe, tokenizer, tokenizer.vocab_size, "cpu").model
    measured = focus.idiom_bits(trained, tokenizer, exercises, 2, seed=3)
    assert measured.keys() == {item.idiom for item in exercises}
    assert measured == focus.idiom_bits(trained, tokenizer, exercises, 2, seed=3)
    names = sorted(measured)
    known, *others = names
    chances = focus.chances({name: 0.0 if name == known else 2.0 for name in names})
    assert chances[known] == focus.LEAST
    assert {chances[name] for name in others} == {1.0}
    stream = batches.exercise_stream(exercises, {}, chances, random.Random(5))
    drawn = collections.Counter(item.idiom for item in itertools.islice(stream, 200 * len(names)))
    assert drawn[known] < 0.4 * min(drawn[name] for name in others)
    assert drawn[known], "what is known must stay known"


@pytest.mark.parametrize("measured", [{}, {"one": 3.0}, {"one": 0.0, "two": 0.0}])
def test_focus_with_nothing_to_compare(measured):
    assert all(0 < chance <= 1 for chance in focus.chances(measured).values())


def test_a_renamed_exercise_still_holds(exercises):
    """Executed here; in training the syntax trees answer for it."""
    rng = random.Random(8)
    with_names = [item for item in exercises if rename.given_names(item)]
    changed = [new for item in with_names if (new := rename.renamed(item, rename.TYPED, rng)) != item]
    assert len(changed) > 0.6 * len(with_names)
    for item in rng.sample(changed, 40):
        faults, _ = validate.judged(item)
        assert not faults, item.code


@pytest.mark.parametrize(
    ("code", "new"),
    [
        ("def total(prices):\n    return sum(prices)", "def total(xs):\n    return sum(xs)"),
        ("def total(cart):\n    return cart.cart + cart['cart']", None),  # a string would have to change
        ("def total(n):\n    return dict(n=n)", None),  # a keyword would
        ("def total(xs, n):\n    return xs * n", None),  # the new name is taken
        ("def total():\n    return 1", None),
    ],
)
def test_renaming_changes_names_or_nothing(code, new):
    exercise = idioms.Exercise("i", "t", "function", ("total",), ("sum",), (), code, "assert total", "", False)
    got = rename.renamed(exercise, ["xs"] * 8, random.Random(1))
    assert got.code == (new or code)
    assert (got is exercise) == (new is None)


def test_names_of_the_exam_are_not_trained_on():
    trained = {*rename.TYPED, *idioms.Words.of(idioms.load_idioms()).names}
    assert not trained & set(rename.HELD)
    assert all(name.isidentifier() for name in (*rename.TYPED, *rename.HELD))


def test_every_question_of_names_has_one_that_no_list_has(exercises):
    held = [dataclasses.replace(item, is_held_out=True) for item in exercises]
    asked = [question for way, question in exam.questions(held, 60, seed=2) if way == "names"]
    assert len(asked) == 60
    for question in asked:
        assert set(re.findall(r"\w+", question.sample.prefix)) & set(rename.HELD)
        assert exam.passes(exam.program(question, question.sample.middle))


def test_renaming_leaves_forms_alone_whose_header_is_the_answer(exercises):
    rng, always = random.Random(1), rename.Renaming(share=1.0)
    assert all(always.apply(item, "above", rng) is item for item in exercises)
    assert any(always.apply(item, "docstring", rng) is not item for item in exercises)


def test_rows_carry_new_names_into_the_answer(exercises, tokenizer):
    known = set(re.findall(r"\w+", " ".join(item.code + item.given for item in exercises)))
    carried = {}
    for share in (0.0, 1.0):
        mix = Mix(renamed=share, chains=0.5, inside=0.0)
        recipe = dataclasses.replace(load_recipe("smoke"), mix=mix)
        source, carried[share] = batches.Source(None, exercises, recipe, tokenizer, seed=4), 0
        for row in itertools.islice(source.rows(), 60):
            start, end = row.learnt[0]
            given, answer = tokenizer.decode(row.ids[:start]), tokenizer.decode(row.ids[start:end])
            names = set(re.findall(r"\w+", " ".join(re.findall(r"def \w+\((.*)\)", given)))) - known
            carried[share] += any(re.search(rf"\b{name}\b", answer) for name in names)
    assert carried[1.0] > carried[0.0] + 6


def test_repeated_tokens_are_learnt_the_second_time(exercises, tokenizer):
    recipe = dataclasses.replace(load_recipe("smoke"), mix=Mix(repeated=1.0))
    for row in itertools.islice(batches.Source(None, exercises, recipe, tokenizer, seed=4).rows(), 20):
        half = len(row.ids) // 2
        assert row.ids[:half] == row.ids[half:]
        assert row.learnt == ((half + 1, 2 * half),)
        assert min(row.ids) >= len(SPECIALS), "no control tokens"
