"""Neovim without a screen, driven over its pipes: keys in, Lua values out. MessagePack only as far as that needs it."""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = ROOT / "editor-clients" / "neovim"
SERVER = [sys.executable, str(ROOT / "tests" / "scripted_server.py")]
WAIT_S = 15.0
"""Until something has to have happened; a starting server on a busy machine takes seconds."""


class Nvim:
    """One editor with an empty configuration and home; `setup` is what setup() gets, None to leave it out.

    Use as `with Nvim(program, folder) as nvim`.
    """

    def __init__(self, program: str, folder: Path, *, setup: Mapping[str, Any] | None = MappingProxyType({})) -> None:
        self.program, self.folder = program, folder
        self.setup = setup if setup is None else {"cmd": SERVER, **setup}
        self._number = 0

    def __enter__(self) -> Nvim:
        names = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
        homes = {name: str(self.folder / "home") for name in names}
        Path(self.folder, "home").mkdir(mode=0o700, exist_ok=True)
        command = [self.program, "--clean", "--headless", "--embed", "-n", "--cmd", f"set rtp^={PLUGIN}"]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=self.folder,
            env={**os.environ, **homes, "PYTHONPATH": str(ROOT), "TMPDIR": str(self.folder)},
        )
        self.lua("vim.o.columns, vim.o.lines = 100, 30; vim.cmd('filetype on')")
        if self.setup is not None:
            self.lua("require('codegen').setup(vim.fn.json_decode(...))", json.dumps(self.setup))
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self._write([2, "nvim_command", ["qall!"]])
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("Neovim did not end") from None
        finally:
            self.process.stdin.close()
            self.process.stdout.close()

    # What a user does

    def open(self, name: str, text: str) -> None:
        """Edit a file, and wait for the server and its model."""
        Path(self.folder, name).write_text(text)
        self.call("nvim_command", f"edit! {name}")
        self.until("return require('codegen').client(0) ~= nil")
        self.until("the model is ready", probe=lambda: self.ask_server("codegen.status")["state"] == "ready")

    def type(self, keys: str) -> None:
        """Keys in Vim's notation."""
        self.call("nvim_input", keys)

    # What a user sees

    def text(self) -> str:
        """The buffer, its lines joined."""
        return "\n".join(self.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, false)"))

    def cursor(self) -> list[int]:
        """[row from 1, column in bytes from 0]"""
        return list(self.lua("return vim.api.nvim_win_get_cursor(0)"))

    def mode(self) -> str:
        return str(self.lua("return vim.api.nvim_get_mode().mode"))

    def ghost(self) -> str:
        """The virtual text of the buffer as it is drawn, "" when there is none."""
        return str(self.lua(GHOST))

    def screen(self) -> list[str]:
        """The first rows of the screen, as a terminal would have them."""
        if not self.lua("return #vim.api.nvim_list_uis() > 0"):
            self.call("nvim_ui_attach", 60, 12, {})
        return [line.rstrip() for line in self.lua(SCREEN)]

    # Waiting

    def until(self, code: str, *, probe: Callable[[], Any] | None = None) -> Any:
        """The first true value of some Lua, or of a probe. Raises AssertionError when there is none in time."""
        end = time.monotonic() + WAIT_S
        value = None
        while time.monotonic() < end:
            if value := probe() if probe else self.lua(code):
                return value
            time.sleep(0.02)
        raise AssertionError(f"never true: {code}; last {value!r}; text {self.text()!r}, ghost {self.ghost()!r}")

    def until_ghost(self, text: str) -> None:
        self.until(f"ghost text {text!r}", probe=lambda: self.ghost() == text)

    def until_text(self, text: str) -> None:
        self.until(f"text {text!r}", probe=lambda: self.text() == text)

    # Wires

    def ask_server(self, command: str) -> Any:
        """What the server says to a command."""
        return self.request("workspace/executeCommand", {"command": command})

    def request(self, method: str, params: Mapping[str, Any]) -> Any:
        """What the server says to a request that the editor sends."""
        return self.lua(ASK, method, json.dumps(params))

    def lua(self, code: str, *args: object) -> Any:
        """The value of a chunk of Lua."""
        return next(iter(json.loads(self.call("nvim_exec_lua", WRAPPED, [code, *args]))), None)

    def call(self, method: str, *params: object) -> Any:
        """The result of an API function. Raises AssertionError with Neovim's words."""
        self._number += 1
        self._write([0, self._number, method, list(params)])
        while True:
            message = self._read()
            if message[0] == 1 and message[1] == self._number:
                assert message[2] is None, message[2]
                return message[3]

    def _write(self, message: object) -> None:
        assert self.process.stdin
        self.process.stdin.write(packed(message))

    def _read(self) -> Any:
        assert self.process.stdout
        return unpacked(self.process.stdout)


WRAPPED = """
local code = ...
local said = vim.fn.json_encode({ assert(loadstring(code))(select(2, ...)) })
return said == '{}' and '[null]' or said
"""

GHOST = """
local drawn = {}
local function join(chunks)
  local text = ''
  for _, chunk in ipairs(chunks) do text = text .. chunk[1] end
  return text
end
for name, space in pairs(vim.api.nvim_get_namespaces()) do
  if name == 'codegen' or name == 'nvim.lsp.inline_completion' then
    for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })) do
      table.insert(drawn, join(mark[4].virt_text or {}))
      for _, line in ipairs(mark[4].virt_lines or {}) do table.insert(drawn, join(line)) end
    end
  end
end
return table.concat(drawn, '\\n')
"""

SCREEN = """
vim.cmd('redraw')
local rows = {}
for row = 1, 5 do
  rows[row] = ''
  for column = 1, 60 do rows[row] = rows[row] .. vim.fn.screenstring(row, column) end
end
return rows
"""

ASK = """
local client, method, params = require('codegen').client(), ...
params = vim.fn.json_decode(params)
local answer
if vim.fn.has('nvim-0.11') == 1 then
  answer = client:request_sync(method, params, 5000, 0)
else
  answer = client.request_sync(method, params, 5000, 0)
end
return answer.result
"""


def packed(value: object) -> bytes:
    """MessagePack of numbers from 0, strings, lists and {}."""
    if value == {}:
        return b"\x80"
    if isinstance(value, int):
        return struct.pack(">BI", 0xCE, value)
    if isinstance(value, str):
        data = value.encode()
        return struct.pack(">BI", 0xDB, len(data)) + data
    assert isinstance(value, list), value
    return struct.pack(">BI", 0xDD, len(value)) + b"".join(map(packed, value))


NUMBERS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q", 0xCB: ">d"}
TEXTS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
LISTS, MAPS = {0xDC: ">H", 0xDD: ">I"}, {0xDE: ">H", 0xDF: ">I"}
HANDLES = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
SIZED_HANDLES = {0xC7: ">B", 0xC8: ">H", 0xC9: ">I"}
CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def unpacked(file: IO[bytes]) -> Any:
    """The next value; None for a handle. Raises AssertionError at the end and after a silence."""
    head = _take(file, 1)[0]
    if head < 0x80 or head >= 0xE0:
        return head if head < 0x80 else head - 0x100
    if head in CONSTANTS:
        return CONSTANTS[head]
    if head in NUMBERS:
        return _number(file, NUMBERS[head])
    if 0xA0 <= head < 0xC0 or head in TEXTS:
        return _take(file, head & 31 if head < 0xC0 else _number(file, TEXTS[head])).decode(errors="replace")
    if head < 0x90 or head in MAPS:
        size = head & 15 if head < 0x90 else _number(file, MAPS[head])
        return dict((unpacked(file), unpacked(file)) for _ in range(size))
    if head < 0xA0 or head in LISTS:
        return [unpacked(file) for _ in range(head & 15 if head < 0xA0 else _number(file, LISTS[head]))]
    _take(file, 1 + (HANDLES.get(head) or _number(file, SIZED_HANDLES[head])))
    return None


def _number(file: IO[bytes], form: str) -> Any:
    return struct.unpack(form, _take(file, struct.calcsize(form)))[0]


def _take(file: IO[bytes], size: int) -> bytes:
    data = b""
    while len(data) < size:
        assert select.select([file], [], [], 2 * WAIT_S)[0], "Neovim is silent"
        chunk = file.read(size - len(data))
        assert chunk, "Neovim has ended"
        data += chunk
    return data
