"""Signatures and docstrings in the shapes that people write: annotated, with examples, with sections.

The annotations and examples are those that observe.py saw, so what is written here is true of the code below it.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Mapping, Sequence

from codegen_lsp.training.exercises.idioms import Exercise

INDENT = "    "


def annotated(head: str, types: Sequence[str]) -> str:
    """The header of a function with the types in it; unchanged when its parameters are of another kind than plain."""
    known = dict(entry.split(": ", 1) for entry in types)
    node = ast.parse(f"{head} pass").body[0]
    line = head.rsplit("\n", maxsplit=1)[-1]
    if not known or not isinstance(node, ast.FunctionDef) or not line.startswith("def "):
        return head
    given = node.args
    if given.vararg or given.kwarg or given.kwonlyargs or given.posonlyargs:
        return head
    if node.returns or any(arg.annotation for arg in given.args):
        return head
    defaults = [None] * (len(given.args) - len(given.defaults)) + [ast.unparse(value) for value in given.defaults]
    shown = [_parameter(arg.arg, known, value) for arg, value in zip(given.args, defaults, strict=True)]
    arrow = f" -> {known['return']}" if "return" in known else ""
    return f"{head[: len(head) - len(line)]}def {node.name}({', '.join(shown)}){arrow}:"


def _parameter(name: str, known: Mapping[str, str], default: str | None) -> str:
    kind = known.get(name)
    if kind is None:
        return name if default is None else f"{name}={default}"
    if default == "None" and not kind.endswith("None"):
        kind += " | None"
    return f"{name}: {kind}" if default is None else f"{name}: {kind} = {default}"


def docstring(sentence: str, parts: Sequence[Sequence[str]], rng: random.Random) -> str:
    """A docstring, indented for a body, of a sentence and parts (lists of lines) below it; one line without any."""
    if not parts:
        return f'{INDENT}"""{sentence}"""'
    lines = [('"""\n' + INDENT if rng.random() < 0.15 else '"""') + sentence]
    for n, part in enumerate(parts):
        lines += [""] if n or rng.random() < 0.75 else []
        lines += part
    return "\n".join(INDENT + line if line else "" for line in lines) + f'\n{INDENT}"""'


def example_lines(exercise: Exercise, rng: random.Random) -> list[str]:
    """One or more of the exercise's examples as doctest has them."""
    num = rng.randrange(1, len(exercise.examples) + 1)
    lines = ["Examples:"] if rng.random() < 0.15 else []
    indent = INDENT if lines else ""
    for example in rng.sample(exercise.examples, num):
        call, result = example.split("\n")
        lines += [f"{indent}>>> {call}", indent + result]
    return lines


def section_lines(exercise: Exercise, rng: random.Random) -> list[list[str]]:
    """ "Args" and "Returns" in Google's, NumPy's or Sphinx' style, from the types alone."""
    known = dict(entry.split(": ", 1) for entry in exercise.types)
    result = known.pop("return", None)
    style = rng.choice(("google", "google", "numpy", "sphinx"))
    if style == "sphinx":
        lines = [f":param {name}: {_words(name)}" for name in known]
        return [[*lines, f":return: {_words(result)}"] if result else lines]
    if style == "numpy":
        rows = [f"{name} : {kind}" for name, kind in known.items()]
        parts = [["Parameters", "----------", *rows]] if rows else []
        return [*parts, ["Returns", "-------", result]] if result and result != "None" else parts
    rows = [f"{INDENT}{name} ({kind}): {_words(name)}" for name, kind in known.items()]
    parts = [["Args:", *rows]] if rows else []
    return [*parts, ["Returns:", f"{INDENT}{result}"]] if result and result != "None" else parts


def _words(name: str) -> str:
    return "the " + name.replace("_", " ")
