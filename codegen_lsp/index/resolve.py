"""From a dotted name to what defines it, through modules that hand it on and classes that inherit it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from codegen_lsp.index.modules import Known, Source
from codegen_lsp.index.packages import Packages
from codegen_lsp.index.stubs import meant

MAX_HOPS = 5
"""Modules and classes on the way."""
MAX_STARS = 100
"""Modules of which a module takes all names: one large library has five hundred."""

_DOTTED = r"([^\W\d]\w*(?:\.[^\W\d]\w*){0,5})"
_BASE = re.compile(rf"[(,]\s*{_DOTTED}(?=\s*[,)\[])")
_RETURNED = re.compile(rf"->\s*(?:(?:\w+\.)?Optional\[)?[\"']?{_DOTTED}")

Names = tuple[str, ...]


@dataclass(frozen=True)
class Target:
    """What a dotted name is."""

    source: Source
    found: tuple[Known, ...]
    """More than one only where a function has nothing but overloads."""
    members: tuple[Known, ...] = ()
    """Of the class that was found, where one of them is meant."""
    package: str = ""
    """The top-level one that was asked for it."""

    @property
    def is_class(self) -> bool:
        """Whether it is a class, and not a member of one."""
        return self.found[0].definition.kind == "class" and not self.members


class Resolver:
    """Follows names through the packages of an environment; what it meets twice on one way it does not follow again."""

    def __init__(self, packages: Packages) -> None:
        self._packages = packages
        self._seen = set[tuple[str, Names]]()

    def find(self, module: str, names: Names) -> Target | None:
        """What a dotted name of a module is; None where that cannot be told, or not yet."""
        self._seen.clear()
        target, rest = self._find(module, names, MAX_HOPS) or (None, ())
        if target and rest:
            target = self._member(target, rest[0], MAX_HOPS)
        return replace(target, package=module.partition(".")[0]) if target else None

    def member(self, owner: Target, name: str) -> Target | None:
        """A member of a class, in the class that has it."""
        self._seen.clear()
        target = self._member(owner, name, MAX_HOPS)
        return replace(target, package=owner.package) if target else None

    def members(self, owner: Target) -> list[Known]:
        """All members of a class, and how it is made when that is inherited."""
        own = self._own_members(owner)
        made = self.member(owner, "__init__") if owner.found[0].fields == {} else None
        return [*made.members, *own] if made else own

    def given(self, target: Target) -> Target | None:
        """The class of what a call of a target gives: of itself when it is a class, else what it says to return."""
        if target.is_class:
            return target
        signature = (target.members or target.found)[0].definition.signature
        returned = _RETURNED.search(signature)
        if returned and returned[1].rpartition(".")[2] == "Self" and target.members:
            return replace(target, members=())
        found = self.find(target.source.module, tuple(returned[1].split("."))) if returned else None
        return found if found and found.is_class else None

    def _find(self, module: str, names: Names, hops: int) -> tuple[Target, Names] | None:
        """The definition that a dotted name of a module leads to, and what of the name is left there."""
        if not names or hops < 0 or (module, names) in self._seen:
            return None
        self._seen.add((module, names))
        name, rest = names[0], names[1:]
        for source in self._packages.sources(module):
            if name in source.defines and (target := self._defined(source, name)):
                return target, rest
            if name in source.names:
                there, own = source.names[name]
                if found := self._find(there, (*(own.split(".") if own else ()), *rest), hops - 1):
                    return found
        if found := self._find(f"{module}.{name}", rest, hops):
            return found
        for whole in _likeliest(name, [whole for source in self._packages.sources(module) for whole in source.stars]):
            if self._is_shared(whole, name) and (found := self._find(whole, names, hops - 1)):
                return found
        return None

    def _defined(self, source: Source, name: str) -> Target | None:
        found = [each for each in self._packages.definitions(source) if each.definition.name == name]
        found = meant(each for each in found if not each.definition.parent)
        return Target(source, tuple(found)) if found else None

    def _is_shared(self, module: str, name: str) -> bool:
        """Whether those that take all names of a module may get this one."""
        said = [source.shared for source in self._packages.sources(module)]
        return not name.startswith("_") and any(shared is None or name in shared for shared in said)

    def _member(self, owner: Target, name: str, hops: int) -> Target | None:
        if not owner.is_class:
            return None
        own = meant(each for each in self._own_members(owner) if each.definition.name == name)
        if own:
            return replace(owner, members=tuple(own))
        if name in (owner.found[0].fields or ()):
            return owner
        for base in _BASE.findall(owner.found[0].definition.signature):
            found, rest = self._find(owner.source.module, tuple(base.split(".")), hops - 1) or (None, ())
            if found and not rest and (target := self._member(found, name, hops - 1)):
                return target
        return None

    def _own_members(self, owner: Target) -> list[Known]:
        whole = owner.found[0].definition
        return [
            each
            for each in self._packages.definitions(owner.source)
            if each.definition.parent == whole.name and whole.span.start <= each.definition.span.start < whole.span.end
        ]


def _likeliest(name: str, modules: list[str]) -> list[str]:
    """The modules that may define a name, those first that have a word of it in their own name."""
    lower = name.lower()

    def is_unlike(module: str) -> bool:
        return not any(word in lower for word in module.rpartition(".")[2].split("_") if len(word) > 2)

    return sorted(dict.fromkeys(modules), key=is_unlike)[:MAX_STARS]
