"""Token healing: the cursor may stand in the middle of what the model knows as one token.

`ret` at the end of a prompt is a token that training text hardly ever ended with, since `return` is one. So the last
token is taken back, and the first tokens of the answer are held to begin with its bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen_lsp.host.runners import Logits
from codegen_lsp.host.sample import Sampler, mass
from codegen_lsp.host.vocabulary import Vocabulary

MIN_MASS = 1e-5
"""Below this probability of all allowed tokens together their order is noise: the prompt is kept as it was."""


class Healing:
    """The bytes still to be written again, and the tokens that may write them."""

    def __init__(self, vocabulary: Vocabulary, taken_back: int) -> None:
        self._vocabulary = vocabulary
        self._taken_back = taken_back
        self.owed = vocabulary.bytes_of(taken_back)
        """What the prompt ended with."""
        self._owed = self.owed
        self._is_first = True

    @property
    def is_active(self) -> bool:
        """Whether the next token is still held to the prompt's bytes."""
        return bool(self._owed)

    def pick(self, logits: Logits, sampler: Sampler) -> tuple[int, bytes]:
        """An id that writes owed bytes, and what it writes beyond them (b"" until nothing is owed)."""
        allowed = self._vocabulary.beginning_with(self._owed) + self._vocabulary.within(self._owed)
        if self._is_first and mass(logits, allowed) < MIN_MASS:
            self._owed = b""
            return self._taken_back, b""
        self._is_first = False
        chosen = sampler.pick(logits, allowed)
        raw = self._vocabulary.bytes_of(chosen)
        beyond = raw[len(self._owed) :]
        self._owed = self._owed[len(raw) :]
        return chosen, beyond


def plan(ids: Sequence[int], vocabulary: Vocabulary) -> Healing | None:
    """Healing of the last id, None when there is nothing to heal.

    A control token is never taken back, nor a token that no other one extends; the first id of a prompt stays, since
    something must be run to have logits.
    """
    last = ids[-1]
    if len(ids) < 2 or vocabulary.is_control(last) or not vocabulary.bytes_of(last):
        return None
    return Healing(vocabulary, last) if vocabulary.can_extend(vocabulary.bytes_of(last)) else None
