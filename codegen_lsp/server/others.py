"""Several suggestions for one place, to choose from: for who asked by hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from codegen_lsp.core import Completion, Trigger
from codegen_lsp.errors import EngineError
from codegen_lsp.server.asks import Ask, now_of
from codegen_lsp.server.model import Loaded
from codegen_lsp.server.session import Session
from codegen_lsp.server.slots import begin
from codegen_lsp.server.suggestions import Offer, shown_edit

WAIT_S = 2.0
"""What is not there by then is not waited for: the first suggestion is."""
HEATS = (0.4, 0.6, 0.8, 1.0)
"""Temperatures of the others. They are written in one pass over the weights, so four cost little more than two."""


async def suggest_all(session: Session, ask: Ask, wait_s: float) -> list[Offer]:
    """What is offered at a place: one, and for who asked by hand others that differ from it, the surest first."""
    offer = await session.suggest(ask, wait_s)
    num_wanted = session.settings.completion.suggestions
    if ask.snapshot.trigger is Trigger.AUTOMATIC or num_wanted == 1:
        return [offer] if offer else []
    if not session.suggestions.is_varied(ask.snapshot, session.key(ask)) and (loaded := await session.model.ready(0)):
        await _vary(session, ask, loaded)
    now = now_of(ask, session.documents)
    return session.suggestions.all(now, session.key(ask))[:num_wanted] if now else []


async def _vary(session: Session, ask: Ask, loaded: Loaded) -> None:
    """Keep what the model says at other temperatures, as far as it differs."""
    key = session.key(ask)
    answers = sorted(await _answers(session, ask, loaded), key=lambda answer: answer.confidence)
    edits = [(shown_edit(answer, ask.snapshot), answer) for answer in answers]
    session.suggestions.vary(ask.snapshot, [(edit, answer) for edit, answer in edits if edit], key)


async def _answers(session: Session, ask: Ask, loaded: Loaded) -> Sequence[Completion]:
    """What comes in time."""
    asked = [
        begin(session.answer(ask, loaded, temperature=heat, seed=seed)) for seed, heat in enumerate(HEATS, start=1)
    ]
    try:
        await asyncio.wait(asked, timeout=WAIT_S)
        answers = list[Completion]()
        for each in asked:
            with contextlib.suppress(EngineError):
                answers += [each.result()] if each.done() else []
        return answers
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
