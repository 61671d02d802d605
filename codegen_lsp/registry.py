"""Models on this machine: where they are, and whether a folder may be loaded at all. Reads files; never torch.

A model folder has config.json, tokenizer.json and safetensors. An optional codegen.json names the prompt format,
`prompt_budget`, `context_window` and `sure_from`. A folder from the internet is not data until it is checked: pickles
are code, and so are some fields of config.json (findings.md), so both are refused here, before a process with torch
sees them.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codegen_lsp.core import ModelInfo
from codegen_lsp.errors import ModelError
from codegen_lsp.prompt.formats import BY_NAME, detect

DEFAULT_MODEL = "seed-py"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
MAX_JSON_BYTES = 1 << 20
MAX_TOKENIZER_BYTES = 1 << 28
MAX_HEADER_BYTES = 100_000_000
"""The safetensors library's own limit."""
LIMITS = {
    "vocab_size": 1 << 22,
    "hidden_size": 1 << 17,
    "n_embd": 1 << 17,
    "intermediate_size": 1 << 20,
    "num_hidden_layers": 1 << 10,
    "n_layer": 1 << 10,
    "num_attention_heads": 1 << 12,
    "n_head": 1 << 12,
    "max_position_embeddings": 1 << 25,
    "n_positions": 1 << 25,
}
"""Largest values of config.json that any real model has; beyond them it is a trap for the memory."""


def model_roots() -> tuple[Path, ...]:
    """Folders whose children are models, first match wins: the user's, the wheel's, the checkout's."""
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    package = Path(__file__).resolve().parent
    return (Path(data) / "codegen-lsp" / "models", package / "bundled", package.parent / "models")


def find(name_or_path: str) -> ModelInfo:
    """The model of that name, or of that path (anything with a slash, or beginning with "." or "~").

    Raises ModelError with one sentence that says what to do.
    """
    if "/" in name_or_path or os.sep in name_or_path or name_or_path.startswith((".", "~")):
        folder = Path(name_or_path).expanduser()
        if not folder.is_dir():
            raise ModelError(f"There is no model folder {folder}; check the path.")
        return describe(folder.resolve())
    # A bare name is never looked up in the working directory: that may be somebody else's repository.
    for root in model_roots():
        if name_or_path and (root / name_or_path / "config.json").is_file():
            return describe((root / name_or_path).resolve(), name_or_path)
    known = ", ".join(sorted({name for name, _ in _installed()})) or "none"
    raise ModelError(
        f"There is no model named {name_or_path!r} (installed: {known}); "
        f"put its folder into {model_roots()[0]} or give its path."
    )


def list_models() -> list[ModelInfo]:
    """Every installed model that may be loaded, by name; folders that may not are left out."""
    found: dict[str, ModelInfo] = {}
    for name, folder in _installed():
        if name not in found:
            try:
                found[name] = describe(folder, name)
            except ModelError:
                continue
    return [found[name] for name in sorted(found)]


def _installed() -> Iterator[tuple[str, Path]]:
    for root in model_roots():
        if root.is_dir():
            folders = [path for path in sorted(root.iterdir()) if (path / "config.json").is_file()]
            yield from ((path.name, path.resolve()) for path in folders)


def describe(folder: Path, name: str = "") -> ModelInfo:
    """Check a model folder and say what it is. Raises ModelError."""
    config = read_config(folder)
    check_tokenizer(folder)
    weight_files(folder)
    own = _own_settings(folder)
    window = own.get("context_window") or _context_window(config)
    return ModelInfo(
        id=name or folder.name,
        folder=str(folder),
        format=own.get("format") or detect(config["model_type"], vocabulary(folder).__contains__).name,
        context_window=window,
        prompt_budget=min(own.get("prompt_budget") or min(max(window - 512, window // 2), 1536), window - 1),
        sure_from=own.get("sure_from") or 0.0,
    )


def read_config(folder: Path) -> dict[str, Any]:
    """config.json, if nothing in it can run code. Raises ModelError."""
    config = _read_json(folder / "config.json", MAX_JSON_BYTES, "a model folder has one, so check the path.")
    _refuse_hostile(config, folder)
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise ModelError(f"{folder / 'config.json'} does not say its model_type; get a complete copy of the model.")
    for key, limit in LIMITS.items():
        value = config.get(key)
        if value is not None and not (type(value) is int and 0 < value <= limit):
            raise ModelError(f"{folder / 'config.json'} has an impossible {key}; get a clean copy of the model.")
    return config


def check_tokenizer(folder: Path) -> None:
    """Refuse a folder without a tokenizer.json of a plausible size."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise ModelError(f"{folder} has no tokenizer.json; save the model's fast tokenizer into it.")
    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise ModelError(f"{path} is larger than any tokenizer; get a clean copy of the model.")


def vocabulary(folder: Path) -> set[str]:
    """Every token's text as tokenizer.json writes it, control tokens included."""
    data = _read_json(folder / "tokenizer.json", MAX_TOKENIZER_BYTES, "save the model's fast tokenizer into it.")
    try:
        pieces = data["model"]["vocab"]
        names = set(pieces) if isinstance(pieces, dict) else {piece[0] for piece in pieces}
        return names | {token["content"] for token in data.get("added_tokens") or ()}
    except (KeyError, TypeError, IndexError) as error:
        raise ModelError(f"{folder / 'tokenizer.json'} is not a tokenizer; get a clean copy of the model.") from error


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files, each as long as its header says. Raises ModelError."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        files = [folder / "model.safetensors"]
    elif index.is_file():
        files = _shards(folder, index)
    else:
        if any(path.suffix.lower() in PICKLES for path in folder.iterdir()):
            raise ModelError(f"{folder} has only pickled weights, which can run code; convert them to safetensors.")
        raise ModelError(f"{folder} has no model.safetensors; download the model's weights.")
    for path in files:
        _check_safetensors(path)
    return tuple(files)


def _shards(folder: Path, index: Path) -> list[Path]:
    weight_map = _read_json(index, 64 * MAX_JSON_BYTES, "download it again.").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} lists no weights; download it again.")
    names = set(weight_map.values())
    if not all(isinstance(name, str) and Path(name).name == name and name.endswith(".safetensors") for name in names):
        raise ModelError(f"{index} points outside its folder or at other files than safetensors; get a clean copy.")
    return [folder / name for name in sorted(names)]


def _check_safetensors(path: Path) -> None:
    """Eight bytes of header length, a JSON header, then the tensors: do they add up to the file's size?"""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
                raise ValueError("header length")
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        if not ends or max(ends) + 8 + length != size:
            raise ValueError("size")
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing; download the model again.") from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise ModelError(f"{path} is truncated or not a safetensors file; download it again.") from error


def _refuse_hostile(value: object, folder: Path, key: str = "") -> None:
    """Refuse fields by which a config could choose code to run, at any depth."""
    name = key.lower()
    harmless = value is None or isinstance(value, bool)
    chooses_code = (
        name in ("auto_map", "quantization_config", "custom_pipelines", "custom_generate", "pipeline_model")
        or "implementation" in name
        or ("kernel" in name and not isinstance(value, (int, float)))
        or (name.startswith("_") and name != "_name_or_path")
    )
    if chooses_code and not harmless:
        raise ModelError(
            f"{folder / 'config.json'} has the field {key!r}, which can choose code to run; "
            "use a plain safetensors copy of the model without it."
        )
    children = value.items() if isinstance(value, dict) else (("", v) for v in value) if isinstance(value, list) else ()
    for child_key, child in children:
        _refuse_hostile(child, folder, child_key)


def _context_window(config: Mapping[str, Any]) -> int:
    for key in ("max_position_embeddings", "n_positions", "n_ctx", "seq_length", "max_sequence_length"):
        if type(config.get(key)) is int and config[key] > 1:
            return int(config[key])
    return 2048


def _own_settings(folder: Path) -> dict[str, Any]:
    """codegen.json, checked; {} when there is none."""
    path = folder / "codegen.json"
    if not path.is_file():
        return {}
    own = _read_json(path, MAX_JSON_BYTES, "delete it to use the defaults.")
    if own.get("format") is not None and own["format"] not in BY_NAME:
        raise ModelError(f"{path} names an unknown format {own['format']!r}; known are {', '.join(BY_NAME)}.")
    for key in ("prompt_budget", "context_window"):
        if own.get(key) is not None and not (type(own[key]) is int and 1 < own[key] <= LIMITS["n_positions"]):
            raise ModelError(f"{path} has an impossible {key}; it is a number of tokens.")
    if own.get("sure_from") is not None and not (type(own["sure_from"]) in (int, float) and 0 <= own["sure_from"] <= 1):
        raise ModelError(f"{path} has an impossible sure_from; it is a probability from 0 to 1.")
    return own


def _read_json(path: Path, limit: int, advice: str) -> dict[str, Any]:
    """A JSON object of at most `limit` bytes. `advice` completes the sentence of the ModelError."""
    try:
        if path.stat().st_size > limit:
            raise ModelError(f"{path} is too large to be what it says; get a clean copy of the model.")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read; {advice}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON; get a clean copy of the model.") from error
    if not isinstance(data, dict):
        raise ModelError(f"{path} is not a JSON object; get a clean copy of the model.")
    return data
