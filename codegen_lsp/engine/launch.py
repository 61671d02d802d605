"""Find, start or join the model host of this user. No HTTP library: it costs more to import than a host takes to ask.

The name of the socket is a hash of everything that makes a host the right one (our version, the model's folder and the
state of its weights, device, dtype), so a client can never join a wrong one. Hosts of another version, or of the same
folder with other weights, are told to stop when a new one is started.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codegen_lsp import __version__, children
from codegen_lsp.engine import local
from codegen_lsp.engine.api import Wire
from codegen_lsp.errors import EngineUnavailable
from codegen_lsp.folders import cache_folder, make_private

MAX_PATH_BYTES = 103
"""What a unix socket's address holds on macOS; Linux has 107."""
NAME_BYTES = len("/h-0123456789ab.1234567")
"""The longest name that is bound in the folder: the host's temporary one."""
RETRY_S = 0.02
BUSY_S = 0.25
"""How long the holder of the lock may take to listen."""
MAX_LOG_BYTES = 1 << 20


@dataclass(frozen=True)
class HostSpec:
    """Which host is wanted. `folder` is the model's; `idle` is in seconds and does not tell hosts apart."""

    folder: str
    device: str = "auto"
    dtype: str = "auto"
    idle: float = 1800.0

    @property
    def key(self) -> str:
        """Twelve hex digits; two specs of one key can share a host."""
        stamps = [f"{path.name}:{path.stat().st_mtime_ns}:{path.stat().st_size}" for path in _model_files(self.folder)]
        parts = (__version__, self.folder, self.device, self.dtype, *stamps)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def runtime_folder() -> Path:
    """The folder of this user's sockets, made if it is missing. Raises EngineUnavailable when none can be had."""
    refused = []
    for folder in _runtime_folders():
        if len(os.fsencode(folder)) + NAME_BYTES <= MAX_PATH_BYTES and make_private(folder):
            return folder
        refused.append(folder)
    raise EngineUnavailable(f"No private folder for the model host's socket; make {refused[0]} yours with mode 0700.")


def _runtime_folders() -> Iterator[Path]:
    """Where the sockets may be, the best place first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        yield Path(runtime) / "codegen-lsp"
    yield cache_folder() / "run"
    # Looked for last: it writes a file to find out, which a full disk refuses.
    with contextlib.suppress(FileNotFoundError):
        yield Path(tempfile.gettempdir()) / f"codegen-lsp-{os.geteuid()}"


def socket_path(spec: HostSpec) -> Path:
    """Where the host of a spec listens, whether or not it runs."""
    return runtime_folder() / f"h-{spec.key}.sock"


async def ensure_host(spec: HostSpec, within_s: float = 20.0, wire: Wire = local) -> Path:
    """The socket of a host that answers /health (it may still be loading); one is started when there is none.

    Raises EngineUnavailable after `within_s` seconds, or as soon as the started host has died, and quotes its log.
    """
    path = socket_path(spec)
    if await health(path, wire=wire):
        return path
    await _stop_outdated(spec, path, wire)
    log = _log_path(spec)
    launch = _Launch(spec, path, log)
    try:
        async for _ in _ticks(time.monotonic() + within_s, wire):
            if await health(path, wire=wire):
                return path
            outcome = launch.outcome()
            if outcome == "dead":
                break
            if outcome == "busy" and time.monotonic() - launch.settled > BUSY_S:
                # The lock was held by a host that was on its way out: it is our turn.
                await launch.close(wire)
                launch = _Launch(spec, path, log)
    finally:
        await launch.close(wire)
    raise EngineUnavailable(f"The model host did not start: {_last_line(log)} (log: {log})")


async def health(path: Path, within_s: float = 5.0, wire: Wire = local) -> dict[str, Any]:
    """What the host at a socket says of itself; {} when nobody answers."""
    return await _call(path, "GET", "/health", within_s, wire)


async def host_status(wire: Wire = local) -> list[dict[str, Any]]:
    """/health of every host of this user, with its "socket"."""
    found = [(path, await health(path, wire=wire)) for path in sorted(runtime_folder().glob("h-*.sock"))]
    return [{**said, "socket": str(path)} for path, said in found if said]


async def stop_host(path: Path | None = None, within_s: float = 10.0, wire: Wire = local) -> int:
    """Tell one host (or all of this user's) to stop and wait until it has; the number told."""
    paths = [path] if path else sorted(runtime_folder().glob("h-*.sock"))
    told = [each for each in paths if await _call(each, "POST", "/shutdown", within_s, wire)]
    async for _ in _ticks(time.monotonic() + within_s, wire):
        if not any(each.exists() for each in told):
            break
    return len(told)


async def _stop_outdated(spec: HostSpec, own: Path, wire: Wire) -> None:
    """Stop the hosts that no client will ask again: another version's, and those with this folder's old weights."""
    for host in await host_status(wire):
        is_same = host.get("folder") == spec.folder and _was_started_before_weights(host, spec)
        if host["socket"] != str(own) and (host.get("version") != __version__ or is_same):
            await _call(Path(host["socket"]), "POST", "/shutdown", 5.0, wire)


def _was_started_before_weights(host: dict[str, Any], spec: HostSpec) -> bool:
    newest = max((path.stat().st_mtime for path in _model_files(spec.folder)), default=0.0)
    return time.time() - float(host.get("uptime_s", 0)) < newest


class _Launch:
    """A host process that was started, until it has said what became of it."""

    def __init__(self, spec: HostSpec, path: Path, log: Path) -> None:
        import subprocess  # not needed by those who join a host

        self._reader, writer = os.pipe()
        os.set_blocking(self._reader, False)
        arguments = ["--socket", str(path), "--model", spec.folder, "--device", spec.device, "--dtype", spec.dtype]
        arguments += ["--idle", str(spec.idle), "--log", str(log), "--detach"]
        try:
            with log.open("ab") as errors:
                self._process = subprocess.Popen(
                    children.command("codegen_lsp.host", *arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=writer,
                    stderr=errors,
                    cwd="/",
                    env=children.environment(),
                    start_new_session=True,
                )
        except OSError as error:
            os.close(self._reader)
            raise EngineUnavailable(f"The model host cannot be started: {error}.") from error
        finally:
            os.close(writer)
        self._said = ""
        self.settled = 0.0
        """When it said so (time.monotonic)."""

    def outcome(self) -> str:
        """ "" while it starts; "ready"; "busy" (a live host has the lock); "dead" when it ended without a word."""
        if not self._said:
            with contextlib.suppress(BlockingIOError):
                self._said = os.read(self._reader, 64).decode().strip() or "dead"
                self.settled = time.monotonic()
        return self._said

    async def close(self, wire: Wire) -> None:
        """Let go of the pipe and reap the process, which leaves its child alone at once."""
        os.close(self._reader)
        async for _ in _ticks(time.monotonic() + 5.0, wire):
            if self._process.poll() is not None:
                return
        self._process.kill()
        self._process.wait()


def _log_path(spec: HostSpec) -> Path:
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = folder / f"host-{spec.key}.log"
        log.touch(mode=0o600)
        if log.stat().st_size > MAX_LOG_BYTES:
            log.write_bytes(b"")
    except OSError as error:
        raise EngineUnavailable(f"The log folder {folder} cannot be written: {error.strerror}.") from error
    return log


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[-300:] if lines else "it wrote nothing"


async def _call(path: Path, method: str, target: str, within_s: float, wire: Wire) -> dict[str, Any]:
    """One HTTP/1.0 request over a unix socket; the JSON object of the answer, {} when there is none."""
    try:
        data = json.loads(await wire.fetch(str(path), method, target, within_s))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


async def _ticks(deadline: float, wire: Wire) -> AsyncIterator[None]:
    """One step each 20 ms until `deadline` (time.monotonic, seconds)."""
    while time.monotonic() < deadline:
        yield
        await wire.sleep(RETRY_S)


def _model_files(folder: str) -> list[Path]:
    """The files whose change makes another model of a folder."""
    here = Path(folder)
    return sorted(
        [*here.glob("*.safetensors"), *(p for p in (here / "config.json", here / "tokenizer.json") if p.exists())]
    )
