"""The index of a workspace: what its files define, and where words are used. A process of its own (process.py)."""
