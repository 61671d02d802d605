"""Problems with hidden tests: a module with a stub, and what is true of a body, as neither judge nor model knows it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codegen_lsp.core import Completion, ModelInfo, Snapshot, Tokenizer
from codegen_lsp.engine.api import Engine
from codegen_lsp.implement import Ask, Implementation, Job, Plan, implement
from codegen_lsp.pipeline import Options, complete
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.syntax.stubs import Stub, find_stubs
from codegen_lsp.training.tasks import human_eval
from codegen_lsp.verify import jail as jails
from codegen_lsp.verify.examples import Example
from codegen_lsp.verify.judge import Judge, Status

PATH = "solution.py"
CHECK = re.compile(r"^check\((\w+)\)$", re.MULTILINE)
MARKED, PROSE, NONE = ">>>", "prose", "none"
KINDS = (MARKED, PROSE, NONE)
DOCTEST = """

def _num_failed(function, is_lenient):
    import ast, doctest, inspect

    class Checker(doctest.OutputChecker):
        def check_output(self, want, got, flags):
            if super().check_output(want, got, flags):
                return True
            try:
                return is_lenient and ast.literal_eval(want) == ast.literal_eval(got)
            except Exception:
                return False

    docstring = inspect.cleandoc(function.__doc__)
    test = doctest.DocTestParser().get_doctest(docstring, dict(globals()), function.__name__, None, None)
    for each in test.examples:
        said = getattr(ast.parse(each.source).body[0], "value", None)
        if is_lenient and not each.want and isinstance(said, ast.Compare):
            each.want = "True\\n"
    return doctest.DocTestRunner(Checker(), verbose=False).run(test, out=lambda text: None).failed
"""
"""Python's own doctest on a docstring as it is written: it shares nothing with the judge that is measured.

Lenient: a comparison that expects nothing is expected to be true, and literals may be written otherwise.
"""


@dataclass(frozen=True)
class Problem:
    """A function to be written."""

    id: str
    text: str
    """The module with its stub, whose docstring is the last thing in it."""
    name: str
    right: str
    """A body that passes, indented."""
    tests: str
    """Source that defines check(function), which raises when a function is wrong."""

    @property
    def stub(self) -> Stub | None:
        """Where it is written, None where the product sees nothing to write."""
        return next((stub for stub in find_stubs(self.text, PATH) if stub.name == self.name), None)


def problems(evaluation: Path, num: int = 0) -> list[Problem]:
    """HumanEval (Chen et al. 2021), all or about `num` spread over the set."""
    tasks = human_eval(evaluation)
    chosen = tasks[:: max(1, len(tasks) // num)][:num] if num else tasks
    found = []
    for task in chosen:
        (name,) = CHECK.findall(task.judge)[-1:]
        found.append(Problem(task.id, task.prefix, name, task.target, CHECK.sub("", task.judge)))
    return found


def kind_of(examples: Sequence[Example]) -> str:
    """How the examples of a docstring are written."""
    if not examples:
        return NONE
    return PROSE if all(example.is_prose for example in examples) else MARKED


class ByteTokenizer:
    """core.Tokenizer without a vocabulary, for a scripted engine: an id is a byte, a control token any other number."""

    def encode(self, text: str) -> list[int]:
        """Bytes of UTF-8."""
        return list(text.encode())

    def decode(self, ids: Sequence[int]) -> str:
        """The text of those that are bytes."""
        return bytes(number for number in ids if number < 256).decode("utf-8", "replace")

    def special(self, token: str) -> int | None:
        """It has all of them."""
        return 256 + sum(token.encode())


class TimedJail:
    """A jail that says how long it was used."""

    def __init__(self, jail: jails.Jail) -> None:
        self._jail = jail
        self.seconds = 0.0
        self.num_runs = 0

    @property
    def name(self) -> str:
        """Of the jail itself."""
        return self._jail.name

    def run(self, job: jails.Job) -> jails.Report:
        """As the jail itself does."""
        began = time.perf_counter()
        try:
            return self._jail.run(job)
        finally:
            self.seconds += time.perf_counter() - began
            self.num_runs += 1


def is_right(text: str, problem: Problem, jail: jails.Jail) -> bool:
    """Whether a module with a body passes the hidden tests."""
    report = jail.run(jails.Job(f"{text}\n\n{problem.tests}", (f"check({problem.name})\n",), file=PATH))
    return not report.problem and [outcome.error for outcome in report.outcomes] == [""]


def num_failing(text: str, problem: Problem, examples: Sequence[Example], jail: jails.Jail) -> tuple[int, int]:
    """How many examples of a docstring fail, and how many by the letter of doctest; all when they cannot be run.

    Those in prose are compared with `==`.
    """
    prose = [f"({each.source.strip()}) == ({each.want})\n" for each in examples if each.is_prose]
    marked = [f"_num_failed({problem.name}, {is_lenient})\n" for is_lenient in (True, False)]
    report = jail.run(jails.Job(text + DOCTEST, (*marked, *prose), file=PATH))
    said = [outcome.output.strip() for outcome in report.outcomes]
    if len(said) < len(marked) + len(prose) or any(outcome.error for outcome in report.outcomes):
        return len(examples), len(examples)
    lenient, letter, *values = said
    num_wrong = sum(value != "True" for value in values)
    return int(lenient) + num_wrong, int(letter) + num_wrong


@dataclass(frozen=True)
class Attempt:
    """What came of a problem, and where the time went."""

    problem: Problem
    done: Implementation | None
    """None where the product sees nothing to write."""
    examples: tuple[Example, ...] = ()
    can_verify: bool = False
    raw: str = ""
    """The module with the first answer as it came, before anything was judged; "" when there was none."""
    seconds: float = 0.0
    judging: float = 0.0
    """Seconds, the baseline's run included."""
    jailed: float = 0.0
    """Seconds of `judging` in the sandbox."""

    @property
    def kind(self) -> str:
        """One of KINDS."""
        return kind_of(self.examples)

    @property
    def is_settled(self) -> bool:
        """Whether the first candidate was as good as one can be: no other would be asked for, however many may be."""
        if self.done is None:
            return True
        best = Status.VERIFIED if self.can_verify else Status.UNVERIFIED
        return self.done.num_asked == 1 and self.done.verdict.status is best


async def attempt(problem: Problem, ask: Ask, jail: jails.Jail, plan: Plan, judge: Judge | None = None) -> Attempt:
    """Write the function of a problem; with `judge` by one that is there already, whose runs are not timed."""
    stub, timed, judges, raws, spent = problem.stub, TimedJail(jail), list[Judge](), list[str](), _Spent()
    if stub is None:
        return Attempt(problem, None)

    def judge_of(text: str, line: int, words: str) -> Judge:
        judges.append(judge or Judge.of(text, line, lambda: (timed, ""), words=words))
        return judges[-1]

    async def ask_and_keep(snapshot: Snapshot, temperature: float, seed: int | None) -> Completion:
        answer = await ask(snapshot, temperature, seed)
        if not temperature and answer.edit:
            raws.append(answer.edit.apply(snapshot.text))
        return answer

    job = Job(problem.text, PATH, ask_and_keep, judge_of, tell=lambda stub, state: spent.begin(state))
    _, (done,) = await implement(job, [stub], plan)
    spent.begin("")
    return Attempt(
        problem,
        done,
        judges[0].examples if judges else (),
        bool(judges and judges[0].can_verify),
        "".join(raws[:1]),
        sum(spent.seconds.values()),
        spent.seconds.get("reading", 0.0) + spent.seconds.get("judging", 0.0),
        timed.seconds,
    )


class _Spent:
    """Seconds in each state that is told."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._state, self._since = "", time.perf_counter()

    def begin(self, state: str) -> None:
        """What came before ends here."""
        now = time.perf_counter()
        if self._state:
            self.seconds[self._state] = self.seconds.get(self._state, 0.0) + now - self._since
        self._state, self._since = state.partition(" ")[0], now


def asker(engine: Engine, info: ModelInfo, tokenizer: Tokenizer, max_tokens: int | None = None) -> Ask:
    """Asks as the command does that writes functions, less what other files of a project would show."""

    async def ask(snapshot: Snapshot, temperature: float, seed: int | None) -> Completion:
        options = Options(max_tokens, temperature, seed=seed, parses_whole=True)
        shown = replace(snapshot, uri=f"{snapshot.path}:{seed or 0}")
        return await complete(shown, engine, info, BY_NAME[info.format], tokenizer, options=options)

    return ask
