"""Sealing the addresses of cameras that lie in the clear.

An earlier release put them there, or a command without the secret key.
"""

from __future__ import annotations

from sqlalchemy import update
from sqlmodel import col, select

from services.api.cameras.repository import is_local
from services.api.database import Sessions
from services.kit.database.tables import Camera
from services.kit.logs import logger
from services.kit.vault import MARK, Vault

log = logger()


async def seal_addresses(sessions: Sessions, vault: Vault) -> list[str]:
    """Seal every address that lies in the clear.

    Replicas may all do so at once: the first one's seal stays. It is no change of the configuration: no revision rises,
    and the log of changes says nothing.

    Args:
        sessions: whose transactions are READ COMMITTED, and may write.
        vault: seals; without a secret key nothing is done.

    Returns:
        The cameras whose addresses were sealed.
    """
    async with sessions() as session, session.begin():
        query = select(Camera.id, Camera.address).where(col(Camera.address).not_like(f"{MARK}%"))
        clear = (await session.exec(query)).all()
        if not vault.usable:
            if exposed := [camera for camera, address in clear if not is_local(address)]:
                log.warning(
                    "addresses lie in the clear: set METRICA_SECRET_KEY for the api and ingest", cameras=exposed
                )
            return []
        for camera, address in clear:
            await session.exec(
                update(Camera)
                .where(col(Camera.id) == camera, col(Camera.address) == address)
                .values(address=vault.seal(address))
            )
    sealed = [camera for camera, _ in clear]
    if sealed:
        log.info("addresses of cameras were sealed", cameras=sealed)
    return sealed
