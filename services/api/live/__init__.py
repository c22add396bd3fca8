"""The live side: one subscription per process, fanned out to every open dashboard."""
