"""The stores of an organization's stream, which follow the listener's rights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal
from services.api.access.repository import present_stores_of
from services.api.live import messages
from services.api.live.dependencies import StreamOpener
from services.api.live.hub import Listener
from services.api.live.mailbox import Message


@dataclass(frozen=True, slots=True)
class OrganizationView:
    """The stores of an organization that a listener may see."""

    opener: StreamOpener
    organization: str

    async def stores(self, session: AsyncSession, principal: Principal) -> Sequence[str]:
        """The stores that a principal may see.

        Raises:
            NotFound: the principal may not see the organization.
        """
        return [store.id for store in await present_stores_of(session, principal, self.organization)]

    async def begin(self, listener: Listener, stores: Sequence[str]) -> None:
        """Send the list of stores, and their snapshots."""
        listener.mailbox.put(self._list(()))
        await self._follow(listener, stores)

    async def look(self, listener: Listener) -> None:
        """Follow the present stores: if they have changed, send the list, and snapshots of new ones.

        Raises:
            Unauthorized: the listener's sign-in has ended.
            NotFound: the principal may no longer see the organization.
        """
        await self._follow(listener, await self.opener.ask_again(self.stores))

    async def _follow(self, listener: Listener, stores: Sequence[str]) -> None:
        for store in listener.stores.difference(stores):
            self.opener.hub.exit(listener, store)
            listener.mailbox.put(self._list(listener.stores))
        new = [store for store in stores if store not in listener.stores]
        if not new:
            return
        for store in new:  # before the snapshots are read, so that no event is lost between
            self.opener.hub.enter(listener, store)
        try:
            snapshots = await self.opener.feed.snapshots(new)
        except BaseException:
            for store in new:  # tried again at the next check
                self.opener.hub.exit(listener, store)
            raise
        for message in (self._list(listener.stores), *snapshots):
            listener.mailbox.put(message)

    def _list(self, stores: Iterable[str]) -> Message:
        return messages.stores(self.organization, stores, self.opener.clock())
