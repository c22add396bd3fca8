"""Schemas of batches of crossings from edge workers, and of the answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from contracts.identity import Token
from services.api.http.bodies import Incoming

MAX_EVENTS = 500


class EdgeCrossing(Incoming):
    """A crossing of a line by a person."""

    id: str = Field(
        min_length=1,
        max_length=100,
        description="The worker's id of the crossing: any text, unique among the worker's. Sent again, it counts once.",
        examples=["2026-11-23/000017"],
    )
    camera: Token = Field(examples=["door"])
    line: Token = Field(examples=["entrance"])
    direction: Literal["in", "out"]
    at: AwareDatetime = Field(
        description="Time of the crossing, with UTC offset.", examples=["2026-11-23T09:20:00.250+01:00"]
    )
    place: float = Field(
        default=0.5, ge=0, le=1, description="Position on the line: 0 at its first point, 1 at its second."
    )


class EdgeBatch(BaseModel):
    """Crossings of any cameras of one store."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Each is validated by itself, so that an invalid one does not stop the others.
    events: list[Annotated[JsonValue, WithJsonSchema(EdgeCrossing.model_json_schema())]] = Field(
        min_length=1, max_length=MAX_EVENTS
    )


class EdgeAnswer(BaseModel):
    """Result for one crossing."""

    id: str | None = Field(description="The worker's id; null if it could not be read.")
    status: Literal["accepted", "duplicate", "refused"] = Field(
        description="`accepted`: it will be counted once. `duplicate`: it is counted already. `refused`: see `detail`; "
        "sending it again has the same result."
    )
    detail: str | None = None


class EdgeAnswers(BaseModel):
    """Results, in the order of the events."""

    accepted: int
    duplicates: int
    refused: int
    events: list[EdgeAnswer]
