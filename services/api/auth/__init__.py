"""Authentication: sign-ins, passwords, second factors, tokens and keys."""
