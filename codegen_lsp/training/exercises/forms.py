"""Exercises as a developer would meet them: above a function, inside one, in a docstring, between other code.

The same rendering serves training (phrasings from `asks`) and the test set (phrasings from `held`).
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen_lsp.training.exercises.docstrings import annotated, docstring, example_lines, section_lines
from codegen_lsp.training.exercises.idioms import Exercise
from codegen_lsp.training.exercises.rename import NEVER, Renaming
from codegen_lsp.training.samples import Sample

FORMS = ("above", "docstring", "inside", "examples", "member")
PATHS = (
    "main.py",
    "utils.py",
    "src/helpers.py",
    "app/core.py",
    "tools.py",
    "scripts/run.py",
    "lib/common.py",
    "test.py",
)
_LEADS = (
    "function to ",
    "a function to ",
    "write a function to ",
    "function that will ",
    "helper: ",
    "please ",
    "todo: ",
    "now ",
)
_SWAPS = {
    "return": ("give back", "get", "returns"),
    "list of": ("list with",),
    "calculate": ("compute", "work out"),
    "compute": ("calculate",),
    "remove": ("delete", "drop"),
    "read": ("load",),
    "create": ("make", "build"),
    "dictionary": ("dict",),
    "all the": ("all", "every"),
    "using": ("with",),
    "the given": ("a", "the"),
    "check if": ("check whether", "is it true that", "test if"),
    "number of": ("count of", "amount of"),
}


@dataclass(frozen=True)
class Rendered:
    """A sample with what is needed to judge another answer to it by execution."""

    sample: Sample
    exercise: Exercise
    form: str
    ask: str


def render(exercise: Exercise, form: str, ask: str, others: list[Exercise], rng: random.Random) -> Rendered:
    """One exercise in one form, with code of `others` around it (often none)."""
    make = _MAKERS[form]
    head = "".join(f"{line}\n" for line in _shuffled_imports(exercise, others, rng))
    around = [f"{other.code}\n\n\n" for other in others if other.kind != "snippet"]
    below = around.pop() if around and rng.random() < 0.4 else ""
    above = "".join(around)
    lead = (
        head + "\n\n" * bool(head) + above
        if not (exercise.kind == "snippet" and not around)
        else head + "\n" * bool(head)
    )
    is_bare = form == "above" and exercise.kind != "snippet" and not above and not exercise.given
    if is_bare and exercise.imports and rng.random() < 0.5:
        lead, exercise = "", with_imports(exercise)
    prefix, middle, tail = make(exercise, ask, rng)
    suffix = ("\n" + tail if tail else "") + (
        "\n\n\n" + below.rstrip("\n") + "\n" if below else "\n" * rng.randrange(2)
    )
    path = rng.choice(PATHS) if rng.random() < 0.5 else ""
    return Rendered(Sample(lead + prefix, suffix, middle, path), exercise, form, ask)


@dataclass(frozen=True)
class Piece:
    """A part of a file; `is_learnt` when it is the answer to the order before it."""

    text: str
    is_learnt: bool


def with_imports(exercise: Exercise) -> Exercise:
    """The same where the file imports nothing: the code brings what it needs."""
    gap = [""] if exercise.kind == "snippet" else ["", ""]
    return replace(exercise, imports=(), code="\n".join([*exercise.imports, *gap, exercise.code]))


def bare(exercises: Sequence[Exercise], rng: random.Random, renaming: Renaming = NEVER) -> list[Piece]:
    """A file that begins with an order: the first answer imports what it needs, the others need no more than that.

    Empty when none of the exercises can be the first.
    """
    firsts = [each for each in exercises if each.imports and not each.given]
    if not firsts:
        return []
    first = with_imports(firsts[0])
    order, middle, _ = _above(first, vary(rng.choice(first.asks), rng), rng)
    others = [each for each in exercises if each is not firsts[0] and set(each.imports) <= set(firsts[0].imports)]
    rest = chain(others, rng, imports=(), renaming=renaming)
    gap = Piece("\n\n\n", is_learnt=False)
    return [Piece(order, False), Piece(middle, True), *([gap, *rest] if others else [])]


def chain(
    exercises: Sequence[Exercise],
    rng: random.Random,
    *,
    imports: Sequence[str] | None = None,
    renaming: Renaming = NEVER,
) -> list[Piece]:
    """A file of several orders, each carried out before the next is given, with the imports of all above (or these)."""
    if imports is None:
        imports = sorted({line for exercise in exercises for line in exercise.imports})
    pieces = [Piece("".join(f"{line}\n" for line in imports) + "\n\n" * bool(imports), False)]
    for n, each in enumerate(exercises):
        form = rng.choice(forms_of(each))
        exercise = renaming.apply(each, form, rng)
        prefix, middle, _ = _MAKERS[form](exercise, vary(rng.choice(exercise.asks), rng), rng)
        gap = ("\n\n\n" if exercise.kind != "snippet" or rng.random() < 0.5 else "\n\n") if n else ""
        pieces += [Piece(gap + prefix, False), Piece(middle, True)]
    return pieces


def forms_of(exercise: Exercise) -> tuple[str, ...]:
    """The forms an exercise can take."""
    if exercise.kind == "snippet":
        return ("above", "inside")
    if exercise.kind == "class":
        return ("above", "docstring", "member")
    return ("above", "docstring", "inside", "examples") if exercise.examples else ("above", "docstring", "inside")


def vary(ask: str, rng: random.Random) -> str:
    """The ask as another hand would type it: capitals, full stop, a lead, a synonym, a slip of the fingers."""
    if rng.random() < 0.4:
        for old, new in rng.sample(sorted(_SWAPS.items()), len(_SWAPS)):
            if re.search(rf"\b{old}\b", ask):
                ask = re.sub(rf"\b{old}\b", rng.choice(new), ask, count=1)
                break
    if rng.random() < 0.1:
        ask = ask.replace(" the ", " ", 1)
    if rng.random() < 0.08:
        ask = rng.choice(_LEADS) + ask
    if rng.random() < 0.04 and len(ask) > 12:
        at = rng.randrange(4, len(ask) - 1)
        ask = ask[:at] + ask[at + 1 :] if ask[at].isalpha() else ask
    if rng.random() < 0.4:
        ask = ask[0].upper() + ask[1:]
    return ask + "." if rng.random() < 0.2 else ask


def _above(exercise: Exercise, ask: str, rng: random.Random) -> tuple[str, str, str]:
    order = _comment(ask, rng)
    if exercise.kind == "snippet":
        shown = exercise.given + "\n" * rng.choice((1, 2)) if _is_shown(exercise) and rng.random() < 0.6 else ""
        return f"{shown}{order}\n", exercise.code, ""
    return f"{order}\n", exercise.code, ""


def _comment(ask: str, rng: random.Random) -> str:
    """The ask as a comment; a long one sometimes on two lines."""
    words = ask.split()
    if len(words) < 6 or rng.random() < 0.93:
        return f"# {ask}"
    at = rng.randrange(3, len(words) - 1)
    return f"# {' '.join(words[:at])}\n# {' '.join(words[at:])}"


def _inside(exercise: Exercise, ask: str, rng: random.Random) -> tuple[str, str, str]:
    """Inside a function: the order is a comment in its body, or behind its header."""
    if exercise.kind == "snippet":
        names = ", ".join(_names_given(exercise))
        code = _indented(exercise.code, "    ")
        return f"def {rng.choice(('main', 'run', 'process', 'handle'))}({names}):\n    # {ask}\n    ", code[4:], ""
    head, body = _split(exercise)
    head = annotated(head, exercise.types) if rng.random() < 0.2 else head
    return (f"{head}  # {ask}\n    " if rng.random() < 0.1 else f"{head}\n    # {ask}\n    "), body[4:], ""


def _docstring(exercise: Exercise, ask: str, rng: random.Random) -> tuple[str, str, str]:
    """A docstring, now and then with sections below its sentence."""
    has_sections = len(exercise.types) > 1 and rng.random() < 0.15
    return _below_docstring(exercise, ask, section_lines(exercise, rng) if has_sections else [], 0.3, rng)


def _examples(exercise: Exercise, ask: str, rng: random.Random) -> tuple[str, str, str]:
    """A docstring with examples, which the code satisfies."""
    has_sections = len(exercise.types) > 1 and rng.random() < 0.1
    parts = section_lines(exercise, rng) if has_sections else []
    return _below_docstring(exercise, ask, [*parts, example_lines(exercise, rng)], 0.5, rng)


def _member(exercise: Exercise, ask: str, rng: random.Random) -> tuple[str, str, str]:
    """One method of a class is to be written, the rest of the class stands."""
    lines = exercise.code.split("\n")
    (node,) = ast.parse(exercise.code).body
    methods = [item for item in getattr(node, "body", []) if isinstance(item, ast.FunctionDef)]
    if not methods:
        return _above(exercise, ask, rng)
    method = rng.choice(methods)
    start, end = method.body[0].lineno - 1, method.end_lineno or 0
    if start < method.lineno:  # on the line of its header
        return _above(exercise, ask, rng)
    indent = " " * method.body[0].col_offset
    head, body, tail = ("\n".join(part) for part in (lines[:start], lines[start:end], lines[end:]))
    return f"{_comment(ask, rng)}\n{head}\n{indent}", body[len(indent) :], tail and tail + "\n"


def _below_docstring(
    exercise: Exercise, ask: str, parts: list[list[str]], annotate: float, rng: random.Random
) -> tuple[str, str, str]:
    head, body = _split(exercise)
    head = annotated(head, exercise.types) if rng.random() < annotate else head
    sentence = ask[0].upper() + ask[1:]
    is_open = sentence.endswith(('"', "\\"))  # neither may stand before the closing quotes
    sentence += "." if is_open or (not sentence.endswith(".") and rng.random() > 0.2) else ""
    blank = "\n" if exercise.kind == "class" else ""
    return f"{head}\n{docstring(sentence, parts, rng)}\n{blank}    ", body[4:], ""


_MAKERS = {"above": _above, "docstring": _docstring, "inside": _inside, "examples": _examples, "member": _member}


def _split(exercise: Exercise) -> tuple[str, str]:
    """The header of the definition (decorators, name, parameters) and its body, indentation kept."""
    lines = exercise.code.split("\n")
    node = ast.parse(exercise.code).body[0]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    first = node.body[0]
    decorators = getattr(first, "decorator_list", [])
    start = min([first.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(lines[: start - 1]), "\n".join(lines[start - 1 :])


def _shuffled_imports(exercise: Exercise, others: list[Exercise], rng: random.Random) -> list[str]:
    lines = {line for item in (exercise, *others) for line in item.imports}
    ordered = sorted(lines)
    if rng.random() < 0.3:
        rng.shuffle(ordered)
    return ordered


def _names_given(exercise: Exercise) -> list[str]:
    """Names that `given` defines and the code uses, in the order of their use."""
    defined = {
        node.id
        for node in ast.walk(ast.parse(exercise.given))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    used = [node.id for node in ast.walk(ast.parse(exercise.code)) if isinstance(node, ast.Name)]
    return [name for name in dict.fromkeys(used) if name in defined]


def _is_shown(exercise: Exercise) -> bool:
    """Whether `given` is short enough to stand above the comment as a user's own lines would."""
    return 0 < len(exercise.given) < 240 and exercise.given.count("\n") < 5 and "import" not in exercise.given


def _indented(code: str, indent: str) -> str:
    return "\n".join(indent + line if line else line for line in code.split("\n"))
