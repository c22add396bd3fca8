"""Idempotent POST: a request that is repeated with its `Idempotency-Key` gets the first response."""
