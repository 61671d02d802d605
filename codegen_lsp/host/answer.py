"""From tokens to the text that may be sent: whole characters, nothing of a stop string, each token with its text."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Token:
    """A token of an answer, as `logprobs` shows it."""

    id: int
    text: str
    logprob: float = 0.0
    top: tuple[tuple[str, float], ...] = ()
    """The likeliest (text, log-probability) in its place."""


@dataclass(frozen=True)
class Piece:
    """What one token adds. The last piece has `finish`."""

    text: str
    tokens: tuple[Token, ...] = ()
    finish: str | None = None
    """stop, length or cancelled."""
    usage: Mapping[str, float] = field(default_factory=dict)
    """So far: prompt, cached, completion, drafted and accepted _tokens, prefill_ms and decode_ms."""


def merged(pieces: Sequence[Piece]) -> Piece:
    """Several pieces that follow one another as one."""
    tokens = tuple(token for piece in pieces for token in piece.tokens)
    return Piece("".join(piece.text for piece in pieces), tokens, pieces[-1].finish, pieces[-1].usage)


class Answer:
    """Feed tokens' bytes; get text that is final. Holds back only what may still become a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._sent = 0
        """Characters sent; a token is sent with its first character."""
        self._waiting: list[tuple[int, Token]] = []
        self.is_stopped = False

    def feed(self, raw: bytes, token: Token) -> tuple[str, tuple[Token, ...]]:
        """Add a token's bytes; the text and the tokens that are final now."""
        self._waiting.append((self._sent + len(self._held), token))
        self._held += self._decoder.decode(raw)
        cuts = [at for at in map(self._held.find, self._stops) if at >= 0]
        if cuts:
            self.is_stopped = True
            return self._send(min(cuts), is_last=True)
        return self._send(len(self._held) - self._num_doubtful())

    def flush(self) -> tuple[str, tuple[Token, ...]]:
        """What is left when the answer ends of itself; half a character becomes U+FFFD."""
        if self.is_stopped:
            return "", ()
        self._held += self._decoder.decode(b"", final=True)
        sent = self._send(len(self._held))
        rest = tuple(token for _, token in self._waiting)
        self._waiting.clear()
        return sent[0], sent[1] + rest

    def _send(self, length: int, is_last: bool = False) -> tuple[str, tuple[Token, ...]]:
        text, self._held = self._held[:length], self._held[length:]
        self._sent += length
        ready = tuple(token for start, token in self._waiting if start < self._sent)
        self._waiting = [] if is_last else [pair for pair in self._waiting if pair[0] >= self._sent]
        return text, ready

    def _num_doubtful(self) -> int:
        """Length of the longest end of the held text with which a stop string begins."""
        longest = max(map(len, self._stops), default=0)
        for size in range(min(longest - 1, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0
