"""Dependencies of the endpoints of runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from contracts.identity import TOKEN_PATTERN

RunID = Annotated[str, Path(description="The run's name.", pattern=TOKEN_PATTERN, max_length=100)]
