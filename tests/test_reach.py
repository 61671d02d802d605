"""What generated code may see of a project."""

import os
from pathlib import Path

import pytest

from codegen_lsp.verify.reach import MAX_FILES, MAX_NAMES, _reached, world_of

FILES = {
    "src/shop/__init__.py": "from .prices import total\n",
    "src/shop/prices.py": "import json\nfrom shop import money\n",
    "src/shop/money.py": "from . import deep\n",
    "src/shop/deep/__init__.py": "",
    "src/shop/deep/inner.py": "x = 1\n",
    "src/shop/cart.py": "",
    "src/shop/secret.py": "KEY = 1\n",
    "tool.py": "import helper, shop.prices\n",
    "helper.py": "def f(: broken\nimport tool\n",
    "space/part.py": "",
    ".env": "TOKEN=1\n",
}

CASES = {
    "alone": ("src/shop/cart.py", "import json, os\n", "shop.cart", ["__init__", "prices", "money", "deep/__init__"]),
    "relative": ("src/shop/cart.py", "from .deep import inner\n", "shop.cart",
                 ["__init__", "prices", "money", "deep/__init__", "deep/inner"]),
    "two levels": ("src/shop/deep/inner.py", "from ..secret import KEY\n", "shop.deep.inner",
                   ["__init__", "prices", "money", "deep/__init__", "secret"]),
    "too many levels": ("helper.py", "from ...x import y\n", "helper", []),
    "a package": ("src/shop/deep/__init__.py", "from . import inner\n", "shop.deep",
                  ["__init__", "prices", "money", "deep/inner"]),
    "by src": ("helper.py", "import shop.secret\n", "helper",
               ["__init__", "prices", "money", "deep/__init__", "secret"]),
    "not by its path": ("helper.py", "import src.shop.secret\n", "helper",
                        ["__init__", "prices", "money", "deep/__init__", "secret"]),
    "in circles": ("space/new.py", "import tool\n", "new",
                   ["__init__", "prices", "money", "deep/__init__", "../../tool", "../../helper"]),
    "a namespace": ("helper.py", "import space.part\n", "helper", ["../../space/part"]),
    "nothing": ("helper.py", "", "helper", []),
    "broken": ("helper.py", "import tool\n(((", "helper", []),
    "inside functions": ("helper.py", "def f():\n    import space.part\n", "helper", ["../../space/part"]),
}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", CASES)
def test_what_may_be_read(project, name):
    file, text, module, expected = CASES[name]
    world = world_of(project / file, text, project)
    assert world.name == module
    shop = project / "src" / "shop"
    assert set(world.readable) == {str((shop / f"{each}.py").resolve()) for each in expected}
    assert str(project / file) not in world.readable


def test_installed_packages_are_seen_as_a_whole(project):
    world = world_of(project / "helper.py", "", project, [project / "site"])
    assert world.readable == (str(project / "site"),)
    assert world.search[-1] == str(project / "site")


def test_links_out_of_the_project_are_not_followed(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "private.py"
    outside.write_text("x = 1\n")
    (project / "private.py").symlink_to(outside)
    assert world_of(project / "tool.py", "import private\n", project).readable == ()


def test_so_many_files_and_no_more(project):
    for number in range(MAX_FILES + 50):
        (project / f"m{number}.py").write_text(f"import m{number + 1}\n")
    assert len(world_of(project / "tool.py", "import m0\n", project).readable) == MAX_FILES


MONSTERS = {
    "a name that is too long": "import " + "a" * 249 + "\nimport " + "b" * 3000 + "\n",
    "a path that is too long": "import " + ".".join(["a"] * 3000) + "\n",
    "a path of long names": "import " + ".".join(["a" * 60] * 4) + "\n",
    "many names": "".join(f"import m{number}\n" for number in range(50_000)),
}


@pytest.mark.parametrize("name", MONSTERS)
def test_what_is_looked_for_is_little_whatever_is_imported(name, project, monkeypatch):
    num_asked, ask = [], Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: num_asked.append(1) or ask(path))
    assert (
        world_of(project / "tool.py", f"{MONSTERS[name]}import helper\n", project).readable == () or "many" not in name
    )
    assert len(num_asked) <= 6 * MAX_NAMES + 10


def test_a_name_that_no_file_can_have_is_no_file(project, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "not ours", str(path))

    monkeypatch.setattr(Path, "is_file", refuse)
    assert _reached("tool", False, "import helper\n", [project], project) == set()


def test_files_are_read_up_to_a_size(project, monkeypatch):
    for number in range(9):
        (project / f"m{number}.py").write_text(f"import m{number + 1}\n#" + "x" * (1 << 19))
    (project / "m9.py").write_text("import helper\n")
    found = {Path(each).stem for each in world_of(project / "tool.py", "import m0\n", project).readable}
    assert found == {f"m{number}" for number in range(8)}


def test_a_pipe_is_no_module(project):
    os.mkfifo(project / "pipe.py")
    (project / "link.py").symlink_to("/dev/zero")
    assert world_of(project / "tool.py", "import pipe, link\n", project).readable == ()
