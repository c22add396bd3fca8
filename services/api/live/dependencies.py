"""Dependencies of the endpoints of live streams."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends
from sqlmodel.ext.asyncio.session import AsyncSession

from services.api.access.principal import Principal
from services.api.auth.dependencies import AuthenticatorDep, HoldDep, PrincipalDep
from services.api.dependencies import BusDep, ClockDep, SessionsDep, SettingsDep, component
from services.api.live import messages
from services.api.live.feed import LiveFeed
from services.api.live.hub import Hub, Listener
from services.api.live.stream import LiveStream, RightsCheck
from services.api.quotas import QuotaKind

Answer = TypeVar("Answer")

HubDep = Annotated[Hub, component("hub")]
FeedDep = Annotated[LiveFeed, component("feed")]


@dataclass(frozen=True, slots=True)
class StreamOpener:
    """Opens live streams for the principal of a request."""

    principal: PrincipalDep
    authenticator: AuthenticatorDep
    sessions: SessionsDep
    hub: HubDep
    feed: FeedDep
    bus: BusDep
    settings: SettingsDep
    clock: ClockDep
    hold: HoldDep

    @contextmanager
    def share(self, organization: str) -> Iterator[ExitStack]:
        """A part of the quota of streams, released at the end unless a stream has taken it over."""
        with ExitStack() as share:
            share.enter_context(self.hold(QuotaKind.STREAM, organization))
            yield share

    async def ask_again(self, question: Callable[[AsyncSession, Principal], Awaitable[Answer]]) -> Answer:
        """Answer a question with the rights that the principal has now; see `Authenticator.ask_again`."""
        return await self.authenticator.ask_again(self.principal, question)

    async def open(
        self,
        listener: Listener,
        share: ExitStack,
        look: Callable[[], Awaitable[None]],
        begin: Callable[[], Awaitable[None]] | None = None,
    ) -> LiveStream:
        """The stream of a listener's mailbox.

        Args:
            listener: has joined the hub, and leaves it where `begin` fails.
            share: the listener's part of the quota of streams, which the stream takes over.
            look: raises where the listener may listen no longer; see `RightsCheck`.
            begin: puts the first messages into the mailbox.
        """
        try:
            if begin is not None:
                await begin()
        except BaseException:  # a browser that disconnects meanwhile cancels this, and would stay in the hub for ever
            self.hub.leave(listener)
            raise
        return LiveStream(
            self.hub,
            listener,
            lambda: messages.heartbeat(self.clock(), bus=self.bus.connected),
            self.settings.heartbeat_seconds,
            RightsCheck(look, self.settings.recheck_seconds),
            share.pop_all(),
        )


StreamOpenerDep = Annotated[StreamOpener, Depends(StreamOpener)]
