"""What a completions server says, as our own nouns: events of a stream, deltas, errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from codegen_lsp.core import Delta
from codegen_lsp.errors import EngineError, EngineFailed, EngineUnavailable

USAGE = ("prompt_tokens", "completion_tokens", "candidate_runs", "copied_tokens")
"""Counts that are taken over as they are; the last two are our host's."""


async def events(lines: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, to its end. Raises EngineFailed for an error in it."""
    async for line in lines:
        if line.startswith(b"data:") and (data := line[5:].strip()) != b"[DONE]":
            event = json_object(data)
            if "error" in event:
                raise EngineFailed(_message(event))
            yield event


def delta(event: Mapping[str, Any]) -> Delta:
    """One event as a delta."""
    choice = (event.get("choices") or [{}])[0]
    logprobs = choice.get("logprobs") or {}
    values = tuple(float(value) for value in logprobs.get("token_logprobs") or () if value is not None)
    return Delta(
        text=choice.get("text") or "",
        logprobs=values,
        tokens=tuple(logprobs.get("tokens") or ()),
        finish=choice.get("finish_reason"),
        usage=_usage(event),
    )


def _usage(event: Mapping[str, Any]) -> dict[str, float]:
    usage = event.get("usage") or {}
    found = {name: usage[name] for name in USAGE if name in usage}
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens")
    drafts = usage.get("completion_tokens_details") or {}
    if "accepted_prediction_tokens" in drafts and "rejected_prediction_tokens" in drafts:
        found["accepted_tokens"] = drafts["accepted_prediction_tokens"]
        found["drafted_tokens"] = found["accepted_tokens"] + drafts["rejected_prediction_tokens"]
    times = {f"{name}_ms": value for name, value in (event.get("timings_ms") or {}).items()}
    return {**found, **({} if cached is None else {"cached_tokens": cached}), **times}


def refusal(status: int, raw: bytes) -> EngineError:
    """The exception for an HTTP error."""
    try:
        message = _message(json_object(raw))
    except EngineFailed:
        message = f"The engine answered with HTTP status {status}."
    return EngineUnavailable(message) if status == 503 else EngineFailed(message)


def _message(body: Mapping[str, Any]) -> str:
    error = body.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    return str(text or "The engine answered with an error.")


def json_object(raw: bytes) -> dict[str, Any]:
    """The object of a body or an event. Raises EngineFailed."""
    try:
        data = json.loads(raw)
    except ValueError as error:
        raise EngineFailed("The engine answered with something else than JSON.") from error
    if not isinstance(data, dict):
        raise EngineFailed("The engine answered with something else than a JSON object.")
    return data
