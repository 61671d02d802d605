"""The session: the only owner of mutable state, changed by the event loop alone.

A request reads one frozen Snapshot. What it finds is offered only when the document is still that text, or when the
user has typed the beginning of it meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from codegen_lsp.core import Completion, IntentKind, Snapshot, Trigger
from codegen_lsp.errors import EngineError
from codegen_lsp.server.asks import Ask, Purpose, now_of
from codegen_lsp.server.convert import Selected, ruled_path, shown_path
from codegen_lsp.server.documents import Change, Document, Position
from codegen_lsp.server.door import Client
from codegen_lsp.server.explained import Explained
from codegen_lsp.server.generations import Generations
from codegen_lsp.server.implementing import Implementing
from codegen_lsp.server.model import Editor, EngineFactory, Loaded, Model
from codegen_lsp.server.notebooks import Notebooks
from codegen_lsp.server.orders import find_order
from codegen_lsp.server.retrieval import FIRST_S, IndexFactory, Retrieval
from codegen_lsp.server.slots import Slots
from codegen_lsp.server.suggestions import Key, Offer, Suggestion, Suggestions, rest, shown_edit
from codegen_lsp.settings import Settings, parse

logger = logging.getLogger(__name__)

MAX_CHARS = 20_000_000
"""Larger documents are kept in step, but nothing is offered in them."""
AUTOMATIC_WAIT_S = 0.3
"""An automatic request gets an empty answer when the model takes longer to be there."""
INVOKED_WAIT_S = 5.0
AHEAD_AFTER_S = 0.2
"""A pause after which it pays to look ahead: most keys follow one another sooner."""
MAX_PATH = 200
"""Characters of a path that the model is shown, its end: more would take the place of the text."""


class Session:
    """Documents, settings, the model, and what has been suggested."""

    def __init__(
        self,
        client: Client,
        editor: Editor,
        factory: EngineFactory,
        overrides: Mapping[str, object] | None = None,
        index_factory: IndexFactory = lambda root, settings: None,
    ) -> None:
        self.client = client
        self.editor = editor
        self.overrides = dict(overrides or {})
        """Settings of the command line; they win."""
        self._initial = self._laid_over(Settings(), client.options)
        """What `initialize` said. Some editors say it only there, and send empty settings afterwards."""
        self.settings = self._laid_over(self._initial, self.overrides)
        self.documents: dict[str, Document] = {}
        self.notebooks = Notebooks()
        self.roots = client.roots
        self.model = Model(factory, self.settings, editor)
        self.suggestions = Suggestions()
        self.explained = Explained()
        self.stop_host: Callable[[Settings, str], Awaitable[None]] | None = None
        """Stops the host of a model folder."""
        self.slots = Slots()
        self.generations = Generations()
        self.implementing = Implementing(self)
        self.retrieval = Retrieval(index_factory, lambda: self.roots)
        self._name = os.urandom(4).hex()
        """Tells our documents from those of the host's other clients, which may have the same names."""

    # Documents

    def open(self, uri: str, language: str, version: int, text: str) -> None:
        """A document of the editor; an older one of the same name is replaced."""
        self.close_document(uri)
        document = self.documents[uri] = self.notebooks.document(uri, language, version, text)
        if self.settings.refusal(language, ruled_path(document.home, self.roots)) is None:
            self.slots.start(self.model.ready(None))  # So that the model is there at the first keystroke.
            self.retrieval.open(document.home, self.settings)

    def change(self, uri: str, version: int | None, changes: Sequence[Change]) -> None:
        """Apply the editor's edits; those of a version older than ours are not applied."""
        document = self.documents.get(uri)
        if document is None:
            logger.warning("a change of a document that is not open")
            return
        if version is not None and version < document.version:
            logger.warning("version %d is older than %d: change ignored", version, document.version)
            return
        is_typed = document.num_written(changes) <= 1
        document.update(document.version + 1 if version is None else version, changes, self.client.encoding)
        if not is_typed and (now := self.document(uri)):
            self.explained.took(document, self.suggestions.notice(uri, now.text))
        if changes and changes[-1].start is not None:
            self.retrieval.wrote(document, changes[-1].start[0])

    def close_document(self, uri: str) -> None:
        """Forget a document; what is still running for it is dropped."""
        document = self.documents.pop(uri, None)
        if document is None:
            return
        document.revision += 1
        for purpose in Purpose:
            self.slots.drop((purpose, uri))
            self.generations.drop((purpose, uri))
        self.suggestions.forget_document(uri)
        self.retrieval.forget(document)

    def document(self, uri: str) -> Document | None:
        """A document as it is now; a cell's has the earlier cells in front."""
        document = self.documents.get(uri)
        if document is not None:
            self.notebooks.settle(document, self.documents)
        return document

    # Settings

    async def configure(self, raw: object) -> None:
        """New settings from the editor (asked for when it says none); another engine only when its settings change."""
        raw = await self.editor.pull_settings() if raw is None or raw == {} else raw
        said = self._laid_over(self._initial, raw, is_start=False)
        old, self.settings = self.settings, self._laid_over(said, self.overrides)
        if old.engine != self.settings.engine:
            await self.restart_engine()
        if old.indexing != self.settings.indexing:
            await self.retrieval.reset()

    async def restart_engine(self, *, stop_host: bool = False) -> None:
        """Begin anew. The host is shared and not ours to stop, unless the user said so."""
        self.suggestions.clear()
        self.generations.clear()
        info = self.model.info
        if stop_host and info is not None and self.stop_host is not None:
            await self.stop_host(self.settings, info.folder)
        await self.model.reset(self.settings)

    def _laid_over(self, base: Settings, raw: object, *, is_start: bool = True) -> Settings:
        settings, problems = parse(raw, base=base, is_start=is_start)
        if problems:
            self.editor.show("codegen-lsp settings: " + "; ".join(problems)[:1000])
        return settings

    # Suggestions

    def ask(
        self,
        uri: str,
        place: Position | int,
        trigger: Trigger = Trigger.INVOKED,
        selected: Selected | None = None,
        purpose: Purpose = Purpose.GHOST_TEXT,
    ) -> Ask | None:
        """Freeze what a request may read; None where nothing is to be offered. `place`: position or offset in `own`."""
        document = self.document(uri)
        if document is None:
            return None
        path = ruled_path(document.home, self.roots)
        if self.settings.refusal(document.language, path) or len(document.text) > MAX_CHARS:
            return None
        if trigger is Trigger.AUTOMATIC and self.settings.completion.trigger is Trigger.INVOKED:
            return None
        text, floor = document.text, len(document.lead)
        offset = floor + place if isinstance(place, int) else document.offset(place, self.client.encoding)
        if document.is_barred(offset):
            return None
        if selected is not None:
            text, offset = selected.edit.apply(text), selected.edit.span.start + len(selected.edit.text)
        offset = min(max(offset, floor), len(text))
        snapshot = Snapshot(
            shown_path(path)[-MAX_PATH:], document.language, text, offset, document.version, uri, trigger, floor
        )
        return Ask(snapshot, document, document.revision, purpose)

    async def suggest(self, ask: Ask, wait_s: float | None) -> Offer | None:
        """What to offer; None when there is nothing, or when it would not fit the text any more."""
        key = self.key(ask)
        offer = self.suggestions.find(ask.snapshot, key) or await self._running_offer(ask, key)
        if offer is None:
            if ask.snapshot.trigger is Trigger.AUTOMATIC:
                await asyncio.sleep(self.settings.completion.debounce_ms / 1000)
            self.generations.drop((Purpose.AHEAD, ask.document.uri))
            running = self.generations.begin(
                ask.slot, ask.snapshot, lambda hear: self._suggestion(ask, wait_s, key, hear)
            )
            try:
                suggestion = await running.result()
            except EngineError:
                return None
            now = now_of(ask, self.documents)
            offer = rest(suggestion, now) if suggestion and now else None
        self.explained.offered(ask, self.suggestions.get(offer.number) if offer else None)
        if offer is not None and ask.purpose is Purpose.GHOST_TEXT:
            self._look_ahead(ask, offer)
        self.retrieval.later(ask, self.settings, self.slots, self.warm)
        return offer

    async def _running_offer(self, ask: Ask, key: Key) -> Offer | None:
        """What comes of a call that runs already, for this text or for what it was before the last keys."""
        for slot in (ask.slot, (Purpose.AHEAD, ask.document.uri)):
            running = self.generations.find(slot, ask.snapshot)
            # What looks ahead may still be waiting for its pause, or only read: asking anew is sooner.
            if running is not None and (slot == ask.slot or running.is_speaking):
                await running.over(ask.snapshot)
                now = now_of(ask, self.documents)
                if now and (offer := self.suggestions.find(now, key)):
                    return offer
        return None

    async def _suggestion(
        self, ask: Ask, wait_s: float | None, key: Key, hear: Callable[[str], None]
    ) -> Suggestion | None:
        """Ask the model, and keep what it says."""
        loaded = await self.prepare(ask, wait_s)
        if loaded is None:
            return None
        completion = await self.answer(ask, loaded, hear)
        edit = shown_edit(completion, ask.snapshot)
        return self.suggestions.put(ask.snapshot, edit, key, completion) if edit else None

    def _look_ahead(self, ask: Ask, offer: Offer) -> None:
        """While the user reads a suggestion, find out what comes after it."""
        now = now_of(ask, self.documents)
        if now is None or not self.settings.completion.look_ahead:
            return
        place = offer.edit.span.start + len(offer.edit.text)
        then = replace(now, text=offer.edit.apply(now.text), offset=place, trigger=Trigger.AUTOMATIC)
        self._ahead(replace(ask, snapshot=then, revision=ask.document.revision))

    def warm(self, ask: Ask) -> None:
        """The cursor rests here: let the model read what stands around it, so that the first key finds it there."""
        if self.settings.completion.look_ahead and not self.generations.is_busy(ask.slot):
            self._ahead(ask, only_prefill=True)

    def _ahead(self, ask: Ask, *, only_prefill: bool = False) -> None:
        """Ask the model for what nobody has asked for yet; everything else goes first, and ends it."""
        slot = (Purpose.AHEAD, ask.document.uri)
        if self.generations.find(slot, ask.snapshot) or self.suggestions.find(ask.snapshot, self.key(ask)):
            return
        key = self.key(ask)

        async def work(hear: Callable[[str], None]) -> Suggestion | None:
            await asyncio.sleep(AHEAD_AFTER_S)
            if not ask.is_current or (loaded := await self.model.ready(0)) is None:
                return None
            completion = await self._complete(ask, loaded, hear, is_background=True, only_prefill=only_prefill)
            edit = completion.edit
            return self.suggestions.put(ask.snapshot, edit, key, completion) if edit else None

        self.generations.begin(slot, ask.snapshot, work)

    def key(self, ask: Ask) -> Key:
        """What a suggestion depends on besides the text."""
        is_line_only = ask.purpose is not Purpose.ORDER and self.settings.completion.is_line_only(ask.snapshot.trigger)
        return Key((self.settings.engine, self.settings.completion), is_line_only)

    async def prepare(self, ask: Ask, wait_s: float | None) -> Loaded | None:
        """The model, None when it is not there within `wait_s` seconds; who asked by hand has the index asked, too."""
        is_invoked = ask.snapshot.trigger is Trigger.INVOKED
        loaded = await self.model.ready(wait_s, insist=is_invoked)
        if loaded and is_invoked:  # somebody who waits for an answer wants the best one
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.retrieval.refresh(ask, self.settings), FIRST_S)
        return loaded

    async def answer(
        self, ask: Ask, loaded: Loaded, hear: Callable[[str], None] | None = None, **how: Any
    ) -> Completion:
        """Ask the model that is there, as `_complete` does. Raises EngineError."""
        try:
            return await self._complete(ask, loaded, hear, **how)
        except EngineError:
            # The host was killed, or left because it was idle. The next request finds or starts one.
            self.model.lost()
            raise

    async def _complete(
        self,
        ask: Ask,
        loaded: Loaded,
        hear: Callable[[str], None] | None,
        *,
        is_background: bool = False,
        only_prefill: bool = False,
        parses_whole: bool = False,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Completion:
        # Imported here: tree-sitter would delay the answer to `initialize`.
        from codegen_lsp.pipeline import Options, complete

        # The engine ends an older request of the same name: that must not be another editor's, or for another purpose.
        # What looks ahead of ghost text has its name: it reads on where that ends, and gives way to it.
        # Others to choose from are asked for in one document at a time, and leave the host's few slots to those.
        is_other = seed is not None and ask.purpose is not Purpose.ORDER
        slot = ("other",) if is_other else ask.slot
        name = ":".join((self._name, *slot, *([] if seed is None else [str(seed)])))
        wanted = self.settings.completion
        is_unasked = ask.snapshot.trigger is Trigger.AUTOMATIC
        least = max(wanted.min_confidence, loaded.info.sure_from if is_unasked and wanted.hide_unsure else 0.0)
        options = Options(
            wanted.max_tokens,
            temperature=wanted.temperature if temperature is None else temperature,
            seed=seed,
            parses_whole=parses_whole,
            only_line=self.key(ask).only_line,
            min_confidence=least,
            is_background=is_background,
            only_prefill=only_prefill,
        )
        return await complete(
            replace(ask.snapshot, uri=name),
            loaded.engine,
            loaded.info,
            loaded.fmt,
            loaded.tokenizer,
            options=options,
            snippets=self.retrieval.snippets(ask.document.uri),
            trace=None if only_prefill else self.explained.aside if is_background or is_other else self.explained.asked,
            on_text=hear,
        )

    def order_at(self, uri: str, position: Position) -> tuple[Ask, IntentKind] | None:
        """The comment or docstring at a position that asks for code, without asking the model."""
        ask = self.ask(uri, position)
        found = find_order(ask.snapshot) if ask else None
        if ask is None or found is None:
            return None
        return replace(ask, snapshot=replace(ask.snapshot, offset=found.offset)), found.kind

    def accepted(self, number: object) -> None:
        """The user took a suggestion."""
        if (taken := self.suggestions.accept(number)) and (document := self.documents.get(taken.uri)):
            self.explained.took(document, taken)

    async def close(self) -> None:
        """Cancel what runs and drop the connection to the engine."""
        await self.generations.close()
        await self.slots.close()
        await self.retrieval.reset()
        await self.model.reset(self.settings)
