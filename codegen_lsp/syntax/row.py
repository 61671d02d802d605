"""What is known of a language: one row of the table in languages.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from codegen_lsp.syntax.names import Function
from codegen_lsp.syntax.pattern import Pattern
from codegen_lsp.text import Span

NEVER = Pattern(r"(?!)")
AT = Pattern("@")


class Blocks(StrEnum):
    """How a language shows where a block ends."""

    INDENT = "indent"
    BRACES = "braces"
    """By braces, or by words such as `end`: `{` begins statements, so it does not continue one."""


@dataclass(frozen=True)
class Language:
    """One row. All patterns are applied to lines whose comments and strings are already masked, except `tokens`."""

    id: str
    blocks: Blocks
    tokens: Pattern
    """Matches comments (group "comment"), string literals, and those that begin in the next line (group "heredoc")."""
    opener: Pattern
    """A whole logical line, without its comment, after which a block follows."""
    definition: Pattern
    """The beginning of a line that belongs to a function or a class, decorators included."""
    imports: Pattern
    """The beginning of an import."""
    fresh: Pattern
    """The beginning of a line that no open bracket can contain: an unclosed one above ends here."""
    decorator: Pattern = AT
    """The beginning of a line that belongs to the definition below it."""
    closer: Pattern = NEVER
    """The beginning of a line at which a block ends that was opened at its indentation."""
    joins: Pattern = NEVER
    """The beginning of a line that goes on with the header above it at the same indentation."""
    end: Pattern = NEVER
    """The whole of such a line, when the statement is over too."""
    heads: tuple[str, ...] = (":", "{")
    """Ends of lines below which code is indented by one step."""
    stub: Pattern | None = None
    """A statement that stands for a body which is not written yet."""
    docstrings: bool = False
    """A body may begin with what the function is for; elsewhere a comment above the function says it."""
    unit: str = "    "
    """One step of indentation, where the file does not show its own."""
    grammar: Callable[[], object] | None = None
    """Loads the tree-sitter grammar; raises ImportError where it is not installed."""
    wants_line_end: bool = False
    """Its grammar takes a last line without a line end for a mistake."""
    fault: Callable[[str], int | None] | None = None
    """The language's own parser: the line (0-based) at which it gives a text up, None when it takes it."""
    lacking: Callable[[str, Span], tuple[Function, ...]] | None = None
    """The functions at a place of a text that read names which nothing defines."""

    @property
    def brackets(self) -> tuple[str, str]:
        """Opening and closing brackets inside which a statement goes on."""
        return ("([{", ")]}") if self.blocks is Blocks.INDENT else ("([", ")]")
