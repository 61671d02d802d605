"""The fake engine: answers from a list or a function, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence

from codegen_lsp.core import Delta, ModelInfo, Prompt, SamplingParams

NOWHERE = ModelInfo("scripted", "", "codegen", context_window=1024, prompt_budget=512)


class ScriptedEngine:
    """api.Engine whose answers, streamed word by word, come in order from a list (the last repeats) or a function."""

    def __init__(
        self, answers: Sequence[str] | Callable[[Prompt], str], delay: float = 0.0, info: ModelInfo = NOWHERE
    ) -> None:
        self._answers = answers
        self._delay = delay
        self._info = info
        self.requests: list[tuple[Prompt, SamplingParams, str, bool]] = []
        self.num_cancelled = 0

    async def info(self) -> ModelInfo:
        """The model it pretends to be."""
        return self._info

    async def generate(
        self, prompt: Prompt, params: SamplingParams, *, document: str, heal: bool
    ) -> AsyncGenerator[Delta, None]:
        """Stream the next answer, `delay` seconds before each word; max_tokens counts words."""
        self.requests.append((prompt, params, document, heal))
        answers = self._answers
        text = answers(prompt) if callable(answers) else answers[min(len(self.requests), len(answers)) - 1]
        words = re.findall(r"\s*\S+|\s+$", text)
        self.num_cancelled += 1
        for word in words[: params.max_tokens]:
            await asyncio.sleep(self._delay)
            yield Delta(word, logprobs=(-0.1,), tokens=(word,))
        self.num_cancelled -= 1
        yield Delta("", finish="length" if len(words) > params.max_tokens else "stop")

    async def close(self) -> None:
        """Nothing to drop."""
