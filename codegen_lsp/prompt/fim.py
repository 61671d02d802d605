"""Prompts that an editor has written in a model family's own markers, taken apart into the texts around the cursor.

Some editors (Zed) write the markers themselves and send one text. To our tokenizer markers in a text are text, so what
they part has to be found again before it can be rendered in the format of the model that is really there.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen_lsp.prompt.formats import FORMATS


@dataclass(frozen=True)
class Form:
    """How the two texts are written down: `opening`, the first, `between`, the other, `closing`."""

    opening: str
    between: str
    closing: str
    is_suffix_first: bool = False


FORMS = (
    Form("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    Form("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    Form("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    Form("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    Form("<PRE> ", " <SUF>", " <MID>"),
    Form("[SUFFIX]", "[PREFIX]", "", is_suffix_first=True),
)

MARKERS = frozenset(
    {
        *(part.strip() for form in FORMS for part in (form.opening, form.between, form.closing) if part),
        *(token for row in FORMATS for token in (*row.control_tokens, *row.ends)),
        "<|file_separator|>",
    }
)
"""What editors ask an answer to stop at, whatever the model: to ours they are control tokens, or no tokens at all."""


def texts_of(prompt: str) -> tuple[str, str] | None:
    """(prefix, suffix) of a prompt in one of the FORMS; None for any other text.

    Where the text around the cursor has a marker itself, the first one is taken for the editor's.
    """
    for form in FORMS:
        if prompt.startswith(form.opening) and prompt.endswith(form.closing):
            inner = prompt[len(form.opening) : len(prompt) - len(form.closing)]
            first, between, second = inner.partition(form.between)
            if between:
                return (second, first) if form.is_suffix_first else (first, second)
    return None
