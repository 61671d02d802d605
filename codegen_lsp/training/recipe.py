"""A recipe: the shape of a model and how it is trained. The rows are in recipes.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).with_name("recipes.toml")


@dataclass(frozen=True)
class Mix:
    """What samples are made of. Shares are 0 to 1."""

    psm: float = 0.1
    """Samples in PSM order; the others are SPM, which is what is served."""
    chains: float = 0.65
    """Exercise samples that are whole files of orders and answers: more is learnt per token that way."""
    bare: float = 0.3
    """Chains whose file imports nothing, so that the first answer brings its imports."""
    renamed: float = 0.0
    """Exercises whose header is shown with other names than its lists have (rename.py)."""
    repeated: float = 0.0
    """Samples of random tokens that are said twice (batches.repeated)."""
    orders: int = 6
    """Comment→code and docstring→body samples taken of a corpus file, at most."""
    spans: int = 2
    """Random spans taken of a corpus file."""
    files: int = 0
    """Pieces of a corpus file that are learnt from their first to their last token."""
    inside: float = 0.3
    """Samples whose cursor stands inside the answer already."""
    imports: float = 0.3
    """Samples of a file's middle that show its imports all the same."""
    snippets: float = 0.0
    """Corpus samples that show pieces of other files of the package."""
    prefix_chars: int = 1_200
    """Before the cursor, at most; as many samples have between 200 and 500 as between 500 and 1,250."""
    suffix_chars: int = 300
    """Behind the cursor, at most."""
    file_chars: int = 5_000
    """Of a piece of a file."""


@dataclass(frozen=True)
class Recipe:
    """Sizes in tokens or features; `exercises` is the share of samples from our own exercises."""

    name: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int
    context: int
    batch_tokens: int
    exercises: float
    muon_lr: float
    adam_lr: float
    warmup_steps: int
    autocast: bool
    """bf16 activations where the device is fast at them; weights and optimiser state stay fp32."""
    topics: Mapping[str, float] = field(default_factory=dict)
    """Chance that an exercise of a topic is taken when its turn comes; 1 for topics not named."""
    cooldown_exercises: float | None = None
    """Share of samples from our own exercises while the rate falls; None: as before."""
    optimizer: str = "muon"
    """Of the matrices: muon, or adamw at `adam_lr`."""
    mix: Mix = Mix()


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """The row of recipes.toml with this name, with changes such as "muon_lr=0.01" or "mix.psm=0.5".

    Raises KeyError that lists the names, ValueError for a change that is none.
    """
    rows = tomllib.loads(RECIPES.read_text(encoding="utf-8"))
    if name not in rows:
        raise KeyError(f"no recipe {name!r}; there are {', '.join(rows)}")
    row: dict[str, Any] = rows[name]
    for change in changes:
        key, _, value = change.partition("=")
        section, _, inner = key.strip().rpartition(".")
        known = {each.name for each in fields(Mix if section else Recipe)}
        if section not in ("", "mix") or inner not in known or not value:
            raise ValueError(f"cannot set {change!r}; a recipe has {', '.join(sorted(known))}")
        (row.setdefault("mix", {}) if section else row)[inner] = tomllib.loads(f"value = {value}")["value"]
    return Recipe(name=name, **{**row, "mix": Mix(**row.get("mix", {}))})
