"""Ids of what is made: as they are said, or made from the name."""

from __future__ import annotations

from itertools import count

from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import token
from services.api.problems import Conflict
from services.kit.tables import Camera, Organization, Store


async def free_id(
    session: AsyncSession, kind: type[Organization | Store | Camera], wanted: str | None, name: str
) -> str:
    """An id that nobody has.

    Args:
        session: a transaction of `services.api.writing`, in which nobody else takes it.
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
    for number in count(1):
        made = stem if number == 1 else f"{stem}-{number}"
        if await session.get(kind, made) is None:
            return made
    raise AssertionError  # numbers do not end
