"""`models list|info`: what can be served."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from codegen_lsp import registry

SHAPE = ("model_type", "hidden_size", "num_hidden_layers", "vocab_size")
"""Fields of config.json that are shown."""


def fill(parser: argparse.ArgumentParser) -> None:
    """Describe the command and its options."""
    parser.description = (
        "List the models on this machine, or describe one. Any local transformers folder with safetensors "
        "weights can be used: --model PATH."
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all of them")
    listing.set_defaults(run=run_list)
    info = actions.add_parser("info", help="one of them")
    info.add_argument("model", nargs="?", default=registry.DEFAULT_MODEL, metavar="NAME|PATH")
    info.set_defaults(run=run_info)
    for each in (listing, info):
        each.add_argument("--json", action="store_true", help="for machines")


def run_list(args: argparse.Namespace) -> int:
    """List the models; 1 when there are none."""
    found = registry.list_models()
    if args.json:
        print(json.dumps([asdict(info) for info in found]))
    else:
        for info in found:
            mark = "*" if info.id == registry.DEFAULT_MODEL else " "
            print(f"{mark} {info.id:<24} {info.format:<14} {_megabytes(info.folder):>6.0f} MB  {info.folder}")
        if not found:
            print(f"No models; put a folder into {registry.model_roots()[0]} or give --model PATH.")
    return 0 if found else 1


def run_info(args: argparse.Namespace) -> int:
    """Describe one model."""
    info = registry.find(args.model)
    config = registry.read_config(Path(info.folder))
    described: dict[str, object] = asdict(info)
    described |= {key: config[key] for key in SHAPE if key in config}
    described["megabytes"] = round(_megabytes(info.folder), 1)
    if args.json:
        print(json.dumps(described))
    else:
        print("\n".join(f"{key:<18} {value}" for key, value in described.items()))
        if (card := Path(info.folder, "MODEL_CARD.md")).is_file():
            print(f"{'card':<18} {card}")
    return 0


def _megabytes(folder: str) -> float:
    return sum(file.stat().st_size for file in Path(folder).iterdir() if file.is_file()) / 1e6
