"""The HTTP API: counts, history, live streams and configuration."""
