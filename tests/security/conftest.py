"""The fixtures of attacks: the API of `tests/api` on real servers."""

from __future__ import annotations

from tests.api.conftest import clock, ingest_bus, mailed, pool, post, seed, superadmin_headers

__all__ = ["clock", "ingest_bus", "mailed", "pool", "post", "seed", "superadmin_headers"]
