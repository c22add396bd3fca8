"""Camera tests: the API requests one frame of a source from ingest, while the client waits for it."""

from __future__ import annotations

import asyncio
import base64
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, Request, Response
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError

from contracts.probe import Probe, Probed
from contracts.subjects import PROBE, PROBE_CANCEL
from services.api.auth.dependencies import HoldDep
from services.api.cameras.addresses import sealed
from services.api.cameras.schemas import ProbeOut
from services.api.dependencies import BusDep, VaultDep
from services.api.http.problems import Unavailable
from services.api.quotas import QuotaKind
from services.kit.nats.bus import Bus
from services.kit.tasks import cancel_and_wait
from services.kit.vault import CannotOpen, Vault, is_sealed

SECONDS = 40.0
"""Time-out. Opening may take 10 s, reading 10, a diagnosis another 10; and other tests may come first."""
POLL_SECONDS = 0.25
"""Interval for checking whether the client has disconnected."""


@dataclass(frozen=True, slots=True)
class CameraTests:
    """Lets ingest grab single frames, within the quota."""

    request: Request
    bus: BusDep
    vault: VaultDep
    hold: HoldDep

    async def run(self, organization: str, address: str, *, trusted: bool) -> ProbeOut | Response:
        """Grab one frame of an address; an empty response where the client has disconnected, which cancels it.

        Args:
            organization: for the quota, and for ingest's turns, which organizations take alternately.
            trusted: whether it may reach this machine itself.

        Raises:
            Unavailable: no ingest responds, or there is no secret key to seal the address with.
        """
        with self.hold(QuotaKind.CAMERA_TEST, organization):
            probe = Probe(
                address=_sealed_in_transit(address, self.vault),
                trusted=trusted,
                organization=organization,
                id=uuid4().hex,
                expires_at=time.time_ns() + round(SECONDS * 1e9),
            )
            asking = asyncio.create_task(_ask(self.bus, probe), name="a camera test")
            try:
                while not asking.done():
                    if await self.request.is_disconnected():
                        return Response(status_code=HTTPStatus.NO_CONTENT)
                    await asyncio.wait([asking], timeout=POLL_SECONDS)
                return _result(await asking)
            finally:
                if not asking.done() or asking.cancelled() or asking.exception() is not None:
                    await cancel_and_wait(asking)
                    with suppress(NatsError):
                        await self.bus.send(PROBE_CANCEL, probe.id.encode())


CameraTestsDep = Annotated[CameraTests, Depends(CameraTests)]


def _sealed_in_transit(address: str, vault: Vault) -> str:
    if is_sealed(address):
        return address
    try:
        return sealed(address, vault)
    except CannotOpen as error:
        raise Unavailable(
            "This address cannot be tried out: {error}.", code="address-test-impossible", error=error
        ) from error


async def _ask(bus: Bus, probe: Probe) -> Probed:
    try:
        reply = await bus.client.request(PROBE, probe.model_dump_json().encode(), timeout=SECONDS)
    except NoRespondersError:
        raise Unavailable("No ingest runs that could look: start it, then try again.", code="no-ingest") from None
    except (NatsError, TimeoutError) as error:
        raise Unavailable(
            "Ingest did not answer within {seconds:.0f} s: {reason}.",
            code="ingest-timed-out",
            seconds=SECONDS,
            reason=error or "time-out",
        ) from error
    return Probed.model_validate_json(reply.data)


def _result(probed: Probed) -> ProbeOut:
    if not probed.works:
        return ProbeOut(works=False, message=probed.message)
    picture = base64.b64encode(probed.jpeg).decode()
    return ProbeOut(works=True, message="", picture=picture, width=probed.width, height=probed.height, fps=probed.fps)
