"""The command line: with a tiny model in a real host where it asks one, and with the bundled model."""

import asyncio
import io
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import MODEL, ByteTokenizer
from tiny import make_tiny

from codegen_lsp import registry
from codegen_lsp.cli import complete, demo, files, host, terminal
from codegen_lsp.cli.ask import Desk
from codegen_lsp.cli.main import COMMANDS, main, parser
from codegen_lsp.core import Snapshot
from codegen_lsp.engine.launch import stop_host
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.errors import FileError
from codegen_lsp.prompt.formats import BY_NAME

SOURCE = "import json\n\n\n# read a json file and return the list of names\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Hosts of these tests live in folders of their own, and are gone at the end."""
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
            (root / name).mkdir(mode=0o700)
            patch.setenv(name, str(root / name))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield root
        asyncio.run(stop_host())


@pytest.fixture(scope="module")
def tiny(home):
    return str(make_tiny(home / "tiny"))


def run(*args, stdin=None, monkeypatch=None):
    if stdin is not None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    return main(list(args))


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a.py:3", 3, None), ("a.py:3:1", 3, 1), ("c:/x/a.py:12:40", 12, 40), ("with:colon.py:7", 7, None)],
)
def test_places(text, line, column):
    place = files.parse_place(text)
    assert (place.line, place.column) == (line, column)
    assert str(place.path) == text.removesuffix(f":{column}").removesuffix(f":{line}")


@pytest.mark.parametrize("text", ["a.py", "a.py:", "a.py:0", "a.py:1:0", ":3", "", "a.py:-1", "a.py:x"])
def test_bad_places(text):
    with pytest.raises(FileError):
        files.parse_place(text)


@pytest.mark.parametrize(
    ("content", "place", "said"),
    [
        (b"x = 1\n", ":9", "has 2 lines; line 9 is outside it"),
        (b"x = 1\n", ":1:99", "has 5 characters; column 99 is outside it"),
        (b"x = '\xff\xfe'\n", ":1", "is not UTF-8 (byte 5)"),
        (None, ":1", "No such file"),
        (b"x" * (files.MAX_BYTES + 1), ":1", "larger than 16 MB"),
    ],
)
def test_bad_files_get_one_sentence(tmp_path, capsys, content, place, said):
    path = tmp_path / "a.py"
    if content is not None:
        path.write_bytes(content)
    assert main(["complete", f"{path}{place}"]) == FileError.exit_code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert content is None or path.read_bytes() == content


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["complete"], 2, "FILE:LINE or --jsonl"),
        (["complete", "--jsonl", "--temperature", "9"], 2, "--temperature must be"),
        (["generate", "  "], 2, "no text"),
        (["complete", "--jsonl", "--model", "./nowhere"], 4, "nowhere"),
        (["models", "info", "no-such-model"], 4, "no-such-model"),
        (["generate", "x", "--endpoint", "ftp://x"], 2, "endpoint"),
        (["serve", "--device", "abacus"], 2, "device"),
        (["generate", "x", "--device", "abacus"], 2, "device"),
        (["generate", "x", "--dtype", "int3"], 2, "dtype"),
        (["complete", "--jsonl", "--seed", str(1 << 64)], 2, "--seed must fit"),
        (["complete", "--jsonl", "--write"], 2, "go with FILE:LINE"),
        (["generate", "x", "--api-key-env", "NO_SUCH_KEY"], 2, "NO_SUCH_KEY is not set"),
        (["demo", "--sample", "no-such-sample.py"], 3, "no-such-sample.py"),
        (["demo", "--sample", __file__], 3, "has no"),
    ],
)
def test_wrong_usage_gets_one_sentence(home, capsys, args, code, said):
    assert main(args) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_help_teaches(capsys):
    for command in ([], ["complete"], ["generate"], ["explain"], ["demo"], ["serve"], ["host"], ["models"], ["doctor"]):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0
        assert len(capsys.readouterr().out) > 200


def test_write_keeps_mode_and_leaves_nothing_behind(tmp_path):
    path, link = tmp_path / "a.py", tmp_path / "link.py"
    path.write_text("old")
    path.chmod(0o754)
    link.symlink_to(path)
    files.write_text(link, "new\r\nß\n", "old")
    assert path.read_bytes() == "new\r\nß\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o754
    assert link.is_symlink()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.py", "link.py"]


def test_a_failed_write_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.py"
    path.write_text("old")

    def fail(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FileError, match="No space left"):
        files.write_text(path, "new", "old")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.py"]


def test_a_byte_order_mark_is_kept_and_not_seen(tmp_path):
    path = tmp_path / "a.py"
    path.write_bytes(b"\xef\xbb\xbf# x\r\n")
    snapshot = files.snapshot_at(files.parse_place(f"{path}:1:1"))
    assert (snapshot.text, snapshot.offset) == ("# x\r\n", 0)
    files.write_text(path, "y = 1\r\n", "# x\r\n")
    assert path.read_bytes() == b"\xef\xbb\xbfy = 1\r\n"


def test_what_somebody_saved_meanwhile_is_not_lost(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("theirs")
    with pytest.raises(FileError, match="changed meanwhile"):
        files.write_text(path, "ours", "as it was read")
    assert path.read_text() == "theirs"
    assert [file.name for file in tmp_path.iterdir()] == ["a.py"]


def test_a_read_only_file_stays_as_it_is(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(FileError, match="read-only"):
        files.write_text(path, "new", "old")
    assert path.read_text() == "old"


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no /dev/null")
def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(FileError, match="no regular file"):
        files.write_text(Path("/dev/null"), "new", "")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_a_file_without_end():
    with pytest.raises(FileError, match="larger than"):
        files.read_text(Path("/dev/zero"))


def test_colour_only_on_a_terminal(monkeypatch):
    assert "\x1b" not in terminal.diff("a\n", "b\n", "x")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32m+b" in terminal.diff("a\n", "b\n", "x")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in terminal.diff("a\n", "b\n", "x")


def test_jsonl_answers_each_line_in_order(tiny, capsys, monkeypatch):
    lines = [
        json.dumps({"id": 1, "path": "a.py", "prefix": "def f(x):\n    return ", "suffix": "\n"}),
        "{not json",
        json.dumps({"id": "two", "path": "a.py"}),
        "",
        json.dumps({"id": 3, "path": 7, "prefix": "x"}),
        json.dumps({"id": 4, "prefix": "x = <|fim_middle|>\ny = ", "suffix": "", "workspace": "/nowhere"}),
        json.dumps([1]),
    ]
    assert run("complete", "--jsonl", "--model", tiny, stdin="\n".join(lines), monkeypatch=monkeypatch) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["id"] for row in rows] == [1, None, "two", 3, 4, None]
    assert ["error" in row for row in rows] == [False, True, True, True, False, True]
    for row in (rows[0], rows[4]):
        assert set(row) == {"id", "completion", "confidence", "stop", "timings_ms"}
        assert row["timings_ms"]["total"] > 0


def test_jsonl_of_bytes_and_lone_surrogates(tiny, capsys, monkeypatch):
    lines = [
        b'{"id": 1, "prefix": "# caf\xe9\\n"}',
        b"[" * 100_000,
        b'{"id": 2, "path": "\\ud800", "prefix": "\\ud800 = "}',
    ]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n".join(lines))))
    assert main(["complete", "--jsonl", "--model", tiny]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [("error" in row, row["id"]) for row in rows] == [(True, None), (True, None), (False, 2)]


async def test_two_processes_do_not_preempt_each_other(monkeypatch):
    engine = ScriptedEngine(["pass"])
    args = parser().parse_args(["complete", "a.py:1"])
    desk = Desk(engine, MODEL, BY_NAME["codegen"], ByteTokenizer(), args)
    for pid in (1, 2):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        await desk.complete(Snapshot("a.py", "python", "# ask\n", 6))
        await complete._complete_row(desk, {"path": "a.py", "prefix": "# ask\n"})
    assert [document for _, _, document, _ in engine.requests] == ["1:a.py", "1:a.py", "2:a.py", "2:a.py"]


async def test_jsonl_takes_the_language_from_the_path():
    engine = ScriptedEngine(["x := 1"])  # no statement in Python
    desk = Desk(engine, MODEL, BY_NAME["codegen"], ByteTokenizer(), parser().parse_args(["complete", "a.py:1"]))
    for path, prefix, expected in (("a.py", "# ask\n", ""), ("", "# ask\n", ""), ("a.go", "// ask\n", "x := 1")):
        row = await complete._complete_row(desk, {"path": path, "prefix": prefix})
        assert row["completion"] == expected, path


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_jsonl_never_prints_what_json_does_not_have(tiny, capsys, monkeypatch, number):
    line = f'{{"id": {number}, "prefix": "x"}}'
    assert run("complete", "--jsonl", "--model", tiny, stdin=line, monkeypatch=monkeypatch) == 1
    row = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert "error" in row


@pytest.mark.skipif(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="SIGINT is ignored here, as in `… &`")
def test_ctrl_c_ends_a_wait_for_input(tiny):
    command = [sys.executable, "-m", "codegen_lsp", "complete", "--jsonl", "--model", tiny]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(b'{"id": 1, "prefix": "x = "}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_the_output_gets_one_sentence(home):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "codegen_lsp", "models", "list"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == FileError.exit_code
    assert done.stderr == "codegen-lsp: the output: No space left on device.\n"


def test_closed_streams_are_no_traceback(home):
    command = f"{sys.executable} -m codegen_lsp models list >&- 2>&- <&-"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0


def test_a_failed_host_says_why(capsys):
    print(host._line({"model": "m", "state": "failed", "pid": 7, "error": "No memory.", "device": ""}))
    print(host._line({"model": "m", "state": "ready", "pid": 7, "device": "cpu", "dtype": "float32", "idle_s": 61.5}))
    failed, ready = capsys.readouterr().out.splitlines()
    assert failed == "m: failed, pid 7: No memory."
    assert ready.endswith("idle 62 s")


def test_host_life(tiny, capsys):
    assert main(["host", "start", "--model", tiny, "--json"]) == 0
    started = json.loads(capsys.readouterr().out)
    assert [host["state"] for host in started] == ["ready"]
    assert main(["host", "status"]) == 0
    assert "ready" in capsys.readouterr().out
    assert main(["host", "stop"]) == 0
    assert "1 host stopped" in capsys.readouterr().out
    assert main(["host", "status"]) == 1


def test_explain_shows_the_parts(tiny, tmp_path, capsys):
    path = tmp_path / "a.py"
    path.write_text(SOURCE)
    main(["explain", f"{path}:4", "--model", tiny, "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["kind"] == "comment-above"
    assert [part["name"] for part in shown["prompt"] if part["name"] != "control"] == ["path", "suffix", "prefix"]
    assert all(0 <= chance <= 1 for _, chance in shown["tokens"])
    main(["explain", f"{path}:4", "--model", tiny])
    text = capsys.readouterr().out
    assert "prompt:" in text
    assert "times (ms)" in text


def test_gpt2_completes_left_to_right(home, capsys, monkeypatch):
    folder = make_tiny(home / "gpt2", "gpt2", format="plain")
    assert main(["models", "info", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "plain"
    line = json.dumps({"id": 1, "path": "a.py", "prefix": "x = 1\ny = ", "suffix": "\nz = 3\n"})
    assert run("complete", "--jsonl", "--model", str(folder), stdin=line, monkeypatch=monkeypatch) == 0


HEAVY = ("torch", "transformers", "pygls", "aiohttp", "asyncio", "orjson", "sqlite3", "subprocess")
"""What a command line that finds its host running has no use for: asyncio alone takes longer than all of ours."""


def imported_by(*args, of=HEAVY):
    """Which modules a command imports."""
    code = "import sys\nfrom codegen_lsp.__main__ import main\ntry: main()\nexcept SystemExit: pass\n"
    code += f"print([name for name in {of} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_a_completion_imports_little(tiny, tmp_path):
    assert main(["host", "start", "--model", tiny]) == 0
    path = tmp_path / "a.py"
    path.write_text(SOURCE)
    assert imported_by("complete", f"{path}:4", "--model", tiny, "--json") == "[]"
    unneeded = ("codegen_lsp.syntax.outlines", "codegen_lsp.syntax.definitions", "codegen_lsp.index.store")
    assert imported_by("complete", f"{path}:4", "--model", tiny, "--json", of=unneeded) == "[]"


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_no_command_is_imported_to_list_them(option):
    commands = tuple(f"codegen_lsp.cli.{name}" for name in COMMANDS)
    assert imported_by(option, of=(*HEAVY, "codegen_lsp.core", *commands)) == "[]"


@pytest.fixture
def bundled(home):
    try:
        return registry.find(registry.DEFAULT_MODEL)
    except Exception as error:
        pytest.skip(f"no bundled model: {error}")


def test_bundled_model_writes_code(bundled, tmp_path, capsys):
    path = tmp_path / "app.py"
    path.write_bytes(SOURCE.replace("\n", "\r\n").encode())
    path.chmod(0o600)
    assert main(["complete", f"{path}:4", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert main(["complete", f"{path}:4"]) == 0
    code = capsys.readouterr().out
    assert code.startswith("def ")
    assert code.rstrip("\n") == answer["completion"].replace("\r\n", "\n")
    assert main(["complete", f"{path}:4", "--write"]) == 0
    written = path.read_bytes()
    assert written.startswith(SOURCE.replace("\n", "\r\n").encode())
    assert written.count(b"\n") == written.count(b"\r\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    compile(written, "app.py", "exec")


def test_bundled_model_writes_a_cell(bundled, tmp_path, capsys):
    path = tmp_path / "nb.ipynb"
    texts = ["%matplotlib inline\nimport json", "# read a json file and return the list of names\n"]
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": text} for text in texts]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1))
    assert main(["complete", f"{path}:2:1", "--write"]) == 0
    first, second = (cell["source"] for cell in json.loads(path.read_text())["cells"])
    assert first == texts[0]
    assert second.startswith(texts[1] + "def ")
    compile(second, "cell", "exec")


def test_generate_doctor_and_demo(bundled, capsys):
    assert main(["generate", "read a json file and return the list of names"]) == 0
    compile(capsys.readouterr().out, "generated", "exec")
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.count("ok") >= 5
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out
    orders = demo.SAMPLE.read_text(encoding="utf-8").count(demo.CURSOR)
    assert orders >= 5
    assert f"of {orders} orders became code; the file parses" in shown


def test_demo_orders_were_not_trained_on():
    import random

    from codegen_lsp.training.exercises.idioms import combinations, load_idioms

    asks = {
        ask.lower().rstrip(".")
        for idiom in load_idioms()
        for exercise in combinations(idiom, 10_000, random.Random(0))
        for ask in exercise.asks
        if not exercise.is_held_out
    }
    sample = demo.SAMPLE.read_text(encoding="utf-8")
    orders = [line.strip(' #"' + demo.CURSOR).lower().rstrip(".") for line in sample.splitlines()]
    assert not asks & {order for order in orders if len(order.split()) > 2}


def test_bundled_model_loads_with_plain_transformers(bundled):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(bundled.folder)
    tokenizer = AutoTokenizer.from_pretrained(bundled.folder)
    ids = torch.tensor([tokenizer("def add(a, b):\n    return ")["input_ids"]])
    assert model(ids).logits.shape == (1, ids.shape[1], len(tokenizer))
    assert Path(bundled.folder, "MODEL_CARD.md").is_file()
