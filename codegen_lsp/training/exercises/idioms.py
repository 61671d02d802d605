"""Idioms: everyday Python written once, with phrasings, names and settings that vary.

An idiom is data (the *.toml files beside this one). `$slot` in any of its texts is filled from `slots`:
a slot's values are a list, or "@pool" for a shared pool of pools.toml. A value "user/users" gives both `$item`
(user) and `$items` (users). For every slot `x`, `$x_words` is the value with underscores as spaces and
`$X` (first letter upper) is it in CamelCase. A literal dollar sign is `$$`.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import keyword
import random
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

HERE = Path(__file__).parent
POOLS = HERE / "pools.toml"
HELD_SHARE = 10
"""One combination of slot values in this many is kept out of training."""


@dataclass(frozen=True)
class Idiom:
    """One thing people ask for. `kind`: function, snippet (statements on names that `given` defines) or class."""

    name: str
    topic: str
    kind: str
    asks: tuple[str, ...]
    held: tuple[str, ...]
    code: str
    check: str
    given: str
    slots: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Exercise:
    """An idiom with its slots filled. `imports` are the lines that `code` needs above it.

    `types` ("name: type", "return: type") and `examples` (a call, a line end, its result) of a function are what was
    seen when its asserts were executed (observe.py).
    """

    idiom: str
    topic: str
    kind: str
    asks: tuple[str, ...]
    held: tuple[str, ...]
    imports: tuple[str, ...]
    code: str
    check: str
    given: str
    is_held_out: bool
    types: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, str]:
        """What is executed before the exercise counts: the code with what it needs, then the asserts."""
        return "\n".join([*self.imports, self.given, self.code]), self.check

    @property
    def program(self) -> str:
        """Both parts as one."""
        return "\n".join(self.parts)


def load_idioms(folder: Path = HERE) -> list[Idiom]:
    """Every idiom of the folder's *.toml files, in a stable order."""
    pools = tomllib.loads((folder / POOLS.name).read_text(encoding="utf-8"))
    found = []
    for path in sorted(folder.glob("*.toml")):
        if path.name != POOLS.name:
            rows = tomllib.loads(path.read_text(encoding="utf-8"))["idiom"]
            found += [_parse(row, path.stem, pools) for row in rows]
    names = [idiom.name for idiom in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"idiom names used twice: {sorted(twice)}")
    return found


def _parse(row: Mapping[str, Any], topic: str, pools: Mapping[str, list[str]]) -> Idiom:
    known = {"name", "kind", "ask", "held", "code", "check", "given", "slots"}
    if unknown := set(row) - known:
        raise ValueError(f"{topic}: {row.get('name')}: unknown keys {sorted(unknown)}")
    slots: dict[str, tuple[str, ...]] = {}
    for slot, values in row.get("slots", {}).items():
        slots[slot] = tuple(pools[values[1:]] if isinstance(values, str) else values)
    text = {key: str(row.get(key, "")).strip("\n") for key in ("name", "kind", "code", "check", "given")}
    asks, held = tuple(row["ask"]), tuple(row["held"])
    return Idiom(topic=topic, asks=asks, held=held, slots=slots, **text)


def read_exercises(path: Path) -> list[Exercise]:
    """Exercises that validate.py has executed and written."""
    with path.open(encoding="utf-8") as lines:
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [Exercise(**_frozen(row)) for row in rows]


def _frozen(row: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}


def by_idiom(exercises: Iterable[Exercise]) -> dict[str, list[Exercise]]:
    """Exercises by the name of their idiom, in the order of the names."""
    found: dict[str, list[Exercise]] = {}
    for exercise in sorted(exercises, key=lambda each: each.idiom):
        found.setdefault(exercise.idiom, []).append(exercise)
    return found


def num_combinations(idiom: Idiom) -> int:
    """How many different fillings the slots allow."""
    total = 1
    for values in idiom.slots.values():
        total *= len(values)
    return total


def instantiate(idiom: Idiom, choice: Mapping[str, str]) -> Exercise:
    """The idiom with one value for each slot."""
    names = _names(choice)

    def fill(text: str) -> str:
        return Template(text).substitute(names)

    imports, code = split_imports(fill(idiom.code))
    return Exercise(
        idiom=idiom.name,
        topic=idiom.topic,
        kind=idiom.kind,
        asks=tuple(map(fill, idiom.asks)),
        held=tuple(map(fill, idiom.held)),
        imports=imports,
        code=code,
        check=fill(idiom.check),
        given=fill(idiom.given),
        is_held_out=_is_held_out(idiom, choice),
    )


def _names(choice: Mapping[str, str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for slot, value in choice.items():
        one, _, many = value.partition("/") if slot_has_plural(value) else (value, "", "")
        names[slot] = one
        if many:
            names[slot + "s"] = many
            names[slot + "s_words"] = many.replace("_", " ")
        names[slot + "_words"] = one.replace("_", " ")
        names[slot[0].upper() + slot[1:]] = "".join(part.capitalize() for part in one.split("_"))
    return names


def slot_has_plural(value: str) -> bool:
    """Whether a slot value is written "singular/plural" (paths, which also hold slashes, are not)."""
    one, slash, many = value.partition("/")
    return bool(slash) and one.isidentifier() and many.isidentifier()


def split_imports(code: str) -> tuple[tuple[str, ...], str]:
    """The leading import lines of a piece of code, and the rest without the blank lines between."""
    lines = code.split("\n")
    body = list(itertools.dropwhile(lambda line: not line or line.startswith(("import ", "from ")), lines))
    head = tuple(line for line in lines[: len(lines) - len(body)] if line)
    return head, "\n".join(body)


def _is_held_out(idiom: Idiom, choice: Mapping[str, str]) -> bool:
    if num_combinations(idiom) < HELD_SHARE:
        return False
    key = repr((idiom.name, sorted(choice.items()))).encode()
    return hashlib.sha256(key).digest()[0] % HELD_SHARE == 0


def combinations(idiom: Idiom, limit: int, rng: random.Random) -> Iterator[Exercise]:
    """Up to `limit` different fillings of the idiom, in random order."""
    total = num_combinations(idiom)
    for index in rng.sample(range(total), min(limit, total)):
        choice, rest = {}, index
        for slot, values in idiom.slots.items():
            rest, at = divmod(rest, len(values))
            choice[slot] = values[at]
        yield instantiate(idiom, choice)


@dataclass(frozen=True)
class Words:
    """All slot values of all idioms, by what they look like."""

    names: tuple[str, ...]
    pairs: tuple[str, ...]

    @classmethod
    def of(cls, idioms: Iterable[Idiom]) -> Words:
        """Collected from idioms; sorted, so that a seed always gives the same."""
        values = {value for idiom in idioms for slot in idiom.slots for value in idiom.slots[slot]}
        pairs = {value for value in values if slot_has_plural(value)}
        return cls(tuple(sorted(filter(_is_name, values))), tuple(sorted(pairs)))


def _is_name(value: str) -> bool:
    return value.isidentifier() and value.islower() and len(value) > 2 and not keyword.iskeyword(value)


def transplants(idiom: Idiom, words: Words, limit: int, rng: random.Random) -> Iterator[Exercise]:
    """Fillings with names and numbers of other idioms in the slots that every ask mentions.

    They teach copying from the order rather than the idiom's own lists. A name may clash with one in the code, or make
    the asserts meaningless: only what holds when it is executed may be used.
    """
    texts = (*idiom.asks, *idiom.held)
    named = {slot for slot in idiom.slots if all(f"${slot}" in text or f"${{{slot}" in text for text in texts)}
    for _ in range(limit if named else 0):
        choice = {slot: rng.choice(values) for slot, values in idiom.slots.items()}
        for slot in sorted(named):
            if slot_has_plural(choice[slot]):
                choice[slot] = rng.choice(words.pairs)
            elif all(map(_is_name, idiom.slots[slot])):
                choice[slot] = rng.choice(words.names)
            elif choice[slot].isdigit():
                choice[slot] = str(rng.randrange(2, 100))
        yield instantiate(idiom, choice)


def problems(exercise: Exercise) -> list[str]:
    """What is wrong with an exercise before it is run: syntax, shape, asks that name nothing."""
    found = []
    try:
        body = ast.parse(exercise.code).body
    except SyntaxError as error:
        return [f"does not parse: {error}"]
    wanted = {"function": (ast.FunctionDef, ast.AsyncFunctionDef), "class": (ast.ClassDef,)}.get(exercise.kind)
    if wanted and not (len(body) == 1 and isinstance(body[0], wanted)):
        found.append(f"a {exercise.kind} must be one definition after its imports")
    if "assert" not in exercise.check:
        found.append("no assert in its check")
    if any("\n" in ask or ask.endswith(".") for ask in (*exercise.asks, *exercise.held)):
        found.append("an ask must be one line without a full stop")
    return found
