"""Ingest's settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.ingest.sources import OPEN_TIMEOUT, READ_TIMEOUT
from services.kit.settings import SealedSettings


class IngestSettings(SealedSettings):
    """How patient ingest is with cameras."""

    open_timeout: Annotated[float, Field(gt=0)] = OPEN_TIMEOUT
    read_timeout: Annotated[float, Field(gt=0)] = READ_TIMEOUT
