"""The body of POST /v1/completions, checked field by field, as a frozen Request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from codegen_lsp.core import Context, Tokenizer
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.prompt.render import render

MAX_CHOICES = 16
MAX_TOP_LOGPROBS = 20
MAX_STOP_CHARS = 1000
MAX_CANDIDATES, MAX_BONUS = 1000, 100.0
MAX_CHARS_PER_TOKEN = 32
"""On average over a whole prompt. Text beyond is refused unread: 15 MB would keep the host busy for 17 s."""
NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "echo": (False,),
    "best_of": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
}
"""Standard fields that are not supported, with the values at which they change nothing."""


class BadRequest(Exception):
    """A parameter that cannot be used; `param` is its name, `status` the HTTP status."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.status = status


@dataclass(frozen=True)
class Served:
    """What a request is checked against: the model's names, tokenizer and sizes."""

    names: frozenset[str]
    tokenizer: Tokenizer
    format: str
    vocab_size: int
    context_window: int


@dataclass(frozen=True)
class Request:
    """A request that can be run."""

    ids: tuple[int, ...]
    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_ids: frozenset[int] = field(default_factory=frozenset)
    ignore_eos: bool = False
    logprobs: int | None = None
    """How many of the likeliest tokens to list; None: no log-probabilities at all."""
    n: int = 1
    stream: bool = False
    include_usage: bool = False
    """Whether a streamed answer ends with a chunk of its own for the usage."""
    has_running_usage: bool = False
    """Whether every chunk says the usage so far (vLLM's `continuous_usage_stats`)."""
    document: str = ""
    heal: bool = False
    candidates: tuple[tuple[str, float], ...] = ()
    """(line that may take the place of the answer's first line, nats by which it may be less likely): candidates.py."""
    least_confidence: float = 0.0
    """Mean token probability below which nobody wants the answer: its first line is then not written to its end while
    candidates wait."""
    candidate_confidence: float = 0.0
    """The same of a candidate's tokens."""
    is_background: bool = False
    """Nobody waits for it; an empty answer (max_tokens 0) only leaves its prompt in the cache."""


def parse(body: object, served: Served) -> Request:
    """Check a JSON body. Raises BadRequest with a sentence that names the parameter."""
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    for name, neutral in NEUTRAL.items():
        if body.get(name) is not None and body[name] not in neutral:
            raise BadRequest(f"{name} is not supported; leave it out.", name)
    model = _typed(body, "model", str, "", "a string")
    if model and model not in served.names:
        raise BadRequest(f"The model {model!r} is not served here; GET /v1/models says which is.", "model", 404)
    options = _typed(body, "stream_options", dict, {}, "an object")
    return Request(
        ids=_prompt(body, served),
        max_tokens=_int(body, "max_tokens", 16, 0, 1 << 20),
        temperature=_number(body, "temperature", 1.0, 0.0, 2.0),
        top_p=_number(body, "top_p", 1.0, 1e-6, 1.0),
        seed=_int(body, "seed", None, -(1 << 63), (1 << 64) - 1),
        stop=_stop(body),
        stop_ids=frozenset(_ids(body.get("stop_token_ids") or [], "stop_token_ids", served.vocab_size)),
        ignore_eos=_typed(body, "ignore_eos", bool, False, "true or false"),
        logprobs=_int(body, "logprobs", None, 0, MAX_TOP_LOGPROBS),
        n=_int(body, "n", 1, 1, MAX_CHOICES),
        stream=_typed(body, "stream", bool, False, "true or false"),
        include_usage=bool(options.get("include_usage")),
        has_running_usage=bool(options.get("continuous_usage_stats")),
        document=_typed(body, "document", str, "", "a string")[:4096],
        heal=_typed(body, "heal", bool, False, "true or false"),
        candidates=_candidates(body),
        least_confidence=_number(body, "least_confidence", 0.0, 0.0, 1.0),
        candidate_confidence=_number(body, "candidate_confidence", 0.0, 0.0, 1.0),
        is_background=_typed(body, "background", bool, False, "true or false"),
    )


def _prompt(body: Mapping[str, Any], served: Served) -> tuple[int, ...]:
    """The prompt's ids: given as such, or a text to be encoded (with `suffix`, in the model's FIM format)."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], (str, list)):
        prompt = prompt[0]
    suffix = _typed(body, "suffix", str, "", "a string")
    if isinstance(prompt, str):
        ids = _encode(prompt, suffix, served)
    elif isinstance(prompt, list) and prompt and not isinstance(prompt[0], (str, list)):
        if suffix:
            raise BadRequest("suffix goes with a text prompt only; token ids already contain it.", "suffix")
        ids = _ids(prompt, "prompt", served.vocab_size)
    else:
        raise BadRequest("prompt must be one string or one list of token ids.", "prompt")
    if not ids:
        raise BadRequest("prompt is empty; at least one token is needed.", "prompt")
    if len(ids) >= served.context_window:
        raise BadRequest(
            f"The prompt has {len(ids)} tokens and the model's window is {served.context_window}; shorten the prompt.",
            "prompt",
        )
    return ids


def _encode(prompt: str, suffix: str, served: Served) -> tuple[int, ...]:
    """Markers in the text stay text: only the format itself adds control tokens."""
    fmt = BY_NAME[served.format]
    if suffix and not fmt.is_fim:
        raise BadRequest("This model cannot fill in the middle; leave suffix out.", "suffix")
    if len(prompt) + len(suffix) > served.context_window * MAX_CHARS_PER_TOKEN:
        window = served.context_window
        raise BadRequest(f"The prompt is too long for the model's window of {window} tokens; shorten it.", "prompt")
    try:
        if suffix:
            return render(Context("", "", prompt, suffix), fmt, served.tokenizer).ids
        begin = served.tokenizer.special(fmt.begin) if fmt.begin else None
        return (*(() if begin is None else (begin,)), *served.tokenizer.encode(prompt))
    except UnicodeEncodeError as error:
        raise BadRequest("prompt and suffix must be valid Unicode, without lone surrogates.", "prompt") from error


def _ids(value: object, name: str, vocab_size: int) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(number) is int and 0 <= number < vocab_size for number in value):
        raise BadRequest(f"{name} must be a list of token ids from 0 to {vocab_size - 1}.", name)
    return tuple(value)


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    value = body.get("stop")
    stops = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or len(stops) > 4 or not all(isinstance(stop, str) and stop for stop in stops):
        raise BadRequest("stop must be a string or up to 4 strings, none of them empty.", "stop")
    if any(len(stop) > MAX_STOP_CHARS for stop in stops):
        raise BadRequest(f"A stop string has at most {MAX_STOP_CHARS} characters.", "stop")
    return tuple(stops)


def _candidates(body: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    value = body.get("candidates") or []
    if not isinstance(value, list) or len(value) > MAX_CANDIDATES or not all(map(_is_candidate, value)):
        raise BadRequest(f"candidates must be up to {MAX_CANDIDATES} pairs [line, bonus].", "candidates")
    return tuple((line, float(bonus)) for line, bonus in value if line.isprintable())


def _is_candidate(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2 or type(value[1]) not in (int, float):
        return False
    return isinstance(value[0], str) and 0 < len(value[0]) <= MAX_STOP_CHARS and abs(value[1]) <= MAX_BONUS


def _typed(body: Mapping[str, Any], name: str, kind: type, default: Any, words: str) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise BadRequest(f"{name} must be {words}.", name)
    return value


def _int(body: Mapping[str, Any], name: str, default: Any, low: int, high: int) -> Any:
    value = body.get(name)
    return default if value is None else _in_range(name, value, (low, high), (int,), "a whole number")


def _number(body: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    return float(_in_range(name, value, (low, high), (int, float), "a number"))


def _in_range(name: str, value: Any, bounds: tuple[float, float], kinds: tuple[type, ...], words: str) -> Any:
    low, high = bounds
    # `type`, not isinstance: true is an int to Python.
    if type(value) not in kinds or not low <= value <= high:
        raise BadRequest(f"{name} must be {words} from {low:g} to {high:g}.", name)
    return value
