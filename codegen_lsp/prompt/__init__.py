"""Context to token ids: one FIM format per model family."""
