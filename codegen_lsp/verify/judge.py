"""Is a body what was asked for? The cheapest questions first; the verdict is made here, not where generated code runs.

"Verified" means: the docstring's examples passed, each of them, twice, and at least one does not pass without the
body. It means no more than that.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from codegen_lsp.verify import module as modules
from codegen_lsp.verify.claims import contradictions
from codegen_lsp.verify.copied import is_copy, is_one_answer, only_prints
from codegen_lsp.verify.examples import MAX_EXAMPLES, Example, find_examples, is_met, says_something, seen
from codegen_lsp.verify.imports import add_imports
from codegen_lsp.verify.jail import Jail, JailError, Job, Report
from codegen_lsp.verify.module import NOT_WRITTEN, Function, Module
from codegen_lsp.verify.names import faults, unknown_names

SEEDS = (1, 2)
"""PYTHONHASHSEED of the first run, and of the one that confirms it: what hangs on the order of a set fails one."""
MAY_END = "may end without a value"
MAX_SHOWN = 60
TOO_DEEP = "is nested too deeply to be judged"


class Status(StrEnum):
    """What is known of a body."""

    REFUSED = "refused"
    UNVERIFIED = "unverified"
    """Nothing speaks against it, and no example for it."""
    VERIFIED = "verified"


@dataclass(frozen=True)
class Verdict:
    """What came of judging a body."""

    status: Status
    reason: str = ""
    """Why it is refused or not verified, one sentence without its full stop."""
    passed: int = 0
    total: int = 0
    """Examples."""

    @property
    def words(self) -> str:
        """For people: "verified 3/3 examples"."""
        if self.status is Status.VERIFIED:
            return f"verified {self.passed}/{self.total} example{'s' if self.total > 1 else ''}"
        return f"{self.status}: {self.reason}"


@dataclass(frozen=True)
class Judged:
    """A body's verdict, and the module that it is of."""

    verdict: Verdict
    text: str
    """The module with the body, and with the imports that it lacked."""
    imports: tuple[str, ...] = ()
    """Lines that were added at the top."""


@dataclass(frozen=True)
class World:
    """What a module may see when it is run; as jail.Job has it."""

    name: str = "module"
    file: str = "module.py"
    search: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()


class Unjudgeable(Exception):
    """A module that cannot be judged; `str()` of it is the reason."""


@dataclass(frozen=True)
class Judge:
    """Judges bodies of one function. Whether one could be verified is known before there is any."""

    before: Module
    index: int
    """Of the function, among all of the module in their order."""
    jail: Jail | None = None
    world: World = field(default_factory=World)
    examples: tuple[Example, ...] = ()
    doubt: str = ""
    """Why the examples are not run, so that no body could be verified; "" when they are."""
    weakness: str = ""
    """Why passing them verifies nothing; "" when it does."""

    @classmethod
    def of(
        cls,
        text: str,
        line: int,
        find_jail: Callable[[], tuple[Jail | None, str]] = lambda: (None, "nothing is run"),
        find_world: Callable[[], World] = World,
        words: str = "",
    ) -> Judge:
        """For the function whose `def` stands in a line (from 1) of a module. Raises Unjudgeable.

        A jail (or why there is none) and a world are looked for when there are examples. `words`: what says what is
        wanted where there is no docstring, a comment.
        """
        try:
            return cls._of(text, line, find_jail, find_world, words)
        except RecursionError:  # a sum of a thousand terms compiles, and is too deep for some who read it
            raise Unjudgeable(f"the file {TOO_DEEP}") from None

    @classmethod
    def _of(
        cls,
        text: str,
        line: int,
        find_jail: Callable[[], tuple[Jail | None, str]],
        find_world: Callable[[], World],
        words: str,
    ) -> Judge:
        if reason := modules.fault(text):
            raise Unjudgeable(f"the file does not parse: {reason}")
        before = modules.read(text)
        lines = [function.node.lineno for function in before.functions()]
        if line not in lines:
            raise Unjudgeable(f"no function begins in line {line}")
        judge = cls(before, lines.index(line))
        examples, doubt = judge._examples(words)
        judge = replace(judge, examples=examples, doubt=doubt, weakness=is_one_answer(examples))
        if doubt:
            return judge
        jail, why_none = find_jail()
        judge = replace(judge, jail=jail, world=find_world() if jail else World(), doubt=why_none)
        return judge if jail is None else replace(judge, doubt=judge._baseline())

    @property
    def function(self) -> Function:
        """The function as it is before."""
        return list(self.before.functions())[self.index]

    @property
    def can_verify(self) -> bool:
        """Whether a right body would be verified."""
        return not self.doubt and not self.weakness

    def judge(self, text: str) -> Judged:
        """The verdict on a module that is `before` with another body; never raises for any text."""
        try:
            return self._judged(text)
        except RecursionError:
            return Judged(Verdict(Status.REFUSED, f"it {TOO_DEEP}", 0, len(self.examples)), text)

    def _judged(self, text: str) -> Judged:
        total = len(self.examples)
        if reason := self._fault_of_form(text):
            return Judged(Verdict(Status.REFUSED, reason, 0, total), text)
        unknown = unknown_names(self.before.text, text)
        mended, imports = add_imports(text, unknown) if unknown else (text, ())
        if found := faults(self.before.text, mended):
            return Judged(Verdict(Status.REFUSED, found[0], 0, total), text)
        after = modules.read(mended)
        function = list(after.functions())[self.index]
        if self.examples and not self.doubt:
            verdict = self._run(after, function)
        else:
            verdict = Verdict(Status.UNVERIFIED, self.doubt, 0, total)
        if verdict.status is not Status.REFUSED and (said := _said_against(function, verdict)):
            verdict = Verdict(Status.REFUSED, said, verdict.passed, total)
        return Judged(verdict, mended, imports)

    def _examples(self, words: str) -> tuple[tuple[Example, ...], str]:
        """The docstring's examples, or a comment's, and what is wrong with them."""
        function = self.function
        try:
            found = find_examples(function.docstring or words, function.name.rpartition(".")[2])
        except ValueError as error:
            return (), f"the examples cannot be read: {error}"
        if len(found) > MAX_EXAMPLES:
            return found, f"more than {MAX_EXAMPLES} examples"
        if not found:
            return found, "no examples"
        return found, "" if any(map(says_something, found)) else "no example says what is expected"

    def _baseline(self) -> str:
        """Why no body could be verified, seen from a run of the examples without one."""
        report = self._report(self.before, is_written=False)
        for example, outcome in zip(self.examples, report.outcomes, strict=False):
            if NOT_WRITTEN in outcome.error:
                return ""
            if not is_met(example, outcome.output, outcome.error):
                reason = _failure(example, outcome.output, outcome.error)
                return f"an example fails before the function is called: {reason}"
        return report.problem.rstrip(".") or "the examples pass without it, so they say nothing"

    def _fault_of_form(self, text: str) -> str:
        """What can be said against a text without knowing what it is about; "" when nothing."""
        if reason := modules.fault(text):
            return f"it does not compile: {reason}"
        after = modules.read(text)
        functions = list(after.functions())
        old = self.function
        new = functions[self.index] if self.index < len(functions) else None
        if new is None or _header(new) != _header(old) or new.docstring != old.docstring:
            return "it changes the function's signature or docstring"
        if modules.without(after, self.index) != modules.without(self.before, self.index):
            return "it changes more than the function's body"
        return "it says nothing" if modules.is_stub(new) else ""

    def _run(self, after: Module, function: Function) -> Verdict:
        """Run the examples, twice."""
        total = len(self.examples)
        for seed in SEEDS:
            report = self._report(after, is_written=True, seed=seed)
            passed = 0
            for example, outcome in zip(self.examples, report.outcomes, strict=False):
                if not is_met(example, outcome.output, outcome.error):
                    reason = _failure(example, outcome.output, outcome.error)
                    return Verdict(Status.REFUSED, reason, _num_met(self.examples, report), total)
                passed += 1
            if passed < total:
                return Verdict(Status.REFUSED, report.problem.rstrip(".") or "an example was not run", passed, total)
        if reason := self.weakness or is_copy(function, self.examples) or only_prints(function, self.examples):
            return Verdict(Status.UNVERIFIED, reason, total, total)
        return Verdict(Status.VERIFIED, "", total, total)

    def _report(self, module: Module, *, is_written: bool, seed: int = SEEDS[0]) -> Report:
        assert self.jail is not None
        source = modules.runnable(module, self.index, is_written=is_written)
        world = self.world
        examples = tuple(example.run for example in self.examples)
        job = Job(source, examples, world.name, world.file, world.search, world.readable, seed)
        try:
            return self.jail.run(job)
        except JailError as error:
            return Report((), f"The sandbox failed: {error}")


def _said_against(function: Function, verdict: Verdict) -> str:
    """The first contradiction; where examples passed, the end of a loop that always finds something is no fault."""
    said = contradictions(function.node)
    is_confirmed = verdict.status is Status.VERIFIED
    return next((each for each in said if not (is_confirmed and MAY_END in each)), "")


def _header(function: Function) -> str:
    """A function without its body, as text for comparison."""
    node = function.node
    return f"{function.name} {ast.dump(type(node)(**{**vars(node), 'body': []}))}"


def _num_met(examples: Sequence[Example], report: Report) -> int:
    pairs = zip(examples, report.outcomes, strict=False)
    return sum(is_met(example, outcome.output, outcome.error) for example, outcome in pairs)


def _failure(example: Example, output: str, error: str) -> str:
    """One example's failure in words: "digit_sum(0) gives 1, not 0"."""
    got = _short(error or seen(example, output)) or "nothing"
    want = _short(example.error or example.want) or "nothing"
    if error and example.error is None:
        return f"{example.shown} raises {got}, where {want} is expected"
    return f"{example.shown} {'raises' if error else 'gives'} {got}, not {want}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 1] + "…"
