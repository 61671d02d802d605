"""The client side of the seam: ask a model host, ours or any other."""
