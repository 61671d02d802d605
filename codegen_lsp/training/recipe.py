"""A recipe: the shape of a model and how it is trained. The rows are in recipes.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

RECIPES = Path(__file__).with_name("recipes.toml")


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


def load_recipe(name: str) -> Recipe:
    """The row of recipes.toml with this name; raises KeyError that lists the names."""
    rows = tomllib.loads(RECIPES.read_text(encoding="utf-8"))
    if name not in rows:
        raise KeyError(f"no recipe {name!r}; there are {', '.join(rows)}")
    return Recipe(name=name, **rows[name])
