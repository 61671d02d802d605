"""Signatures of what is installed: where they are found, what is shown of them, and what is never read."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from environment import PACKAGES, SITE
from test_index import write

from codegen_lsp.index import packages
from codegen_lsp.index.build import Builder
from codegen_lsp.index.installed import Installed
from codegen_lsp.index.packages import site_folders
from codegen_lsp.index.query import Query
from codegen_lsp.index.rank import Piece
from codegen_lsp.index.store import Store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    own = {
        ".venv/pyvenv.cfg": "home = /usr/bin\n",
        "src/mine/__init__.py": "",
        "src/mine/helper.py": "def ours(): ...\n",
        "helper.txt": "",
    }
    write(tmp_path / "work", own | {f"{SITE}/{path}": text for path, text in PACKAGES.items()})
    return tmp_path / "work"


@pytest.fixture
def store(root: Path, tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "index.sqlite", root)
    Builder(opened, root).reconcile()
    yield opened
    opened.close()


def ask(installed: Installed, store: Store, text: str, path: str = "own.py") -> list[Piece]:
    before, _, after = text.partition("⟦⟧")
    return list(installed.signatures(store, Query(path, before + after, len(before))))


GET = 'def get(url, params=None, **kwargs) -> Answer:\n    """Sends a GET request."""\n    ...'
POST = "async def post(url: str, *, body: bytes = b'') -> None: ..."
FETCH = 'class Client(Base):\n    def fetch(self, path: str) -> Answer:\n        """Fetch a path."""\n        ...'
CLOSE = 'class Base:\n    def close(self, wait: bool = True) -> None:\n        """Say goodbye."""\n        ...'
JSON = 'class Answer:\n    def json(self, strict=True) -> dict:\n        """The body."""\n        ...'
CLIENT = '''class Client(Base):
    """Talks to servers."""
    def __init__(self, url: str, timeout: float = 5.0) -> None: ...
    @property
    def is_open(self) -> bool: ...
    def fetch(self, path: str) -> Answer: ...
    @classmethod
    def of(cls, url: str) -> Self: ...'''
MADE = CLIENT.replace("    def __init__(self, url: str, timeout: float = 5.0) -> None: ...\n", "")
POINT = '''@dataclass
class Point:
    """A place."""
    x: int
    y: int = 0
    w: list[int] = ...
    def far(self): ...'''

POINT3 = "class Point3(Base):\n    def __init__(self, *numbers): ..."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # How it may be imported, and how it may be handed on.
        ("from web import get\n\nget(⟦⟧", {"web/api.py": GET}),
        ("from web import get as load\n\nload(⟦⟧", {"web/api.py": GET}),
        ("import web\n\nweb.get(⟦⟧", {"web/api.py": GET}),
        ("import web as w\n\nw.get(⟦⟧", {"web/api.py": GET}),
        ("import web.api\n\nweb.api.get(⟦⟧", {"web/api.py": GET}),
        ("from web.api import *\n\nget(⟦⟧", {}),
        ("from web import tools\n\ntools.post(⟦⟧", {"web/api.py": POST}),
        ("import web\n\nweb.tools.post(⟦⟧", {"web/api.py": POST}),
        ("from web import Client\n\nClient(⟦⟧", {"web/_client.py": CLIENT}),
        ("from web import Session\n\nSession(⟦⟧", {"web/_client.py": CLIENT}),
        ("import web\n\nweb.impl.Client(⟦⟧", {"web/_client.py": CLIENT}),
        ("from web import Private\n\nPrivate(⟦⟧", {}),
        ("import web\n\nweb.nothing(⟦⟧", {}),
        ("from web import missing\n\nmissing(⟦⟧", {}),
        ("import web\n\nweb(⟦⟧", {}),
        # What is shown of a class, and of its members.
        ("import web\n\nweb.Client.fetch(⟦⟧", {"web/_client.py": FETCH}),
        ("import web\n\nweb.Client.close(⟦⟧", {"web/base.py": CLOSE}),
        ("import web\n\nweb.Client.nothing(⟦⟧", {}),
        ("from web.tools.points import Point\n\nPoint(⟦⟧", {"web/tools/points.py": POINT}),
        (
            "from web.tools.points import Colour\n" + "\n" * 12 + "Colour.RED⟦⟧",
            {"web/tools/points.py": "class Colour(Enum):\n    RED = 1\n    BLUE = 2"},
        ),
        ("from web.tools.points import Point3\n\nPoint3(⟦⟧", {"web/tools/points.py": POINT3}),
        ("import web\n\nweb.Answer.Part(⟦⟧", {"web/_client.py": "class Answer:\n    class Part: ..."}),
        # Variables.
        ("import web\n\nclient = web.Client('x')\n" + "\n" * 12 + "client.fetch(⟦⟧", {"web/_client.py": FETCH}),
        ("import web\n\nclient = web.Client('x')\n" + "\n" * 12 + "client.close(⟦⟧", {"web/base.py": CLOSE}),
        ("import web\n\nclient = web.Client('x')\n" + "\n" * 12 + "use(client⟦⟧", {"web/_client.py": MADE}),
        ("import web\n\nclient = web.Client.of('x')\n" + "\n" * 12 + "client.fetch(⟦⟧", {"web/_client.py": FETCH}),
        ("import web\n\nresponse = web.get('x')\n" + "\n" * 12 + "response.json(⟦⟧", {"web/_client.py": JSON}),
        (
            "import web\n\nc = web.Client('x')\nanswer = c.fetch('y')\n" + "\n" * 12 + "answer.json(⟦⟧",
            {"web/_client.py": JSON},
        ),
        (
            "import web\n\ndef f(self, client: web.Client):\n    pass\n" + "\n" * 12 + "self.client.fetch(⟦⟧",
            {"web/_client.py": FETCH},
        ),
        ("import web\n\nx = x.y()\ny = x.y()\n\ny.fetch(⟦⟧", {}),
        ("import web\n\nclient = 3\n\nclient.fetch(⟦⟧", {}),
        # Stubs.
        (
            "import typed\n\ntyped.f(⟦⟧",
            {"typed/__init__.pyi": "@overload\ndef f(a: int) -> int: ...\n@overload\ndef f(a: str) -> str: ..."},
        ),
        ("from typed import more\n\nmore.g(⟦⟧", {"typed/more.py": "def g(a): ..."}),
        ("import typed\n\ntyped.new(⟦⟧", {"typed/__init__.pyi": "def new(a): ..."}),
        ("import typed\n\ntyped.only_there(⟦⟧", {"typed/__init__.py": "def only_there(q): ..."}),
        ("import typed\n\ntyped.X⟦⟧", {"typed/__init__.pyi": "X: int"}),
        ("from plain import g\n\ng(⟦⟧", {"plain-stubs/deep.pyi": "def g(a: int, b: str = ...) -> None: ..."}),
        # Where things are.
        ("from space.inner import part\n\npart.h(⟦⟧", {"space/inner/part.py": "def h(n): ..."}),
        ("import single\n\nsingle.alone(⟦⟧", {"single.py": "def alone(a, b=2): ..."}),
        ("import helper\n\nhelper.not_ours(⟦⟧", {"helper.py": "def not_ours(): ..."}),
        ("from mine import helper\n\nhelper.ours(⟦⟧", {}),
        # What cannot be read.
        ("import fast\n\nfast.run(⟦⟧", {}),
        ("import round\n\nround.x(⟦⟧ round.y", {}),
        ("import round\n\nround.a.A.x(⟦⟧", {}),
        ("import broken\n\nbroken.good(⟦⟧", {"broken/__init__.py": "def good(a): ..."}),
        ("import binary\n\nbinary.f(⟦⟧", {}),
        ("import absent\n\nabsent.f(⟦⟧", {}),
        ("from . import single\n\nsingle.alone(⟦⟧", {}),
        ("from single import ../../x, /etc/passwd\n\nx(⟦⟧ passwd", {}),
    ],
)
def test_what_a_name_stands_for(root: Path, store: Store, text: str, expected: dict[str, str]) -> None:
    assert {piece.path: piece.text for piece in ask(Installed(root, {}), store, text)} == expected


def test_what_a_piece_says_of_itself(root: Path, store: Store) -> None:
    installed = Installed(root, {})
    near, far = ask(installed, store, "import web, single\n\nsingle.alone(1)\nweb.get(⟦⟧")
    assert (near.reason, far.reason) == ("installed web 2.1", "installed single")
    assert 0.8 == near.score > far.score > 0.6
    text = (root / SITE / near.path).read_text()
    assert near.span.of(text).startswith("def get(")
    assert ask(installed, store, "import web\n\nweb.get(⟦⟧", path="own.js") == []


def test_members_that_are_named_come_first_where_there_is_no_room_for_all(root: Path, store: Store) -> None:
    members = "".join(f"    def method_{number}(self, {'x' * 40}): ...\n" for number in range(40))
    write(root, {f"{SITE}/large.py": f"class Large:\n{members}"})
    (piece,) = ask(Installed(root, {}), store, "from large import Large\n\n# method_33 of Large\n⟦⟧")
    assert len(piece.text) <= 800
    assert "method_33" in piece.text
    assert "method_32" not in piece.text


def test_a_long_header_ends_with_a_whole_parameter(root: Path, store: Store) -> None:
    for width in range(1, 12):
        parameters = ", ".join(f"{'p' * width}{number}: dict[str, int] = d({number}, 1)" for number in range(60))
        write(root, {f"{SITE}/wide.py": f"def f({parameters}): ...\ndef g(a={'x' * 500}): ...\n"})
        long, endless = ask(Installed(root, {}), store, "import wide\n\nwide.f(⟦⟧)\nwide.g()")
        assert long.text.endswith("1), ...): ...")
        assert endless.text == "def g(...): ..."


def test_a_member_that_was_asked_for_is_shown_whatever_its_length(root: Path, store: Store) -> None:
    bases, parameters = (", ".join(f"{name}{number}" for number in range(80)) for name in ("Base", "parameter"))
    text = f'class Wide({bases}):\n    def f(self, {parameters}):\n        """{"Words. " * 20}"""\n'
    write(root, {f"{SITE}/wide.py": text})
    (piece,) = ask(Installed(root, {}), store, "import wide\n\nwide.Wide.f(⟦⟧)")
    assert piece.text.startswith("class Wide(Base0, ")
    assert "def f(self, parameter0, " in piece.text


def test_what_one_question_leaves_the_next_one_reads(root: Path, store: Store) -> None:
    installed = Installed(root, {})
    text = "from many import *\nimport many\n\n" + " ".join(f"many.f{number}" for number in range(6)) + "⟦⟧"
    assert [len(ask(installed, store, text)) for _ in range(3)] == [3, 6, 6]


def test_what_is_known_is_not_read_again_until_it_changes(
    root: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed, text = Installed(root, {}), "import single\n\nsingle.alone(⟦⟧"
    ask(installed, store, text)
    with monkeypatch.context() as patch:
        patch.setattr(packages, "_text", lambda _file: pytest.fail("read"))
        assert len(ask(installed, store, text)) == 1
    write(root, {f"{SITE}/single.py": "def alone(changed): ...\n"})
    assert [piece.text for piece in ask(installed, store, text)] == ["def alone(changed): ..."]


def test_no_more_than_so_much_is_remembered(root: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "MAX_SOURCES", 4)
    monkeypatch.setattr(packages, "MAX_PARSED", 2)
    installed = Installed(root, {})
    for number in range(6):
        assert len(ask(installed, store, f"import many\n\nmany.f{number}(⟦⟧")) == 1
    assert len(installed._packages._sources) <= 4
    assert len(installed._packages._parsed) <= 2


def test_packages_that_take_all_of_each_other(root: Path, store: Store) -> None:
    everything = "".join(f"from net.m{number} import *\n" for number in range(30))
    write(root, {f"{SITE}/net/m{number}.py": everything for number in range(30)})
    start = time.process_time()
    assert ask(Installed(root, {}), store, "from net.m0 import absent\n\nabsent(⟦⟧") == []
    assert time.process_time() - start < 2


def test_nothing_outside_is_read(root: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, outside = root / SITE, tmp_path / "outside"
    write(outside, {"secret.py": "def f(a): ...\n", "folder/m.py": "def f(a): ...\n"})
    (site / "linked.py").symlink_to(outside / "secret.py")
    (site / "folder").symlink_to(outside / "folder")
    (site / "inside.py").symlink_to(site / "single.py")
    (site / "ring.py").symlink_to(site / "ring.py")
    (site / "more.pth").write_text(f"{outside}\nimport os; os.mkdir('ran')\n")
    monkeypatch.setattr(packages, "MAX_BYTES", 5000)
    write(site, {"huge.py": "def f(a): ...\n" * 1000})
    installed = Installed(root, {})
    for text in ("import linked\nlinked.f⟦⟧", "from folder import m\nm.f⟦⟧", "import ring\nring.f⟦⟧"):
        assert ask(installed, store, text) == []
    for text in ("import secret\nsecret.f⟦⟧", "import huge\nhuge.f⟦⟧"):
        assert ask(installed, store, text) == []
    assert [piece.path for piece in ask(installed, store, "import inside\ninside.alone⟦⟧")] == ["inside.py"]


def test_where_an_environment_is(tmp_path: Path) -> None:
    inner, windows = "lib/python3.12/site-packages", "Lib/site-packages"
    folders = (f"a/venv/{inner}", f"b/.venv/{windows}", f"b/venv/{inner}", f"c/env/{inner}", f"active/{inner}")
    for folder in (*folders, f"conda/{inner}", "empty"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("a/venv", "b/.venv", "b/venv"):
        (tmp_path / folder / "pyvenv.cfg").touch()
    (tmp_path / "a/venv/lib64").symlink_to("lib")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/.venv").symlink_to(tmp_path / "a/venv")
    (tmp_path / "odd/lib/python3.12").mkdir(parents=True)
    (tmp_path / "odd" / inner).symlink_to(tmp_path / "empty")
    (tmp_path / "ring").symlink_to("ring")
    active, conda = {"VIRTUAL_ENV": str(tmp_path / "active")}, {"CONDA_PREFIX": str(tmp_path / "conda")}
    for root, environ, expected in (
        ("a", active, f"a/venv/{inner}"),
        ("b", {}, f"b/.venv/{windows}"),
        ("c", active | conda, f"active/{inner}"),  # not made by venv
        ("c", conda, f"conda/{inner}"),
        ("c", {"VIRTUAL_ENV": str(tmp_path / "gone")} | conda, f"conda/{inner}"),
        ("d", {}, ""),
        ("c", {"VIRTUAL_ENV": str(tmp_path / "odd")}, ""),
        ("c", {"VIRTUAL_ENV": str(tmp_path / "ring")}, ""),
        ("gone", {}, ""),
    ):
        found = [each.relative_to(tmp_path.resolve()).as_posix() for each in site_folders(tmp_path / root, environ)]
        assert found == ([expected] if expected else []), root


def test_questions_never_fail(root: Path, store: Store) -> None:
    rng, installed = random.Random(3), Installed(root, {})
    parts = (
        "from", "import", "(", ")", ".", "web", "Client", "\n", " ", " ", '"', "*", "é", "as", "=", ":", "\\", "\r",
        "self", "fetch", "with", "round", "x", ",", "..", "\0",
    )  # fmt: skip
    for _ in range(300):
        text = "".join(rng.choice(parts) for _ in range(rng.randrange(60)))
        ask(installed, store, f"import web, round\nclient = web.Client()\n{text}⟦⟧")


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("import aiohttp\n\naiohttp.ClientSession.get(⟦⟧", "aiohttp/client.py", "def get(self, url: StrOrURL"),
        ("import pytest\n\nwith pytest.raises(⟦⟧", "_pytest/raises.py", "def raises("),
    ],
)
def test_the_environment_that_runs_the_tests(store: Store, tmp_path: Path, text: str, path: str, expected: str) -> None:
    environ = {"VIRTUAL_ENV": sys.prefix}
    if not any((site / path).exists() for site in site_folders(tmp_path, environ)):
        pytest.skip(f"no {path} in the environment that runs the tests")
    (piece,) = ask(Installed(tmp_path, environ), store, text)
    assert piece.path == path
    assert expected in piece.text
