"""From what the model says to an edit that can be offered."""
