"""What a sandbox does with ordinary code, what a report says, and which sandbox is chosen."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from canaries import running
from test_jail import JAILS, NUM_JAILS, SMALL

from codegen_lsp.verify import jail as room
from codegen_lsp.verify import readable, selftest, setups, warden
from codegen_lsp.verify.bwrap import Bwrap
from codegen_lsp.verify.jail import Jail, JailError, Job, Limits, Outcome, Report, find_jail, unprotected
from codegen_lsp.verify.job import Setup
from codegen_lsp.verify.own import Own

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes of Linux")

ROOT = Path(__file__).parent.parent
JAIL = JAILS.get("landlock+seccomp+namespaces", unprotected(SMALL))
needs_all = pytest.mark.skipif(len(JAILS) < NUM_JAILS, reason="this machine cannot have every sandbox")
LIBRARY = {
    "text": ("import json, re", "re.sub('a', 'b', json.dumps({'a': 1}))", "'{\"b\": 1}'"),
    "time zones": (
        "import datetime, zoneinfo",
        "str(datetime.datetime(2020, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')))",
        "'2020-07-01 00:00:00+02:00'",
    ),
    "numbers": (
        "import decimal, random, hashlib",
        "random.Random(1).random() < 1, hashlib.md5(b'').hexdigest()[:4]",
        None,
    ),
    "data classes": ("import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int = 1", "A()", "A(x=1)"),
    "pickle": ("import pickle\nclass A: x = 3", "pickle.loads(pickle.dumps(A())).x", "3"),
    "source": ("import inspect\ndef f():\n    return 1", "inspect.getsource(f)", "'def f():\\n    return 1\\n'"),
    "threads": (
        "from concurrent.futures import ThreadPoolExecutor",
        "list(ThreadPoolExecutor(3).map(abs, range(3)))",
        "[0, 1, 2]",
    ),
    "asyncio": ("import asyncio\nasync def f(): return await asyncio.sleep(0, 3)", "asyncio.run(f())", "3"),
    "own signals": (
        "import os, signal\nsignal.signal(signal.SIGUSR1, lambda *_: print('heard'))",
        "os.kill(os.getpid(), signal.SIGUSR1)",
        "heard",
    ),
    "null": ("", "open('/dev/null', 'w').write('x')", "1"),
    "no input": ("", "input()", "EOFError: EOF when reading a line"),
    "no program": (
        "import subprocess",
        "subprocess.run(['true'])",
        "PermissionError: [Errno 1] Operation not permitted",
    ),
}
FILES = {
    "folder": ("import os", "os.listdir('.')", "[]"),
    "temporary": ("import tempfile", "tempfile.NamedTemporaryFile('w').write('x')", "1"),
    "copies": (
        "import pathlib, shutil",
        "pathlib.Path('a').write_text('x'), shutil.copy2('a', 'b'), pathlib.Path('b').read_text()",
        "(1, 'b', 'x')",
    ),
    "database": ("import sqlite3", "sqlite3.connect('x').execute('create table x(y)').fetchall()", "[]"),
}


def run(source: str, *examples: str, jail: Jail = JAIL, **options: object) -> Report:
    made = Job(source, tuple(f"{each}\n" for each in examples), **options)  # type: ignore[arg-type]
    return jail.run(made)


@pytest.mark.parametrize(
    ("jail", "case"),
    [
        *((jail, case) for jail in JAILS for case in LIBRARY),
        *((jail, case) for jail in JAILS for case in FILES if jail != "landlock+seccomp"),
    ],
)
def test_the_standard_library_works(jail: str, case: str) -> None:
    source, example, expected = (LIBRARY | FILES)[case]
    report = run(source, example, jail=JAILS[jail])
    assert not report.problem
    (outcome,) = report.outcomes
    if expected is None:
        assert outcome.output
        assert not outcome.error
    else:
        assert outcome.output + outcome.error == f"{expected}\n"


@pytest.mark.parametrize("jail", JAILS)
def test_compiled_extensions_work(jail: str) -> None:
    regex = pytest.importorskip("regex")
    folder = str(Path(regex.__file__).parents[1])
    report = run("import regex", "regex.sub('a', 'b', 'a')", jail=JAILS[jail], search=(folder,), readable=(folder,))
    assert report.outcomes == (Outcome("'b'\n"),)


MODULE = """
from __future__ import annotations
import sys
count = 1
class Odd(ValueError): ...
def up():
    global count
    count += 1
    return count
"""
SEMANTICS = [
    ("1 + 1", "2\n", ""),
    ("None", "", ""),
    ("x = [up(), up()]", "", ""),
    ("x", "[2, 3]\n", ""),
    ("count", "1\n", ""),  # a copy, as doctest makes
    ("_", "1\n", ""),
    ("for each in 'ab':\n    print(each, end='')\n", "ab", ""),
    ("def f(a: nothing): ...\n", "", ""),  # the module's __future__ holds here, too
    ("__name__, __file__, sys.modules[__name__].up is up", "('pkg.part', '/a/part.py', True)\n", ""),
    ("print('half'); raise Odd('no digits')", "half\n", "pkg.part.Odd: no digits\n"),
    ("1 +", "", "SyntaxError: invalid syntax\n"),
    ("raise SystemExit(3)", "", "SystemExit: 3\n"),
    ("raise KeyboardInterrupt", "", "KeyboardInterrupt\n"),
    ("e = ValueError('a'); e.add_note('note'); raise e", "", "ValueError: a\nnote\n"),
    ("print('\\ud800')", "\\ud800\n", ""),
    ("print('gone', file=sys.stderr)", "", ""),
    ("sys.displayhook = print; 5", "5\n", ""),
    ("7", "7\n", ""),
    ("sys.stdout = None", "", ""),
    ("8", "8\n", ""),
]


def test_examples_are_run_as_doctest_runs_them() -> None:
    report = run(MODULE, *(example for example, _, _ in SEMANTICS), name="pkg.part", file="/a/part.py")
    assert not report.problem
    assert report.milliseconds > 0
    for (example, output, error), outcome in zip(SEMANTICS, report.outcomes, strict=True):
        assert (example, outcome) == (example, Outcome(output, error))


def test_a_module_finds_its_neighbours_but_they_shadow_nothing(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    for name, text in (("__init__", ""), ("other", "value = 5"), ("hidden", "value = 6"), ("json", "raise OSError")):
        (tmp_path / "pkg" / f"{name}.py").write_text(text)
    (tmp_path / "json.py").write_text("raise OSError")
    readable = tuple(str(tmp_path / name) for name in ("pkg/__init__.py", "pkg/other.py", "json.py", "is not there"))
    report = run(
        "import json\nfrom . import other",
        "other.value",
        "from pkg import hidden",
        name="pkg.part",
        file=str(tmp_path / "pkg/part.py"),
        search=(str(tmp_path),),
        readable=readable,
    )
    assert report.outcomes[0] == Outcome("5\n")
    assert report.outcomes[1].error.startswith("ImportError: cannot import name 'hidden'")


def test_the_seed_decides_the_order_of_sets() -> None:
    same = {run("", "hash('a')", seed=3).outcomes for _ in range(2)}
    assert len(same) == 1
    assert run("", "hash('a')", seed=4).outcomes not in same
    assert not run("", "1", seed=-1).problem


PROBLEMS = {
    "import gone": "The module cannot be imported: ModuleNotFoundError: No module named 'gone'",
    "def": "The module cannot be imported: SyntaxError: invalid syntax",
    "x = '\ud800'": "The module cannot be imported: UnicodeEncodeError",
    "\0": "The module cannot be imported: ",
    "raise SystemExit": "The module cannot be imported: SystemExit",
    "x = bytearray(1 << 30)": "It used more than 160 MB.",
    "print('x' * 5000)": "It wrote more than 4 KB.",
    "import os; os._exit(0)": "It ended the process.",
    "import ctypes; ctypes.string_at(0)": "It crashed (SIGSEGV).",
    "import time; time.sleep(9)": "It took longer than 3 s.",
}


@pytest.mark.parametrize("source", PROBLEMS)
def test_a_module_that_is_not_there_in_the_end(source: str) -> None:
    report = run(source, "1")
    assert report.problem.startswith(PROBLEMS[source])
    assert not report.outcomes


def test_a_problem_is_one_line_of_text() -> None:
    report = run("raise ValueError('\\x1b[31mred\\n\\u202e' + 'x' * 5000)")
    assert report.problem.isprintable()
    assert 100 < len(report.problem) < 300


@pytest.mark.parametrize("jail", JAILS)
@pytest.mark.parametrize(
    "options",
    [
        {"readable": ("/a\0b", "/\udcff", "", "relative", "/proc/1/root/x", "/root/none")},
        {"search": ("\udcff", "\0", "")},
        {"file": "\udcff.py"},
        {"file": ""},
        {"name": ""},
        {"name": "..a"},
        {"name": "json"},
        {"seed": 1 << 70},
    ],
    ids=str,
)
def test_odd_jobs_are_jobs(jail: str, options: dict[str, object]) -> None:
    report = run("x = 1", "x", jail=JAILS[jail], **options)
    assert report.outcomes == (Outcome("1\n"),) or report.problem.startswith("The module cannot be imported")


def test_a_file_with_a_name_that_is_no_text_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff")
    path.write_text("x")
    assert run("", f"open({str(path)!r}).read()", readable=(str(path),)).outcomes == (Outcome("'x'\n"),)


def test_what_may_be_read_is_not_in_the_scratch_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    report = run("import os", "os.listdir('.')", f"os.listdir({str(tmp_path)!r})", readable=(str(tmp_path / "a"),))
    assert report.outcomes == (Outcome("[]\n"), Outcome("['a']\n"))


def test_it_does_not_matter_that_dead_children_are_ignored() -> None:
    old = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert run("", "1").outcomes == (Outcome("1\n"),)
        assert run("import os; os._exit(1)").problem == "It ended the process."
    finally:
        signal.signal(signal.SIGCHLD, old)


def test_what_was_done_before_a_problem_is_reported() -> None:
    report = run("", "1", "2", "import os; os._exit(1)", "3")
    assert (report.outcomes, report.problem) == ((Outcome("1\n"), Outcome("2\n")), "It ended the process.")


def test_output_is_counted_over_all_examples() -> None:
    report = run("", *(["print('x' * 1000)"] * 6))
    assert (len(report.outcomes), report.problem) == (4, "It wrote more than 4 KB.")


PATIENT = Limits(cpu_seconds=1, wall_seconds=50)


@needs_all
@pytest.mark.parametrize(
    "jail", [Own(PATIENT), Own(PATIENT, has_namespaces=False), Bwrap(PATIENT)], ids=lambda jail: jail.name
)
def test_processor_time_is_limited_apart_from_time(jail: Jail) -> None:
    source = "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    assert jail.run(Job(source, ())).problem == "It used more than 1 s of processor time."


def test_memory_is_watched_where_it_is_not_limited() -> None:
    def setup(_: int, result: int) -> Setup:
        return {**setups.plain(SMALL, 0, result), "limits": []}

    def resident(pid: int) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    job = Job("import time; x = b'x' * (300 << 20); time.sleep(9)", ())
    report = warden.run(warden.Start(list, {}, setup, resident=resident), readable.interpreter(), job, SMALL)
    assert report.problem == "It used more than 160 MB."


def test_runs_of_a_jail_do_not_overlap() -> None:
    source = "import time; began = time.monotonic(); time.sleep(0.1)"
    reports: list[Report] = []
    threads = [
        threading.Thread(target=lambda: reports.append(run(source, "print(began, time.monotonic())"))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spans = sorted(tuple(map(float, report.outcomes[0].output.split())) for report in reports)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


@pytest.mark.parametrize("jail", [*JAILS.values(), unprotected(SMALL)], ids=lambda jail: jail.name)
def test_a_child_ends_with_its_parent(tmp_path: Path, jail: Jail) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    code = f"""
        from codegen_lsp.verify.bwrap import Bwrap
        from codegen_lsp.verify.jail import Job, Limits, unprotected
        from codegen_lsp.verify.own import Own
        limits, name = Limits(wall_seconds=60), {jail.name!r}
        jail = {{"none": unprotected(limits), "bwrap": Bwrap(limits)}}.get(name) or Own(
            limits, has_namespaces="namespaces" in name, has_landlock="landlock" in name)
        jail.run(Job("import time; time.sleep(60)", (), seed={seed}))
    """
    # Where a killed parent leaves its folder.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    num_processes = 1 if jail.name in ("none", "landlock+seccomp") else 2
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, env=environment)
    try:
        until_true(lambda: len(running(seed)) >= num_processes)
    finally:
        parent.kill()
        parent.wait()
    until_true(lambda: not running(seed))


@pytest.mark.parametrize("jail", JAILS)
def test_a_child_has_given_up_what_it_had(jail: str) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    thread = threading.Thread(
        target=run, args=("import time; time.sleep(9)",), kwargs={"jail": JAILS[jail], "seed": seed}
    )
    thread.start()
    until_true(lambda: any(status["Seccomp"] == "2" for status in statuses(seed).values()))
    ((pid, status),) = [(pid, status) for pid, status in statuses(seed).items() if status["Seccomp"] == "2"]
    descriptors = [*Path(f"/proc/{pid}/fd").iterdir()]
    thread.join()
    assert [status[f"Cap{name}"].strip("0") for name in ("Inh", "Prm", "Eff", "Amb")] == [""] * 4
    assert status["NoNewPrivs"] == "1"
    assert len(descriptors) == 4  # three standard ones, and the way back
    assert not statuses(seed)


def statuses(seed: int) -> dict[int, dict[str, str]]:
    """/proc/…/status of the processes of a job."""
    found = {}
    for pid in running(seed):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            found[pid] = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return found


def until_true(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# Which sandbox is chosen


@needs_all
def test_the_best_sandbox_that_proves_itself_is_chosen() -> None:
    found = find_jail()
    assert found.jail
    assert found.jail.name == "landlock+seccomp+namespaces"
    assert not found.reasons


@pytest.mark.parametrize("jail", JAILS)
def test_every_sandbox_proves_itself(jail: str) -> None:
    assert not selftest.weakness(JAILS[jail], SMALL)


def test_every_probe_of_the_self_test_succeeds_without_a_sandbox() -> None:
    with selftest.laid_out() as canaries:
        found = selftest.escapes(unprotected(Limits(memory=1 << 30)), canaries, SMALL)
        assert set(found) == set(canaries.probes(SMALL))
        assert len(found) == 8


class Broken:
    """A sandbox that is not to be trusted: it says what it likes, or does nothing."""

    name = "broken"

    def __init__(self, *outputs: str) -> None:
        self.outputs = outputs

    def run(self, job: Job) -> Report:
        return Report(tuple(map(Outcome, self.outputs)), "" if self.outputs else "It ended the process.")


@pytest.mark.parametrize(
    ("jail", "reason"),
    [
        (Broken(), "broken: ordinary code does not run in it (It ended the process.)"),
        (Broken("45\n"), "broken: ordinary code does not run in it (wrong output)"),
        (Broken("44\n", *["stopped\n"] * 8), "broken: ordinary code does not run in it (wrong output)"),
        (Broken("45\n", *["stopped\n"] * 7, "done\n"), "broken: it let code take more memory"),
        (unprotected(SMALL), "none: it let code read a file"),
        *((jail, None) for jail in JAILS.values()),
    ],
)
def test_one_that_does_not_is_passed_over(monkeypatch: pytest.MonkeyPatch, jail: Jail, reason: str | None) -> None:
    monkeypatch.setattr(room, "candidates", lambda limits: [jail])
    found = find_jail(SMALL)
    assert (found.jail is None) == (reason is not None)
    assert found.reasons == ((reason,) if reason else ())


def test_seccomp_alone_is_no_sandbox() -> None:
    with pytest.raises(JailError):
        Own(SMALL, has_namespaces=False, has_landlock=False).run(Job("", ()))


FIND = """
from codegen_lsp.verify.jail import find_jail
found = find_jail()
print(found.jail and found.jail.name, *found.reasons, sep="\\n")
"""
NO_LANDLOCK = """
from codegen_lsp.verify import filter, seal
import ctypes, struct
program = [(32, 0, 0, 0), (21, 0, 1, 444), (6, 0, 0, 0x50000 | 38), (6, 0, 0, 0x7FFF0000)]
seal.libc.prctl(38, 1, 0, 0, 0)
seal.filter_calls(b"".join(struct.pack("<HBBI", *each) for each in program))
"""


def find_in(command: list[str], code: str) -> list[str]:
    """The name of the jail that is found by such a process, and the reasons against others."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*command, "-c", code], cwd="/", env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    return done.stdout.splitlines()


NO_NAMESPACES = ["unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"]


@needs_all
def test_without_namespaces_landlock_is_enough() -> None:
    name, *reasons = find_in([*NO_NAMESPACES, sys.executable], FIND)
    assert name == "landlock+seccomp"
    assert reasons == [
        "landlock+seccomp+namespaces: unshare: No space left on device",
        "seccomp+namespaces: unshare: No space left on device",
    ]


@needs_all
def test_without_landlock_namespaces_are_enough() -> None:
    name, *reasons = find_in([sys.executable], NO_LANDLOCK + FIND)
    assert name == "seccomp+namespaces"
    assert reasons == ["landlock+seccomp+namespaces: landlock: Function not implemented"]


@needs_all
def test_without_either_nothing_is_run() -> None:
    no_capabilities = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]  # bwrap could do with them
    name, *reasons = find_in([*NO_NAMESPACES, *no_capabilities, sys.executable], NO_LANDLOCK + FIND)
    assert name == "None"
    assert [each.partition(":")[0] for each in reasons] == [*JAILS_IN_ORDER]


JAILS_IN_ORDER = ("landlock+seccomp+namespaces", "seccomp+namespaces", "landlock+seccomp", "bwrap")


@needs_all
def test_an_unprivileged_user_has_the_same() -> None:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if os.geteuid() or not python:
        pytest.skip("these tests are run by one")
    as_nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", python]
    check = (
        "from codegen_lsp.verify.jail import Limits, candidates\nfrom codegen_lsp.verify.selftest import weakness\n"
        "for jail in candidates(Limits()): print(jail.name, weakness(jail, Limits()))"
    )
    assert find_in(as_nobody, check) == [f"{name} " for name in JAILS_IN_ORDER]


def test_a_run_may_be_given_less_time() -> None:
    report = unprotected().run(Job("import time\n", ("1\n", "time.sleep(30)\n"), seconds=0.5))
    assert [each.output for each in report.outcomes] == ["1\n"]
    assert report.problem == "It took longer than 0.5 s."
