"""The product as it is shipped: the wheel, and the real server and host with the bundled model over stdio."""

import asyncio
import hashlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lsp_client import LspClient

from codegen_lsp import registry
from codegen_lsp.engine.launch import stop_host

ROOT = Path(__file__).resolve().parent.parent
HAS_MODEL = (ROOT / "models" / registry.DEFAULT_MODEL / "model.safetensors").is_file()

pytestmark = pytest.mark.skipif(not HAS_MODEL, reason=f"models/{registry.DEFAULT_MODEL} is not here")


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        (tmp_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(tmp_path / name))
    yield tmp_path
    asyncio.run(stop_host())


def typing_exchange():
    """benchmarks/typing_exchange.py as a module."""
    spec = importlib.util.spec_from_file_location("typing_exchange", ROOT / "benchmarks" / "typing_exchange.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wheel_works_from_anywhere(home):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(home / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (home / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(home / "site")
    assert f"codegen_lsp/bundled/{registry.DEFAULT_MODEL}/model.safetensors" in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "runs/", "editor-clients/"))]
    env = {**os.environ, "PYTHONPATH": str(home / "site")}
    command = [sys.executable, "-m", "codegen_lsp", "generate", "read a json file and return the list of names"]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=True)
    compile(done.stdout, "generated", "exec")
    listed = subprocess.run(
        [*command[:3], "models", "list"], cwd=home, env=env, capture_output=True, text=True, check=True
    )
    assert str(home / "site") in listed.stdout


async def test_a_comment_typed_key_by_key_becomes_code(home):
    module = typing_exchange()
    async with LspClient(*module.SERVER, timeout_s=60) as client:
        await client.initialize()
        typist = module.Typist(client, is_shown=False)
        while (await client.command("codegen.status")).get("state") != "ready":
            await asyncio.wait_for(client.inline(typist.uri, *typist.position()), 60)
            await asyncio.sleep(0.05)
        items = await typist.burst("# read a json file and return the list of names\n", module.random.Random(2))
        assert typist.sent == typist.received
        assert items
        assert items[0]["insertText"].startswith("def ")
        typist.accept(items[0])
        compile(typist.text, "typed", "exec")
        inspected = await client.command("codegen.inspect")
        digest = hashlib.sha256(typist.text.encode()).hexdigest()
        assert [row["sha256"] for row in inspected["documents"]] == [digest]
        assert await client.shut_down() == 0
