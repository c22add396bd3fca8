"""The services of Metrica, one package each, the kit that they share, and the command line."""
