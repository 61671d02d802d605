"""Endings of source files and the LSP language ids that they mean; a language's usual ending comes first."""

LANGUAGES = {
    ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".jsx": "javascriptreact", ".ts": "typescript", ".mts": "typescript", ".cts": "typescript",
    ".tsx": "typescriptreact", ".go": "go", ".rs": "rust", ".java": "java", ".c": "c", ".h": "c", ".cc": "cpp",
    ".cpp": "cpp", ".cxx": "cpp", ".hh": "cpp", ".hpp": "cpp", ".rb": "ruby", ".sh": "shellscript",
    ".bash": "shellscript",
}  # fmt: skip


def language_at(path: str) -> str:
    """The language id of a path; "" when its ending says nothing."""
    name = path.rpartition("/")[2]
    return LANGUAGES.get(f".{name.rpartition('.')[2]}", "") if "." in name else ""
