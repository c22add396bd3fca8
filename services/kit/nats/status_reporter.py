"""Statuses of cameras, as the services report them: the one place that builds and publishes them."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass
from time import monotonic

from contracts.events import Model, State, Status
from contracts.identity import LIVE
from contracts.subjects import status
from services.kit.nats.bus import Bus

ON_CHANGE = math.inf
"""The interval of a reporter that reports changes alone."""


@dataclass(frozen=True, slots=True)
class _Report:
    """A camera's last report: its state, the monotonic time in seconds, and the count of frames by then."""

    state: State
    message: str
    at: float
    frames: int = 0


class StatusReporter:
    """Publishes the statuses that one service gives to cameras.

    Args:
        bus: the connection.
        service: its name.
        every: seconds after which a status that stays the same is reported again; 0 reports each time.
        clock: the time in ns UTC.
        log_change: writes a line to the log for each change, as `log.info` does.
    """

    def __init__(
        self,
        bus: Bus,
        service: str,
        *,
        every: float = 0.0,
        clock: Callable[[], int] = time.time_ns,
        log_change: Callable[..., object] | None = None,
    ) -> None:
        self._bus, self._service, self._every = bus, service, every
        self._clock, self._log_change = clock, log_change
        self._last: dict[str, _Report] = {}

    async def report(
        self,
        store: str,
        camera: str,
        state: State,
        message: str = "",
        *,
        code: str | None = None,
        params: Mapping[str, object] | None = None,
        run: str = LIVE,
        publish: Callable[[str, bytes], Awaitable[object]] | None = None,
        earlier: tuple[State, str] | None = None,
        session: str | None = None,
        model: Model | None = None,
        frames: int | None = None,
        dropped: int = 0,
    ) -> None:
        """Publish a status if it is due.

        A change is due at once. The same status again, or another message of a running camera, is due `every` seconds
        after the last report; it has the frames per second since then.

        Args:
            store: of the camera.
            camera: its id.
            state: its state, as the service sees it.
            message: the problem and its remedy.
            code: name of the kind of message, in kebab-case.
            params: the values in the message, by name.
            run: the run that is reported about.
            publish: takes subject and payload; by default `Bus.publish`, which waits through an outage.
            earlier: state and message that count as reported where this reporter has reported nothing yet.
            session: of the camera's frames.
            model: the detector's.
            frames: published so far.
            dropped: frames that were not published.

        Raises:
            ValueError: a store or camera with an id that is no name on the bus.
            Exception: the errors of `publish`; the status is then reported again.
        """
        now, fps = monotonic(), None
        last = self._last.get(camera) or (_Report(*earlier, at=now) if earlier else None)
        changed = last is None or (last.state, last.message) != (state, message)
        if last is not None and (not changed or last.state is state is State.RUNNING):
            if (elapsed := now - last.at) < self._every:
                return
            if elapsed and frames is not None:
                fps = round((frames - last.frames) / elapsed, 1)
        if changed and self._log_change is not None:
            self._log_change("camera", camera=camera, state=state, message=message)
        event = Status(
            run=run,
            store=store,
            camera=camera,
            service=self._service,
            state=state,
            message=message,
            code=code,
            params={name: str(value) for name, value in params.items()} if params else None,
            at=self._clock(),
            session=session,
            model=model,
            fps=fps,
            frames=frames or 0,
            dropped=dropped,
        )
        await (publish or self._bus.publish)(status(run, store, camera, self._service), event.encode())
        self._last[camera] = _Report(state, message, now, frames or 0)

    def forget_others(self, cameras: Container[str]) -> None:
        """Forget the reports of all cameras but these: one that comes back is reported anew."""
        self._last = {camera: report for camera, report in self._last.items() if camera in cameras}
