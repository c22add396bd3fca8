"""The `metrica` command."""
