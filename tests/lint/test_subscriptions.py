"""The lint of subscriptions finds those that bypass FastStream, and lets others be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lint.measurements import ROOT
from tests.lint.subscriptions import ALLOWED, problems


@pytest.mark.parametrize(
    ("call", "raw"),
    [
        ("bus.client.subscribe(subject, cb=take)", True),
        ("self._bus.js.pull_subscribe(subject)", True),
        ("client.subscribe", False),
        ("subscribed(bus.broker, subject, take)", False),
        ("broker.subscriber(subject)", False),
    ],
)
def test_a_raw_subscription_is_found(tmp_path: Path, call: str, raw: bool) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "feed.py").write_text(f"{call}\n")

    assert bool(problems(tmp_path)) is raw


def test_the_services_have_none() -> None:
    assert problems(ROOT) == []


def test_modules_that_may_subscribe_exist() -> None:
    assert [path for path in ALLOWED if not (ROOT / path).exists()] == []
