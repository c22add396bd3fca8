"""The configuration of nats-server, and who may do what on it. `python -m infra.nats` writes it."""
