"""Paired experiments: the variants of a question, trained on the same tokens from the same seed, side by side.

    python -m codegen_lsp.training.experiment optimizer --out runs/experiments --corpus DIR --eval DIR --items FILE

The questions are in experiments.toml. A question about the optimiser or the shape is put to a model that begins with
nothing; one about the mix of samples to the bundled model as it goes on (--init), which has something to lose; one
about asking alone trains nothing. What was measured already (same variant, steps and seed) is read from the folder
instead of being run again, so a stopped run goes on where it was, and experiments share their yardstick. The result is
one table a question; which difference is larger than that of two seeds is for the reader: run two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codegen_lsp.training import evaluate, export, pretrain
from codegen_lsp.training.corpus import sample
from codegen_lsp.training.exercises.idioms import read_exercises
from codegen_lsp.training.recipe import load_recipe
from codegen_lsp.training.tokenizer import train_tokenizer

EXPERIMENTS = Path(__file__).with_name("experiments.toml")
TOKENIZER_BYTES = 20_000_000
HOURS = 60 * 24
"""Minutes: the budget is one of steps."""
BITS_OF = 4
"""Right answers whose bits are measured for each one that is asked for: they cost less and tell more."""

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Start:
    """Where the variants of a question begin; without a recipe nothing is trained."""

    recipe: str
    set: tuple[str, ...] = ()
    how: tuple[str, ...] = ()
    is_model: bool = False
    """Whether from the weights of --init. Only then are exercises executed: what begins with nothing passes none."""


STARTS = {
    "scratch": Start("cpu-seed"),
    "model": Start("cpu-more", ("warmup_steps=5",), ("--rate=0.4", "--cooldown=1.0"), is_model=True),
    "as-it-is": Start("", is_model=True),
}


@dataclass(frozen=True)
class Variant:
    """One way to train and to ask."""

    set: tuple[str, ...] = ()
    tokenizer: str = "superword"
    cooldown: float = 0.35
    how: tuple[str, ...] = ()
    """More options of `pretrain`."""
    ask: tuple[str, ...] = ()

    def key(self, start: Start, *others: object) -> str:
        """A name for what training it gives: the same in every experiment, another when the recipe has changed."""
        recipe = load_recipe(start.recipe, (*start.set, *self.set))
        told = repr((recipe, self.tokenizer, self.cooldown, start.how, self.how, others))
        return hashlib.sha256(told.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Experiment:
    """A question and its variants, the yardstick first. `start` is where every variant begins and how it goes on."""

    name: str
    question: str
    variants: Mapping[str, Variant]
    start: str = "scratch"


def load_experiments() -> tuple[dict[str, Experiment], dict[str, dict[str, Any]]]:
    """The experiments by name, and the rows of tokenizers."""
    rows = tomllib.loads(EXPERIMENTS.read_text(encoding="utf-8"))
    found = {}
    for row in rows["experiment"]:
        variants = {name: Variant(**_frozen(given)) for name, given in row.pop("variants").items()}
        found[row["name"]] = Experiment(**row, variants=variants)
    return found, rows["tokenizers"]


def _frozen(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


def run(variant: Variant, start: str, args: argparse.Namespace, tokenizers: Mapping[str, Any]) -> Figures:
    """Train and measure a variant; what is in the folder already is taken from there."""
    begin = STARTS[start]
    weights = _fingerprint(args.init) if begin.is_model else ""
    name = variant.key(begin, args.steps, args.seed, weights) if begin.recipe else f"as-it-is-{weights}"
    trained, asked = args.out / name, "".join(variant.ask).replace("/", "_")
    report = trained / f"report{asked}-{args.num}-{args.files}.json"
    if not report.is_file():
        model = _train(variant, begin, trained, args, tokenizers) if begin.recipe else args.init
        trained.mkdir(parents=True, exist_ok=True)
        partial = report.with_suffix(".partial")
        partial.write_text(json.dumps(_measure(model, variant, begin.is_model, args)), encoding="utf-8")
        partial.replace(report)
    figures: Figures = json.loads(report.read_text(encoding="utf-8"))
    return figures


def _fingerprint(model: Path) -> str:
    """A name for the weights of a model folder: what began from others must not be its yardstick."""
    return hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()[:12]


def _train(
    variant: Variant, start: Start, folder: Path, args: argparse.Namespace, tokenizers: Mapping[str, Any]
) -> Path:
    """The variant's model folder, trained unless it is there."""
    model = folder / "model"
    if model.is_dir():
        return model
    tokenizer = args.init if start.is_model else _tokenizer(variant.tokenizer, tokenizers[variant.tokenizer], args)
    common = [start.recipe, *(f"--set={change}" for change in (*start.set, *variant.set))]
    common += [f"--run={folder}", f"--tokenizer={tokenizer}"]
    given = [f"--corpus={args.corpus}", f"--items={args.items}", f"--seed={args.seed}", f"--steps={args.steps}"]
    given += [f"--minutes={HOURS}", f"--cooldown={variant.cooldown}", *start.how, *variant.how]
    given += [f"--init={args.init}"] if start.is_model else []
    if pretrain.main([*common, *given]):
        sys.exit(pretrain.STOPPED)
    export.main([*common, f"--out={model}"])
    (folder / "state.pt").unlink()
    return model


def _tokenizer(name: str, row: Mapping[str, Any], args: argparse.Namespace) -> Path:
    folder: Path = args.out / f"tokenizer-{name}"
    if not (folder / "tokenizer.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        texts = [item.code for item in read_exercises(args.items)]
        texts += [document.text for document in sample(args.corpus, TOKENIZER_BYTES, seed=1)]
        train_tokenizer(texts, row["vocab_size"], row["words"]).save(str(folder / "tokenizer.partial"))
        (folder / "tokenizer.partial").replace(folder / "tokenizer.json")
    return folder


def _measure(model: Path, variant: Variant, is_model: bool, args: argparse.Namespace) -> Figures:
    given = [f"--corpus={args.corpus}", f"--items={args.items}", f"--files={args.files}"]
    given += [f"--eval={args.eval}"] if args.eval else []
    given += [f"--ask={option}" for option in variant.ask]
    report: dict[str, Any] = {}
    asked = ("exercises", "items") if is_model else ("items",)
    for num, only in ((BITS_OF * args.num, ("bits", "answers")), (args.num, asked)):
        told = evaluate.parser().parse_args([str(model), *given, f"--num={num}", "--only", *only])
        report |= dict(evaluate.evaluate(told))
    figures = {"bits per byte": report["bits"]["bits_per_byte"]}
    figures |= {f"{kind} bits": value for kind, value in report["answers"].items()}
    ways = report.get("exercises", {})
    figures |= {f"{way} pass@1": row["pass@1"] for way, row in ways.items() if " " not in way}
    for kind, row in report.get("items", {}).items():
        figures |= {f"{kind} {name}": row[name] for name in ("exact", "similarity", "empty", "p50_ms") if name in row}
    return figures


def table(experiment: Experiment, found: Mapping[str, Figures]) -> Iterable[str]:
    """The variants of a question as columns."""
    width = max(14, *(len(name) + 2 for name in found))
    yield f"{experiment.name}: {experiment.question}"
    yield f"{'':28}" + "".join(f"{name:>{width}}" for name in found)
    for figure in next(iter(found.values())):
        yield f"{figure:28}" + "".join(f"{figures.get(figure, float('nan')):>{width}}" for figures in found.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry."""
    experiments, tokenizers = load_experiments()
    parser = argparse.ArgumentParser(
        prog="experiment", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"default: all of {', '.join(experiments)}")
    parser.add_argument("--out", type=Path, default=Path("runs/experiments"))
    parser.add_argument("--corpus", type=Path, required=True, help="folder with train-*.jsonl.xz and dev.jsonl.xz")
    parser.add_argument("--items", type=Path, required=True, help="executed exercises")
    parser.add_argument("--eval", type=Path, help="folder with dev-items.jsonl")
    parser.add_argument("--init", type=Path, default=Path("models/seed-py"), help="the model that goes on")
    parser.add_argument("--steps", type=int, default=60, help="of training, each variant (default: 60)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--num", type=int, default=40, help="questions of each kind (default: 40)")
    parser.add_argument("--files", type=int, default=20, help="files for bits per byte (default: 20)")
    args = parser.parse_args(argv)
    if unknown := set(args.names) - set(experiments):
        parser.error(f"no experiment {', '.join(sorted(unknown))}; there are {', '.join(experiments)}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or experiments:
        experiment = experiments[name]
        found = {
            label: run(variant, experiment.start, args, tokenizers) for label, variant in experiment.variants.items()
        }
        print(*table(experiment, found), "", sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
