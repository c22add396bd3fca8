"""Camera specs by revision: detector and tracker apply the revision that a frame names, rather than the newest.

A replay or recount has specs of its own, stored beside the run's entry.
"""

from __future__ import annotations

from nats.js.errors import KeyNotFoundError
from pydantic import ValidationError

from contracts.identity import LIVE
from contracts.runs import run_spec_key
from contracts.spec import CameraSpec, spec_key
from contracts.streams import CAMERAS, RUNS
from services.kit.logs import logger
from services.kit.nats.bus import Bus
from services.kit.retry import Backoff, retry

CACHE_SIZE = 512
PATIENCE = 30.0
"""Seconds that a missing revision is waited for, by default."""

log = logger()


class Specs:
    """Cache of the specs of one run. A revision never changes, so each is read once.

    Args:
        bus: the connection.
        patience: seconds that a missing revision is waited for; None for `PATIENCE`.
        run: `live`, or the name of another run.
    """

    def __init__(self, bus: Bus, patience: float | None = None, *, run: str = LIVE) -> None:
        self._bus, self._run = bus, run
        self._patience = PATIENCE if patience is None else patience
        self._known: dict[tuple[str, int], CameraSpec] = {}
        self._missing: set[tuple[str, int]] = set()

    async def get(self, camera: str, revision: int) -> CameraSpec:
        """A camera's spec at a revision.

        Waits while the broker is away, and up to `patience` for a missing revision: without its lines the frame's
        people would be lost. A revision that never comes (an event with a wrong number, a bucket restored from an old
        copy) must not hold up the other cameras: it gives a spec without lines, by which nothing is counted.
        """
        known = self._known.get((camera, revision)) or await self._read(camera, revision)
        if known is None:
            if len(self._missing) >= CACHE_SIZE:
                self._missing.clear()
            self._missing.add((camera, revision))
            return CameraSpec(store=camera, camera=camera, revision=revision)
        if len(self._known) >= CACHE_SIZE:
            self._known.clear()
        self._known[camera, revision] = known
        return known

    async def _read(self, camera: str, revision: int) -> CameraSpec | None:
        """The spec; None where it is missing for longer than the patience, which is spent once for each revision."""
        live = self._run == LIVE
        bucket = await self._bus.bucket(CAMERAS if live else RUNS)
        key = spec_key(camera, revision) if live else run_spec_key(self._run, camera, revision)
        backoff, missed = Backoff(), 0.0  # only the waits for a missing spec cost patience, not those for the broker
        patience = 0.0 if (camera, revision) in self._missing else self._patience
        while True:
            try:
                entry = await retry(
                    lambda: bucket.get(key),
                    "reading a spec failed, trying again",
                    is_permanent=lambda error: isinstance(error, KeyNotFoundError),
                    camera=camera,
                )
                return CameraSpec.model_validate_json(entry.value or b"")
            except (KeyNotFoundError, ValidationError) as error:
                if missed >= patience:
                    if patience:
                        log.error("no spec: nobody is counted", camera=camera, revision=revision, reason=str(error))
                    return None
                if missed == 0.0:
                    log.warning("waiting for a spec", camera=camera, revision=revision, reason=str(error))
                missed += await backoff.wait()
