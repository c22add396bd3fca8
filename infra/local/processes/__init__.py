"""Processes of a Metrica on one machine: nats-server, Postgres and the services, started and supervised."""
