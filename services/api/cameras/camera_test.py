"""Camera tests: the API requests one frame of a source from ingest, while the client waits for it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from contracts.probe import Probe, Probed
from contracts.subjects import PROBE, PROBE_CANCEL
from services.api.cameras.repository import sealed
from services.api.cameras.schemas import ProbeOut
from services.api.http.problems import Unavailable
from services.kit.nats.bus import Bus
from services.kit.tasks import cancel_and_wait
from services.kit.vault import CannotOpen, Vault, is_sealed

SECONDS = 40.0
"""Time-out. Opening may take 10 s, reading 10, a diagnosis another 10; and other tests may come first."""
POLL_SECONDS = 0.25
"""Interval for checking whether the client has disconnected."""


async def try_out(
    bus: Bus,
    vault: Vault,
    address: str,
    *,
    trusted: bool,
    organization: str,
    gone: Callable[[], Awaitable[bool]],
) -> ProbeOut | None:
    """Let ingest grab one frame of an address; cancel it when the client disconnects.

    Args:
        bus: carries the request.
        vault: seals the address in transit.
        address: in the clear, or sealed.
        trusted: whether it may reach this machine itself.
        organization: for ingest's turns, which organizations take alternately.
        gone: tells whether the client has disconnected.

    Returns:
        The result; None if the client has disconnected.

    Raises:
        Unavailable: no ingest responds, or there is no secret key to seal the address with.
    """
    probe = Probe(
        address=_sealed_in_transit(address, vault),
        trusted=trusted,
        organization=organization,
        id=uuid4().hex,
        expires_at=time.time_ns() + round(SECONDS * 1e9),
    )
    asking = asyncio.create_task(_ask(bus, probe), name="a camera test")
    try:
        while not asking.done():
            if await gone():
                return None
            await asyncio.wait([asking], timeout=POLL_SECONDS)
        return _result(await asking)
    finally:
        if not asking.done() or asking.cancelled() or asking.exception() is not None:
            await cancel_and_wait(asking)
            with suppress(NatsError):
                await bus.send(PROBE_CANCEL, probe.id.encode())


def _sealed_in_transit(address: str, vault: Vault) -> str:
    if is_sealed(address):
        return address
    try:
        return sealed(address, vault)
    except CannotOpen as error:
        raise Unavailable(f"This address cannot be tried out: {error}.") from error


async def _ask(bus: Bus, probe: Probe) -> Probed:
    try:
        reply = await bus.client.request(PROBE, probe.model_dump_json().encode(), timeout=SECONDS)
    except NoRespondersError:
        raise Unavailable("No ingest runs that could look: start it, then try again.") from None
    except (NatsError, TimeoutError) as error:
        raise Unavailable(f"Ingest did not answer within {SECONDS:.0f} s: {error or 'time-out'}.") from error
    return Probed.model_validate_json(reply.data)


def _result(probed: Probed) -> ProbeOut:
    if not probed.works:
        return ProbeOut(works=False, message=probed.message)
    picture = base64.b64encode(probed.jpeg).decode()
    return ProbeOut(works=True, message="", picture=picture, width=probed.width, height=probed.height, fps=probed.fps)
