"""Ids of what is made: as they are said, or made from the name.

Ids are unique over all organizations, since subjects and records bear them. Whoever has one that is taken, the answer
is the same, so that nobody learns from it what other organizations have, nor how much.
"""

from __future__ import annotations

import secrets

from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import token
from services.api.http.problems import Conflict
from services.kit.database.tables import Camera, Organization, Store


async def free_id(
    session: AsyncSession, kind: type[Organization | Store | Camera], wanted: str | None, name: str
) -> str:
    """An id that nobody has.

    Args:
        session: a transaction of `services.api.transaction`, in which nobody else takes it.
        kind: of what.
        wanted: as it was said; None makes one from the name.
        name: what people call it.

    Raises:
        Conflict: the wanted one is taken, by whomever.
    """
    if wanted is not None:
        if await session.get(kind, wanted) is not None:
            raise Conflict(f"The id {wanted!r} is taken: choose another, or leave it out.")
        return wanted
    try:
        stem = token(name)[:56]
    except ValueError:
        stem = kind.__name__.lower()
    made = stem
    while await session.get(kind, made) is not None:
        made = f"{stem}-{secrets.token_hex(3)}"  # a number would tell how many others there are
    return made
