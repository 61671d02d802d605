"""Which nodes of a grammar define something, as data: one table a language, read by definitions.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from codegen_lsp.syntax.pattern import Pattern

WORD = Pattern(r"(?P<parent>)(?P<name>\w+)")
BRACE = Pattern(r"(?:[\s{;]|=>)+\Z")


@dataclass(frozen=True)
class Part:
    """A kind of node that defines a name."""

    kind: str
    """As in core.Definition; a function inside a class is a method."""
    name: str = "name"
    """The field in which its name is."""
    owner: str = ""
    """The field in which the name of the class is that it is a member of, where it does not stand inside."""
    only: Pattern | None = None
    """What its signature has to begin with."""
    given: str = ""
    """The field in which what is given the name is, when that has to be a function."""
    declarator: str = ""
    """The type of a node that has to be on the way to its name, where names are in declarators."""
    is_top: bool = False
    """Not told of inside a class."""
    is_closed: bool = False
    """Not looked into."""


@dataclass(frozen=True, eq=False)
class Outline:
    """A grammar as far as definitions go."""

    parts: Mapping[str, tuple[Part, ...]]
    """By type of node; the first whose conditions hold."""
    through: frozenset[str]
    """Types of nodes that may have definitions inside."""
    wraps: frozenset[str] = frozenset()
    """The same, of which the beginning belongs to the definition inside (decorators, `export`)."""
    owners: Mapping[str, str] | None = None
    """The same, which name the parent of what is inside, and the field in which."""
    comments: frozenset[str] = frozenset(("comment",))
    left_out: frozenset[str] = frozenset()
    """Decorators: not shown, and a comment above them is about what they decorate."""
    shown: frozenset[str] = frozenset()
    """Bodies that belong to a signature."""
    name: Pattern = WORD
    tail: Pattern = BRACE
    """What does not belong to the end of a signature."""


def _all(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _each(names: str, part: Part) -> dict[str, tuple[Part, ...]]:
    return dict.fromkeys(names.split(), (part,))


FUNCTION, CLASS, TYPE = Part("function"), Part("class"), Part("type")

PYTHON = Outline(
    {
        "function_definition": (FUNCTION,),
        "class_definition": (CLASS,),
        "type_alias_statement": (Part("type", "left"),),
        "assignment": (
            Part("type", "left", only=Pattern(r"\w+\s*:\s*(?:\w+\.)?TypeAlias\b"), is_top=True),
            Part("constant", "left", only=Pattern(r"_*[A-Z][A-Z0-9_]*\s*=|\w+\s*:"), is_top=True),
        ),
    },
    _all("block if_statement elif_clause else_clause try_statement except_clause finally_clause with_statement"),
    wraps=_all("decorated_definition expression_statement"),
    left_out=_all("decorator"),
    tail=Pattern(r"[\s:]+\Z"),
)

_DECORATED = "export_statement lexical_declaration variable_declaration expression_statement"
JAVASCRIPT = Outline(
    {
        **_each("function_declaration generator_function_declaration method_definition", FUNCTION),
        **_each("class_declaration", CLASS),
        **_each("field_definition", Part("function", "property", given="value")),
        **_each("assignment_expression", Part("function", "left", given="right")),
        "variable_declarator": (
            Part("function", given="value"),
            Part("constant", only=Pattern(r"[\w\s]*\bconst\b(?![^;\n]*=\s*(?:await\s+import|require)\b)")),
        ),
    },
    _all("class_body"),
    wraps=_all(_DECORATED),
    left_out=_all("decorator"),
    name=Pattern(r"(?:(?:module\.)?exports\.|(?P<parent>[\w$]+)\.(?:prototype\.)?)?(?P<name>[\w$#]+)"),
)
TYPESCRIPT = Outline(
    {
        **JAVASCRIPT.parts,
        **_each("function_signature method_signature abstract_method_signature", FUNCTION),
        **_each("abstract_class_declaration interface_declaration enum_declaration", CLASS),
        **_each("public_field_definition", Part("function", given="value")),
        **_each("type_alias_declaration", TYPE),
    },
    _all("class_body interface_body internal_module module statement_block"),
    wraps=_all(f"{_DECORATED} ambient_declaration"),
    left_out=_all("decorator"),
    name=JAVASCRIPT.name,
)
GO = Outline(
    {
        **_each("function_declaration method_elem", FUNCTION),
        **_each("method_declaration", Part("function", owner="receiver")),
        "type_spec": (
            Part("class", only=Pattern(r"(?:type\s+)?\w+(?:\[[^\]]*\])?\s+(?:struct|interface)\b")),
            TYPE,
        ),
        **_each("type_alias", TYPE),
        **_each("const_spec var_spec", Part("constant", only=Pattern(r"(?!(?:var\s+|const\s+)?_\b)"))),
    },
    _all("interface_type var_spec_list"),
    wraps=_all("type_declaration const_declaration var_declaration"),
)
RUST = Outline(
    {
        **_each("function_item function_signature_item macro_definition", FUNCTION),
        **_each("struct_item enum_item union_item trait_item", CLASS),
        **_each("const_item static_item", Part("constant")),
        **_each("type_item associated_type", TYPE),
    },
    _all("mod_item foreign_mod_item declaration_list"),
    owners={"impl_item": "type"},
    comments=_all("line_comment block_comment"),
    left_out=_all("attribute_item inner_attribute_item"),
    shown=_all("ordered_field_declaration_list"),
)
_CONSTANT_FIELD = Pattern(r"(?=[^=;(]*\bstatic\b)[^=;(]*\bfinal\b")
JAVA = Outline(
    {
        **_each("method_declaration constructor_declaration annotation_type_element_declaration", FUNCTION),
        **_each("class_declaration interface_declaration enum_declaration record_declaration", CLASS),
        **_each("annotation_type_declaration", CLASS),
        **_each("field_declaration", Part("constant", "declarator", only=_CONSTANT_FIELD)),
        **_each("constant_declaration", Part("constant", "declarator")),
    },
    _all("class_body interface_body enum_body enum_body_declarations annotation_type_body"),
    comments=_all("line_comment block_comment"),
    left_out=_all("annotation marker_annotation"),
)
_DECLARED = Part("function", "declarator", declarator="function_declarator")
_CONST = Part("constant", "declarator", only=Pattern(r"(?:\w+\s+)*?const(?:expr)?\b"))
_RECORD = Part("class", only=Pattern(r"[^{]*\{"))
_TYPEDEF_BODY = Pattern(r"typedef\s+(?:struct|union|enum|class)\b[^;{]*\{")
C = Outline(
    {
        **_each("function_definition", _DECLARED),
        "declaration": (_DECLARED, _CONST),
        **_each("struct_specifier union_specifier enum_specifier", _RECORD),
        "type_definition": (
            Part("class", "declarator", only=_TYPEDEF_BODY, is_closed=True),
            Part("type", "declarator"),
        ),
        **_each("preproc_def", Part("constant", only=Pattern(r"#\s*define\s+\w+[ \t]+\S"))),
        **_each("preproc_function_def", FUNCTION),
    },
    _all("preproc_ifdef preproc_if preproc_else preproc_elif preproc_elifdef linkage_specification declaration_list"),
)
CPP = Outline(
    {
        **C.parts,
        "field_declaration": (_DECLARED, _CONST),
        **_each("class_specifier", _RECORD),
        **_each("alias_declaration concept_definition", TYPE),
    },
    C.through | _all("namespace_definition field_declaration_list"),
    wraps=_all("template_declaration"),
    name=Pattern(r"(?:(?:.*::)?(?P<parent>\w+)(?:<.*>)?::)?(?P<name>~?\w+|operator\b.*)", re.DOTALL),
)
RUBY = Outline(
    {
        **_each("method singleton_method", FUNCTION),
        **_each("class module", CLASS),
        **_each("assignment", Part("constant", "left", only=Pattern(r"[A-Z]"))),
    },
    _all("body_statement singleton_class"),
    name=Pattern(r"(?P<parent>)(?:.*::)?(?P<name>\w+[?!=]?|[^\w\s]+)"),
    tail=Pattern(r"(?:[\s;=]|\bend\b)+\Z"),
)
BASH = Outline(
    {
        **_each("function_definition", FUNCTION),
        **_each("variable_assignment", Part("constant", only=Pattern(r"(?:\w+\s+)?[A-Z][A-Z0-9_]*="), is_top=True)),
    },
    _all("if_statement"),
    wraps=_all("declaration_command"),
    name=Pattern(r"(?P<parent>)(?P<name>\S+)"),
)

OUTLINES = {
    "python": PYTHON,
    "javascript": JAVASCRIPT,
    "javascriptreact": JAVASCRIPT,
    "typescript": TYPESCRIPT,
    "typescriptreact": TYPESCRIPT,
    "go": GO,
    "rust": RUST,
    "java": JAVA,
    "c": C,
    "cpp": CPP,
    "ruby": RUBY,
    "shellscript": BASH,
}
"""By LSP language id. Not in the rows of languages.py: a completion needs no definitions."""
