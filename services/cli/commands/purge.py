"""`metrica purge`: deletion of data that is older than its organization's retention, or a preview of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
import typer

from services.cli.console.errors import CommandError
from services.cli.console.options import PersistenceUrl
from services.persistence.database_errors import UNABLE, in_words
from services.persistence.retention import limits, survey
from services.persistence.retention import purge as remove


def purge(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
    database_url: PersistenceUrl = "",
    log_months_kept: Annotated[
        int, typer.Option(envvar="METRICA_LOG_MONTHS_KEPT", min=1, help="Months for which the log of changes is kept.")
    ] = 24,
) -> None:
    """Remove data that is older than its organization's retention, as Metrica does by itself every hour."""
    if not database_url:
        raise CommandError("METRICA_PERSISTENCE_DATABASE_URL is not set: the database as persistence reaches it")
    try:
        asyncio.run(_preview(database_url) if dry_run else _purge(database_url, log_months_kept))
    except UNABLE as error:
        raise CommandError(f"the database does not answer: {in_words(error)}") from error


async def _purge(database_url: str, log_months_kept: int) -> None:
    async with asyncpg.create_pool(database_url, min_size=0, max_size=1) as pool:
        purged = await remove(pool, datetime.now(UTC), log_months_kept)
    print(f"{purged.crossings:,} crossings are removed, {purged.months} months of them whole")
    if purged.changes:
        print(f"{purged.changes:,} entries of the log of changes are removed")
    if purged.waiting:
        print(f"{purged.waiting} months are being read; they are removed within the hour, or by another purge")


async def _preview(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        all_limits = await limits(connection, datetime.now(UTC))
        for limit in all_limits:
            crossings, oldest = await survey(connection, limit)
            name = limit.organization or "stores that are no more"
            since = f", the oldest of {oldest:%Y-%m-%d}" if oldest else ""
            print(f"{name}: {crossings:,} crossings before {limit.before:%Y-%m-%d} would be removed{since}")
    finally:
        await connection.close()
    if not all_limits:
        print("No organization limits its retention: nothing would be removed.")
