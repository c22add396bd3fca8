"""Settings of the API."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.kit.settings import DatabaseSettings


class ApiSettings(DatabaseSettings):
    """What the API needs to know."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    max_streams: Annotated[int, Field(ge=1)] = 500
    """Live streams (open dashboards) at a time. 500 take half a core at 5 events/s; the next one is told to wait."""
    reread_seconds: Annotated[float, Field(gt=0)] = 5.0
    """How often the versions of the stores that somebody watches are read: mends a lost notice."""
    heartbeat_seconds: Annotated[float, Field(gt=0)] = 5.0
    """How often a live stream says that it lives. The dashboard gives up on one that was silent for 3 of them."""
