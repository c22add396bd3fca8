"""Camera specs by revision: the tracker applies the one that a frame names, not the newest."""

from __future__ import annotations

from nats.errors import Error as NatsError
from nats.js.errors import KeyNotFoundError

from contracts.spec import CameraSpec, spec_key
from contracts.streams import CAMERAS
from services.kit.bus import Backoff, Bus
from services.kit.logs import logger

KEPT = 512

log = logger()


class Specs:
    """Reads each revision once; it never changes."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._known: dict[tuple[str, int], CameraSpec] = {}

    async def get(self, camera: str, revision: int) -> CameraSpec:
        """A camera's spec at a revision; waits for it, since without its lines the frame's people would be lost."""
        known = self._known.get((camera, revision))
        if known is not None:
            return known
        bucket = await self._bus.bucket(CAMERAS)
        backoff, told = Backoff(), False
        while True:
            try:
                entry = await bucket.get(spec_key(camera, revision))
                break
            except (KeyNotFoundError, NatsError, TimeoutError, OSError) as error:
                if not told:
                    log.warning("waiting for a spec", camera=camera, revision=revision, reason=str(error))
                    told = True
                await backoff.wait()
        spec = CameraSpec.model_validate_json(entry.value or b"")
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[camera, revision] = spec
        return spec
