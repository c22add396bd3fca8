"""The terminal's lines about a camera: each change, and no attempt of many."""

from __future__ import annotations

from contracts.events import State, Status
from infra.local.status_lines import StatusLines


def _status(state: State, message: str = "") -> bytes:
    status = Status(run="live", store="store", camera="door", service="ingest", state=state, message=message, at=1)
    return status.model_dump_json().encode()


def test_a_camera_that_stays_away_is_told_once_and_its_return() -> None:
    said: list[str] = []
    news = StatusLines(said.append)
    attempt = [_status(State.STARTING), _status(State.RETRYING, "connection refused")]
    for status in [*attempt, *attempt, *attempt, _status(State.STARTING), _status(State.RUNNING)]:
        news.take(status)
    assert said == ["door (ingest): starting", "door (ingest): retrying: connection refused", "door (ingest): running"]


def test_what_is_no_status_is_passed_over() -> None:
    said: list[str] = []
    StatusLines(said.append).take(b"{")
    assert not said
