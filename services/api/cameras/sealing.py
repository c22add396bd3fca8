"""Seals addresses of cameras that an earlier release, or a command without the secret key, has stored in the clear."""

from __future__ import annotations

from services.api.cameras.addresses import is_local
from services.api.cameras.repository import read_clear_addresses, replace_address
from services.api.database import Sessions
from services.api.transaction import committing
from services.kit.logs import logger
from services.kit.vault import Vault

log = logger()


async def seal_addresses(sessions: Sessions, vault: Vault) -> list[str]:
    """Seal every address that is stored in the clear.

    Replicas may do so at once: the first seal is kept. It is not a change of the configuration: no revision increases,
    and the audit log records nothing.

    Args:
        sessions: of READ COMMITTED transactions.
        vault: seals; without a secret key nothing is done.

    Returns:
        Ids of the cameras whose addresses were sealed.
    """
    async with committing(sessions) as session:
        clear = await read_clear_addresses(session)
        if not vault.usable:
            if exposed := [camera for camera, address in clear if not is_local(address)]:
                log.warning(
                    "addresses lie in the clear: set METRICA_SECRET_KEY for the api and ingest", cameras=exposed
                )
            return []
        for camera, address in clear:
            await replace_address(session, camera, address, vault.seal(address))
    sealed = [camera for camera, _ in clear]
    if sealed:
        log.info("addresses of cameras were sealed", cameras=sealed)
    return sealed
