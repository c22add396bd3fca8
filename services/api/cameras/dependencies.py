"""Dependencies of the endpoints of cameras."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request, Response

from services.api.auth.dependencies import HoldDep
from services.api.cameras.camera_test import try_out
from services.api.cameras.schemas import ProbeOut
from services.api.dependencies import BusDep, VaultDep
from services.api.quotas import QuotaKind


@dataclass(frozen=True, slots=True)
class CameraTests:
    """Tests source addresses, within the quota, until the client disconnects."""

    request: Request
    bus: BusDep
    vault: VaultDep
    hold: HoldDep

    async def run(self, organization: str, address: str, *, trusted: bool) -> ProbeOut | Response:
        """Grab one frame of an address; an empty response where the client has disconnected."""
        with self.hold(QuotaKind.CAMERA_TEST, organization):
            result = await try_out(
                self.bus,
                self.vault,
                address,
                trusted=trusted,
                organization=organization,
                gone=self.request.is_disconnected,
            )
        return Response(status_code=HTTPStatus.NO_CONTENT) if result is None else result


CameraTestsDep = Annotated[CameraTests, Depends(CameraTests)]
