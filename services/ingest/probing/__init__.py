"""Camera tests: one frame of an address, on request."""
