"""Paired experiments: the variants of a question, trained on the same tokens from the same seed, side by side.

    python -m codegen_lsp.training.experiment optimizer --out runs/experiments --corpus DIR --eval DIR --items FILE

The questions are in experiments.toml. What was measured already (same variant, steps and seed) is read from the folder
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
from codegen_lsp.training.tokenizer import train_tokenizer

EXPERIMENTS = Path(__file__).with_name("experiments.toml")
TOKENIZER_BYTES = 20_000_000
HOURS = 60 * 24
"""Minutes: the budget is one of steps."""

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Variant:
    """One way to train and to ask."""

    set: tuple[str, ...] = ()
    tokenizer: str = "superword"
    cooldown: float = 0.35
    ask: tuple[str, ...] = ()

    def key(self, *others: object) -> str:
        """A name for what training it gives, the same in every experiment."""
        told = repr((sorted(self.set), self.tokenizer, self.cooldown, others))
        return hashlib.sha256(told.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Experiment:
    """A question and its variants, the yardstick first."""

    name: str
    question: str
    variants: Mapping[str, Variant]


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


def run(variant: Variant, args: argparse.Namespace, tokenizers: Mapping[str, Any]) -> Figures:
    """Train and measure a variant; what is in the folder already is taken from there."""
    trained = args.out / variant.key(args.recipe, args.steps, args.seed)
    report = trained / (f"report-{variant.key(variant.ask)}.json" if variant.ask else "report.json")
    if not report.is_file():
        tokenizer = _tokenizer(variant.tokenizer, tokenizers[variant.tokenizer], args)
        common = [args.recipe, *(f"--set={change}" for change in variant.set), f"--run={trained}"]
        common += [f"--tokenizer={tokenizer}"]
        if not (trained / "model").is_dir():
            given = [f"--corpus={args.corpus}", f"--items={args.items}", f"--seed={args.seed}", f"--steps={args.steps}"]
            if pretrain.main([*common, *given, f"--minutes={HOURS}", f"--cooldown={variant.cooldown}"]):
                sys.exit(pretrain.STOPPED)
            export.main([*common, f"--out={trained / 'model'}"])
            (trained / "state.pt").unlink()
        partial = report.with_suffix(".partial")
        partial.write_text(json.dumps(_measure(trained / "model", variant, args)), encoding="utf-8")
        partial.replace(report)
    figures: Figures = json.loads(report.read_text(encoding="utf-8"))
    return figures


def _tokenizer(name: str, row: Mapping[str, Any], args: argparse.Namespace) -> Path:
    folder: Path = args.out / f"tokenizer-{name}"
    if not (folder / "tokenizer.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        texts = [item.code for item in read_exercises(args.items)]
        texts += [document.text for document in sample(args.corpus, TOKENIZER_BYTES, seed=1)]
        train_tokenizer(texts, row["vocab_size"], row["words"]).save(str(folder / "tokenizer.partial"))
        (folder / "tokenizer.partial").replace(folder / "tokenizer.json")
    return folder


def _measure(model: Path, variant: Variant, args: argparse.Namespace) -> Figures:
    given = [f"--corpus={args.corpus}", f"--items={args.items}", f"--files={args.files}", f"--num={args.num}"]
    given += [f"--eval={args.eval}"] if args.eval else []
    told = evaluate.parser().parse_args([str(model), *given, *(f"--ask={option}" for option in variant.ask)])
    told.only = ["bits", "exercises", "items"]
    report = evaluate.evaluate(told)
    figures = {"bits per byte": report["bits"]["bits_per_byte"]}
    figures |= {f"{way} pass@1": report["exercises"][way]["pass@1"] for way in ("combination", "phrasing", "both")}
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
    parser.add_argument("--recipe", default="cpu-seed")
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
        found = {label: run(variant, args, tokenizers) for label, variant in experiment.variants.items()}
        print(*table(experiment, found), "", sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
