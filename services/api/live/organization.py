"""The stores of an organization that a stream is about: those that who listens may see, as of now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access import Principal, present_stores_of
from services.api.auth.principal import ask_again
from services.api.live import messages
from services.api.live.hub import Listener
from services.api.live.mailbox import Message
from services.api.state import Parts


@dataclass(frozen=True, slots=True)
class OrganizationView:
    """Somebody's view of an organization.

    Attributes:
        of: the API's parts.
        principal: who listens.
        organization: its id.
    """

    of: Parts
    principal: Principal
    organization: str

    async def stores(self, session: AsyncSession, principal: Principal) -> Sequence[str]:
        """Which stores there are for a principal.

        Raises:
            NotFound: the organization is not for them.
        """
        return [store.id for store in await present_stores_of(session, principal, self.organization)]

    async def begin(self, listener: Listener, stores: Sequence[str]) -> None:
        """Say which stores there are, and show them."""
        listener.mailbox.put(self._list(()))
        await self._follow(listener, stores)

    async def look(self, listener: Listener) -> None:
        """Follow the stores of this moment: where they are others, say which, and show those that are new.

        Raises:
            Unauthorized: who listens has signed out.
            NotFound: the organization is not for them any more.
        """
        await self._follow(listener, await ask_again(self.of, self.principal, self.stores))

    async def _follow(self, listener: Listener, stores: Sequence[str]) -> None:
        for store in listener.stores.difference(stores):
            self.of.hub.exit(listener, store)
            listener.mailbox.put(self._list(listener.stores))
        new = [store for store in stores if store not in listener.stores]
        if not new:
            return
        for store in new:  # before the snapshots are read, so that nothing falls between the two
            self.of.hub.enter(listener, store)
        try:
            snapshots = await self.of.feed.snapshots(new)
        except BaseException:
            for store in new:  # next time
                self.of.hub.exit(listener, store)
            raise
        for message in (self._list(listener.stores), *snapshots):
            listener.mailbox.put(message)

    def _list(self, stores: Iterable[str]) -> Message:
        return messages.stores(self.organization, stores, self.of.clock())
