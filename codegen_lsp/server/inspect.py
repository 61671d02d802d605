"""The session as JSON, for people and for tests."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import Any

from codegen_lsp import __version__
from codegen_lsp.server.session import Session
from codegen_lsp.text import printable

HEAVY = ("torch", "transformers", "aiohttp", "tokenizers", "tree_sitter")
"""Modules whose absence is promised: the first two always, the others until a document is open."""


def status(session: Session) -> dict[str, Any]:
    """The model's state, and why it is not there."""
    info = session.model.info
    return {
        "version": __version__,
        "state": session.model.state.value,
        "model": info.id if info else None,
        "format": info.format if info else None,
        "error": session.model.error or None,
        "accepted": session.suggestions.num_accepted,
        "index": session.retrieval.states(),
    }


def session_state(session: Session) -> dict[str, Any]:
    """Everything that the session holds, less the texts."""
    documents = [
        {"uri": item.uri, "language": item.language, "version": item.version, "sha256": item.sha256}
        | {"length": len(item.own), "num_lines": item.num_lines}
        for item in session.documents.values()
    ]
    return {
        "documents": documents,
        "requests_in_flight": session.slots.num_waiting,
        "host": status(session),
        "encoding": session.client.encoding.value,
        "settings": asdict(session.settings),
        "pid": os.getpid(),
        "modules": [name for name in HEAVY if name in sys.modules],
    }


def last_trace(session: Session) -> Any:
    """How the suggestion that is shown or was just taken came about, or else how the last request went."""
    last = session.explained.last
    return {**asdict(last), "verdict": session.explained.verdict} if last else None


def last_in_words(session: Session) -> str:
    """The same as lines of text; "" before the first."""
    from codegen_lsp.explain import explain

    last = session.explained.last
    if last is None:
        return ""
    snippets = last.context.snippets if last.context else ()
    return (
        "\n".join((f"{printable(last.path)}, {last.trigger}", "", *explain(last.completion, last.model, snippets)))
        + "\n"
    )
