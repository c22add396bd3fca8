"""The refusals of NATS: told once, and present for as long as they go on."""

from __future__ import annotations

import pytest

from services.kit.nats.connection import NotPermitted
from services.kit.nats.permission_errors import MEMORY, MOST, Refusals


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def refusals(clock: Clock) -> Refusals:
    return Refusals("tracker", clock)


def test_what_is_refused_again_and_again_is_told_once(refusals: Refusals, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        refusals.note(NotPermitted("publish to here"))
    refusals.note(NotPermitted("publish to there"))

    assert refusals.present == ("publish to here", "publish to there")
    told = capsys.readouterr().out
    assert (told.count("publish to here"), told.count("publish to there")) == (1, 1)


def test_it_is_present_until_a_minute_after_the_last_time(refusals: Refusals, clock: Clock) -> None:
    refusals.note(NotPermitted("publish to here"))
    clock.now = MEMORY - 1
    refusals.note(NotPermitted("publish to here"))

    clock.now = 2 * MEMORY - 2
    assert refusals.present == ("publish to here",)
    clock.now = 2 * MEMORY
    assert not refusals.present


def test_another_connection_begins_anew(refusals: Refusals) -> None:
    refusals.note(NotPermitted("publish to here"))
    refusals.forget()

    assert not refusals.present


def test_thousands_are_not_kept_and_those_of_long_ago_make_room(refusals: Refusals, clock: Clock) -> None:
    for number in range(2 * MOST):
        refusals.note(NotPermitted(f"subscribe to _INBOX.{number}"))
    assert len(refusals.present) == MOST

    clock.now = 2 * MEMORY
    refusals.note(NotPermitted("publish to here"))
    assert refusals.present == ("publish to here",)
