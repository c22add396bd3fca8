"""NATS for every service: the connection, JetStream consumers, KV buckets, leases and assignment, dead letters."""
