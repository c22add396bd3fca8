"""Recounts of a camera's stored paths over other lines, and their storage as a run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from contracts.events import Crossing, Path, SessionEnd
from contracts.frames import EndReason
from contracts.identity import LIVE, Policy, to_datetime, to_ns
from contracts.runs import Run
from contracts.spec import CameraSpec, CountingLine
from contracts.streams import PATHS, run_streams
from contracts.subjects import crossings, paths
from services.kit.local_time import moment
from services.kit.nats.bus import Bus
from services.kit.nats.consumers.ordered_consumer import OrderedConsumer
from services.replay.completion import wait_until_stored
from services.replay.errors import RunError
from services.replay.history import AROUND
from services.replay.ordered_publish import OrderedPublisher
from services.tracker.counting.recount import Recount

MARGIN = 300_000_000_000
"""Nanoseconds that are read before and after a period: people in view at its begin have usually entered the frame
within this time, and crossings that begin in it are decided within this time."""
UNPUBLISHED = 60_000_000_000
"""Nanoseconds before now whose paths may not be stored yet."""
BATCH = 256


@dataclass(frozen=True, slots=True)
class Recounted:
    """The result of a recount.

    Attributes:
        since: begin of the recounted period, ns UTC.
        until: end of the recounted period, exclusive.
        crossings: in the order in which they were decided.
        last: the last path of each session, in order.
        paths: number of paths.
        unread: number of paths that could not be decoded.
    """

    since: int
    until: int
    crossings: tuple[Crossing, ...] = ()
    last: tuple[Path, ...] = ()
    paths: int = 0
    unread: int = 0


async def recount(
    bus: Bus,
    run: str,
    spec: CameraSpec,
    lines: Sequence[CountingLine],
    since: int | None,
    until: int | None,
    now: int,
    store: str | None = None,
) -> Recounted:
    """Recount a camera.

    Args:
        bus: the connection.
        run: name of the run for the crossings.
        spec: the camera's newest.
        lines: to count over.
        since: begin of the period, ns UTC; None for the begin of the stored paths.
        until: end of the period, exclusive; None for the end of the stored paths.
        now: the present time, ns UTC.
        store: the store whose paths are meant; None for any.

    Raises:
        RunError: there is no path of the camera in that period.
    """
    work, crossings, last = Recount(run, spec.camera, lines), list[Crossing](), dict[str, Path]()
    reader = _PathReader()

    def take(msgs: Sequence[Msg]) -> None:
        for msg in msgs:
            path = reader.read(msg)
            if path is None or not (since or 0) - MARGIN <= path.at < (until or path.at + 1) + MARGIN:
                continue
            last[path.session] = path
            crossings.extend(work.take(path))

    async for msgs in _messages(bus, spec, since, store or "*"):
        await asyncio.to_thread(take, msgs)
    crossings.extend(await asyncio.to_thread(work.finish))
    if not last:
        stored = (
            f"stored are those from {moment(reader.first)} to {moment(reader.end)}"
            if reader.paths
            else "none is stored"
        )
        raise RunError(f"no paths of camera {spec.camera!r} in that period: {stored}")
    begin = reader.first if since is None else max(since, await _complete_from(bus, spec, reader.first))
    known = now - UNPUBLISHED if spec.policy is Policy.LATEST else max(now - UNPUBLISHED, reader.end + 1)
    end = min(reader.end + 1 if until is None else until, known)
    if end <= begin:
        raise RunError(f"nothing to recount from {moment(begin)} to {moment(end)}: --until must come after --since")
    within = tuple(crossing for crossing in crossings if begin <= crossing.at < end)
    return Recounted(begin, end, within, tuple(last.values()), reader.paths, reader.unread)


@dataclass(slots=True)
class _PathReader:
    """Decodes paths, and keeps account of them."""

    first: int = 0
    end: int = 0
    paths: int = 0
    unread: int = 0

    def read(self, msg: Msg) -> Path | None:
        try:
            path = Path.model_validate_json(msg.data)
        except ValidationError:
            path = None
        if path is None or not path.points:
            self.unread += 1
            return None
        self.paths += 1
        self.first = min(self.first or path.at, path.at)
        self.end = max(self.end, path.at + 1_000_000 * path.points[-1].t)
        return path


async def store_recount(bus: Bus, run: Run, recounted: Recounted) -> None:
    """Store a recount as a run, and wait until all of it is in the database.

    What an earlier try has stored is stored again, with the same ids: it adds nothing.

    Args:
        bus: the connection to NATS.
        run: of the kind `paths`, with its streams.
        recounted: its crossings.

    Raises:
        RunError: the run was dropped meanwhile.
        Superseded: another replica stores it now.
    """
    await _publish(bus, run, recounted)
    await wait_until_stored(bus, run, {(path.camera, path.session) for path in recounted.last})


async def _publish(bus: Bus, run: Run, recounted: Recounted) -> None:
    stream = run_streams(run.name).crossings
    publisher = OrderedPublisher(bus, stream, (await bus.js.stream_info(stream.name)).state.last_seq)
    counts = Counter(crossing.session for crossing in recounted.crossings)
    ends = [_end(run.name, path, counts[path.session]) for path in recounted.last]
    events: list[Crossing | SessionEnd] = [*recounted.crossings, *ends]
    for event in events:
        await publisher.publish(crossings(run.name, event.store, event.camera), event.encode(), {})
    await publisher.flush()


def _end(run: str, path: Path, count: int) -> SessionEnd:
    """Make the end of a session in a run of paths, which has no frames."""
    return SessionEnd(
        run=run,
        id=SessionEnd.identify(path.camera, path.session),
        store=path.store,
        camera=path.camera,
        session=path.session,
        at=path.at + 1_000_000 * path.points[-1].t,
        reason=EndReason.FINISHED,
        frames=0,
        skipped=0,
        count=count,
    )


async def _messages(bus: Bus, spec: CameraSpec, since: int | None, store: str) -> AsyncIterator[list[Msg]]:
    """Yield the messages of a camera's paths in stored order, from about `since` on."""
    pattern = paths(LIVE, store, spec.camera)
    try:
        newest = await bus.js.get_last_msg(PATHS.name, pattern)
    except NotFoundError:
        return
    config = ConsumerConfig(filter_subject=pattern, deliver_policy=DeliverPolicy.ALL)
    if since is not None and spec.policy is Policy.LATEST:
        # A live camera's paths are stored after they happened. A file's times are arbitrary.
        start = to_datetime(max(0, since - MARGIN - AROUND))
        config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, start
        if newest.time is not None and newest.time < start:
            return
    async with OrderedConsumer(bus, PATHS.name, config, ahead=2 * BATCH) as consumer:
        while True:
            msgs = await consumer.batch(BATCH)
            yield msgs
            if msgs[-1].metadata.sequence.stream >= (newest.seq or 0):
                return


async def _complete_from(bus: Bus, spec: CameraSpec, first: int) -> int:
    """Return the time from which the camera's paths are complete, ns UTC; `first` is the begin of the first path."""
    oldest = (await bus.js.stream_info(PATHS.name)).state.first_seq
    if oldest <= 1:
        return 0
    stored = (await bus.js.get_msg(PATHS.name, oldest)).time
    return to_ns(stored) if stored is not None and spec.policy is Policy.LATEST else first
