"""The rules of .gitignore and .ignore files (gitignore(5)): which paths a repository does not count as its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NAMES = (".gitignore", ".ignore")
STAR, ANY_FOLDERS = "[^/]*", "(?:.*/)?"


@dataclass(frozen=True)
class Rule:
    """One line of a file; `base` is that file's folder, relative to the root, "" for the root itself."""

    base: str
    pattern: re.Pattern[str]
    is_negated: bool
    only_folders: bool

    def matches(self, path: str, is_folder: bool) -> bool:
        """Whether it speaks of a path, relative to the root."""
        if self.only_folders and not is_folder:
            return False
        if self.base:
            if not path.startswith(f"{self.base}/"):
                return False
            path = path[len(self.base) + 1 :]
        return self.pattern.fullmatch(path) is not None


def rules_of(text: str, base: str) -> list[Rule]:
    """The rules of an ignore file in a folder."""
    return [rule for line in text.split("\n") if (rule := _rule(line, base)) is not None]


def is_ignored(rules: Sequence[Rule], path: str, is_folder: bool) -> bool:
    """Whether the last rule that speaks of a path excludes it. Of folders above it the caller has asked before."""
    return next((not rule.is_negated for rule in reversed(rules) if rule.matches(path, is_folder)), False)


def _rule(line: str, base: str) -> Rule | None:
    line = _trimmed(line)
    if not line or line.startswith("#"):
        return None
    is_negated = line.startswith("!")
    line = line[is_negated:]
    if line.startswith("\\") and line[1:2] in ("#", "!"):
        line = line[1:]
    only_folders = line.endswith("/")
    line = line.rstrip("/") if only_folders else line
    is_anchored = "/" in line
    line = line.removeprefix("/")
    if not line:
        return None
    try:
        pattern = re.compile(_expression(line) if is_anchored else rf"(?:.*/)?{_expression(line)}", re.DOTALL)
    except re.error:
        return None  # git matches nothing by it, too
    return Rule(base, pattern, is_negated, only_folders)


def _trimmed(line: str) -> str:
    """Without the spaces at its end, unless a backslash keeps them."""
    stripped = line.rstrip(" \r")
    if stripped.endswith("\\") and (len(stripped) - len(stripped.rstrip("\\"))) % 2 and len(stripped) < len(line):
        stripped += " "
    return stripped


def _expression(glob: str) -> str:
    """A pattern of gitignore as a regular expression. It takes no longer for more stars: where one of them has found
    what stands behind it, the next one may as well go on from there, so it is never tried again (`(?>…)`)."""
    groups = _groups(list(_tokens(glob)), ANY_FOLDERS)
    first, *inner = map(_with_stars, groups)
    if not inner:
        return first
    return first + "".join(f"(?>(?:.*?/)??{each})" for each in inner[:-1]) + ANY_FOLDERS + inner[-1]


def _with_stars(tokens: list[str]) -> str:
    """Tokens as one expression; the last star before a `/` or the end has only one way to match."""
    first, *others = _groups(tokens, STAR)
    found = "".join(first)
    for number, fixed in enumerate(others, 1):
        is_last = number == len(others) or "/" in fixed
        found += f"{STAR}{''.join(fixed)}" if is_last else f"(?>{STAR}?{''.join(fixed)})"
    return found


def _groups(tokens: list[str], mark: str) -> list[list[str]]:
    """Tokens between marks."""
    groups: list[list[str]] = [[]]
    for token in tokens:
        if token == mark:
            groups.append([])
        else:
            groups[-1].append(token)
    return groups


def _tokens(glob: str) -> Iterator[str]:
    """Regular expressions of one character each, `/`, STAR, and ANY_FOLDERS."""
    at = 0
    while at < len(glob):
        char, token, length = glob[at], re.escape(glob[at]), 1
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            token, length = ANY_FOLDERS, 3
        elif glob[at:] == "**" and (at == 0 or glob[at - 1] == "/"):
            token, length = ".+", 2
        elif char == "*":
            token, length = STAR, len(glob) - at - len(glob[at:].lstrip("*"))
        elif char == "?":
            token = "[^/]"
        elif char == "[" and (end := _class_end(glob, at)) > 0:
            token, length = _class(glob[at + 1 : end]), end + 1 - at
        elif char == "\\" and at + 1 < len(glob):
            token, length = re.escape(glob[at + 1]), 2
        yield token
        at += length


def _class_end(glob: str, at: int) -> int:
    """Where a bracket expression ends; -1 when it does not."""
    start = at + 1 + (glob[at + 1 : at + 2] in ("!", "^"))
    end = glob.find("]", start + 1)
    while end > 0 and glob[end - 1] == "\\" and glob[end - 2] != "\\":
        end = glob.find("]", end + 1)
    return end


def _class(inside: str) -> str:
    is_negated = inside[:1] in ("!", "^")
    inside = inside[is_negated:].replace("[:", "").replace(":]", "") if "[:" in inside else inside[is_negated:]
    escaped = re.sub(r"([\[\]^&~|])", r"\\\1", inside)
    return f"(?!/)[{'^' if is_negated else ''}{escaped}]"
