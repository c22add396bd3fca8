"""Settings of persistence."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.kit.settings import DatabaseSettings
from services.persistence.retention import LOG_MONTHS_KEPT


class PersistenceSettings(DatabaseSettings):
    """Settings of the persistence service."""

    log_months_kept: Annotated[int, Field(ge=1, le=1200)] = LOG_MONTHS_KEPT
    """Whole months before the present one for which the audit log is kept."""
