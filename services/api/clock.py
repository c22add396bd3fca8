"""The time, injected so that tests can set it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present time, aware."""


def utc_now() -> datetime:
    """The present time, UTC."""
    return datetime.now(UTC)
