"""Languages as data: one row each. A language without a grammar works by its comments, brackets and indentation."""

from __future__ import annotations

import ast
import importlib
import re
import warnings
from collections.abc import Callable
from dataclasses import replace

from codegen_lsp.syntax.names import lacking
from codegen_lsp.syntax.pattern import Pattern
from codegen_lsp.syntax.row import NEVER, Blocks, Language


def _grammar(module: str, function: str = "language") -> Callable[[], object]:
    """Loads a grammar from its wheel when it is first called."""

    def load() -> object:
        return getattr(importlib.import_module(module), function)()

    return load


def _python_fault(text: str) -> int | None:
    """Compiles, and runs nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except SyntaxError as error:
        return max((error.lineno or 1) - 1, 0)
    except (ValueError, MemoryError, RecursionError, OverflowError):
        return 0
    return None


def _quoted(quote: str) -> str:
    """A literal on one line; it ends with the line when it is not closed."""
    return rf"{quote}(?:\\.|[^{quote}\\\r\n])*{quote}?"


def _long(quote: str) -> str:
    """A literal over any number of lines, to the end of the text when it is not closed."""
    return rf"{quote}(?:\\.|[^\\])*?(?:{quote}|\\?\Z)"


def _line(marker: str) -> str:
    return rf"{marker}[^\r\n]*"


BLOCK_COMMENT = r"/\*(?:.{0,5000}?\*/|[^\r\n]*)"
"""One that is not closed ends with its line: it is being written. Bounds keep made-up texts from being slow."""
SLASHES = (_line("//"), BLOCK_COMMENT)
PATTERN = r"(?<=[(,=:\[!&|?;~])[ \t]*/(?![/*])(?:\\.|\[(?:\\.|[^\]\\\r\n]){0,200}\]|[^/\\\[\r\n]){1,500}/"
"""A regular expression where no division can be: it may have quotes in it."""
HEREDOC = r"(?P<heredoc>{begin}[^\r\n]*\r?\n(?:[^\r\n]*\r?\n){{0,200}}?[ \t]*(?P=tag)\b)"
"""Its first line goes on behind the tag, so only what is below it is a literal."""


def _tokens(comments: tuple[str, ...], *literals: str) -> Pattern:
    """Comments and literals, whichever comes first."""
    return Pattern("|".join([f"(?P<comment>{'|'.join(comments)})", *literals]), re.DOTALL | re.MULTILINE)


def _words(text: str) -> str:
    """Any of some words."""
    return rf"(?:{'|'.join(text.split())})\b"


_PYTHON_BLOCK = (
    r"(?:async\s+)?(?:def|for|with)\b|class\b|if\b|elif\b|else\b|while\b|try\b|except\b|finally\b|(?:match|case)\s+\S"
)
PYTHON = Language(
    "python",
    Blocks.INDENT,
    tokens=_tokens((_line("#"),), _long('"""'), _long("'''"), _quoted('"'), _quoted("'")),
    opener=Pattern(rf"(?:{_PYTHON_BLOCK}).*:", re.DOTALL),
    definition=Pattern(r"(?:async\s+)?def\b|class\b|@"),
    imports=Pattern(r"import\b|from\b"),
    fresh=Pattern(r"(?:async\s+def|def|class|import|return|raise|pass|while|try|with|assert|del|global)\b|@\w"),
    stub=Pattern(r"pass|\.\.\.|raise NotImplementedError\b.*", re.DOTALL),
    docstrings=True,
    grammar=_grammar("tree_sitter_python"),
    fault=_python_fault,
    lacking=lacking,
)

_BRACE = Pattern(r"\}")
_BRACE_END = Pattern(r"\}[^{]*")
_OWN_LINE = Pattern(r"\{$")
_NOT_CALLED = (
    rf"(?!{_words('if for while switch catch return else do new throw case delete typeof await yield using')})"
)
"""What stands before a bracket without being a function."""

_SCRIPT = Language(
    "javascript",
    Blocks.BRACES,
    tokens=_tokens(SLASHES, _long("`"), PATTERN, _quoted('"'), _quoted("'")),
    opener=Pattern(r".*(?:\{|=>)|(?:case\b.*|default):", re.DOTALL),
    definition=Pattern(
        r"(?:export\s+)?(?:default\s+)?(?:declare\s+)?(?:async\s+)?(?:function|(?:abstract\s+)?class|interface|enum)\b"
        r"|(?:export\s+)?(?:const|let|var)\s+[\w$]+\s*(?::[^=]*)?=\s*(?:async\b\s*)?(?:function\b|\(.*\{$|\([^()]*$|\w+\s*=>)"
        rf"|{_NOT_CALLED}(?:\w+\s+)*[#\w$]+\s*(?:<[^()]*>)?\(.*\)\s*(?::[^;=]*)?\{{$|@"
    ),
    imports=Pattern(r"import\b|export\b.*\bfrom\b|(?:const|let|var)\b.*\brequire\b"),
    fresh=Pattern(_words("const let var return import export throw break continue while for")),
    closer=_BRACE,
    joins=_OWN_LINE,
    end=_BRACE_END,
    stub=Pattern(r"throw new Error\b.*", re.DOTALL),
    unit="  ",
    grammar=_grammar("tree_sitter_javascript"),
)
_TYPED = replace(
    _SCRIPT,
    id="typescript",
    grammar=_grammar("tree_sitter_typescript", "language_typescript"),
)
GO = Language(
    "go",
    Blocks.BRACES,
    tokens=_tokens(SLASHES, r"`[^`]*(?:`|\Z)", _quoted('"'), _quoted("'")),
    opener=Pattern(r".*\{|(?:case\b.*|default):", re.DOTALL),
    definition=Pattern(r"(?:func|type)\b"),
    imports=Pattern(r"import\b|package\b"),
    fresh=Pattern(
        r"(?:type|var|const|return|package|import|if|for|switch|defer|go)\b|func\s+\w|func\s*\(\w+\s+\*?\w+\)"
    ),
    closer=_BRACE,
    joins=_OWN_LINE,
    end=_BRACE_END,
    stub=Pattern(r"panic\(.*\)", re.DOTALL),
    unit="\t",
    grammar=_grammar("tree_sitter_go"),
    wants_line_end=True,
)
_RUST_ITEM = r"(?:pub(?:\([^)]*\))?\s+)?(?:default\s+)?(?:const\s+)?(?:async\s+)?(?:unsafe\s+)?(?:extern\s+\S*\s*)?"
RUST = Language(
    "rust",
    Blocks.BRACES,
    # A quote that no other closes is a lifetime's.
    tokens=_tokens(SLASHES, r'\br(?P<hashes>#*)".{0,5000}?"(?P=hashes)', _quoted('"'), r"'(?:\\[^\r\n']+|[^\\'\r\n])'"),
    opener=Pattern(r".*(?:\{|=>)", re.DOTALL),
    definition=Pattern(rf"{_RUST_ITEM}{_words('fn struct enum union trait impl mod')}|macro_rules!|#\["),
    imports=Pattern(r"(?:pub(?:\([^)]*\))?\s+)?(?:use|mod|extern\s+crate)\b.*"),
    fresh=Pattern(rf"{_words('pub use let struct enum trait impl return mod static')}|fn\s+\w"),
    decorator=Pattern(r"#\["),
    closer=_BRACE,
    joins=Pattern(r"\{$|where\b"),
    end=_BRACE_END,
    stub=Pattern(r"(?:todo|unimplemented)!\s*\(.*\);?", re.DOTALL),
    grammar=_grammar("tree_sitter_rust"),
)
_CALLABLE = rf"{_NOT_CALLED}(?:[\w:<>\[\],*&~.?]+\s+)+[*&]*[\w:~<>]+\s*\([^;]*$"
"""A type, a name and an open bracket: the header of a function where no word announces one."""
JAVA = Language(
    "java",
    Blocks.BRACES,
    tokens=_tokens(SLASHES, _long('"""'), _quoted('"'), _quoted("'")),
    opener=Pattern(r".*(?:\{|->)|(?:case\b.*|default):", re.DOTALL),
    definition=Pattern(
        rf"(?:{_words('public protected private static final abstract sealed strictfp')}\s*)*"
        rf"(?:{_words('class interface enum record')}|[A-Z]\w*\s*\([^;]*\{{$)|@|{_CALLABLE}"
    ),
    imports=Pattern(r"import\b|package\b"),
    fresh=Pattern(_words("import package public private protected return throw while for break continue")),
    closer=_BRACE,
    joins=_OWN_LINE,
    end=_BRACE_END,
    stub=Pattern(r"throw new \w*(?:Unsupported|NotImplemented|IllegalState|Runtime)\w*\(.*\);", re.DOTALL),
    grammar=_grammar("tree_sitter_java"),
)
C = Language(
    "c",
    Blocks.BRACES,
    tokens=_tokens(
        SLASHES, r'\bR"(?P<mark>\w*)\(.{0,5000}?\)(?P=mark)"', _quoted('"'), rf"(?<![0-9a-fA-F]){_quoted(chr(39))}"
    ),
    opener=Pattern(r".*\{|(?:case\b.*|default):", re.DOTALL),
    definition=Pattern(rf"(?:typedef\s+)?{_words('struct union enum')}[^;()=]*$|{_CALLABLE}"),
    imports=Pattern(r"#\s*include\b"),
    fresh=Pattern(r"#\s*[a-z]|(?:return|typedef|static|while|for|break|continue)\b"),
    decorator=NEVER,
    closer=_BRACE,
    joins=_OWN_LINE,
    end=_BRACE_END,
    stub=Pattern(r"(?:abort|exit|assert)\s*\([^()]*\);"),
    grammar=_grammar("tree_sitter_c"),
    wants_line_end=True,
)
CPP = replace(
    C,
    id="cpp",
    definition=Pattern(
        rf"(?:typedef\s+)?{_words('struct union enum class namespace')}[^;()=]*$|template\b|{_CALLABLE}"
        r"|(?:explicit\s+)?~?[A-Z]\w*(?:::~?\w+)?\s*\([^;]*$"
    ),
    imports=Pattern(r"#\s*include\b|using\b|import\b"),
    decorator=Pattern(r"template\b[^(]*>$|\[\["),
    joins=Pattern(r"\{$|(?:public|protected|private)\s*:"),
    stub=Pattern(r"(?:(?:std::)?(?:abort|exit|terminate)|assert)\s*\([^()]*\);|throw std::\w+_error\b.*", re.DOTALL),
    grammar=_grammar("tree_sitter_cpp"),
)
_RUBY_BLOCK = _words("def class module if unless while until for case begin else elsif when in rescue ensure")
RUBY = Language(
    "ruby",
    Blocks.BRACES,
    tokens=_tokens(
        (_line("#"), r"^=begin\b.{0,5000}?^=end\b"),
        HEREDOC.format(begin=r"<<[~-][\"'`]?(?P<tag>[A-Za-z_]\w*)"),
        PATTERN,
        _quoted('"'),
        _quoted("'"),
        _quoted("`"),
    ),
    opener=Pattern(
        rf"(?!.*\bend\b)(?!def\s+[^=]*?(?:\(.*\))?\s=\s)(?:(?:private|protected|public|module_function)\s+)?(?:{_RUBY_BLOCK}.*"
        r"|.*(?:\bdo|\{)(?:\s*\|[^|]*\|)?|\S+\s*\|?\|?=\s*(?:if|unless|case|begin|while)\b.*)",
        re.DOTALL,
    ),
    definition=Pattern(r"(?:(?:private|protected|public|module_function)\s+)?(?:def|class|module)\b"),
    imports=Pattern(r"(?:require|require_relative|load)\b"),
    fresh=Pattern(_words("def class module end return require require_relative")),
    decorator=NEVER,
    closer=Pattern(r"(?:end|else|elsif|when|in|rescue|ensure)\b|\}"),
    end=Pattern(r"(?:end\b|\})(?!.*(?:\bdo|\{)(?:\s*\|[^|]*\|)?$).*"),
    stub=Pattern(r"raise\s*\(?\s*NotImplementedError\b.*", re.DOTALL),
    unit="  ",
    grammar=_grammar("tree_sitter_ruby"),
)
BASH = Language(
    "shellscript",
    Blocks.BRACES,
    tokens=_tokens(
        (_line(r"(?<![^\s;(])#"),),
        HEREDOC.format(begin=r"(?<!<)<<-?[ \t]*[\"']?(?P<tag>[A-Za-z_]\w*)[\"']?"),
        r"\\.",
        r"'[^']*'|'[^\r\n]*",
        r'"(?:\\.|[^"\\])*"|"[^\r\n]*',
    ),
    opener=Pattern(r"(?:.*(?:\b(?:do|then)|\{)|else|case\s.*\sin|[^()\s][^()]*\))", re.DOTALL),
    definition=Pattern(r"function\s|[\w-]+\s*\(\)"),
    imports=Pattern(r"(?:source|\.)\s"),
    fresh=Pattern(_words("fi done esac function local return")),
    decorator=NEVER,
    closer=Pattern(r"(?:fi|done|esac|else|elif)\b|;;|\}"),
    end=Pattern(r"(?:fi|done|esac|;;|\})(?:\s*[|<>&;\d].*)?"),
    heads=("{", "then", "do", "else"),
    stub=Pattern(r":"),
    unit="  ",
    grammar=_grammar("tree_sitter_bash"),
)


def _plain(id: str, comments: tuple[str, ...], blocks: Blocks, quotes: str = "\"'") -> Language:
    """A language of which only comments, quotes and indentation are known."""
    opener = r".*\{" if blocks is Blocks.BRACES else r".*(?::|\b(?:do|then|else|begin))"
    return Language(
        id,
        blocks,
        _tokens(comments, *map(_quoted, quotes)),
        Pattern(opener, re.DOTALL),
        definition=NEVER,
        imports=Pattern(r"import\b"),
        fresh=NEVER,
        closer=_BRACE if blocks is Blocks.BRACES else NEVER,
        end=_BRACE_END if blocks is Blocks.BRACES else NEVER,
    )


_HASH = ("perl", "r", "yaml", "toml", "makefile", "dockerfile", "julia", "elixir", "powershell")
_SLASH = ("csharp", "kotlin", "swift", "scala", "dart", "php")

LANGUAGES = (
    PYTHON,
    _SCRIPT,
    replace(_SCRIPT, id="javascriptreact"),
    _TYPED,
    replace(_TYPED, id="typescriptreact", grammar=_grammar("tree_sitter_typescript", "language_tsx")),
    *(GO, RUST, JAVA, C, CPP, RUBY, BASH),
    *(_plain(id, (_line("#"),), Blocks.INDENT) for id in _HASH),
    *(_plain(id, SLASHES, Blocks.BRACES) for id in _SLASH),
    *(_plain(id, (_line("--"),), Blocks.INDENT) for id in ("lua", "sql", "haskell")),
)
OTHER = _plain("", (_line("#"), _line("//")), Blocks.INDENT, quotes='"')
"""For a language that has no row: an apostrophe may be prose there, so it opens no string."""


ALIASES = {"sh": "shellscript", "bash": "shellscript"}
"""Names that editors send for a language besides its LSP id."""


def find(language: str) -> Language:
    """The row of an LSP language id."""
    name = ALIASES.get(language, language)
    return next((row for row in LANGUAGES if row.id == name), OTHER)
