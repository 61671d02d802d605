"""Signatures of what is installed: a source of pieces for names that a document imports from outside its workspace.

All is found by reading. One question reads a few files; what it could not read yet, the next one does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from codegen_lsp.index.imports import bound, module_of
from codegen_lsp.index.modules import Known
from codegen_lsp.index.packages import Packages
from codegen_lsp.index.query import MAX_NAMES, Query
from codegen_lsp.index.rank import Piece
from codegen_lsp.index.receivers import receivers
from codegen_lsp.index.resolve import Names, Resolver, Target
from codegen_lsp.index.stubs import class_stub, members_stub, stub
from codegen_lsp.syntax.endings import language_at
from codegen_lsp.text import Span

MAX_TYPES = 3
"""Variables, each made by a method of the one before."""
SURE, GUESSED = 0.8, 0.6
"""Scores, next to the cursor, of what is named and of what a variable probably is: the workspace's own come first."""

MAX_ABOVE = 16_000
"""Characters above the cursor in which variables are looked for."""

_CHAIN = re.compile(r"(?<![\w.])[^\W\d]\w*(?:\.[^\W\d]\w*){0,5}")


class Workspace(Protocol):
    """What is to be known of the workspace's own files: view.View, store.Store."""

    def files_of(self, module: str) -> list[str]: ...
    def stamps_of(self, path: str) -> Mapping[str, object]: ...


class Installed:
    """The packages of a workspace's environment."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._packages = Packages(root, environ)

    def signatures(self, workspace: Workspace, query: Query) -> Iterator[Piece]:
        """Signatures of what the names near the cursor stand for, where that is installed and not the workspace's."""
        if language_at(query.path) != "python":
            return
        self._packages.begin()
        if not self._packages.has_any:
            return
        resolver = Resolver(self._packages)
        for wanted in _wanted(_Document(resolver, workspace, query), query):
            source, found = wanted.target.source, wanted.target.found
            span = Span(found[0].definition.span.start, found[-1].definition.span.end)
            reason = f"installed {self._packages.dist(source.module.partition('.')[0], wanted.target.package)}"
            yield Piece(source.file.path, span, wanted.text(resolver, query), reason, wanted.score)


@dataclass
class _Wanted:
    """A definition that is to be shown."""

    target: Target
    score: float
    """By the nearest name that means it."""
    members: list[Known] = field(default_factory=list)
    is_named: bool = False
    """Itself, not only a member of it."""
    has_variable: bool = False
    """Whether a variable of this class was named."""

    def text(self, resolver: Resolver, query: Query) -> str:
        """What is shown of it."""
        found = self.target.found
        if found[0].definition.kind != "class":
            return "\n".join(map(stub, found))
        if not self.is_named and not self.has_variable:
            return members_stub(found[0], self.members)
        members = resolver.members(self.target)
        if not self.is_named:  # it is made already
            members = [each for each in members if each.definition.name != "__init__"]
        return class_stub(found[0], members, {each.definition.name for each in self.members} | set(query.names))


def _wanted(document: _Document, query: Query) -> list[_Wanted]:
    """What is meant near the cursor, each definition once."""
    found: dict[tuple[str, int], _Wanted] = {}
    for rank, name in enumerate(_near(query)):
        chain = tuple(name.split("."))
        variable = document.of_variable(chain)
        target = variable or document.of_import(chain)
        if target:
            key = target.source.file.path, target.found[0].definition.span.start
            score = (SURE if target.members or not variable else GUESSED) / (1 + 0.06 * rank)
            each = found.setdefault(key, _Wanted(target, score))
            each.members += [member for member in target.members if member not in each.members]
            each.is_named |= not target.members and not variable
            each.has_variable |= not target.members and variable is not None
    return list(found.values())


def _near(query: Query) -> list[str]:
    """Dotted names near the cursor, the nearest first."""
    at = len(query.before)
    found = sorted(_CHAIN.finditer(query.near), key=lambda each: abs(each.end() - at))
    return list(dict.fromkeys(each.group() for each in found))[:MAX_NAMES]


class _Document:
    """What the names of a document mean."""

    def __init__(self, resolver: Resolver, workspace: Workspace, query: Query) -> None:
        self._resolver, self._workspace, self._query = resolver, workspace, query

    @cached_property
    def _bound(self) -> Mapping[str, tuple[str, str]]:
        return bound(self._query.text, self._query.path)

    @cached_property
    def _receivers(self) -> Mapping[str, str]:
        return receivers(self._query.text[max(0, self._query.offset - MAX_ABOVE) : self._query.offset])

    def of_import(self, chain: Names) -> Target | None:
        """What a name is that begins with an imported one."""
        module, name = self._bound.get(chain[0], ("", ""))
        if not module or self._is_ours(module):
            return None
        return self._resolver.find(module, (name, *chain[1:]) if name else chain[1:])

    def of_variable(self, chain: Names, left: int = MAX_TYPES) -> Target | None:
        """What a name is that begins with a variable: the class of that, or the member of it that follows."""
        is_own = chain[0] == "self" and len(chain) > 1
        size = 2 if is_own else 1
        written = self._receivers.get(".".join(chain[:size]))
        if not written and is_own:
            written = self._receivers.get(chain[1])  # `self.client = client` is how it mostly came there
        owner = self._class(tuple(written.split(".")), left - 1) if written and left else None
        return self._resolver.member(owner, chain[size]) if owner and len(chain) > size else owner

    def _class(self, chain: Names, left: int) -> Target | None:
        """The class that a type, or a call, gives."""
        target = self.of_variable(chain, left) or self.of_import(chain)
        return self._resolver.given(target) if target else None

    def _is_ours(self, module: str) -> bool:
        """Whether a module is one of the workspace's: some folder of it that is no package itself holds it."""
        for name in (module, module.partition(".")[0]):
            for path in self._workspace.files_of(name):
                folder = module_of(path).removesuffix(name).replace(".", "/")
                if not folder or not self._workspace.stamps_of(f"{folder}__init__.py"):
                    return True
        return False
