"""`codegen-lsp hook` where a file, the model, the sandbox or time fails it: said so, and the policy decides."""

import asyncio
import contextlib
import socket
import time

import pytest
from fakes import MODEL
from hook_room import ADD, DONE, SUB, entered, forbid

from codegen_lsp import registry
from codegen_lsp.cli import ask
from codegen_lsp.cli.main import main
from codegen_lsp.engine.launch import HostSpec, socket_path
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.errors import EngineFailed
from codegen_lsp.implement import Plan
from codegen_lsp.verify.jail import Found
from codegen_lsp.verify.judge import Status

REALLY = ask.open_desk
GOES_ON = "codegen-lsp: the commit goes on all the same (--on-error pass).\n"
HELD_UP = "codegen-lsp: the commit is held up by this (--on-error fail).\n"
POLICIES = {"pass": (0, GOES_ON), "fail": (3, HELD_UP)}


@pytest.fixture
def room(tmp_path, monkeypatch, capsys):
    with entered(tmp_path, monkeypatch, capsys) as room:
        yield room


@pytest.fixture
def untouched(room, monkeypatch):
    forbid(monkeypatch)
    return room


def gone(room):
    return ["gone.py"], "gone.py: No such file or directory."


def not_utf8(room):
    room.write("x = 'é'\n", "latin.py", "latin-1")
    return ["latin.py"], "latin.py is not UTF-8, nor declares"


def unknown_encoding(room):
    room.write("# coding: klingon\n", "far.py")
    return ["far.py"], "far.py is not UTF-8, nor declares what it is (unknown encoding: klingon)"


def read_only(room):
    room.write(ADD, "kept.py", mode=0o444)
    return ["kept.py"], "kept.py is read-only; nothing was written."


def saved_meanwhile(room):
    path = room.write(ADD)
    room.engine = ScriptedEngine(lambda prompt: "return a + b\n" * (path.write_text(DONE) > 0), info=MODEL)
    return ["shop.py"], "shop.py has changed meanwhile; nothing was written, run the command again."


def not_in_its_encoding(room):
    room.write(f"# coding: latin-1\n{ADD}")
    room.answers["def add"] = "'→'\n    return a + b\n"
    return ["--require", "parsed", "shop.py"], "shop.py is in iso-8859-1, which has no '→'; nothing was written."


def broken_engine(room):
    room.write(f"{ADD}\n\n{SUB}")
    room.engine = ScriptedEngine(_raise(EngineFailed("The model host died.")), info=MODEL)
    return ["shop.py"], "The model host died."


def broken_system(room):
    room.write(ADD)
    room.engine = ScriptedEngine(_raise(OSError(24, "Too many open files")), info=MODEL)
    return ["shop.py"], "shop.py: the system: Too many open files."


def _raise(error):
    def raising(prompt):
        raise error

    return raising


FAULTS = (
    gone,
    not_utf8,
    unknown_encoding,
    read_only,
    saved_meanwhile,
    not_in_its_encoding,
    broken_engine,
    broken_system,
)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_said_and_the_policy_decides(room, fault, policy):
    code, end = POLICIES[policy]
    words, said = fault(room)
    before = {path: path.read_bytes() for path in room.folder.iterdir()}
    got, out = room.run("--on-error", policy, *words)
    assert got == code
    assert any(line.startswith("codegen-lsp: ") and said in line for line in out.splitlines())
    assert out.endswith(end)
    assert "Nothing was written" not in out
    assert ("without having been tried" in out) == (fault is broken_engine)
    if fault is not saved_meanwhile:
        assert {path: path.read_bytes() for path in room.folder.iterdir()} == before


@pytest.mark.parametrize("words", [("gone.py",), ("--check", "gone.py")])
@pytest.mark.parametrize(("policy", "code"), [("pass", 0), ("fail", 3)])
def test_a_fault_touches_nothing_either(untouched, words, policy, code):
    assert untouched.run("--on-error", policy, *words)[0] == code


@contextlib.contextmanager
def deaf(family, address):
    """A server that takes connections and never says a word; the address that it has."""
    with socket.socket(family) as server:
        server.bind(address)
        server.listen()
        yield server.getsockname()


def no_model(tmp_path):
    return contextlib.nullcontext(["--model", "./nowhere"])


def no_weights(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return contextlib.nullcontext(["--model", str(folder)])


def refused(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return contextlib.nullcontext(["--endpoint", f"http://127.0.0.1:{port}/v1"])


def no_key(tmp_path):
    return contextlib.nullcontext(["--endpoint", "http://127.0.0.1:1/v1", "--api-key-env", "NO_SUCH_VARIABLE"])


def no_such_device(tmp_path):
    return contextlib.nullcontext(["--device", "abacus"])


@contextlib.contextmanager
def deaf_endpoint(tmp_path):
    with deaf(socket.AF_INET, ("127.0.0.1", 0)) as (host, port):
        yield ["--endpoint", f"http://{host}:{port}/v1", "--time-limit", "1"]


@contextlib.contextmanager
def deaf_host(tmp_path):
    folder = registry.find("seed-py").folder
    with deaf(socket.AF_UNIX, str(socket_path(HostSpec(folder)))):
        yield ["--time-limit", "1"]


MODELS = {
    no_model: "There is no model folder nowhere",
    no_weights: "config.json does not say its model_type",
    refused: "127.0.0.1",
    no_key: "NO_SUCH_VARIABLE is not set.",
    no_such_device: "device: expected auto, cpu",
    deaf_endpoint: "The time limit of 1 s was reached (--time-limit).",
    deaf_host: "The time limit of 1 s was reached (--time-limit).",
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("model", MODELS)
def test_models_that_cannot_be_used(room, tmp_path, monkeypatch, model, policy):
    code, end = POLICIES[policy]
    monkeypatch.setattr(ask, "open_desk", REALLY)
    path, other = room.write(ADD), room.write(ADD, "other.py")
    with model(tmp_path) as words:
        got, out = room.run("--on-error", policy, *words, "shop.py", "other.py")
    assert (got, path.read_text(), other.read_text()) == (code, ADD, ADD)
    assert out.count(MODELS[model]) == 1
    assert ("2 functions are left without having been tried." in out) == ("limit" not in MODELS[model])
    assert out.endswith(end)


def test_an_answer_that_does_not_end_is_not_waited_for(room):
    path, other = room.write(ADD), room.write(ADD, "other.py")
    room.engine = ScriptedEngine(["return a + b\n"], 60, MODEL)
    began = time.monotonic()
    code, out = room.run("--time-limit", "1", "shop.py", "other.py")
    assert time.monotonic() - began < 60
    assert (code, path.read_text(), other.read_text()) == (0, ADD, ADD)
    assert out.count("left: the time limit was reached") == 2
    assert room.engine.num_cancelled == len(room.engine.requests) == 1


def test_what_was_written_in_time_stays(room):
    path, other = room.write(ADD), room.write(ADD, "other.py")

    class Slower(ScriptedEngine):
        async def generate(self, *words, **more):
            if self.requests:
                await asyncio.sleep(60)
            async for delta in super().generate(*words, **more):
                yield delta

    room.engine = Slower(["return a + b\n"], 0, MODEL)
    code, out = room.run("--time-limit", "1", "--on-error", "fail", "shop.py", "other.py")
    assert (code, "return a + b" in path.read_text(), other.read_text()) == (1, True, ADD)
    assert "The time limit of 1 s was reached" in out


@pytest.fixture
def three_runs(room, monkeypatch):
    """A clock of which only the sandbox takes time: it is over after the third run."""
    plan = Plan(5, Status.VERIFIED, until=3.0, clock=lambda: float(len(room.jail.jobs)))
    monkeypatch.setattr("codegen_lsp.cli.implement.plan_of", lambda args: plan)
    return room


def test_nothing_is_run_after_the_time_limit(three_runs):
    three_runs.write(f"{ADD}\n\n{ADD.replace('add', 'plus')}")
    code, out = three_runs.run("shop.py")
    assert (code, len(three_runs.jail.jobs)) == (1, 3)  # without a body, and with it, twice
    assert "plus  left: the time limit was reached" in out


def test_not_all_candidates_are_judged_after_the_time_limit(three_runs):
    three_runs.write(ADD)
    three_runs.engine = ScriptedEngine([f"return a * b + {number}\n" for number in range(2, 9)], info=MODEL)
    code, out = three_runs.run("shop.py")
    assert (code, len(three_runs.jail.jobs)) == (0, 3)  # without a body, the first candidate, one of the next four
    assert "refused: add(1, 2) gives" in out
    assert "The time limit of 60 s was reached" in out


def test_an_engine_that_dies_later_does_not_take_back_what_was_written(room):
    first, second, third = (room.write(ADD.replace("add", name), f"{name}.py") for name in ("add", "sum", "plus"))
    room.answers |= {"def sum": EngineFailed("The model host died."), "def plus": "return a + b\n"}
    code, out = room.run("--on-error", "fail", "add.py", "sum.py", "plus.py")
    assert (code, "return a + b" in first.read_text()) == (1, True)
    assert ("return" in second.read_text(), "return" in third.read_text()) == (False, False)
    assert "1 file was changed" in out
    assert "codegen-lsp: The model host died.\n" in out
    assert "2 functions are left without having been tried." in out
    assert "the commit" not in out.partition("died")[2]  # it is held up by the change


@pytest.mark.parametrize("policy", POLICIES)
def test_without_a_sandbox_nothing_is_written(room, monkeypatch, policy):
    code, end = POLICIES[policy]
    monkeypatch.setattr("codegen_lsp.verify.jail.find_jail", lambda: Found(None, ("landlock: none",)))
    path = room.write(ADD)
    got, out = room.run("--on-error", policy, "shop.py")
    assert (got, path.read_text(), room.engine.requests) == (code, ADD, [])
    assert "landlock: none" in out
    assert "codegen-lsp: No sandbox works here, so examples cannot be run" in out
    assert out.endswith(end)


@pytest.mark.parametrize(
    "words",
    [["--candidates", "0"], ["--time-limit", "0"], ["--time-limit", "nan"], ["--max-tokens", "0"],
     ["--require", "parsed", "--candidates", "101"]],
)  # fmt: skip
def test_wrong_figures_are_said_whether_or_not_there_is_anything_to_do(tmp_path, capsys, words):
    assert main(["hook", *words, str(tmp_path / "none.py")]) == 2
    assert capsys.readouterr().err.startswith(f"codegen-lsp: {words[-2]} must be ")


@pytest.mark.parametrize("word", ["--unprotected", "--no-run", "--tests=true"])
def test_the_hook_cannot_be_told_to_run_anything_outside_the_sandbox(capsys, word):
    with pytest.raises(SystemExit, match="2"):
        main(["hook", word, "shop.py"])
    assert "unrecognized arguments" in capsys.readouterr().err
