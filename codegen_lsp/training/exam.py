"""Own exercises as an exam: three kinds of question that were not trained on, judged by execution.

Known phrasings with combinations of names and settings kept out of training ("combination"), phrasings kept out of
training ("phrasing"), both ("both"), and known phrasings above headers with names that no list has ("names"). An answer
is executed, with the exercise's asserts, in a process of its own
with limits; that is no sandbox, so examine only models that you trust.
"""

from __future__ import annotations

import ast
import math
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from codegen_lsp.host.decode import decode
from codegen_lsp.host.load import Loaded
from codegen_lsp.host.params import Request
from codegen_lsp.postprocess.names import mend
from codegen_lsp.prompt.render import render as render_prompt
from codegen_lsp.syntax.languages import PYTHON
from codegen_lsp.training.batches import SPM
from codegen_lsp.training.exercises import rename
from codegen_lsp.training.exercises.forms import Rendered, forms_of, render
from codegen_lsp.training.exercises.idioms import Exercise, by_idiom
from codegen_lsp.training.samples import Sample

SECONDS = 5
MAX_NEW_TOKENS = 200


@dataclass(frozen=True)
class Mark:
    """How one question was answered: by the greedy answer, and by `num_sampled` sampled ones.

    `confidence` is exp(mean log-probability) of the greedy answer, as the product has it.
    """

    way: str
    form: str
    topic: str
    exact: bool
    passed: bool
    mended: bool
    """Passed as the product would offer it: with the names in it mended that nothing defines."""
    confidence: float
    num_sampled: int = 0
    sampled_passed: int = 0


def questions(exercises: Sequence[Exercise], num: int, seed: int) -> Iterator[tuple[str, Rendered]]:
    """`num` questions of each of the four ways, no two of a way from one idiom while there are others."""
    rng = random.Random(seed)
    held = [exercise for exercise in exercises if exercise.is_held_out]
    seen = [exercise for exercise in exercises if not exercise.is_held_out]
    for way, pool in (("combination", held), ("phrasing", seen), ("both", held)):
        for exercise in _in_turn(pool, num, rng):
            ask = rng.choice(exercise.asks if way == "combination" else exercise.held)
            yield way, render(exercise, rng.choice(forms_of(exercise)), ask, [], rng)
    # Not every exercise can be renamed: those that come out as they were are no question of names.
    changed = (new for old in held if (new := rename.renamed(old, rename.HELD, rng)) is not old)
    for exercise in _in_turn(changed, num, rng):
        forms = [form for form in forms_of(exercise) if form in rename.FORMS]
        yield "names", render(exercise, rng.choice(forms), rng.choice(exercise.asks), [], rng)


def _in_turn(pool: Iterable[Exercise], num: int, rng: random.Random) -> Iterator[Exercise]:
    """`num` exercises, one of each idiom in random order, and round again."""
    grouped = by_idiom(pool)
    names = list(grouped)
    rng.shuffle(names)
    for n in range(num if names else 0):
        yield rng.choice(grouped[names[n % len(names)]])


def answers(
    loaded: Loaded, sample: Sample, num: int = 1, temperature: float = 0.0, seed: int = 0
) -> list[tuple[str, float]]:
    """`num` answers as the host serves them, each to its end token, with their confidence; greedy at temperature 0.

    Empty ones to a prompt that the model's context cannot hold.
    """
    prompt = render_prompt(sample.context, SPM, loaded.tokenizer)
    if len(prompt.ids) >= loaded.machine.context_window:
        return [("", 0.0)] * num
    request = Request(
        prompt.ids, MAX_NEW_TOKENS, temperature, seed=seed, logprobs=0, stop_ids=frozenset(prompt.stop_ids)
    )
    found = []
    for choice in range(num):
        pieces = list(decode(request, loaded.machine, lambda: False, choice))
        logprobs = [token.logprob for piece in pieces for token in piece.tokens]
        confidence = math.exp(sum(logprobs) / len(logprobs)) if logprobs else 0.0
        found.append(("".join(piece.text for piece in pieces), confidence))
    return found


def program(question: Rendered, middle: str) -> str | None:
    """The file with an answer in it and the asserts behind, or None when it does not parse."""
    exercise, sample = question.exercise, question.sample
    text = sample.prefix + middle + sample.suffix
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    imports = "\n".join(exercise.imports)
    if exercise.kind == "snippet":
        body = _body_of(tree) if question.form == "inside" else text
        return "\n".join([imports, exercise.given, body, exercise.check])
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    wanted = re.search(r"(?:def|class) (\w+)", exercise.code)
    if not names or wanted is None:
        return None
    alias = f"{wanted.group(1)} = {names[-1]}" if wanted.group(1) not in names else ""
    return "\n".join([imports, exercise.given, text, alias, exercise.check])


def _body_of(tree: ast.Module) -> str:
    """The statements of the function that stands around a snippet, to be executed where its names are."""
    function = tree.body[-1]
    return ast.unparse(ast.Module(getattr(function, "body", []), [])) if hasattr(function, "body") else ""


def passes(source: str | None) -> bool:
    """Whether a program runs to its end; in a process of its own, with a time limit, in a folder of its own."""
    if source is None:
        return False
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-I",
            "-c",
            f"import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))\n{source}",
        ]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def examine(
    loaded: Loaded,
    exercises: Sequence[Exercise],
    *,
    num: int,
    seed: int,
    samples: int = 0,
    num_sampled: int | None = None,
) -> Iterator[Mark]:
    """Marks for `num` questions of each way.

    With `samples`, as many sampled answers (temperature 0.8) to the first `num_sampled` of each way, or to all.
    """
    asked: Counter[str] = Counter()
    for way, question in questions(exercises, num, seed):
        asked[way] += 1
        tried = samples if num_sampled is None or asked[way] <= num_sampled else 0
        got, confidence = answers(loaded, question.sample)[0]
        exact = got.rstrip() == question.sample.middle.rstrip()
        tries = [text for text, _ in answers(loaded, question.sample, tried, 0.8, seed)] if tried else []
        offered = mend(question.sample.prefix, got, question.sample.suffix, PYTHON)
        verdicts = {text: passes(program(question, text)) for text in {got, offered, *tries}}
        yield Mark(
            way=way,
            form=question.form,
            topic=question.exercise.topic,
            exact=exact,
            passed=exact or verdicts[got],
            mended=exact or verdicts[offered],
            confidence=confidence,
            num_sampled=len(tries),
            sampled_passed=sum(verdicts[text] for text in tries),
        )


def pass_at(k: int, num: int, right: int) -> float:
    """Chance that at least one of k answers is right when `right` of `num` are (Chen et al. 2021, unbiased)."""
    return 1.0 if num - right < k else 1.0 - math.comb(num - right, k) / math.comb(num, k)
