"""The HTTP server of a service: limits on clients, forwarded headers, and access to metrics."""
