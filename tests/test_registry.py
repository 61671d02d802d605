"""Which model folders may be loaded, and what is said of the others."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import make_tiny

from codegen_lsp import registry
from codegen_lsp.errors import ModelError


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "copy"))


def edit_config(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_find_by_path(good: Path) -> None:
    info = registry.find(str(good))
    assert (info.id, info.folder, info.format) == ("tiny", str(good), "codegen")
    assert (info.context_window, info.prompt_budget) == (256, 128)


def test_find_by_name_and_list(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(good, tmp_path / "codegen-lsp" / "models" / "mine")
    (tmp_path / "codegen-lsp" / "models" / "broken").mkdir()
    (tmp_path / "codegen-lsp" / "models" / "broken" / "config.json").write_text("{")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert registry.find("mine").id == "mine"
    names = [info.id for info in registry.list_models()]
    assert "mine" in names
    assert "broken" not in names
    with pytest.raises(ModelError, match=r"no model named 'nothing' \(installed: .*mine"):
        registry.find("nothing")


def test_a_name_is_not_looked_up_in_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    with pytest.raises(ModelError):
        registry.find("copy")
    assert registry.find("./copy").id == "copy"


def test_defaults_without_codegen_json(folder: Path) -> None:
    (folder / "codegen.json").unlink()
    info = registry.find(str(folder))
    # The control tokens are those of the qwen2.5-coder row, which never lies about order.
    assert (info.format, info.context_window, info.prompt_budget) == ("qwen2.5-coder", 256, 128)
    edit_config(folder, max_position_embeddings=32768)
    assert registry.find(str(folder)).prompt_budget == 1536


def test_importing_the_registry_does_not_import_torch() -> None:
    code = "import sys, codegen_lsp.registry as r; r.list_models(); print({'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"set()\n"


def write_index(folder: Path, **weight_map: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def shard(folder: Path) -> Path:
    (folder / "model.safetensors").rename(folder / "part-1.safetensors")
    write_index(folder, a="part-1.safetensors")
    return folder


def test_shards(folder: Path) -> None:
    shard(folder)
    assert registry.weight_files(folder) == (folder / "part-1.safetensors",)


def only_pickle(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)


def cut(path: Path, num_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:num_bytes])


def set_header(folder: Path, header: bytes) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)


REFUSED: list[tuple[Callable[[Path], object], str]] = [
    (shutil.rmtree, "no model folder"),
    (lambda f: (f / "config.json").unlink(), "config.json cannot be read; a model folder has one"),
    (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
    (lambda f: (f / "config.json").write_text("[" * 100_000), "not valid JSON"),
    (lambda f: (f / "config.json").write_text("[]"), "not a JSON object"),
    (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), "not valid JSON"),
    (lambda f: (f / "config.json").write_text(" " * (2 << 20)), "too large"),
    (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
    (lambda f: only_pickle(f, "pytorch_model.bin"), "convert them to safetensors"),
    (lambda f: only_pickle(f, "model.pt"), "convert them to safetensors"),
    (lambda f: only_pickle(f, "weights.PTH"), "convert them to safetensors"),
    (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors; download"),
    (lambda f: cut(f / "model.safetensors", -1), "truncated"),
    (lambda f: cut(f / "model.safetensors", 1000), "truncated"),
    (lambda f: cut(f / "model.safetensors", 4), "truncated"),
    (lambda f: cut(f / "model.safetensors", 0), "truncated"),
    (lambda f: (f / "model.safetensors").write_bytes(b"\x80\x04" + b"pickle" * 99), "truncated or not"),
    (lambda f: set_header(f, b"[]"), "truncated or not"),
    (lambda f: set_header(f, b"{}"), "truncated or not"),
    (lambda f: set_header(f, b'{"a": 1}'), "truncated or not"),
    (lambda f: set_header(f, b'{"a": {"data_offsets": [0, 99999999999999]}}'), "truncated or not"),
    (lambda f: cut(shard(f) / "part-1.safetensors", -9), "truncated"),
    (
        lambda f: write_index(shard(f), a="part-1.safetensors", b="part-2.safetensors"),
        "part-2.safetensors is missing",
    ),
    (lambda f: write_index(shard(f), a="../part-1.safetensors"), "points outside"),
    (lambda f: write_index(shard(f), a="pytorch_model.bin"), "points outside"),
    (lambda f: edit_config(f, auto_map={"AutoConfig": "evil.Config"}), "'auto_map', which can choose code"),
    (lambda f: edit_config(f, _attn_implementation_internal="evil/kernels"), "can choose code"),
    (lambda f: edit_config(f, attn_implementation="evil/kernels"), "can choose code"),
    (lambda f: edit_config(f, text_config={"experts_implementation": "evil/kernels"}), "can choose code"),
    (lambda f: edit_config(f, use_kernels="evil/kernels"), "can choose code"),
    (lambda f: edit_config(f, quantization_config={"quant_method": "x"}), "can choose code"),
    (lambda f: edit_config(f, model_type=None), "does not say its model_type"),
    (lambda f: edit_config(f, vocab_size=10**12), "impossible vocab_size"),
    (lambda f: edit_config(f, num_hidden_layers=-1), "impossible num_hidden_layers"),
    (lambda f: (f / "codegen.json").write_text('{"format": "evil"}'), "unknown format 'evil'"),
    (lambda f: (f / "codegen.json").write_text('{"prompt_budget": true}'), "impossible prompt_budget"),
    (lambda f: (f / "codegen.json").write_text('{"sure_from": 2}'), "impossible sure_from"),
    (lambda f: (f / "codegen.json").write_text("{}") and (f / "tokenizer.json").write_text("{}"), "not a tokenizer"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refused_with_one_sentence(folder: Path, number: int) -> None:
    spoil, reason = REFUSED[number]
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        registry.find(str(folder))
    assert reason in str(caught.value)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_harmless_fields_are_not_refused(folder: Path) -> None:
    edit_config(folder, _name_or_path="x/y", conv_kernel=4, _attn_implementation_autoset=True, unknown_field="text")
    assert registry.find(str(folder)).format == "codegen"
