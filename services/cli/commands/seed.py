"""`metrica seed`: invented history of a chain of shops, three years by default, for benchmarks."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from services.cli.console.errors import CommandError
from services.cli.console.options import PersistenceUrl
from services.persistence.database_errors import UNABLE, in_words
from services.persistence.demo.seed import AlreadyThere, DemoHistory, seed_history
from services.persistence.demo.shops import chain

ORGANIZATION, NAME = "demo-chain", "Demo chain"
SHOPS = 200
"""Number of shops at a scale of 1."""


def seed(
    *,
    scale: Annotated[float, typer.Option(min=0, help="1 is 200 shops, about 50 million crossings.")] = 0.01,
    years: Annotated[int, typer.Option(min=1, max=10, help="Number of years, until now.")] = 3,
    chance: Annotated[
        int, typer.Option("--seed", help="DemoHistory of the random numbers; the same seed makes the same history.")
    ] = 7,
    workers: Annotated[int, typer.Option(min=1, max=16, help="Number of months that are written at a time.")] = 2,
    database_url: PersistenceUrl = "",
) -> None:
    """Write invented history into the database: an organization of its own, marked as a demonstration."""
    if not database_url:
        raise CommandError("METRICA_PERSISTENCE_DATABASE_URL is not set: the database as persistence reaches it")
    began, invented = time.monotonic(), seed_of(scale, years, chance, datetime.now(UTC))
    try:
        rows = asyncio.run(seed_history(database_url, invented, workers=workers, report=print))
    except AlreadyThere as error:
        raise CommandError(f"there is an organization {error} already: it can be seeded once") from error
    except UNABLE as error:
        raise CommandError(f"the database does not take it: {in_words(error)}") from error
    print(f"{len(invented.shops)} shops, {rows:,} crossings in {time.monotonic() - began:.0f} s")


def seed_of(scale: float, years: int, chance: int, now: datetime) -> DemoHistory:
    """Turn the options into a seed that ends now."""
    return DemoHistory(
        organization=ORGANIZATION,
        name=NAME,
        shops=chain(max(1, round(SHOPS * scale)), chance),
        first=now.date() - timedelta(days=365 * years),
        last=now.date() + timedelta(days=1),
        until=now,
        seed=chance,
    )
