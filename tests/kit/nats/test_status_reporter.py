"""The rules of reporting a camera's status: changes at once, repeats at intervals, nothing forgotten by an outage."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from nats.errors import Error as NatsError

from contracts.events import Model, State, Status
from contracts.streams import STATUS
from services.kit.nats import status_reporter as module
from services.kit.nats.bus import Bus
from services.kit.nats.status_reporter import ON_CHANGE, StatusReporter
from services.kit.settings import ServiceSettings
from tests.support.broker import connected, stored


class Wire:
    """Keeps the statuses that are published."""

    def __init__(self) -> None:
        self.statuses: list[Status] = []
        self.error: Exception | None = None

    async def publish(self, _: str, payload: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.statuses.append(Status.model_validate_json(payload))

    @property
    def states(self) -> list[tuple[State, str]]:
        return [(status.state, status.message) for status in self.statuses]


class Clock:
    """A monotonic clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wire() -> Wire:
    """Takes what is published."""
    return Wire()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The reporters' clock."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
async def bus(settings: ServiceSettings) -> AsyncIterator[Bus]:
    """A bus with all streams."""
    async with connected(settings, everything=True) as bus:
        yield bus


async def test_a_status_is_stored_under_the_subject_of_its_camera_and_service(bus: Bus) -> None:
    reporter = StatusReporter(bus, "detector", clock=lambda: 7)

    await reporter.report("shop", "door", State.RUNNING, model=Model(name="m", sha256=""), session="s")

    msg = await bus.js.get_last_msg(STATUS.name, "metrica.live.status.shop.door.detector")
    status = Status.model_validate_json(msg.data or b"")
    assert (status.run, status.store, status.camera, status.service) == ("live", "shop", "door", "detector")
    assert (status.state, status.at, status.session) == (State.RUNNING, 7, "s")
    assert status.model is not None
    assert len(await stored(bus, STATUS.name)) == 1


class TestDue:
    async def test_without_an_interval_each_report_is_published(self, bus: Bus, wire: Wire) -> None:
        reporter = StatusReporter(bus, "detector")

        for _ in range(3):
            await reporter.report("shop", "door", State.NO_MODEL, "put it there", publish=wire.publish)

        assert wire.states == [(State.NO_MODEL, "put it there")] * 3

    async def test_a_change_is_published_at_once_and_a_repeat_after_the_interval(
        self, bus: Bus, wire: Wire, clock: Clock
    ) -> None:
        reporter = StatusReporter(bus, "ingest", every=10)
        for state, seconds in [(State.RUNNING, 0), (State.RUNNING, 9), (State.RETRYING, 0), (State.RETRYING, 10)]:
            clock.now += seconds
            await reporter.report("shop", "door", state, publish=wire.publish)

        assert [state for state, _ in wire.states] == [State.RUNNING, State.RETRYING, State.RETRYING]

    async def test_another_message_is_urgent_unless_the_camera_goes_on_running(
        self, bus: Bus, wire: Wire, clock: Clock
    ) -> None:
        reporter = StatusReporter(bus, "ingest", every=10)
        for state, message in [
            (State.RUNNING, ""),
            (State.RUNNING, "note"),
            (State.RETRYING, "a"),
            (State.RETRYING, "b"),
        ]:
            await reporter.report("shop", "door", state, message, publish=wire.publish)
        assert wire.states == [(State.RUNNING, ""), (State.RETRYING, "a"), (State.RETRYING, "b")]

        await reporter.report("shop", "door", State.RUNNING, publish=wire.publish)
        clock.now += 10
        await reporter.report("shop", "door", State.RUNNING, "note", publish=wire.publish)

        assert wire.states[-1] == (State.RUNNING, "note")

    async def test_a_reporter_of_changes_never_repeats(self, bus: Bus, wire: Wire, clock: Clock) -> None:
        reporter = StatusReporter(bus, "detector", every=ON_CHANGE)
        for message in ("", "", "disk full", "disk full", ""):
            clock.now += 1e6
            state = State.RETRYING if message else State.RUNNING
            await reporter.report("shop", "door", state, message, publish=wire.publish)

        assert wire.states == [(State.RUNNING, ""), (State.RETRYING, "disk full"), (State.RUNNING, "")]

    async def test_cameras_are_independent_and_a_forgotten_one_is_reported_anew(self, bus: Bus, wire: Wire) -> None:
        reporter = StatusReporter(bus, "detector", every=ON_CHANGE)
        for _ in range(2):
            for camera in ("door", "exit"):
                await reporter.report("shop", camera, State.RUNNING, publish=wire.publish)
        reporter.forget_others({"exit"})
        for camera in ("door", "exit"):
            await reporter.report("shop", camera, State.RUNNING, publish=wire.publish)

        assert [status.camera for status in wire.statuses] == ["door", "exit", "door"]

    async def test_what_an_earlier_process_reported_counts_until_the_first_own_report(
        self, bus: Bus, wire: Wire
    ) -> None:
        reporter = StatusReporter(bus, "api", every=ON_CHANGE)
        running, refused = (State.RUNNING, ""), (State.REFUSED, "no line")

        await reporter.report("shop", "door", *running, earlier=running, publish=wire.publish)
        assert wire.states == []
        await reporter.report("shop", "door", *running, earlier=refused, publish=wire.publish)
        assert wire.states == [running]
        await reporter.report("shop", "door", *refused, earlier=refused, publish=wire.publish)
        assert wire.states == [running, refused]

    async def test_a_report_that_could_not_be_published_is_due_again(self, bus: Bus, wire: Wire) -> None:
        reporter = StatusReporter(bus, "api", every=ON_CHANGE)
        wire.error = NatsError()
        with pytest.raises(NatsError):
            await reporter.report("shop", "door", State.REFUSED, publish=wire.publish)
        wire.error = None

        await reporter.report("shop", "door", State.REFUSED, publish=wire.publish)

        assert wire.states == [(State.REFUSED, "")]


async def test_a_repeat_has_the_frames_per_second_since_the_last_report(bus: Bus, wire: Wire, clock: Clock) -> None:
    reporter = StatusReporter(bus, "ingest", every=10)
    for frames, seconds in [(5, 0), (80, 5), (130, 5), (170, 10)]:
        clock.now += seconds
        await reporter.report("shop", "door", State.RUNNING, frames=frames, dropped=3, publish=wire.publish)

    assert [(status.frames, status.fps) for status in wire.statuses] == [(5, None), (130, 12.5), (170, 4.0)]
    assert {status.dropped for status in wire.statuses} == {3}


async def test_a_message_has_its_code_and_values_for_programs(bus: Bus, wire: Wire) -> None:
    reporter = StatusReporter(bus, "detector")
    params = {"model": "stand-in", "seconds": 3}
    await reporter.report(
        "shop", "door", State.NO_MODEL, "No.", code="model-unavailable", params=params, publish=wire.publish
    )
    await reporter.report("shop", "door", State.RUNNING, publish=wire.publish)

    assert [(status.code, status.params) for status in wire.statuses] == [
        ("model-unavailable", {"model": "stand-in", "seconds": "3"}),
        (None, None),
    ]


async def test_each_change_is_logged_once(bus: Bus, wire: Wire, clock: Clock) -> None:
    lines: list[tuple[State, str]] = []
    reporter = StatusReporter(
        bus, "ingest", every=10, log_change=lambda _, *, camera, state, message: lines.append((state, camera))
    )
    for state in (State.STARTING, State.RUNNING, State.RUNNING, State.STOPPED):
        clock.now += 11
        await reporter.report("shop", "door", state, publish=wire.publish)

    assert lines == [(State.STARTING, "door"), (State.RUNNING, "door"), (State.STOPPED, "door")]


@pytest.mark.parametrize("ids", [("a shop", "door"), ("shop", "a.door")])
async def test_an_id_that_is_no_name_on_the_bus_is_an_error(bus: Bus, wire: Wire, ids: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        await StatusReporter(bus, "api").report(*ids, State.RUNNING, publish=wire.publish)
