"""The language server: the only room that knows LSP. Session owns all mutable state."""
