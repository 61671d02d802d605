"""The real pre-commit: all that it writes is in one folder, and the hook's repository is a copy of this tree."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("codegen_lsp", "_editable_impl_codegen_lsp", "pip", "setuptools", "__pycache__")
"""What is not lent: the hook has to bring it along itself."""
HOOK = """\
repos:
  - repo: {source}
    rev: {rev}
    hooks:
      - id: {hook}
"""
PRICE = '''\
def price(words):
    """What a sentence costs.

    >>> price("three apples and a pear")
    17
    >>> price("")
    4
    """'''
"""What no model can know."""
SHOP = f'''\
def clamp(value, low, high):
    """Limit a value to a range.

    >>> clamp(5, 0, 3)
    3
    >>> clamp(-1, 0, 3)
    0
    >>> clamp(2, 0, 3)
    2
    """


def digit_sum(n):
    """Sum of the decimal digits of n.

    >>> digit_sum(123)
    6
    >>> digit_sum(0)
    0
    """


{PRICE}


def greeting(name):
    """A friendly greeting."""
'''
"""Two functions that the bundled model can write, one that nobody can, and one without examples."""
WITHOUT_NETWORK: tuple[str, ...] = next(
    (
        words
        for words in (("unshare", "-rn"), ("unshare", "-n"))
        if shutil.which("unshare") and not subprocess.run([*words, "true"], capture_output=True, check=False).returncode
    ),
    (),
)
"""What is put before a command to run it where there is no network; empty where that is not allowed."""


def pre_commit() -> str:
    """The program, next to this Python before others; "" when there is none."""
    own = Path(sys.executable).with_name("pre-commit")
    return str(own) if own.exists() else shutil.which("pre-commit") or ""


def missing() -> str:
    """Why the real pre-commit cannot be tried here; "" when it can."""
    if not pre_commit():
        return "pre-commit is not installed"
    if not shutil.which("git"):
        return "git is not installed"
    return "" if importlib.util.find_spec("hatchling") else "hatchling, which builds the hook, is not installed"


@dataclass(frozen=True)
class Ran:
    """What a program did."""

    code: int
    out: str
    """Both streams, as a terminal shows them."""


@dataclass(frozen=True)
class Rig:
    """A home without habits: settings, caches, sockets and what pre-commit installs are in `folder`."""

    folder: Path
    env: Mapping[str, str]
    source: Path
    rev: str
    prefix: tuple[str, ...] = ()
    """Before each command."""

    def run(self, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """Run a program to its end."""
        ran = subprocess.run(
            [*self.prefix, *words],
            cwd=cwd or self.folder,
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout.decode())

    def repository(
        self, name: str, files: Mapping[str, str], hook: str = "docstring-to-code", arguments: Sequence[str] = ()
    ) -> Repository:
        """A fresh repository with the hook installed; the files are written and staged."""
        here = Repository(self, self.folder / name)
        here.path.mkdir()
        here.git("init", "--quiet", "--initial-branch", "main")
        config = HOOK.format(source=self.source, rev=self.rev, hook=hook)
        if arguments:
            config += f"        args: {json.dumps([*arguments, '--'])}\n"
        here.write({".pre-commit-config.yaml": config})
        here.git("add", ".")
        here.git("commit", "--quiet", "-m", "Configuration")
        assert here.pre_commit("install").code == 0
        here.write(files)
        here.git("add", ".")
        return here

    def without_network(self) -> Rig:
        """The same where there is none; where that cannot be had, with proxies that nobody listens at."""
        proxies = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https", "all", "HTTP", "HTTPS", "ALL")}
        return replace(self, prefix=WITHOUT_NETWORK, env={**self.env, "PIP_NO_INDEX": "1", **proxies})

    def hosts(self, env: Mapping[str, str] | None = None) -> list[dict[str, object]]:
        """The model hosts that run in this home."""
        found = self.run(self._program(), "host", "status", "--json", env=env)
        return list(json.loads(found.out))

    def stop(self) -> None:
        """Stop them."""
        if self._program():
            self.run(self._program(), "host", "stop")

    def _program(self) -> str:
        """Our command, as pre-commit has installed it; "" when it has not."""
        return next(map(str, self.folder.glob("pre-commit/repo*/py_env-*/bin/codegen-lsp")), "")


@dataclass(frozen=True)
class Repository:
    """A user's repository."""

    rig: Rig
    path: Path

    def git(self, *words: str, env: Mapping[str, str] | None = None) -> Ran:
        """Run git in it."""
        return self.rig.run("git", *words, cwd=self.path, env=env)

    def pre_commit(self, *words: str) -> Ran:
        """Run pre-commit in it."""
        return self.rig.run(pre_commit(), *words, cwd=self.path)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, without staging them."""
        for name, text in files.items():
            (self.path / name).write_bytes(text.encode())

    def read(self, name: str) -> str:
        """A file as it is on disk."""
        return (self.path / name).read_bytes().decode()

    def staged(self, name: str) -> str:
        """A file as it is in the index."""
        return self.git("show", f":{name}").out


@contextlib.contextmanager
def rig(folder: Path, *, is_lent: bool) -> Iterator[Rig]:
    """A Rig. With `is_lent` the hook is installed offline in seconds: what it needs is this environment's."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PRE_COMMIT", "PYTHON"))}
    env.pop("VIRTUAL_ENV", None)
    env |= {"HOME": str(home), "PRE_COMMIT_HOME": str(folder / "pre-commit"), "PRE_COMMIT_COLOR": "never"}
    env |= {f"XDG_{name}": str(home) for name in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "RUNTIME_DIR")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "VIRTUALENV_NO_PERIODIC_UPDATE": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "A", f"GIT_{role}_EMAIL": "a@example.org"}
    env |= lent(folder / "lent", home) if is_lent else {"PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    here = Rig(folder, env, folder / "source", copied(folder / "source", env, "models/seed-py/" if is_lent else ""))
    try:
        yield here
    finally:
        here.stop()


def lent(folder: Path, home: Path) -> dict[str, str]:
    """Variables with which pip installs the hook alone, and the hook finds what it needs in this environment.

    The model is lent as one of the user's own: packing it takes longer than all the rest.
    """
    folder.mkdir()
    for name in ("purelib", "platlib"):
        for path in Path(sysconfig.get_path(name)).iterdir():
            link = folder / path.name
            if not path.name.startswith(OURS) and not link.is_symlink():
                link.symlink_to(path)
    models = home / "codegen-lsp" / "models"
    models.mkdir(parents=True)
    (models / "seed-py").symlink_to(ROOT / "models" / "seed-py")
    # pip reads its variable for an option that begins with "no" the other way round: 0 is without isolation.
    pip = {"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_COMPILE": "1", "PIP_NO_BUILD_ISOLATION": "0"}
    return {"PYTHONPATH": str(folder), **pip}


def copied(folder: Path, env: Mapping[str, str], left_out: str) -> str:
    """This tree as it stands, committed into a repository of its own; the commit's id."""

    def git(*words: str, cwd: Path = folder) -> bytes:
        return subprocess.run(["git", *words], cwd=cwd, env=env, check=True, stdout=subprocess.PIPE).stdout

    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).decode().split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists() and not (left_out and name.startswith(left_out)):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git("init", "--quiet")
    git("-c", "core.compression=0", "add", "--force", ".")
    git("-c", "core.compression=0", "commit", "--quiet", "-m", "As it stands")
    return git("rev-parse", "HEAD").decode().strip()
