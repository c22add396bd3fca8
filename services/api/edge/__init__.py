"""Edge workers: crossings that are detected in a store, and sent over HTTP."""
