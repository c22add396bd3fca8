"""The fixtures of attacks: the API of `tests/api` on real servers, and an organization that is marked in all it has."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from contracts.streams import Owner
from services.kit.nats.bus import Bus
from services.kit.settings import ServiceSettings
from tests.api.conftest import (
    auth_headers,
    client,
    clock,
    guarded,
    ingest_bus,
    mailed,
    make_token,
    pool,
    post,
    seed,
    served,
    superadmin_headers,
    worker_headers,
)
from tests.api.seeded import Seed

__all__ = [
    "auth_headers",
    "client",
    "clock",
    "guarded",
    "ingest_bus",
    "mailed",
    "make_token",
    "pool",
    "post",
    "seed",
    "served",
    "superadmin_headers",
    "worker_headers",
]

MARK = "BETA-ONLY"
"""Stands in every text of the organization `other`: an answer to anybody else that holds it gives something away."""


@pytest.fixture
async def marked(seed: Seed, pool: asyncpg.Pool) -> Seed:
    """All that the organization `other` has bears the mark; so a leak is found wherever it is."""
    await pool.execute(
        f"""
        UPDATE organization SET name = '{MARK} organization' WHERE id = 'other';
        UPDATE store SET name = '{MARK} store' WHERE organization = 'other';
        UPDATE camera SET name = '{MARK} camera' WHERE store = 'mall';
        UPDATE line SET name = '{MARK} line', in_name = '{MARK} in', out_name = '{MARK} out' WHERE camera = 'gate';
        UPDATE api_key SET name = '{MARK} key' WHERE organization = 'other';
        UPDATE account SET name = '{MARK} person' WHERE email = 'admin@other';
        INSERT INTO audit_entry (at, who, organization, action, kind, key)
        VALUES (now(), '{MARK} person', 'other', 'created', 'store', 'mall');
        """
    )
    return seed


@pytest.fixture
async def tracker_bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """The owner of the stream that crossings from the edge go into."""
    bus = await Bus(settings, "tracker", Owner.TRACKER).start()
    yield bus
    await bus.stop()
