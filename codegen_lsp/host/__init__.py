"""The model process: loads weights, owns the KV cache, generates. Reached only through the seam (engine/)."""
