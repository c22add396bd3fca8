"""Transactions that commit at their end; nothing else commits.

Those that change the configuration are serialized, recorded in the audit log, and announced at their commit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.pool import NullPool
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api import audit_log
from services.api.clock import Clock, utc_now
from services.api.database import Sessions, open_engine, open_sessions

CHANNEL = "metrica_config"
COMMAND_LINE = "command line"
_LOCK = 0x6D657472_636F6E66  # "metrconf": one writer at a time, so that two changes never get the same revision


@asynccontextmanager
async def committing(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A transaction for what is no configuration, such as sign-ins and mail; rolled back on an error."""
    async with sessions() as session, session.begin():
        yield session


@asynccontextmanager
async def writing(sessions: Sessions, who: str, clock: Clock = utc_now) -> AsyncIterator[AsyncSession]:
    """A transaction for changes of the configuration, rolled back on an error.

    Args:
        sessions: of READ COMMITTED transactions, in which a statement sees the previous writer's commit.
        who: author of the changes in the audit log.
    """
    async with committing(sessions) as session:
        connection = await session.connection()
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        audit_log.watch(session, who, clock)
        yield session
        await session.flush()
        await connection.execute(text(f"NOTIFY {CHANNEL}"))


@asynccontextmanager
async def writing_at(database_url: str, who: str = COMMAND_LINE) -> AsyncIterator[AsyncSession]:
    """The same from another process, such as the command line; the API is notified, too."""
    engine = open_engine(database_url, isolation_level="READ COMMITTED", poolclass=NullPool)
    try:
        async with writing(open_sessions(engine), who) as session:
            yield session
    finally:
        await engine.dispose()
