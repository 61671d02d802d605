"""What the tests of the hook share: a folder, a scripted engine, a sandbox without walls, and the command."""

import contextlib

from fakes import MODEL, ByteTokenizer, OpenJail

from codegen_lsp.cli import ask
from codegen_lsp.cli.ask import Desk
from codegen_lsp.cli.main import main
from codegen_lsp.engine.scripted import ScriptedEngine
from codegen_lsp.prompt.formats import BY_NAME
from codegen_lsp.verify.jail import Found

ADD = 'def add(a, b):\n    """Add.\n\n    >>> add(1, 2)\n    3\n    """\n'
SUB = 'def sub(a, b):\n    """Take b from a."""\n    ...\n'
DONE = "def done(x):\n    return x\n"
RIGHT = {"def add": "return a + b\n", "def sub": "return a - b\n"}


class Room:
    """A folder, an engine that answers by the last `def` that it is shown, a sandbox, and the hook."""

    def __init__(self, folder, capsys):
        self.folder, self._capsys = folder, capsys
        self.answers, self.jail = dict(RIGHT), OpenJail()
        self.engine = ScriptedEngine(self._answer, info=MODEL)

    def _answer(self, prompt):
        shown = ByteTokenizer().decode(prompt.ids)
        answer = self.answers[max(self.answers, key=shown.rfind)]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def write(self, text, name="shop.py", encoding="utf-8", mode=0o644):
        path = self.folder / name
        path.write_bytes(text.encode(encoding))
        path.chmod(mode)
        return path

    def run(self, *words):
        """(exit code, what is printed); nothing goes to stderr, which pre-commit would mix in anywhere."""
        code = main(["hook", *map(str, words)])
        out, err = self._capsys.readouterr()
        assert err == ""
        return code, out


@contextlib.contextmanager
def entered(tmp_path, monkeypatch, capsys):
    """A Room, in which the working directory is; nothing of ours is left in it."""
    for name in ("XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "tree").mkdir()
    (tmp_path / "home").mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path / "tree")
    room = Room(tmp_path / "tree", capsys)

    @contextlib.asynccontextmanager
    async def opened(args, wire=None):
        yield Desk(room.engine, MODEL, BY_NAME["codegen"], ByteTokenizer(), args)

    monkeypatch.setattr(ask, "open_desk", opened)
    monkeypatch.setattr("codegen_lsp.verify.jail.find_jail", lambda: Found(room.jail, ()))
    yield room
    assert not list(room.folder.rglob(".codegen-lsp.*"))  # temporary files


def forbid(monkeypatch):
    """From now on neither the model nor a sandbox may be looked for."""

    def touched(*_, **__):
        raise AssertionError("touched")

    monkeypatch.setattr(ask, "open_desk", touched)
    monkeypatch.setattr("codegen_lsp.verify.jail.find_jail", touched)
