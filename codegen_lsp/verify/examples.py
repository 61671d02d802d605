"""Examples of a docstring: what is to be run, what is expected, and whether an outcome is that.

`>>>` examples are read and compared by Python's own doctest. So are lines that say the same in prose, of a call with
literals and of its value: `shorten("abc", 2) -> "ab"`, also with `==`, `=>`, `➞` and "returns".
"""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

MAX_EXAMPLES = 50
"""Of one docstring; the rest is not run, which is said."""
MAX_DOCSTRING = 1 << 16
"""Characters; doctest's patterns take a second for them at worst, and four times as long for twice as many."""
MAX_LINE, MAX_CALLS, MAX_ARROWS = 500, 200, 20
"""Of prose: characters of a line, calls in a docstring that may be examples, and arrows behind one that are tried."""
_ARROW = re.compile(r"\s*(?:(?:#\s*)?(?:={1,2}>|-{1,2}>|returns?\b)|==?|→|➞|⇒|\bshould (?:return|be)\b)\s*")
_BEFORE = re.compile(
    r"(?:\A|\A\s*[-*•]|\A\s*\d{1,3}[.)]|[:,;(]|\b(?:e\.g\.|i\.e\.|examples?|for|and|assert))[\s`]*\Z", re.IGNORECASE
)
"""What may stand before a call that is an example: nothing that could turn it round."""
_AFTER = re.compile(r"`?\s*(?:[.,;:)#]|\s(?:and|since|because|as|but)\b)")
"""What may stand behind its value."""
_WORDS = {"true": "True", "false": "False", "null": "None", "none": "None"}
"""How other languages, and people, write Python's."""
_CHECKER = doctest.OutputChecker()


@dataclass(frozen=True)
class Example:
    """One example."""

    source: str
    """What is run, as at Python's prompt."""
    want: str
    """What it prints, "" for nothing; of prose, the literal that its value equals: it is shown in a tuple (`run`)."""
    error: str | None = None
    """The last line of the traceback that is expected, "ValueError: no digits"."""
    is_prose: bool = False
    options: Mapping[int, bool] = field(default_factory=dict)
    """doctest's option flags that the example sets."""

    @property
    def run(self) -> str:
        """The source as it is run: what prose says is said of a value, and nothing that is printed may look like it."""
        return f"({self.source.strip()},)\n" if self.is_prose else self.source

    @property
    def shown(self) -> str:
        """The source on one line, as short as a report wants it."""
        line = " ".join(self.source.split())
        return line if len(line) <= 60 else line[:57] + "…"


def find_examples(docstring: str, name: str) -> tuple[Example, ...]:
    """The examples of the docstring of a function, in order; prose ones are calls of `name`.

    Indentation is taken away as Python itself does from 3.13 on, so an example may begin right behind the quotes.
    Raises ValueError, with doctest's reason, for examples that it cannot read (a prompt that is indented otherwise),
    and for a docstring that is too long to be one.
    """
    if len(docstring) > MAX_DOCSTRING:
        raise ValueError(f"the docstring has more than {MAX_DOCSTRING >> 10} KB")
    found, calls = list[Example](), iter(range(MAX_CALLS))
    for part in doctest.DocTestParser().parse(inspect.cleandoc(docstring)):
        if isinstance(part, str):
            found += _prose(part, name, calls)
        elif not part.options.get(doctest.SKIP):
            want = part.want or ("True\n" if _is_claim(part.source) else "")
            found.append(Example(part.source, want, part.exc_msg, options=part.options))
    return tuple(found)


def is_met(example: Example, output: str, error: str) -> bool:
    """Whether what an example printed and raised ("" for nothing) is what is expected."""
    if example.is_prose:
        value = _in_tuple(output)
        return not error and value is not None and _is_value(value, example.want)
    flags = _flags(example.options)
    if example.error is None:
        return not error and (_CHECKER.check_output(example.want, output, flags) or _is_same(example.want, output))
    if _CHECKER.check_output(example.error, error, flags):
        return bool(error)
    if not flags & doctest.IGNORE_EXCEPTION_DETAIL or not error:
        return False
    return _CHECKER.check_output(_kind(example.error), _kind(error), flags)


def says_something(example: Example) -> bool:
    """Whether there is more to meet than that nothing is printed, which is what a body without a `return` prints."""
    if example.want or example.error is not None:
        return True
    try:
        return any(isinstance(node, ast.Assert | ast.Raise) for node in ast.walk(ast.parse(example.source)))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False


def seen(example: Example, output: str) -> str:
    """What an example gave, for a reader."""
    value = _in_tuple(output) if example.is_prose else None
    return output if value is None else value


def _in_tuple(output: str) -> str | None:
    """The value that an output shows in a tuple (`Example.run`); None when it shows anything else."""
    shown = output.strip()
    return shown[1:-2] if shown.startswith("(") and shown.endswith(",)") else None


def _flags(options: Mapping[int, bool]) -> int:
    return sum(flag for flag, is_set in options.items() if is_set)


def _kind(error: str) -> str:
    """The name of an exception, without its module and message."""
    return error.partition(":")[0].strip().rpartition(".")[2] + "\n"


def _prose(text: str, name: str, calls: Iterator[int]) -> Iterator[Example]:
    """The calls of a function that a text says the value of; of so many as `calls` has items."""
    call = re.compile(rf"(?<![\w.]){re.escape(name)}\(")
    for line in text.splitlines():
        place = 0
        while len(line) <= MAX_LINE and (begin := call.search(line, place)) and next(calls, None) is not None:
            place = begin.end()
            if _BEFORE.search(line[: begin.start()]) and (said := _said(line, begin.start(), name)):
                example, place = said
                yield example


def _said(line: str, start: int, name: str) -> tuple[Example, int] | None:
    """The example that begins at a place of a line, and where it ends."""
    for arrow in islice(_ARROW.finditer(line, start), MAX_ARROWS):
        call = line[start : arrow.start()].strip("` ")
        if _is_call(call, name):
            found = _value(line[arrow.end() :])
            return found and (Example(call + "\n", found[0], is_prose=True), arrow.end() + found[1])
    return None


def _value(rest: str) -> tuple[str, int] | None:
    """The literal that a text begins with, the longest one, and its length; None when it goes on otherwise."""
    for end in [len(rest), *(match.start() for match in reversed([*_AFTER.finditer(rest)]))]:
        value = rest[:end].strip("` ")
        if value and _is_literal(value := _WORDS.get(value, value)):
            return value, end
    return None


def _is_claim(source: str) -> bool:
    """Whether an example that says nothing of its output is a comparison: people write so what has to be true."""
    try:
        return isinstance(ast.parse(source, mode="eval").body, ast.Compare)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False


def _is_call(text: str, name: str) -> bool:
    """Whether a text is a call of a function with nothing but literals."""
    try:
        node = ast.parse(text, mode="eval").body
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name):
            return False
        for given in (*node.args, *(keyword.value for keyword in node.keywords)):
            ast.literal_eval(given)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False
    return True


def _is_literal(text: str) -> bool:
    """Whether a text is a literal, and nothing else: no remark, no comma or full stop behind it."""
    try:
        ast.literal_eval(text)
        return ast.parse(text, mode="eval").body.end_col_offset == len(text.encode()) and text[-1] not in ",."
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False


def _is_same(want: str, output: str) -> bool:
    """Whether an output is what is wanted but for how a literal is written: "a" for 'a', 6.00 for 6.0."""
    try:
        return repr(ast.literal_eval(want.strip())) == output.strip()
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False


def _is_value(output: str, literal: str) -> bool:
    """Whether a value that is shown is the literal's: equal, and of the same kind (True is not 1)."""
    want = ast.literal_eval(literal)
    try:
        got = ast.literal_eval(output)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return False
    return bool(got == want) and isinstance(got, bool) == isinstance(want, bool)
