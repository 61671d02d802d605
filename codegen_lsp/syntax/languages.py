"""Languages as data: one row each. A language without a grammar works by its comments and its indentation."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from codegen_lsp.syntax.names import Function, lacking
from codegen_lsp.text import Span


class Blocks(StrEnum):
    """How a language shows where a block ends."""

    INDENT = "indent"
    BRACES = "braces"


@dataclass(frozen=True)
class Language:
    """One row. All patterns are applied to lines whose comments and strings are already masked, except `tokens`."""

    id: str
    blocks: Blocks
    tokens: re.Pattern[str]
    """Matches comments (group "comment") and string literals."""
    opener: re.Pattern[str]
    """A whole logical line, without its comment, after which a block follows."""
    definition: re.Pattern[str]
    """The beginning of a line that belongs to a function or a class, decorators included."""
    imports: re.Pattern[str]
    """The beginning of an import."""
    fresh: re.Pattern[str]
    """The beginning of a line that no open bracket can contain: an unclosed one above ends here."""
    stub: re.Pattern[str] | None = None
    """A statement that stands for a body which is not written yet."""
    docstrings: bool = False
    unit: str = "    "
    """One step of indentation, where the file does not show its own."""
    grammar: Callable[[], object] | None = None
    """Loads the tree-sitter grammar."""
    fault: Callable[[str], int | None] | None = None
    """The language's own parser: the line (0-based) at which it gives a text up, None when it takes it."""
    lacking: Callable[[str, Span], tuple[Function, ...]] | None = None
    """The functions at a place of a text that read names which nothing defines."""

    @property
    def brackets(self) -> tuple[str, str]:
        """Opening and closing brackets inside which a statement goes on."""
        return ("([{", ")]}") if self.blocks is Blocks.INDENT else ("([", ")]")


def _python_grammar() -> object:
    import tree_sitter_python

    return tree_sitter_python.language()


def _python_fault(text: str) -> int | None:
    """Compiles, and runs nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        return max((error.lineno or 1) - 1, 0)
    except (ValueError, MemoryError, RecursionError, OverflowError):
        return 0
    return None


def _quoted(quote: str) -> str:
    """A literal on one line; it ends with the line when it is not closed."""
    return rf"{quote}(?:\\.|[^{quote}\\\r\n])*{quote}?"


def _tokens(markers: tuple[str, ...], quotes: str, triple: bool = False) -> re.Pattern[str]:
    comment = "(?P<comment>(?:" + "|".join(map(re.escape, markers)) + r")[^\r\n]*)"
    long = [rf"{q * 3}(?:\\.|[^\\])*?(?:{q * 3}|\\?\Z)" for q in quotes if triple]
    return re.compile("|".join([comment, *long, *map(_quoted, quotes)]), re.DOTALL)


_NEVER = re.compile(r"(?!)")
_PYTHON_BLOCK = (
    r"(?:async\s+)?(?:def|for|with)\b|class\b|if\b|elif\b|else\b|while\b|try\b|except\b|finally\b|(?:match|case)\s+\S"
)

PYTHON = Language(
    "python",
    Blocks.INDENT,
    tokens=_tokens(("#",), "\"'", triple=True),
    opener=re.compile(rf"(?:{_PYTHON_BLOCK}).*:", re.DOTALL),
    definition=re.compile(r"(?:async\s+)?def\b|class\b|@"),
    imports=re.compile(r"import\b|from\b"),
    fresh=re.compile(r"(?:async\s+def|def|class|import|return|raise|pass|while|try|with|assert|del|global)\b|@\w"),
    stub=re.compile(r"pass|\.\.\.|raise NotImplementedError\b.*", re.DOTALL),
    docstrings=True,
    grammar=_python_grammar,
    fault=_python_fault,
    lacking=lacking,
)


def _plain(id: str, markers: tuple[str, ...], blocks: Blocks, quotes: str = "\"'") -> Language:
    """A language of which only comments, quotes and indentation are known."""
    opener = r".*\{" if blocks is Blocks.BRACES else r".*(?::|\b(?:do|then|else|begin))"
    return Language(
        id,
        blocks,
        _tokens(markers, quotes),
        re.compile(opener, re.DOTALL),
        definition=_NEVER,
        imports=_NEVER,
        fresh=_NEVER,
    )


_HASH = ("shellscript", "ruby", "perl", "r", "yaml", "toml", "makefile", "dockerfile", "julia", "elixir", "powershell")
_SLASH = ("javascript", "javascriptreact", "typescript", "typescriptreact", "c", "cpp", "csharp", "java", "go", "rust")
_SLASH_TOO = ("kotlin", "swift", "scala", "dart", "php")

LANGUAGES = (
    PYTHON,
    *(_plain(id, ("#",), Blocks.INDENT) for id in _HASH),
    *(_plain(id, ("//",), Blocks.BRACES) for id in (*_SLASH, *_SLASH_TOO)),
    *(_plain(id, ("--",), Blocks.INDENT) for id in ("lua", "sql", "haskell")),
)
OTHER = _plain("", ("#", "//"), Blocks.INDENT, quotes='"')
"""For a language that has no row: an apostrophe may be prose there, so it opens no string."""


def find(language: str) -> Language:
    """The row of an LSP language id."""
    return next((row for row in LANGUAGES if row.id == language), OTHER)
