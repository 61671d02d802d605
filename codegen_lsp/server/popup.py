"""What the completion popup is given, and how long it may wait for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from codegen_lsp.core import Trigger
from codegen_lsp.server.asks import Ask, Purpose
from codegen_lsp.server.documents import Position
from codegen_lsp.server.orders import is_deliberate
from codegen_lsp.server.session import INVOKED_WAIT_S, Session
from codegen_lsp.server.suggestions import Offer

TYPED_S = 0.25
"""A popup for a word that is typed has what comes so soon: some editors show none before every server has answered."""


async def find(session: Session, uri: str, position: Position) -> tuple[Ask, Offer] | None:
    """The offer for a popup that says that it was invoked, if there is one in time and the text is still the same."""
    ask = _ask(session, uri, position)
    if ask is None:
        return None
    wait_s, limit_s = (INVOKED_WAIT_S, None) if ask.snapshot.trigger is Trigger.INVOKED else (TYPED_S, TYPED_S)
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            offer = await session.slots.newest(ask.slot, session.suggest(ask, wait_s))
            return (ask, offer) if offer and ask.is_current else None
    if running := session.generations.find(ask.slot, ask.snapshot):
        session.slots.start(running.result())  # Somebody waits: the next key, or the next request here, finds it.
    return None


def _ask(session: Session, uri: str, position: Position) -> Ask | None:
    """Editors say Invoked for each word that is typed, too: that is answered like ghost text, where there is none."""
    ask = session.ask(uri, position, purpose=Purpose.POPUP)
    if ask is None or is_deliberate(ask.snapshot):
        return ask
    if session.client.has_inline_completion:
        return None
    return session.ask(uri, position, Trigger.AUTOMATIC, purpose=Purpose.POPUP)
