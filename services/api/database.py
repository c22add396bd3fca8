"""Postgres: one connection pool and short transactions, of which each that reads sees one snapshot."""

from __future__ import annotations

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool
from sqlmodel.ext.asyncio.session import AsyncSession

CONNECT_TIMEOUT = 3.0
COMMAND_TIMEOUT = 15.0
"""Seconds. On a cut link, a query would wait for many minutes; reading a year by day takes 0.4 s."""
POOL_SIZE, POOL_OVERFLOW, POOL_TIMEOUT = 5, 10, 3.0

Sessions = async_sessionmaker[AsyncSession]


def open_engine(
    database_url: str,
    *,
    isolation_level: IsolationLevel = "REPEATABLE READ",
    poolclass: type[Pool] = AsyncAdaptedQueuePool,
) -> AsyncEngine:
    """An engine with a connection pool. REPEATABLE READ gives totals and their version from one snapshot.

    Args:
        database_url: postgresql://user:password@host:port/database
        poolclass: NullPool keeps no connection open, for tests and short commands.
    """

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            database_url,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings={"application_name": "metrica-api"},
        )

    # asyncpg parses the URL itself: SQLAlchemy's dialect does not know all of its parameters, such as sslmode.
    bounds = {"pool_size": POOL_SIZE, "max_overflow": POOL_OVERFLOW, "pool_timeout": POOL_TIMEOUT}
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        isolation_level=isolation_level,
        poolclass=poolclass,
        pool_pre_ping=True,
        hide_parameters=True,  # errors are logged, and parameters may be secret
        **(bounds if poolclass is AsyncAdaptedQueuePool else {}),
    )


def open_sessions(engine: AsyncEngine) -> Sessions:
    """A factory of sessions on an engine."""
    return async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


async def driver(session: AsyncSession) -> asyncpg.Connection:
    """The asyncpg connection of a session, inside its transaction, for queries that services share."""
    connection = await (await session.connection()).get_raw_connection()
    return connection.driver_connection


async def ping(sessions: Sessions) -> None:
    """Make a round trip to the database.

    Raises:
        RuntimeError: the database does not answer.
    """
    try:
        async with sessions() as session:
            await (await session.connection()).execute(text("SELECT 1"))
    except Exception as error:  # of whatever kind: /readyz reports it
        raise RuntimeError(f"the database does not answer: {error}") from error
