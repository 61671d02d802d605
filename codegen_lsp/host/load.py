"""From a model folder to a Machine: device, dtype, weights, tokenizer. Offline, safetensors only, no folder's code."""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen_lsp import registry
from codegen_lsp.core import ModelInfo
from codegen_lsp.errors import ModelError
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.tokens import FileTokenizer

if TYPE_CHECKING:
    from codegen_lsp.host.decode import Machine
    from codegen_lsp.host.runners import Runner
    from codegen_lsp.host.runners.build import Build

log = logging.getLogger(__name__)
ENVIRONMENT = {
    # A spinning barrier makes a token 20 times slower when another process is busy (engine.md).
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "USE_HUB_KERNELS": "NO",
}
"""Set before torch is imported."""

CACHE_BYTES = 1 << 30
MAX_CACHE_TOKENS = 1 << 16

SPELLINGS = {
    "rope_theta",
    "rope_scaling",
    "partial_rotary_factor",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
}
"""Harmless fields that transformers understands although a config class may not declare them."""


MAX_LINES = 16_384
"""Candidate lines whose ids are remembered: the same ones are offered at each key."""


@dataclass(frozen=True)
class Loaded:
    """A machine and the tokenizer for text prompts."""

    machine: Machine
    tokenizer: FileTokenizer


def set_environment() -> None:
    """Prepare this process for torch. Before torch is imported, or it has no effect."""
    os.environ.update(ENVIRONMENT)
    os.environ.setdefault("OMP_NUM_THREADS", str(num_cores()))


def num_cores() -> int:
    """Physical cores that this process may use: hyperthreads only get in each other's way."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    siblings = set()
    for cpu in allowed:
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        siblings.add(path.read_text() if path.is_file() else str(cpu))
    return max(1, len(siblings))


def load(info: ModelInfo, device: str = "auto", dtype: str = "auto") -> Loaded:
    """Load a model. Raises ModelError with one sentence for whatever is wrong with the folder or the device."""
    from codegen_lsp.host.runners.build import Build

    build = Build() if device in ("auto", "cpu") and dtype in ("auto", "int8") else None
    # The first time the C compiler works while torch is imported.
    import torch

    from codegen_lsp.host.cache import KVCache
    from codegen_lsp.host.decode import Machine
    from codegen_lsp.host.vocabulary import Vocabulary

    folder = Path(info.folder)
    place, kind = _choose(torch, device, dtype)
    tokenizer, tokenizer_json = load_tokenizer(folder)
    try:
        compiled = load_compiled(folder, build) if build and place == "cpu" else None
        runner: Runner = compiled or load_runner(folder, place, kind, is_int8=dtype == "int8")
        vocabulary = Vocabulary(tokenizer_json, runner.vocab_size)
    except (ModelError, MemoryError):
        raise
    except torch.OutOfMemoryError as error:
        raise ModelError(f"{folder.name} does not fit into the memory of {place}; use a smaller model.") from error
    except Exception as error:
        raise ModelError(f"{folder} cannot be loaded ({_first_line(error)}); get a clean copy of the model.") from error
    ends = _end_ids(folder, info.format, tokenizer)
    cache = KVCache(runner, max_tokens=_cache_tokens(registry.read_config(folder), runner.kv_bytes))
    encode = functools.lru_cache(MAX_LINES)(lambda text: tuple(tokenizer.encode(text)))
    return Loaded(Machine(runner, cache, vocabulary, info.context_window, ends, encode), tokenizer)


def load_tokenizer(folder: Path) -> tuple[FileTokenizer, str]:
    """The tokenizer and the text of its file. Raises ModelError."""
    registry.check_tokenizer(folder)
    try:
        text = (folder / "tokenizer.json").read_text(encoding="utf-8")
        return FileTokenizer(text), text
    except BaseException as error:  # pyo3's PanicException is no Exception, and hostile files raise it
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise ModelError(f"{folder / 'tokenizer.json'} is not a tokenizer; get a clean copy of the model.") from error


def load_compiled(folder: Path, build: Build) -> Runner | None:
    """The whole forward in C with int8 weights, on a CPU; None where that cannot be. Raises ModelError."""
    import torch

    from codegen_lsp.host.runners.compiled import CompiledRunner, fits
    from codegen_lsp.host.runners.llama import shape_of

    shape = shape_of(registry.read_config(folder))
    library = build.library() if shape is not None and fits(shape) else None
    if shape is None or library is None:
        return None
    try:
        return CompiledRunner(shape, _weights(folder, "cpu", torch.float32), library)
    except OSError as error:
        log.info("no compiled step: %s", error)
        return None


def load_runner(folder: Path, device: str, dtype: Any, *, is_int8: bool = False) -> Runner:
    """The fast path where there is one, else transformers' own forward. Raises ModelError, and what libraries raise."""
    from codegen_lsp.host.runners.llama import LlamaRunner, shape_of

    shape = shape_of(registry.read_config(folder))
    if shape is not None and device.startswith("cuda"):
        from codegen_lsp.host.runners.static import StaticRunner

        return StaticRunner(shape, _weights(folder, device, dtype), is_int8=is_int8)
    if is_int8:
        raise ModelError("int8 needs a model of the Llama family, and on a CPU a C compiler (cc); see the host's log.")
    if shape is not None:
        return LlamaRunner(shape, _weights(folder, device, dtype))
    from codegen_lsp.host.runners.general import GeneralRunner

    return GeneralRunner(load_model(folder, device, dtype))


def _weights(folder: Path, device: str, dtype: Any) -> Callable[..., Any]:
    """A function from a weight's name and size to its tensor. It raises ModelError when there is no such weight."""
    from safetensors import safe_open

    opened: Any = safe_open
    files = [opened(str(path), framework="pt", device="cpu") for path in registry.weight_files(folder)]
    file_of = {name: file for file in files for name in file.keys()}  # noqa: SIM118 (a safe_open is no dict)

    def get(name: str, *size: int, optional: bool = False) -> Any:
        if optional and name not in file_of:
            return None
        if name not in file_of or tuple(file_of[name].get_slice(name).get_shape()) != size:
            raise ModelError(f"{folder} lacks weights that its config.json describes; download the model again.")
        # A copy: the file is mapped, and must not be missed should it be replaced while we run.
        return file_of[name].get_tensor(name).to(device=device, dtype=dtype, copy=True)

    return get


def load_model(folder: Path, device: str, dtype: Any) -> Any:
    """transformers' own model of the folder, on a device. Raises ModelError, and what transformers raises."""
    import torch
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    logging.getLogger("transformers").setLevel(logging.ERROR)
    config = safe_config(folder)
    name = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type)
    if not isinstance(name, str):
        raise ModelError(f"{folder} is a {config.model_type!r}, which is no causal language model that can be served.")
    model_class = getattr(transformers, name)
    attention = "sdpa" if getattr(model_class, "_supports_sdpa", False) else "eager"
    with torch.device("meta"):
        # Empty: finds a config that describes more than the files hold before any memory is taken.
        num_parameters = sum(p.numel() for p in model_class._from_config(config).parameters())
    if num_parameters * 2 > 1.1 * sum(path.stat().st_size for path in registry.weight_files(folder)):
        raise ModelError(f"{folder / 'config.json'} describes a larger model than its weights; get a clean copy of it.")
    model, report = model_class.from_pretrained(
        folder,
        config=config,
        dtype=dtype,
        attn_implementation=attention,
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    if report["missing_keys"] or report.get("mismatched_keys"):
        raise ModelError(f"{folder} lacks weights that its config.json describes; download the model again.")
    return model.to(device)


def safe_config(folder: Path) -> Any:
    """A transformers config made only of the fields that its class declares. Raises ModelError."""
    from transformers import CONFIG_MAPPING
    from transformers.configuration_utils import PretrainedConfig

    raw = registry.read_config(folder)
    if raw["model_type"] not in CONFIG_MAPPING:
        raise ModelError(f"{folder} has the unknown model_type {raw['model_type']!r}; use another model.")
    config_class = CONFIG_MAPPING[raw["model_type"]]
    declared = _fields(config_class) | set(config_class.attribute_map)
    known = (declared - _fields(PretrainedConfig)) | SPELLINGS
    return config_class(**{key: value for key, value in raw.items() if key in known})


def _fields(config_class: Any) -> set[str]:
    """Names of the fields that a config class and its bases declare."""
    names = {name for c in config_class.__mro__ for name in vars(c).get("__annotations__", {})}
    return {name for name in names if not name.startswith("_")}


def _choose(torch: Any, device: str, dtype: str) -> tuple[str, Any]:
    """Device name and torch dtype: bf16 on CUDA, float32 on a CPU, unless told otherwise. Raises ModelError.

    int8 is not a dtype of what is computed: see load_compiled and StaticRunner.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError("There is no CUDA device here; choose the device cpu or auto.")
    kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    kinds["auto"] = kinds["int8"] = torch.bfloat16 if device.startswith("cuda") else torch.float32
    if device == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or num_cores()))
    return device, kinds[dtype]


def _cache_tokens(config: Mapping[str, Any], item_bytes: int) -> int:
    """How many tokens' keys and values fit into CACHE_BYTES, estimated from config.json."""
    layers = config.get("num_hidden_layers") or config.get("n_layer") or 32
    hidden = config.get("hidden_size") or config.get("n_embd") or 4096
    heads = config.get("num_attention_heads") or config.get("n_head") or 32
    head_size = config.get("head_dim") or hidden // heads
    width = (config.get("num_key_value_heads") or heads) * head_size
    return min(MAX_CACHE_TOKENS, CACHE_BYTES // max(1, 2 * layers * width * item_bytes))


def _end_ids(folder: Path, format_name: str, tokenizer: FileTokenizer) -> frozenset[int]:
    """Ids at which an answer ends: the format's, and the model's own end-of-text ids."""
    ends = {tokenizer.special(token) for token in BY_NAME[format_name].ends}
    for name in ("config.json", "generation_config.json"):
        path = folder / name
        try:
            value = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.is_file() else None
        except (ValueError, AttributeError, RecursionError):
            continue
        ends |= {number for number in (value if isinstance(value, list) else [value]) if isinstance(number, int)}
    return frozenset(number for number in ends if number is not None)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return (text.splitlines()[0] if text else type(error).__name__)[:200].rstrip(".")
