"""Live streams: one subscription per process, fanned out to all open dashboards."""
