"""codegen-lsp: comments and docstrings become code, on the user's own machine."""

__version__ = "0.1.0"
