"""Pieces of an answer as the JSON of OpenAI's completions API."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from aiohttp import web

from codegen_lsp.host.answer import Piece, Token


class Completion:
    """One HTTP answer: its id, its chunks, and what they add up to."""

    def __init__(self, model: str, has_logprobs: bool, has_running_usage: bool = False) -> None:
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }
        self._has_logprobs = has_logprobs
        self._has_running_usage = has_running_usage
        self._usages: dict[int, Mapping[str, float]] = {}
        self._sent: dict[int, int] = {}
        """Characters of each choice so far: where the next token's text_offset is."""

    def chunk(self, index: int, piece: Piece) -> dict[str, Any]:
        """One event of a stream. The last one of a choice carries the usage so far, each one if that was asked for."""
        choice = {
            "index": index,
            "text": piece.text,
            "logprobs": self._logprobs(index, piece.tokens),
            "finish_reason": piece.finish,
        }
        if piece.usage:
            self._usages[index] = piece.usage
        if not piece.finish and not self._has_running_usage:
            return {**self._head, "choices": [choice]}
        return {**self._head, "choices": [choice], "usage": self.usage(), "timings_ms": self.timings()}

    def usage_chunk(self) -> dict[str, Any]:
        """The event without choices that `stream_options.include_usage` asks for."""
        return {**self._head, "choices": [], "usage": self.usage()}

    def whole(self, pieces: Iterable[tuple[int, Piece]]) -> dict[str, Any]:
        """The answer to a request that is not streamed."""
        by_index: dict[int, list[Piece]] = {}
        for index, piece in pieces:
            by_index.setdefault(index, []).append(piece)
        choices = []
        for index, parts in by_index.items():
            tokens = tuple(token for part in parts for token in part.tokens)
            text = "".join(part.text for part in parts)
            choices += self.chunk(index, Piece(text, tokens, parts[-1].finish, parts[-1].usage))["choices"]
        return {**self._head, "choices": choices, "usage": self.usage(), "timings_ms": self.timings()}

    def usage(self) -> dict[str, Any]:
        """Tokens of all choices; the prompt counts once."""
        prompt = int(max((u.get("prompt_tokens", 0) for u in self._usages.values()), default=0))
        completion = self._sum("completion_tokens")
        cached = int(next(iter(self._usages.values()), {}).get("cached_tokens", 0))
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            **{name: self._sum(name) for name in ("candidate_runs", "copied_tokens") if self._sum("candidate_runs")},
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {
                "accepted_prediction_tokens": self._sum("accepted_tokens"),
                "rejected_prediction_tokens": self._sum("drafted_tokens") - self._sum("accepted_tokens"),
            },
        }

    def _sum(self, name: str) -> int:
        return int(sum(usage.get(name, 0) for usage in self._usages.values()))

    def timings(self) -> dict[str, float]:
        """Milliseconds of prefill and decode, all choices together."""
        names = ("prefill", "decode")
        return {name: sum(u.get(f"{name}_ms", 0.0) for u in self._usages.values()) for name in names}

    def _logprobs(self, index: int, tokens: tuple[Token, ...]) -> dict[str, Any] | None:
        if not self._has_logprobs:
            return None
        offsets = []
        for token in tokens:
            offsets.append(self._sent.get(index, 0))
            self._sent[index] = offsets[-1] + len(token.text)
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [token.logprob for token in tokens],
            "top_logprobs": [dict(reversed(token.top)) for token in tokens],
            "text_offset": offsets,
        }


def error_body(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """An error as OpenAI writes it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def json_response(data: Mapping[str, Any], status: int = 200) -> web.Response:
    """A JSON response."""
    return web.Response(body=orjson.dumps(data), status=status, content_type="application/json")


def error_response(status: int, message: str, param: str | None = None) -> web.Response:
    """An error response; the type follows from the status."""
    kinds = {404: "not_found_error", 503: "service_unavailable_error", 500: "server_error"}
    return json_response(error_body(message, kinds.get(status, "invalid_request_error"), param, str(status)), status)


def event(data: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"
