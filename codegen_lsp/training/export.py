"""Write a run's weights as a model folder: a plain transformers model, nothing of ours needed to load it.

python -m codegen_lsp.training.export cpu-seed --run runs/seed --tokenizer runs/seed --out models/seed-py
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from codegen_lsp.tokens import FileTokenizer
from codegen_lsp.training.pretrain import Trainer
from codegen_lsp.training.recipe import load_recipe
from codegen_lsp.training.tokenizer import save_tokenizer

DATA = "TRAINING_DATA.md"


def data_note(packages: Sequence[Mapping[str, Any]]) -> str:
    """The packages whose text could be drawn from in training, with versions, by licence."""
    by_licence: dict[str, list[str]] = {}
    for row in packages:
        if row["split"] == "train":
            by_licence.setdefault(" ".join((row["license"] or "not stated").split()), []).append(
                " ".join([row["package"], *row["versions"][:1]])
            )
    parts = [f"## {licence}\n{', '.join(sorted(names))}\n" for licence, names in sorted(by_licence.items())]
    return "# Training data\nPublished packages, by the licence that their metadata states.\n\n" + "\n".join(parts)


def export(trainer: Trainer, tokenizer_json: str, out: Path, prompt_budget: int, manifest: Path | None) -> None:
    """Weights in bf16, tokenizer, config and codegen.json; the folder is replaced only when all of it is written."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        folder = Path(scratch) / out.name
        trainer.model.to(torch.bfloat16).save_pretrained(folder)
        save_tokenizer(Tokenizer.from_str(tokenizer_json), folder, trainer.recipe.context)
        product = {
            "format": "codegen",
            "prompt_budget": prompt_budget,
            "context_window": trainer.recipe.context,
            "recipe": trainer.recipe.name,
            "trained": {key: round(value, 1) for key, value in vars(trainer.progress).items() if key != "done"},
        }
        (folder / "codegen.json").write_text(json.dumps(product, indent=2) + "\n", encoding="utf-8")
        for note in ("MODEL_CARD.md", DATA):
            if (out / note).exists():
                shutil.copy(out / note, folder / note)
        if manifest:
            (folder / DATA).write_text(data_note(json.loads(manifest.read_text(encoding="utf-8"))), encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        folder.rename(out)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="export", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="what pretrain was given")
    parser.add_argument("--run", type=Path, required=True, help="folder that holds state.pt")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--prompt-budget", type=int, default=512, help="tokens of prompt that the product aims at")
    parser.add_argument("--manifest", type=Path, help="the corpus's MANIFEST.json: writes TRAINING_DATA.md")
    args = parser.parse_args(argv)
    text = (args.tokenizer / "tokenizer.json").read_text(encoding="utf-8")
    tokenizer = FileTokenizer(text)
    trainer = Trainer(load_recipe(args.recipe, args.set), tokenizer, tokenizer.vocab_size, "cpu")
    trainer.load(args.run / "state.pt")
    export(trainer, text, args.out, args.prompt_budget, args.manifest)
    print(f"wrote {args.out}: {sum(file.stat().st_size for file in args.out.iterdir()) / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
