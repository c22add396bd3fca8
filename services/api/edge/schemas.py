"""A batch of crossings from the edge, and the answer to each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema

from contracts.identity import Token
from services.api.http.bodies import Incoming

MAX_EVENTS = 500


class EdgeCrossing(Incoming):
    """A person went over a line."""

    id: str = Field(
        min_length=1,
        max_length=100,
        description="The worker's own: any text, another for each crossing. What is sent again under it counts once.",
        examples=["2026-11-23/000017"],
    )
    camera: Token = Field(examples=["door"])
    line: Token = Field(examples=["entrance"])
    direction: Literal["in", "out"]
    at: AwareDatetime = Field(description="When, with its offset.", examples=["2026-11-23T09:20:00.250+01:00"])
    place: float = Field(default=0.5, ge=0, le=1, description="How far along the line, from its first point.")


class EdgeBatch(BaseModel):
    """Crossings of one store, of whichever of its cameras."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Each is read by itself, so that one that is broken holds up no other.
    events: list[Annotated[JsonValue, WithJsonSchema(EdgeCrossing.model_json_schema())]] = Field(
        min_length=1, max_length=MAX_EVENTS
    )


class EdgeAnswer(BaseModel):
    """What became of a crossing."""

    id: str | None = Field(description="The worker's id; null where there was none to be read.")
    status: Literal["accepted", "duplicate", "refused"] = Field(
        description="`accepted`: it will be counted, once. `duplicate`: it is counted already. `refused`: `detail` "
        "says why, and sending it again changes nothing."
    )
    detail: str | None = None


class EdgeAnswers(BaseModel):
    """The answers, in the order of the events."""

    accepted: int
    duplicates: int
    refused: int
    events: list[EdgeAnswer]
