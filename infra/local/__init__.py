"""The local stack: real servers and the six services, without Docker."""
