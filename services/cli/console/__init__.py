"""Parts that commands share: options, progress, errors, signals, and the connections to NATS and Postgres."""
