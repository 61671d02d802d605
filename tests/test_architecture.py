"""The import rules of ARCHITECTURE.md, and sizes, held by reading the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "codegen_lsp"
FILES = sorted(path for path in ROOT.rglob("*.py") if "bundled" not in path.parts)
NAMES = [path.relative_to(ROOT).as_posix() for path in FILES]

ALLOWED = {
    "pygls": ("server/",),
    "lsprotocol": ("server/",),
    "tree_sitter": ("syntax/",),
    **{
        f"tree_sitter_{name}": ("syntax/",)
        for name in ("bash", "c", "cpp", "go", "java", "javascript", "python", "ruby", "rust", "typescript")
    },
    "watchfiles": ("index/watch.py",),
    "torch": ("host/", "training/"),
    "transformers": ("host/", "training/"),
    "safetensors": ("host/", "training/"),
    "aiohttp": ("engine/", "host/"),
    "pyflakes": ("verify/",),
    "sqlite3": ("index/store.py", "cli/index.py"),
}
"""Third-party module: the only places that may import it."""

PURE = (
    "core.py",
    "text.py",
    "errors.py",
    "cells.py",
    "trace.py",
    "explain.py",
    "syntax/",
    "context/",
    "prompt/",
    "postprocess/",
)
IMPURE_MODULES = {
    "os",
    "socket",
    "time",
    "pathlib",
    "subprocess",
    "asyncio",
    "threading",
    "shutil",
    "tempfile",
    "io",
    "sys",
}

NEIGHBOURS = ("context", "prompt", "engine", "postprocess", "index", "verify", "server", "host", "cli", "training")
BELOW = {
    "core": ("text",),
    "text": (),
    "errors": (),
    "cells": ("text",),
    "trace": ("core",),
    "explain": ("core", "text"),
    "syntax": ("text", "core"),
    "context": ("syntax", "core", "text", "index"),
    "index": ("syntax", "core", "text", "errors", "settings", "folders"),
    "prompt": ("core", "text"),
    "postprocess": ("syntax", "core", "text"),
    "implement": ("syntax", "verify", "core", "text", "trace"),
    "bench": ("verify", "index"),
    "pipeline": ("context", "prompt", "engine", "postprocess", "syntax", "core", "text", "trace", "errors"),
}
"""Room: what of ours it may import, besides itself."""

ASYNC = ("server/", "engine/", "host/", "cli/", "verify/", "index/watch.py", "pipeline.py", "implement.py", "training/")
THREADS = ("verify/", "host/", "index/watch.py", "index/process.py", "server/stdio.py", "training/", "cli/")
MAX_FILE, MAX_FUNCTION = 350, 60


def imports(tree: ast.AST) -> set[str]:
    """Full names of all imported modules, wherever in the file."""
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            found.add(node.module or "")
            if node.module == "codegen_lsp":
                found.update(f"codegen_lsp.{name.name}" for name in node.names)
    return found


def read(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def calls(tree: ast.AST) -> set[str]:
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


@pytest.mark.parametrize("name", NAMES)
def test_third_party_modules_stay_in_their_room(name: str) -> None:
    for module in imports(read(name)):
        places = ALLOWED.get(module.split(".")[0])
        assert places is None or name.startswith(places), f"{module} in {name}"


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(PURE)])
def test_pure_rooms(name: str) -> None:
    tree = read(name)
    assert not {module.split(".")[0] for module in imports(tree)} & IMPURE_MODULES
    assert not calls(tree) & {"open", "input", "print", "exec", "eval", "__import__"}


@pytest.mark.parametrize("name", NAMES)
def test_rooms_import_down(name: str) -> None:
    room = name.split("/", maxsplit=1)[0].removesuffix(".py")
    ours = {module.split(".")[1] for module in imports(read(name)) if module.startswith("codegen_lsp.")}
    if room in BELOW:
        assert ours <= {room, *BELOW[room]}, f"{name} imports {ours}"
    elif room in ("engine", "verify", "index", "settings"):
        assert not ours & (set(NEIGHBOURS) - {room, "host"} | {"pipeline"}), f"{name} imports {ours}"
    assert "host" not in ours or room in ("host", "training", "cli", "engine", "__main__"), f"{name} imports host"
    assert "server" not in ours or room in ("server", "cli", "__main__"), f"{name} imports server"


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(ASYNC)])
def test_no_async_below_the_edge(name: str) -> None:
    kinds = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not any(isinstance(node, kinds) for node in ast.walk(read(name)))


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(THREADS)])
def test_no_threads(name: str) -> None:
    assert not imports(read(name)) & {"threading", "concurrent.futures", "multiprocessing"}


@pytest.mark.parametrize("name", NAMES)
def test_sizes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION, f"{name}: {node.name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_module_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(read(name))


def test_the_rules_see_files() -> None:
    assert {"core.py", "pipeline.py", "syntax/parse.py"} <= set(NAMES)
    assert imports(ast.parse("def f():\n    import torch.nn\n    from codegen_lsp import host")) == {
        "torch.nn",
        "codegen_lsp",
        "codegen_lsp.host",
    }
