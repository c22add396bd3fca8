"""How a service answers by HTTP: what a client may cost it, which proxies it believes, and who sees its insides."""
