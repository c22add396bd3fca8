"""Shared building blocks of the services: settings, NATS, Postgres, HTTP, the frame codec, health, metrics, logging."""
