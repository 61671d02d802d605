"""Stand-ins for what a test should not need: a tokenizer of bytes, a sandbox without walls."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Sequence

from codegen_lsp.core import ModelInfo
from codegen_lsp.prompt.formats import FORMATS, PREFIX, SUFFIX
from codegen_lsp.verify.jail import Job, Outcome, Report

MODEL = ModelInfo("scripted", "", "codegen", context_window=100_000, prompt_budget=50_000)
SPECIALS = sorted(
    {
        part
        for row in FORMATS
        for part in (*row.template, *row.ends, row.file_separator, row.begin)
        if part and part not in (PREFIX, SUFFIX)
    }
)


class ByteTokenizer:
    """core.Tokenizer: an id is a byte of utf-8 (surrogates passed); control tokens are 1000 and above."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8", "surrogatepass"))

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(number for number in ids if number < 256).decode("utf-8", "replace")

    def special(self, token: str) -> int | None:
        return 1000 + SPECIALS.index(token) if token in SPECIALS else None


class OpenJail:
    """jail.Jail without walls, in this process: for bodies that a test has written itself. Keeps the jobs."""

    name = "open"

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def run(self, job: Job) -> Report:
        self.jobs.append(job)
        names: dict[str, object] = {"__name__": job.name}
        try:
            exec(compile(job.source, job.file, "exec", dont_inherit=True), names)
        except BaseException as error:
            return Report((), f"The module cannot be imported: {_said(error)}")
        return Report(tuple(_outcome(example, names) for example in job.examples))


def _outcome(example: str, names: dict[str, object]) -> Outcome:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(example, "<example>", "single", dont_inherit=True), names)
    except Exception as error:
        return Outcome(printed.getvalue(), _said(error))
    return Outcome(printed.getvalue(), "")


def _said(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1]
