"""The client side of the seam with real host processes and a tiny model."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from tiny import make_tiny

from codegen_lsp import registry
from codegen_lsp.core import Delta, Prompt, SamplingParams
from codegen_lsp.engine import launch
from codegen_lsp.engine.launch import HostSpec
from codegen_lsp.engine.openai import OpenAIEngine, connect
from codegen_lsp.errors import EngineFailed, EngineUnavailable, ModelError

PROMPT = Prompt(tuple(range(20, 40)), (0,))
GREEDY = SamplingParams(max_tokens=6)
LONG = SamplingParams(max_tokens=100_000)


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that only waits to be reaped does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(is_true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def host_pids(root: Path) -> list[int]:
    """Hosts that were started below a test's own folder."""
    runtime = os.fsencode(root)
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"codegen_lsp.host" in words and any(runtime in word for word in words):
                found.append(int(path.parent.name))
    # A host's child that is about to become the C compiler still looks like it.
    return [pid for pid in found if is_alive(pid) and parent_of(pid) not in found]


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A window in which an answer lasts for seconds.
    return make_tiny(tmp_path_factory.mktemp("models") / "tiny", context=16_384)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Own runtime and cache folders (short: a socket's path is); no host survives them."""
    root = Path(tempfile.mkdtemp(prefix="cg", dir="/tmp"))
    (root / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(root / "run"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield root
    for pid in host_pids(root):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not host_pids(root))
    shutil.rmtree(root)


async def collect(engine: Any, prompt: Prompt = PROMPT, params: SamplingParams = GREEDY, **more: Any) -> list[Delta]:
    more = {"document": "a", "heal": False} | more
    return [delta async for delta in engine.generate(prompt, params, **more)]


# Finding, starting and joining (no model is waited for here)

RACER = """
import asyncio, sys
from codegen_lsp.engine.launch import HostSpec, ensure_host, health
async def main():
    print((await health(await ensure_host(HostSpec(sys.argv[1]))))["pid"])
asyncio.run(main())
"""


def test_eight_racing_clients_get_one_host_over_a_stale_socket(home: Path, folder: Path) -> None:
    path = launch.socket_path(HostSpec(str(folder)))
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(folder)], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    pids = {racer.communicate(timeout=50)[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 8
    assert pids == {str(pid) for pid in host_pids(home)}
    assert len(pids) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(each.suffix for each in path.parent.iterdir()) == [".lock", ".sock"]


async def test_another_version_is_stopped_and_never_joined(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = HostSpec(str(folder))
    old = await launch.ensure_host(spec)
    (pid,) = host_pids(home)
    monkeypatch.setattr(launch, "__version__", "99.0")
    assert await launch.ensure_host(spec) != old
    until(lambda: not is_alive(pid))
    assert not old.exists()
    assert await launch.stop_host() == 1
    until(lambda: not host_pids(home))


async def test_sigterm_while_loading_is_clean(home: Path, folder: Path) -> None:
    path = await launch.ensure_host(HostSpec(str(folder)))
    (pid,) = host_pids(home)
    os.kill(pid, signal.SIGTERM)
    until(lambda: not is_alive(pid))
    assert not path.exists()
    assert path.with_suffix(".lock").exists()
    (log,) = (home / "cache" / "codegen-lsp").glob("*.log")
    assert "Traceback" not in log.read_text()


async def test_a_host_that_is_on_its_way_out_is_waited_for(home: Path, folder: Path) -> None:
    """Its socket is gone and its lock is held: the next one starts as soon as it lets go."""
    from codegen_lsp.host.door import Door

    path = launch.socket_path(HostSpec(str(folder)))
    leaving = Door(path)
    with leaving.open():
        leaving.unlink()
        starting = asyncio.create_task(launch.ensure_host(HostSpec(str(folder))))
        await asyncio.sleep(1.0)
        assert not starting.done()
        leaving.close()
    assert await starting == path


async def test_a_host_that_cannot_start_says_why_at_once(home: Path, folder: Path, tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(EngineUnavailable, match=r"did not start: .*invalid choice: 'float1'.*\(log: .*\.log\)"):
        await launch.ensure_host(HostSpec(str(folder), dtype="float1"))
    with pytest.raises(EngineUnavailable, match=r"did not start: .*There is no model folder /nowhere"):
        await launch.ensure_host(HostSpec("/nowhere"))
    assert time.monotonic() - started < 15


def test_keys_tell_hosts_apart(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    spec = HostSpec(str(copy))
    key = spec.key
    others = [HostSpec(str(folder)), HostSpec(str(copy), device="cpu"), HostSpec(str(copy), dtype="bfloat16")]
    assert len({key, *(other.key for other in others)}) == 4
    assert HostSpec(str(copy), idle=1).key == key
    os.utime(copy / "model.safetensors", (1, 1))
    assert spec.key != key


def test_runtime_folder(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert launch.runtime_folder() == home / "run" / "codegen-lsp"
    (home / "run" / "codegen-lsp").chmod(0o777)
    assert launch.runtime_folder().stat().st_mode & 0o777 == 0o700
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert launch.runtime_folder() == home / "cache" / "codegen-lsp" / "run"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ("x" * 100)))
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    short = home / f"codegen-lsp-{os.geteuid()}"
    assert launch.runtime_folder() == short
    short.rmdir()
    short.symlink_to(tmp_path)
    with pytest.raises(EngineUnavailable, match=r"make .* yours with mode 0700"):
        launch.runtime_folder()


# A real host, asked


async def killed_mid_answer(engine: OpenAIEngine, pid: int) -> None:
    async with aclosing(engine.generate(PROMPT, LONG, document="b", heal=False)) as deltas:
        await anext(deltas)
        os.kill(pid, signal.SIGKILL)
        async for _ in deltas:
            pass


async def test_one_host_through_its_life(home: Path, folder: Path) -> None:
    """Ready, answers, cancels, dies in the middle, is started again, goes when idle."""
    engine = connect(str(folder), idle=2.0, device="cpu")
    states: list[str] = []
    try:
        await engine.wait_ready(states.append)
        assert states == ["starting", "loading", "ready"]
        assert await engine.info() == registry.find(str(folder))
        first = await collect(engine)
        assert first[-1].finish == "length"
        assert first[-1].usage["prompt_tokens"] == 20
        assert {"cached_tokens", "completion_tokens", "prefill_ms", "decode_ms"} <= set(first[-1].usage)
        assert all(len(delta.logprobs) == len(delta.tokens) for delta in first)
        again = await collect(engine)
        assert "".join(delta.text for delta in again) == "".join(delta.text for delta in first)
        assert again[-1].usage["cached_tokens"] == 19

        async with aclosing(engine.generate(PROMPT, LONG, document="b", heal=False)) as deltas:
            await anext(deltas)
            said = await launch.health(Path(engine._socket))
            assert said["in_flight"] == 1
        await asyncio.sleep(0.3)
        said = await launch.health(Path(engine._socket))
        assert said["in_flight"] == 0

        with pytest.raises(EngineFailed, match=r"^The engine died while it answered; ask again\.$"):
            await killed_mid_answer(engine, said["pid"])
        assert "".join(d.text for d in await collect(engine)) == "".join(d.text for d in first)
        (pid,) = host_pids(home)
        assert pid != said["pid"]
        until(lambda: not is_alive(pid))
        assert await launch.host_status() == []
        logs = "".join(path.read_text() for path in (home / "cache" / "codegen-lsp").glob("*.log"))
        assert "Traceback" not in logs
        assert str(PROMPT.ids[:3])[1:-1] not in logs
    finally:
        await engine.close()


async def test_a_model_that_cannot_be_loaded(home: Path, tmp_path: Path) -> None:
    folder = make_tiny(tmp_path / "bad")
    config = json.loads((folder / "config.json").read_text()) | {"hidden_act": "evil"}
    (folder / "config.json").write_text(json.dumps(config))
    engine = connect(str(folder))
    try:
        with pytest.raises(ModelError, match="cannot be loaded"):
            await engine.wait_ready()
        with pytest.raises(EngineUnavailable, match="cannot be loaded"):
            await collect(engine)
    finally:
        await engine.close()
