"""Is a comment an order? Read from its words alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from codegen_lsp.syntax.remarks import DIRECTIVE

_MARKER = re.compile(r"\s*(?:(?:#|//|--)+[:!]?/?|/\*+!?|\*+(?!/))\s?")
_CLOSING = re.compile(r"\s*\*+/\s*$")
_LEGAL = re.compile(r"copyright|\(c\) \d|licen[sc]e|spdx-|all rights reserved|warrant", re.IGNORECASE)
_RULE = re.compile(r"[-=#*~_+/]{3,}|─{2,}")
_CODE = re.compile(
    r"[;{}]\s*$"
    r"|^[\w.]+(?:\[[^\]]*\])?\s*(?:[-+*/|&]?=(?!=)|:\s*\w+\s*=)\s*\S"
    r"|^(?:await )?[\w.]+\(.*\)?$"
    r"|^(?:if|elif|for|while|def|class|with|except|async)\b.*:\s*$"
    r"|^(?:else|try|finally):"
    r"|^(?:import [\w.]+(?: as \w+)?|from [\w.]+ import .+)$"
    r"|^(?:return|raise|assert|del|yield) ?[\w.]*[\w\])]$"
    r"|^@\w[\w.]*(?:\(.*\))?$"
    r"|^(?:pass|break|continue|\.\.\.)$"
)
_LETTERS = re.compile(r"[^\W\d_]")


def words(comment: str) -> str:
    """A comment line without its marker."""
    comment = _CLOSING.sub("", comment)
    match = _MARKER.match(comment)
    return comment[match.end() if match else 0 :].strip()


def is_order(comment: Sequence[str], automatic: bool) -> bool:
    """Whether comment lines ask for code; when nobody asked in so many words (`automatic`) the answer is stricter.

    Never: shebangs and tool directives (`# noqa`, `# type:`), comments without a letter. Not automatically:
    commented-out code, licence headers, separators, a single letter.
    """
    if comment[0].startswith("/*") and "*/" not in comment[-1]:
        return False  # what is written below it would be part of it
    lines = [line[:200] for line in comment[-50:]]
    directives = [number for number, line in enumerate(lines) if line[:2] == "#!" or DIRECTIVE.match(words(line))]
    # A shebang or an encoding may stand right above the order.
    lines = [words(line) for line in lines[directives[-1] + 1 if directives else 0 :]]
    text = "\n".join(line for line in lines if line)
    if not _LETTERS.search(text):
        return False
    if not automatic:
        return True
    if _LEGAL.search(text) or _RULE.search(text) or len(_LETTERS.findall(text)) < 2:
        return False
    return not _CODE.search(text.rpartition("\n")[2])
