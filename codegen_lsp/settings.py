"""Frozen settings. `parse` gives settings and a list of problems, and never raises.

What comes from a workspace (`trusted=False`) may only make things safer or smaller: switch off, fewer tokens, longer
waits, more that is ignored. The model, the endpoint and everything else that loads, connects or runs code is the user's
alone. What is `settled` can be switched on when a server starts and not later: some editors take what they send later
from a file of the repository, unasked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any, TypeVar

from codegen_lsp.core import Trigger

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

SECRETS = (".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa", "id_ed25519", ".netrc", ".npmrc")
"""Files that are never completed and never shown to a model, unless the user empties `disabled_globs`."""

WORKSPACE_TOKENS = 128
"""The most that a workspace may ask for when the user leaves it to us."""
GROUPS = ("engine", "completion", "verify", "codegen")
MAX_LIST = 1000
MAX_STRING = 4096


class Multiline(StrEnum):
    """When more than a line is offered, where the place asks for more. A code action always writes all."""

    AUTOMATIC = "automatic"
    INVOKED = "invoked"
    """Only to who asks by hand."""
    NEVER = "never"


@dataclass(frozen=True)
class EngineSettings:
    """What answers. A change of any of these needs a new engine; a workspace may change none of them."""

    model: str = ""
    """A name of the registry or a folder; empty is the bundled model."""
    endpoint: str | None = None
    """Base URL of another OpenAI-compatible server ("http://127.0.0.1:8000"); None is our own host."""
    api_key_env: str | None = None
    """Name of the environment variable with the endpoint's key. The key itself is never a setting."""
    device: str = "auto"
    dtype: str = "auto"
    idle_exit_s: float = 1800.0
    """Seconds without a request after which the model host exits."""


@dataclass(frozen=True)
class CompletionSettings:
    """How an answer is made."""

    max_tokens: int | None = None
    """Of an answer; None: by what is asked for (a line, a block, a body)."""
    temperature: float = 0.0
    trigger: Trigger = Trigger.AUTOMATIC
    """INVOKED: requests that the editor makes on its own get an empty answer."""
    debounce_ms: float = 5.0
    """Milliseconds an automatic request waits for the next one: a key held down, several changes at once."""
    min_confidence: float = 0.0
    """Mean token probability, 0 to 1, below which nothing is offered."""
    hide_unsure: bool = True
    """Do not show unasked what the model is usually wrong about (ModelInfo.sure_from)."""
    look_ahead: bool = True
    """Use pauses to find out what comes after a suggestion, and to let the model read where the cursor is."""
    multiline: Multiline = Multiline.AUTOMATIC
    suggestions: int = 3
    """How many different ones who asks by hand gets to choose from; more than one take a little longer."""

    def is_line_only(self, trigger: Trigger) -> bool:
        """Whether one line is to be written where the place asks for more."""
        is_unasked = self.multiline is Multiline.INVOKED and trigger is Trigger.AUTOMATIC
        return is_unasked or self.multiline is Multiline.NEVER


@dataclass(frozen=True)
class VerifySettings:
    """How the action "Implement from docstring" judges what the model writes."""

    run_examples: bool = False
    """Run the docstring's examples, in a sandbox. Nothing is ever run without."""
    candidates: int = 5
    """Bodies that are tried until one passes its examples."""


@dataclass(frozen=True)
class Settings:
    """All settings, with their defaults."""

    enabled: bool = True
    engine: EngineSettings = field(default_factory=EngineSettings)
    completion: CompletionSettings = field(default_factory=CompletionSettings)
    verify: VerifySettings = field(default_factory=VerifySettings)
    index: bool = True
    """Read the workspace's other files, to show the model what it needs of them."""
    disabled_languages: tuple[str, ...] = ()
    disabled_globs: tuple[str, ...] = SECRETS
    """Matched against the whole path and the file name; `*` also matches `/`."""

    @property
    def indexing(self) -> object:
        """What an index depends on: a change of it needs another one."""
        return self.enabled and self.index, self.disabled_languages, self.disabled_globs

    def refusal(self, language: str, path: str) -> str | None:
        """Why nothing is offered in a file, in words; None when it may be."""
        if not self.enabled:
            return "switched off"
        if language in self.disabled_languages:
            return f"language {language} is disabled"
        name = PurePosixPath(path).name
        for glob in self.disabled_globs:
            if fnmatchcase(path, glob) or fnmatchcase(name, glob):
                return f"the path matches {glob}"
        return None


def parse(
    raw: object, *, base: Settings | None = None, trusted: bool = True, is_start: bool = True
) -> tuple[Settings, list[str]]:
    """Settings from JSON-like data laid over `base` (the defaults when None), and what was wrong, a sentence each.

    `is_start` is False for what an editor sends later than `initialize`.
    Keys may be camelCase or snake_case, nested (`{"engine": {"model": …}}`), dotted or flat (`{"model": …}`).
    """
    settings = base or Settings()
    if raw is None or raw == []:  # an empty table of Lua is sent as a list
        return settings, []
    if not isinstance(raw, Mapping):
        return settings, [f"settings: expected an object, got {type(raw).__name__}"]
    problems: list[str] = []
    for name, value in _leaves(raw, problems):
        rule = RULES[name]
        try:
            wanted = rule.read(value)
            if rule.is_settled and wanted and not is_start and not _value(settings, name):
                raise ValueError("only what starts the server (initializationOptions) may switch this on; ignored")
            settings = _laid_over(settings, name, rule, wanted, trusted)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return settings, problems


def _leaves(raw: Mapping[object, object], problems: list[str], depth: int = 0) -> Iterable[tuple[str, object]]:
    """(name, value) of each known setting, at most two groups deep; unknown keys become problems."""
    for key, value in raw.items():
        name = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", str(key)[:100]).lower().rsplit(".", 1)[-1]
        if name in GROUPS and isinstance(value, Mapping) and depth < 2:
            yield from _leaves(value, problems, depth + 1)
        elif name in RULES:
            yield name, value
        else:
            problems.append(f"{str(key)[:100]}: unknown setting, ignored")


def _laid_over(settings: Settings, name: str, rule: Rule, value: Any, trusted: bool) -> Settings:
    """Settings with one value changed. Raises ValueError when a workspace may not change it so."""
    if not trusted:
        if rule.safer is None:
            raise ValueError("only the user may set this, not a workspace; ignored")
        value = rule.safer(_value(settings, name), value)
    holder: Any = getattr(settings, rule.group) if rule.group else settings
    changed = replace(holder, **{name: value})
    return replace(settings, **{rule.group: changed}) if rule.group else changed


def _value(settings: Settings, name: str) -> Any:
    group = RULES[name].group
    return getattr(getattr(settings, group) if group else settings, name)


@dataclass(frozen=True)
class Rule:
    """How one setting is read, and what of a workspace's wish is granted."""

    group: str
    read: Callable[[object], Any]
    """Raises ValueError with the reason."""
    safer: Callable[[Any, Any], Any] | None = None
    """(the user's value, the workspace's) to the safer one; None: not the workspace's business."""
    is_settled: bool = False
    """Whether it can only be switched off once the server runs."""


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("expected true or false")
    return value


def _number(low: float, high: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}")
        return float(value)

    return read


def _integer(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _number(low, high)(value)
        if math.floor(number) != number:
            raise ValueError("expected a whole number")
        return int(number)

    return read


def _string(pattern: str, expected: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or len(value) > MAX_STRING or not re.fullmatch(pattern, value):
            raise ValueError(f"expected {expected}")
        return value

    return read


def _optional(inner: Callable[[object], T]) -> Callable[[object], T | None]:
    def read(value: object) -> T | None:
        return None if value is None or value == "" else inner(value)

    return read


def _strings(value: object) -> tuple[str, ...]:
    good = isinstance(value, list | tuple) and len(value) <= MAX_LIST
    if not good or not all(isinstance(item, str) and len(item) <= MAX_STRING for item in value):  # type: ignore[attr-defined]
        raise ValueError(f"expected a list of at most {MAX_LIST} strings")
    return tuple(value)  # type: ignore[arg-type]


def _one_of(kind: type[E]) -> Callable[[object], E]:
    *others, last = (f'"{each.value}"' for each in kind)

    def read(value: object) -> E:
        try:
            return kind(value)  # type: ignore[arg-type]
        except ValueError:
            raise ValueError(f"expected {', '.join(others)} or {last}") from None

    return read


def _fewer(mine: int | None, theirs: int | None) -> int | None:
    return min(mine or WORKSPACE_TOKENS, theirs) if theirs else mine


def _union(mine: tuple[str, ...], theirs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(mine + theirs))


RULES: Mapping[str, Rule] = {
    "enabled": Rule("", _flag, lambda mine, theirs: mine and theirs),
    "index": Rule("", _flag, lambda mine, theirs: mine and theirs),
    "disabled_languages": Rule("", _strings, _union),
    "disabled_globs": Rule("", _strings, _union),
    "model": Rule("engine", _string(r"[^\x00-\x1f]*", "the name or folder of a model")),
    "endpoint": Rule("engine", _optional(_string(r"(https?://|unix:)\S+", "a URL with http://, https:// or unix:"))),
    "api_key_env": Rule("engine", _optional(_string(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable"))),
    "device": Rule("engine", _string(r"auto|cpu|mps|(cuda|xpu)(:\d{1,3})?", "auto, cpu, cuda, cuda:N or mps")),
    "dtype": Rule("engine", _string(r"auto|float32|bfloat16|float16|int8", "auto, float32, bfloat16, float16 or int8")),
    "idle_exit_s": Rule("engine", _number(1, 604_800)),
    "max_tokens": Rule("completion", _optional(_integer(1, 4096)), _fewer),
    "temperature": Rule("completion", _number(0, 2)),
    "trigger": Rule("completion", _one_of(Trigger), lambda mine, theirs: mine if mine is Trigger.INVOKED else theirs),
    "debounce_ms": Rule("completion", _number(0, 10_000), max),
    "min_confidence": Rule("completion", _number(0, 1), max),
    "hide_unsure": Rule("completion", _flag, lambda mine, theirs: mine or theirs),
    "look_ahead": Rule("completion", _flag, lambda mine, theirs: mine and theirs),
    "multiline": Rule(
        "completion", _one_of(Multiline), lambda mine, theirs: max(mine, theirs, key=list(Multiline).index)
    ),
    "suggestions": Rule("completion", _integer(1, 5), min),
    "run_examples": Rule("verify", _flag, is_settled=True),
    "candidates": Rule("verify", _integer(1, 20), min),
}
