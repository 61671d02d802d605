"""Context and format to token ids.

Each part is encoded by itself, so text can never merge with a control token or become one, and the ids of the
stable parts do not depend on what is typed.
"""

from __future__ import annotations

from codegen_lsp.core import Context, Prompt, Segment, Tokenizer
from codegen_lsp.prompt.formats import PREFIX, SUFFIX, Format


def render(context: Context, fmt: Format, tokenizer: Tokenizer) -> Prompt:
    """The prompt of a context: snippets, then the file in the format's own order."""
    builder = _Builder(tokenizer)
    if fmt.begin:
        builder.control(fmt.begin)
    if fmt.file_separator:
        for snippet in context.snippets:
            builder.control(fmt.file_separator)
            builder.text(f"snippet {snippet.path}", f"{snippet.path}\n{snippet.text}\n")
        if context.path:
            builder.control(fmt.file_separator)
            builder.text("path", f"{context.path}\n")
    for part in fmt.template:
        if part == PREFIX:
            builder.text("prefix", context.prefix)
        elif part == SUFFIX:
            builder.text("suffix", context.suffix)
        else:
            builder.control(part)
    return builder.prompt(fmt)


class _Builder:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.ids: list[int] = []
        self.segments: list[Segment] = []

    def control(self, token: str) -> None:
        number = self.tokenizer.special(token)
        if number is not None:
            self.ids.append(number)
            self.segments.append(Segment("control", token, 1))

    def text(self, name: str, text: str) -> None:
        ids = self.tokenizer.encode(text)
        self.ids += ids
        self.segments.append(Segment(name, text, len(ids)))

    def prompt(self, fmt: Format) -> Prompt:
        stops = (self.tokenizer.special(token) for token in fmt.ends)
        known = tuple(number for number in stops if number is not None)
        return Prompt(ids=tuple(self.ids), stop_ids=known, segments=tuple(self.segments))
