"""Keys of machines: made, listed and revoked."""
