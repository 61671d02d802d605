"""Other names for what a header already names: the model must read them there, since no list has them.

With few values for a slot a model learns the values instead of copying what stands in the prompt. A renamed exercise is
the same program up to the names of its parameters, which is checked on the syntax trees, so that it need not be
executed again. The order keeps its words: people write "the mean of the numbers" above `def mean(xs)`.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import random
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen_lsp.training.exercises.idioms import POOLS, Exercise

FORMS = ("docstring", "inside", "examples")
"""Forms whose prompt shows the header, or what stands for it."""
_POOLS = tomllib.loads(POOLS.read_text(encoding="utf-8"))
TYPED: tuple[str, ...] = tuple(_POOLS["typed_names"])
"""Names as people type them in a hurry."""
HELD: tuple[str, ...] = tuple(_POOLS["exam_names"])
"""Names that are never trained on: the exam's."""
_RESERVED = {*dir(builtins), *keyword.kwlist, *keyword.softkwlist, "self", "cls"}


@dataclass(frozen=True)
class Renaming:
    """How often exercises get other names (0 to 1), and the names that half of them get; the others are of TYPED."""

    share: float = 0.0
    names: tuple[str, ...] = TYPED

    def apply(self, exercise: Exercise, form: str, rng: random.Random) -> Exercise:
        """The exercise, perhaps renamed, for a form."""
        if form not in FORMS or not self.share or rng.random() >= self.share:
            return exercise
        return renamed(exercise, rng.choice((TYPED, self.names)), rng)


NEVER = Renaming()


def joined(words: Sequence[str], rng: random.Random) -> tuple[str, ...]:
    """The words, and as many pairs of them joined: names of several tokens must be copied token by token."""
    short = [word for word in words if "_" not in word]
    return (*words, *(f"{rng.choice(short)}_{rng.choice(short)}" for _ in words))


def renamed(exercise: Exercise, names: Sequence[str], rng: random.Random) -> Exercise:
    """The same with one of the names that its prompt gives changed, now and then all; itself where that is not safe.

    What is renamed: parameters of a function, or names that a snippet is given. `names`: what the new ones are of.
    """
    old = given_names(exercise)
    if not old:
        return exercise
    taken = set(re.findall(r"\w+", f"{exercise.code} {exercise.given} {' '.join(exercise.imports)}")) | _RESERVED
    free = [name for name in rng.sample(names, min(len(names), 4 + len(old))) if name not in taken]
    changed = dict(zip(old if rng.random() < 0.25 else [rng.choice(old)], free, strict=False))
    return (_with_names(exercise, changed) if changed else None) or exercise


def given_names(exercise: Exercise) -> list[str]:
    """Parameters of a function, or the names that a snippet uses and its surroundings define."""
    if exercise.kind == "function":
        node = ast.parse(exercise.code).body[0]
        return [arg.arg for arg in node.args.args] if isinstance(node, ast.FunctionDef) else []
    if exercise.kind == "snippet":
        stored = [node for node in ast.walk(ast.parse(exercise.given)) if isinstance(node, ast.Name)]
        used = {node.id for node in ast.walk(ast.parse(exercise.code)) if isinstance(node, ast.Name)}
        return sorted({node.id for node in stored if isinstance(node.ctx, ast.Store)} & used)
    return []


def _with_names(exercise: Exercise, new: dict[str, str]) -> Exercise | None:
    """None when the texts cannot be changed word by word to the same program."""
    is_function = exercise.kind == "function"
    texts = {"code": exercise.code, "given": exercise.given, "check": exercise.check}
    # A function's asserts call it from outside; a snippet's use its names.
    changed = {key: text if key == "check" and is_function else _replaced(text, new) for key, text in texts.items()}
    if any(changed[key] != text and _tree(text, new) != _tree(changed[key], {}) for key, text in texts.items()):
        return None
    calls = " ".join([exercise.check, exercise.code, *exercise.examples])
    if is_function and any(re.search(rf"\b{name}=(?!=)", calls) for name in new):  # by keyword, perhaps
        return None
    pairs = (line.partition(": ") for line in exercise.types)
    types = tuple(f"{new.get(name, name)}: {kind}" for name, _, kind in pairs)
    return replace(exercise, types=types, code=changed["code"], given=changed["given"], check=changed["check"])


def _replaced(text: str, new: dict[str, str]) -> str:
    """Words replaced, but not attributes."""
    return re.sub(r"(?<![\w.])[A-Za-z_]\w*", lambda found: new.get(found.group(), found.group()), text)


def _tree(text: str, new: dict[str, str]) -> str | None:
    """The syntax tree with names and parameters changed; strings, keywords and attributes as they are."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = new.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = new.get(node.arg, node.arg)
    return ast.dump(tree)
