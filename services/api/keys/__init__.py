"""API keys and edge keys: create, list and revoke."""
