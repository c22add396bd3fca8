"""The rules of times on the command line."""

from __future__ import annotations

import pytest

from services.cli.console.errors import CommandError
from services.cli.console.options import moment_ns

NOW = 1_767_258_000_000_000_000
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("-2h", NOW - 7200 * SECOND),
        ("2h", NOW - 7200 * SECOND),
        ("-90m", NOW - 5400 * SECOND),
        ("1d12h", NOW - 36 * 3600 * SECOND),
        ("30s", NOW - 30 * SECOND),
        ("2026-01-01T09:00:00Z", 1_767_258_000 * SECOND),
        ("2026-01-01T10:00:00+01:00", 1_767_258_000 * SECOND),
        ("2026-01-01 09:00:00.5+00:00", 1_767_258_000 * SECOND + SECOND // 2),
    ],
)
def test_a_moment_is_one_of_the_calendar_or_so_long_ago(text: str, moment: int) -> None:
    assert moment_ns("--since", text, NOW) == moment


@pytest.mark.parametrize("text", ["", "-", "h", "2026-01-01T09:00:00", "2026-01-01", "tomorrow", "-2y"])
def test_what_is_no_moment_or_has_no_time_zone_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match=r"--until .*give a time with its time zone.* or how long ago"):
        moment_ns("--until", text, NOW)
