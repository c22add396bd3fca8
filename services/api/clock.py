"""What time it is: injected, so that a test can let midnight come."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the time now, aware."""


def utc_now() -> datetime:
    """The time now."""
    return datetime.now(UTC)
