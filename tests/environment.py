"""A made-up environment: packages that hand their names on in the ways that real ones do."""

from __future__ import annotations

from collections.abc import Mapping

SITE = ".venv/lib/python3.11/site-packages"

PACKAGES: Mapping[str, str | bytes] = {
    "web-2.1.dist-info/METADATA": "",
    "web/__init__.py": """\
from .api import get
from ._client import *
from . import tools
import web._client as impl
Session = Client
from .api import missing
""",
    "web/api.py": """\
from web._client import Answer


def get(url, params=None, **kwargs) -> Answer:
    \"""Sends a GET request.

    More of it.
    \"""
    return 1


async def post(
    url: str,
    *,
    body: bytes = b'',
) -> None:
    pass
""",
    "web/_client.py": """\
from .base import Base

__all__ = ['Client', 'Answer']


class Client(Base):
    \"""Talks to servers.\"""

    limit: int = 3

    def __init__(self, url: str, timeout: float = 5.0) -> None:
        self.url = url

    @property
    def is_open(self) -> bool:
        return True

    @is_open.setter
    def is_open(self, value): ...

    def fetch(self, path: str) -> Answer:
        \"""Fetch a path.\"""
        return Answer()

    def _own(self):
        pass

    @classmethod
    def of(cls, url: str) -> Self:
        return cls(url)


class Answer:
    def json(self, strict=True) -> dict:
        \"""The body.\"""
        return {}

    class Part:
        def get(self): ...


class Private:
    pass
""",
    "web/base.py": """\
class Base:
    def close(self, wait: bool = True) -> None:
        \"""Say goodbye.\"""
""",
    "web/tools/__init__.py": "from dataclasses import dataclass\nfrom ..api import post\n",
    "web/tools/points.py": """\
@dataclass(frozen=True)
class Point:
    \"""A place.

    not: a field
    \"""

    x: int
    y: int = 0
    _z: int = 0
    w: list[int] = field(
        default_factory=list
    )

    def far(self): ...


class Point3(Base):
    pass


class Base:
    def __init__(self, *numbers): ...


class Colour(Enum):
    RED = 1
    BLUE = 2
""",
    # Stubs: next to the file, in a folder of their own, and one that does not have all.
    "typed/__init__.py": "def f(*args, **kwargs): ...\n\n\ndef only_there(q): ...\n",
    "typed/__init__.pyi": """\
@overload
def f(a: int) -> int: ...
@overload
def f(a: str) -> str: ...
@overload
def f(a: bytes) -> bytes: ...
X: int
if sys.version_info >= (3, 9):
    def new(a): ...
""",
    "typed/more.py": "@overload\ndef g(a: int): ...\n@overload\ndef g(a: str): ...\ndef g(a): return 1\n",
    "plain/__init__.py": "",
    "plain/deep.py": "def g(*args): ...\n",
    "plain-stubs/__init__.pyi": "from .deep import g as g\n",
    "plain-stubs/deep.pyi": "def g(a: int, b: str = ...) -> None: ...\n",
    # What is hard to find, and what cannot be read.
    "space/inner/part.py": "def h(n): ...\n",
    "single.py": "def alone(a, b=2): ...\n",
    "helper.py": "def not_ours(): ...\n",
    "mine/helper.py": "def ours(as_it_was_installed): ...\n",
    "many/__init__.py": "".join(f"from .m{number} import f{number}\n" for number in range(6)),
    **{f"many/m{number}.py": f"def f{number}(a{number}): ...\n" for number in range(6)},
    "round/__init__.py": "from .a import *\nfrom .a import x\n",
    "round/a.py": "from . import *\nfrom round import x\ny = z\nz = y\nclass A(B): ...\nclass B(A): ...\n",
    "fast/__init__.py": "from fast._fast import run\n",
    "fast/_fast.cpython-311-x86_64-linux-gnu.so": b"\x7fELF\0",
    "broken/__init__.py": "def (((\nclass\n\n\ndef good(a):\n    return a\n",
    "binary/__init__.py": b"def f(): ...\n\0\0",
}
