"""The local stack: real servers and the five services, without Docker."""
