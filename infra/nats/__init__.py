"""Configuration and permissions of nats-server. `python -m infra.nats` writes the file."""
