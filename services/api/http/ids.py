"""Ids of new objects: as requested, or derived from the name.

Ids are unique over all organizations, since subjects and crossings contain them. The response to an id that is taken
does not depend on its owner, and reveals nothing of other organizations.
"""

from __future__ import annotations

import secrets

from sqlmodel.ext.asyncio.session import AsyncSession

from contracts.identity import token
from services.api.http.problems import Conflict
from services.api.http.repository import is_taken
from services.kit.database.tables import Camera, Organization, Store


async def free_id(
    session: AsyncSession, kind: type[Organization | Store | Camera], requested: str | None, name: str
) -> str:
    """An id that is not in use.

    Args:
        session: a transaction of `services.api.transaction`, the only one that creates objects at a time.
        requested: id; None to derive one from the name.

    Raises:
        Conflict: the requested id is taken, by any organization.
    """
    if requested is not None:
        if await is_taken(session, kind, requested):
            raise Conflict(f"The id {requested!r} is taken: choose another, or leave it out.")
        return requested
    try:
        stem = token(name)[:56]
    except ValueError:
        stem = kind.__name__.lower()
    made = stem
    while await is_taken(session, kind, made):
        made = f"{stem}-{secrets.token_hex(3)}"  # a number would reveal how many others there are
    return made
