"""Queries of password resets."""

from __future__ import annotations

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.auth.tokens.digest import digest
from services.kit.database.account_tables import PasswordReset


async def find_by_token(session: AsyncSession, token: str, *, lock: bool = False) -> PasswordReset | None:
    """The reset of a link; with `lock`, a concurrent request with the same link waits for this transaction."""
    query = select(PasswordReset).where(PasswordReset.hash == digest(token))
    return (await session.exec(query.with_for_update() if lock else query)).first()
