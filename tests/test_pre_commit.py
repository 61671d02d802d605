"""The hook under the real pre-commit and git: fresh repositories, the bundled model, the sandbox that works here.

The hook is built and installed as pre-commit does it, but for what it needs, which this environment lends: offline, in
seconds. With CODEGEN_LSP_HOOK=install (`make test-hook`) all of it is installed, and then tried without a network.
"""

import os
import re
import tempfile
from pathlib import Path

import pre_commit_rig
import pytest
from pre_commit_rig import PRICE, SHOP, WITHOUT_NETWORK

from codegen_lsp.verify.jail import find_jail

IS_INSTALLED = os.environ.get("CODEGEN_LSP_HOOK") == "install"
WHY_NOT = pre_commit_rig.missing()
pytestmark = [
    pytest.mark.timeout(1800 if IS_INSTALLED else 300),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "-"),
    pytest.mark.skipif(find_jail().jail is None, reason="no sandbox works here, so the hook writes nothing"),
]
CLAMPED = "    return max(low, min(value, high))\n"
CLAMP = 'def clamp(value, low, high):\n    """Limit a value to a range.\n\n{}    """\n'
TWO = CLAMP.format("    >>> clamp(5, 0, 3)\n    3\n    >>> clamp(-1, 0, 3)\n    0\n")
DONE = "def done(x):\n    return x\n"


@pytest.fixture(scope="module")
def rig():
    with tempfile.TemporaryDirectory() as folder:  # pytest would keep its own, of a gigabyte
        with pre_commit_rig.rig(Path(folder), is_lent=not IS_INSTALLED) as rig:
            yield rig
        assert processes_of(folder) == []


def processes_of(folder):
    """Command lines of processes that have something to do with a folder."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue  # it has ended
    return [line for line in lines if folder in line]


def rest_of(out):
    """What pre-commit shows of a hook below its own lines."""
    return out.partition("\n\n")[2]


def test_stubs_are_written_and_the_second_commit_goes_through(rig):
    here = rig.repository("story", {"shop.py": SHOP})
    first = here.git("commit", "-m", "Shop")
    assert first.code == 1, first.out
    assert re.search(
        r"docstring to code\.+Failed\n- hook id: docstring-to-code\n- duration: [\d.]+s\n- exit code: 1\n"
        r"- files were modified by this hook\n\nshop.py\n"
        r" +1 clamp +verified 3/3 examples \(.*\)\n"
        r" +13 digit_sum +verified 2/2 examples \(.*\)\n"
        r" +23 price +refused: .*\n"
        r" +33 greeting +left: no examples\n"
        r"1 file was changed. Look at what is new, stage it, and commit again: git diff -- shop.py\n",
        first.out,
    )
    assert here.staged("shop.py") == SHOP
    assert [host["state"] for host in rig.hosts()] == ["ready"]
    written = here.read("shop.py")
    assert written.replace(CLAMPED, "", 1).count("\n") == SHOP.count("\n") + 1  # digit_sum has a line, too
    assert here.git("diff", "--numstat").out == "2\t0\tshop.py\n"
    assert here.git("log", "--format=%s").out == "Configuration\n"

    assert here.git("add", "shop.py").code == 0
    second = here.git("commit", "-m", "Shop")
    assert second.code == 0, second.out
    assert re.search(
        r"docstring to code\.+Passed\n.*\n.*\n\nshop.py\n +25 price +refused: .*\n +35 greeting +left", second.out
    )
    assert (here.git("show", "HEAD:shop.py").out, here.git("status", "--short").out) == (written, "")


def test_it_runs_what_pre_commit_has_installed(rig):
    installed = rig.folder / "pre-commit"
    python = next(installed.glob("repo*/py_env-*/bin/python"))
    look = "from importlib.util import find_spec as find; print(find('codegen_lsp').origin, find('torch').origin)"
    ours, torch = map(Path, rig.run(str(python), "-c", look).out.split())
    assert ours.is_relative_to(installed)
    assert torch.is_relative_to(installed if IS_INSTALLED else rig.folder / "lent")
    if IS_INSTALLED:
        assert any(Path(str(host["folder"])).is_relative_to(installed) for host in rig.hosts())


def test_all_files(rig):
    here = rig.repository("all", {"one.py": TWO, "a b.py": TWO, "-x.py": TWO, "notes.txt": TWO, "done.py": DONE})
    assert here.git("commit", "--no-verify", "-m", "Stubs").code == 0
    ran = here.pre_commit("run", "--all-files")
    assert ran.code == 1, ran.out
    assert ran.out.rstrip().endswith("3 files were changed. Look at what is new, stage it, and commit again: "
                                     "git diff -- -x.py 'a b.py' one.py")  # fmt: skip
    for name in ("one.py", "a b.py", "-x.py"):
        assert here.read(name) == TWO + CLAMPED
    assert (here.read("notes.txt"), here.read("done.py")) == (TWO, DONE)
    again = here.pre_commit("run", "--all-files")
    assert (again.code, rest_of(again.out)) == (0, "")


def test_a_terminal_sees_no_progress(rig):
    here = rig.repository("colour", {"one.py": TWO})
    ran = here.pre_commit("run", "--color", "always")
    assert ran.code == 1
    assert ran.out.replace("\r\n", "\n").count("\r") == 0
    assert "\x1b[32mverified 2/2 examples\x1b[0m" in ran.out


STAGED = (
    "LIMIT = 3\n\n\ndef limit():\n    return LIMIT\n\n\n"
    + CLAMP.format("    >>> clamp(5, 0, limit())\n    3\n    >>> clamp(-1, 0, limit())\n    0\n")
    + '\n\ndef last():\n    return "staged"\n'
)


def test_what_is_not_staged_comes_back_and_is_not_used(rig):
    here = rig.repository("partial", {"shop.py": STAGED, "other.py": DONE})
    mine = STAGED.replace("LIMIT = 3", "LIMIT = 99").replace('"staged"', '"unstaged"')  # with 99 no example passes
    here.write({"shop.py": mine, "other.py": f"{DONE}\n\n{TWO}", "new.py": TWO})
    ran = here.git("commit", "-m", "Shop")
    assert (ran.code, "clamp  verified 2/2 examples" in ran.out) == (1, True), ran.out
    assert here.read("shop.py") == mine.replace('    """\n\n', f'    """\n{CLAMPED}\n')
    assert here.staged("shop.py") == STAGED
    assert (here.read("other.py"), here.read("new.py")) == (f"{DONE}\n\n{TWO}", TWO)


def test_examples_see_the_users_environment_and_not_the_hooks(rig):
    venv = rig.folder / "venv"
    packages = venv / "lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "pyvenv.cfg").touch()
    (packages / "limits.py").write_text("LIMIT = 3\n")
    text = STAGED.replace("LIMIT = 3", "from limits import LIMIT")
    here = rig.repository(
        "environment", {"shop.py": text, "ours.py": text.replace("limits import", "codegen_lsp import text as")}
    )
    env = {"VIRTUAL_ENV": str(venv), "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    ran = here.git("commit", "-m", "Shop", env=env)
    assert (ran.code, "clamp  verified 2/2 examples" in ran.out) == (1, True), ran.out
    assert re.search(r"clamp  left: .* No module named 'codegen_lsp'\n", ran.out)


def test_what_the_user_has_written_meanwhile_wins(rig):
    here = rig.repository("conflict", {"shop.py": TWO})
    mine = f"{TWO}    return sorted((low, value, high))[1]\n"
    here.write({"shop.py": mine})
    ran = here.git("commit", "-m", "Shop")
    assert (ran.code, "Rolling back fixes" in ran.out) == (1, True), ran.out
    assert (here.read("shop.py"), here.staged("shop.py")) == (mine, TWO)


def test_nothing_to_do_starts_nothing(rig):
    here = rig.repository("nothing", {"done.py": DONE, "words.py": PRICE.partition("\n\n")[0] + '"""\n'})
    fresh = rig.folder / "fresh"
    fresh.mkdir(mode=0o700)
    env = {f"XDG_{name}": str(fresh) for name in ("CACHE_HOME", "RUNTIME_DIR")}
    ran = here.git("commit", "-m", "Done", env=env)
    assert ran.code == 0, ran.out
    duration = re.search(r"docstring to code\.+Passed\n- hook id: docstring-to-code\n- duration: ([\d.]+)s\n", ran.out)
    assert duration, ran.out
    print(f"nothing to do: {duration[1]} s")
    assert list(fresh.rglob("*")) == []


@pytest.mark.parametrize(("policy", "code", "shown"), [("pass", 0, "Passed"), ("fail", 1, "Failed")])
def test_a_broken_model_is_said_and_the_policy_decides(rig, policy, code, shown):
    here = rig.repository(
        f"broken-{policy}", {"shop.py": TWO}, arguments=["--model", "./nowhere", "--on-error", policy]
    )
    ran = here.git("commit", "-m", "Shop")
    assert (ran.code, here.read("shop.py")) == (code, TWO), ran.out
    assert re.search(rf"docstring to code\.+{shown}\n", ran.out)
    assert "codegen-lsp: There is no model folder nowhere; check the path.\n" in ran.out


def test_the_twin_only_reports(rig):
    here = rig.repository("twin", {"shop.py": SHOP, "done.py": DONE}, hook="docstring-stubs")
    ran = here.git("commit", "-m", "Shop")
    assert (ran.code, here.read("shop.py")) == (1, SHOP)
    assert rest_of(ran.out).rstrip() == (
        "shop.py:1: clamp is still to be written (3 examples)\n"
        "shop.py:13: digit_sum is still to be written (2 examples)\n"
        "shop.py:23: price is still to be written (2 examples)\n"
        "shop.py:33: greeting is still to be written"
    )


def test_try_repo(rig):
    here = rig.repository("try", {"shop.py": TWO})
    ran = here.pre_commit("try-repo", str(rig.source), "docstring-to-code", "--files", "shop.py")
    assert (ran.code, here.read("shop.py")) == (1, TWO + CLAMPED), ran.out
    assert "verified 2/2 examples" in ran.out


@pytest.mark.skipif(not IS_INSTALLED, reason="CODEGEN_LSP_HOOK=install: with a real installation")
def test_without_a_network(rig):
    rig.stop()
    offline = rig.without_network()
    devices = re.findall(r"^ *(\w+):", offline.run("cat", "/proc/net/dev").out, re.MULTILINE)
    assert devices == ["lo"] or not WITHOUT_NETWORK
    here = offline.repository("offline", {"shop.py": SHOP})
    first = here.git("commit", "-m", "Shop")
    assert (first.code, first.out.count(" verified ")) == (1, 2), first.out
    assert here.git("add", "shop.py").code == 0
    assert here.git("commit", "-m", "Shop").code == 0
