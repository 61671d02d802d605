"""Imports of the standard library that generated code lacks: which ones they are, and the lines that are added."""

from __future__ import annotations

import ast
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from codegen_lsp.verify.names import lacking, parse
from codegen_lsp.verify.standard import ABSTRACT, CLASS_PARTS, CONSTANTS, MEMBERS, MODULES, SUBMODULES

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+")
_LINE_END = re.compile(r"\r\n|\n|\r")
_FIRST_LINES = re.compile(r"#!|#.*coding[:=]")
_BOM = "\ufeff"
_TAKERS = frozenset({"map", "filter", "reduce", "starmap", "accumulate", "partial", "defaultdict"})
"""What is handed a function, or a class, that it calls."""
_OLD_TYPING = frozenset({"Dict", "FrozenSet", "List", "Set", "Tuple", "Type"}) | ABSTRACT

Import = ast.Import | ast.ImportFrom
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class _Read:
    """How a name is read at one place."""

    parts: tuple[str, ...] = ()
    """The attributes asked of it: of `os.path.join`, read as `os`, `path` and `join`."""
    is_called: bool = False
    """Called, a decorator, or handed to what calls it."""
    is_item: bool = False
    """Asked for an item, outside of an annotation."""
    is_type: bool = False
    """In an annotation, or what `isinstance` asks for."""


def add_imports(text: str, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """(`text` with imports for those of the unknown names that the standard library has, the import lines added).

    A name is left alone where several modules have it, or where it is used as a variable would be: `queue.put(job)` is
    no module, and `np` is not ours to add. Each import is a line of its own, so that what was there stays as it was and
    a line can be taken out again. In its place where the imports are sorted, else below the last one of the standard
    library. A text that does not parse is left alone.
    """
    try:
        tree = parse(text)
        reads = _reads(text, tree, frozenset(names))
        wanted = [home for name in dict.fromkeys(names) if name in reads for home in _homes(name, reads[name], tree)]
        lines = _lines(wanted)
        bom, mended = (_BOM if text.startswith(_BOM) else ""), text.removeprefix(_BOM)
        for line in lines:
            mended = _with_line(mended, line)
        parse(mended)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text, ()
    return (bom + mended, lines) if lines else (text, ())


def _reads(text: str, tree: ast.Module, names: frozenset[str]) -> dict[str, list[_Read]]:
    """For each name how it is read where nothing defines it; a text in quotes (an annotation) is one use as a type."""
    places = {(fault.line, fault.column, fault.name) for fault in lacking(text) if fault.name in names}
    parents = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    types = {id(part) for node in ast.walk(tree) for root in _types(node) for part in ast.walk(root)}
    found, seen = dict[str, list[_Read]](), set[tuple[int, int, str]]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and (place := (node.lineno, node.col_offset, node.id)) in places:
            seen.add(place)
            found.setdefault(node.id, []).append(_read(node, parents, id(node) in types))
    for _, _, name in sorted(places - seen):
        found.setdefault(name, []).append(_Read(is_type=True))
    return found


def _types(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.arg(annotation=ast.expr() as shown) | ast.AnnAssign(annotation=shown):
            yield shown
        case ast.FunctionDef(returns=ast.expr() as shown) | ast.AsyncFunctionDef(returns=ast.expr() as shown):
            yield shown
        case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, asked]):
            yield asked
        case _:
            pass


def _read(name: ast.Name, parents: dict[int, ast.AST], is_type: bool) -> _Read:
    parts, node = list[str](), parents.get(id(name))
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = parents.get(id(node))
    owner = parents.get(id(name))
    return _Read(
        parts=tuple(parts),
        is_called=_is_called(name, owner),
        is_item=isinstance(owner, ast.Subscript) and owner.value is name and not is_type,
        is_type=is_type,
    )


def _is_called(name: ast.Name, owner: ast.AST | None) -> bool:
    match owner:
        case ast.Call(func=called, args=args):
            return called is name or (name in args and isinstance(called, ast.Name) and called.id in _TAKERS)
        case ast.keyword(arg="default_factory"):
            return True
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return name in owner.decorator_list
        case _:
            return False


def _homes(name: str, reads: Sequence[_Read], tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, member) of what an unknown name means, the member empty for the module itself; none where unsure."""
    chains = [(name, *read.parts) for read in reads if read.parts]
    if name in ABSTRACT:
        yield _abstract_home(tree), name
    elif name == "ET" and chains:
        yield "xml.etree.ElementTree as ET", ""
    elif chains and (modules := _modules(chains)):
        yield from ((module, "") for module in modules)
    elif name in MEMBERS and (name[0].isupper() or _is_member(name, reads)):
        yield MEMBERS[name], name


def _modules(chains: Sequence[tuple[str, ...]]) -> list[str]:
    """The modules to import for some dotted names that begin alike; none where one of them does not say a module."""
    found = list[str]()
    for chain in chains:
        known = [dotted for end in range(2, len(chain) + 1) if (dotted := ".".join(chain[:end])) in SUBMODULES]
        parts = MODULES.get(chain[0])
        if known:
            found.append(known[-1])
        elif parts is None or (parts and chain[1] not in parts):
            return []
        else:
            found.append(chain[0])
    return list(dict.fromkeys(found))


def _is_member(name: str, reads: Iterable[_Read]) -> bool:
    """Whether a lower-case name is read as a function or a class is, everywhere."""
    sure, asked = name in CONSTANTS, CLASS_PARTS.get(name, frozenset[str]())
    for read in reads:
        if read.is_item or (read.parts and read.parts[0] not in asked):
            return False
        sure = sure or read.is_called or read.is_type or bool(read.parts)
    return sure


def _abstract_home(tree: ast.Module) -> str:
    """typing where a file has it from there, as before Python 3.9."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    is_old = any(each.module == "typing" and any(name.name in _OLD_TYPING for name in each.names) for each in imports)
    has_new = any(each.module == "collections.abc" for each in imports)
    return "typing" if is_old and not has_new else "collections.abc"


def _lines(wanted: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """One line a module, modules themselves first."""
    members = dict[str, list[str]]()
    modules = set[str]()
    for home, name in wanted:
        if name:
            members.setdefault(home, []).append(name)
        else:
            modules.add(home)
    froms = (f"from {home} import {', '.join(sorted(names))}" for home, names in sorted(members.items()))
    return (*(f"import {home}" for home in sorted(modules)), *froms)


def _with_line(text: str, line: str) -> str:
    """The text with an import in its place."""
    tree, lines = parse(text), _LINE.findall(text)
    groups = _groups(tree, lines)
    if not groups:
        return _below_header(tree, lines, line)
    group = _group(groups, line)
    if group is None:
        first = groups[0][0].lineno - 1
        while first and lines[first - 1].startswith("#") and not _is_header(lines, first - 1):
            first -= 1
        return _put(lines, _whole(tree, first), [line, ""])
    after = _before(group, line)
    return _put(lines, _whole(tree, (after.end_lineno or 0) if after else group[0].lineno - 1), [line])


def _is_header(lines: Sequence[str], at: int) -> bool:
    """Whether a line belongs to comments that the file begins with."""
    return all(line.startswith("#") for line in lines[: at + 1])


def _groups(tree: ast.Module, lines: Sequence[str]) -> list[list[Import]]:
    """The first imports at the top level, as blank lines divide them; those of `__future__` have to stay above."""
    groups = list[list[Import]]()
    end = 0
    for node in tree.body:
        if isinstance(node, Import) and not _is_future(node):
            if not groups or any(not line.strip() for line in lines[end : node.lineno - 1]):
                groups.append([])
            groups[-1].append(node)
            end = node.end_lineno or node.lineno
        elif groups or isinstance(node, _DEFINITIONS):
            break
    return groups


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _group(groups: Sequence[list[Import]], line: str) -> list[Import] | None:
    """The one with the standard library's imports, and of several the one with the same kind of statement."""
    standard = [group for group in groups if all(map(_is_standard, group))]
    standard = standard or [group for group in groups if any(map(_is_standard, group))]
    kind = ast.ImportFrom if line.startswith("from") else ast.Import
    return next(
        iter([group for group in standard[::-1] if any(isinstance(node, kind) for node in group)] + standard), None
    )


def _is_standard(node: Import) -> bool:
    return _module(node).split(".")[0] in sys.stdlib_module_names


def _module(node: Import) -> str:
    """The module's name; nothing for one that is given relative to the file."""
    if isinstance(node, ast.Import):
        return node.names[0].name
    return "" if node.level else node.module or ""


def _before(group: Sequence[Import], line: str) -> Import | None:
    """What of a group an import goes below: by the order that the group has, else the last such statement."""
    statement = parse(line).body[0]
    assert isinstance(statement, Import)
    for order in (_by_kind, _by_module):
        keys = [order(node) for node in group]
        if keys == sorted(keys):
            num_above = bisect_right(keys, order(statement))
            return group[num_above - 1] if num_above else None
    standard = [node for node in group if _is_standard(node)]
    return ([node for node in standard if type(node) is type(statement)] or standard)[-1]


def _by_kind(node: Import) -> tuple[str, str]:
    return type(node).__name__, _module(node).lower()


def _by_module(node: Import) -> tuple[str, str]:
    return _module(node).lower(), type(node).__name__


def _below_header(tree: ast.Module, lines: Sequence[str], line: str) -> str:
    """The text with its first import: below the docstring, `from __future__`, or the comments that it begins with."""
    place = _whole(tree, _header(tree, lines))
    following = next((node for node in tree.body if node.lineno > place), None)
    num_blank = len(list(takewhile(lambda shown: not shown.strip(), lines[place:])))
    wanted = 2 if isinstance(following, _DEFINITIONS) else 1
    below = [""] * max(0, wanted - num_blank) if following else []
    return _put(lines, place, [*([""] if place else []), line, *below])


def _header(tree: ast.Module, lines: Sequence[str]) -> int:
    """How many lines the header has."""
    end = 0
    for node in tree.body:
        is_doc = isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)
        if not is_doc and not _is_future(node):
            break
        end = node.end_lineno or node.lineno
    if end:
        return end
    comments = list(takewhile(lambda line: line.startswith("#"), lines))
    is_apart = len(comments) == len(lines) or not lines[len(comments)].strip()
    if is_apart or not isinstance(tree.body[0], _DEFINITIONS):
        return len(comments)
    return len(list(takewhile(_FIRST_LINES.match, comments[:2])))


def _whole(tree: ast.Module, line: int) -> int:
    """The first place at or below a line (that many lines are above it) that is not inside a statement."""
    for node in tree.body:
        if node.lineno <= line < (node.end_lineno or line):
            line = node.end_lineno or line
    return line


def _put(lines: Sequence[str], place: int, added: Iterable[str]) -> str:
    """The text with lines below the first `place` ones, with the line ends that it has."""
    above, below = "".join(lines[:place]), "".join(lines[place:])
    end = found[0] if (found := _LINE_END.search(above + below)) else "\n"
    if above and not _LINE_END.search(above[-1]):
        above += end
    return above + "".join(line + end for line in added) + below
