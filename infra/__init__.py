"""How Metrica runs."""
