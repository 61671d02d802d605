"""The product as it is shipped: the wheel, and the real server and host with the bundled model over stdio."""

import asyncio
import hashlib
import os
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lsp_client import LspClient

from codegen_lsp import registry
from codegen_lsp.engine.launch import stop_host
from codegen_lsp.host.load import load
from codegen_lsp.training.bits import served_bits

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
    rng, text = random.Random(2), "import json\n\n\n"
    async with LspClient(sys.executable, "-m", "codegen_lsp", "serve", timeout_s=60) as client:
        await client.initialize()
        uri = client.open(text, uri="file:///typed/app.py")
        while (await client.command("codegen.status")).get("state") != "ready":
            await asyncio.wait_for(client.inline(uri, 3, 0), 60)
            await asyncio.sleep(0.05)
        replies = []
        for version, char in enumerate("# read a json file and return the list of names\n", 2):
            end = position(text)
            client.change(uri, version, {"range": {"start": end, "end": end}, "text": char})
            text += char
            replies.append(client.inline(uri, *position(text).values(), kind=2))
            if rng.random() < 0.2:
                client.notify("$/cancelRequest", {"id": client.last_number})
            await asyncio.sleep(0.04)
        answers = await asyncio.wait_for(asyncio.gather(*replies), 60)
        (item,) = answers[-1]["result"]["items"]
        assert item["insertText"].startswith("def ")
        client.change(uri, version + 1, {"range": item["range"], "text": item["insertText"]})
        text += item["insertText"]
        compile(text, "typed", "exec")
        inspected = await client.command("codegen.inspect")
        assert [row["sha256"] for row in inspected["documents"]] == [hashlib.sha256(text.encode()).hexdigest()]
        assert await client.shut_down() == 0


def position(text):
    """The end of a text."""
    return {"line": text.count("\n"), "character": len(text.rpartition("\n")[2])}


def test_what_the_fast_forward_costs():
    """Bits per byte of a page of Python: int8 weights and int16 activations against float32."""
    folder = ROOT / "models" / registry.DEFAULT_MODEL
    served = load(registry.find(str(folder)), "cpu")
    if served.machine.runner.dtype != "int8":
        pytest.skip("no C compiler (cc)")
    exact = load(registry.find(str(folder)), "cpu", "float32")
    page = (ROOT / "benchmarks" / "pages" / "ledger.txt").read_text(encoding="utf-8")
    assert served_bits(served, [page]) == pytest.approx(served_bits(exact, [page]), abs=0.01)
