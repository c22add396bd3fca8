"""Schemas of runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from contracts.identity import Token, to_datetime, to_ns
from contracts.runs import Run, RunKind, RunPhase, RunProgress
from services.api.cameras.schemas import LineIn
from services.api.http.bodies import Incoming
from services.api.stores.schemas import LineOut

MAX_CAMERAS, MAX_LINES = 16, 50
WARM_UP = 5.0
"""Minutes of data before a period. People in view at its begin have usually entered the frame within this time."""


class RunIn(Incoming):
    """Stored data to be processed once more, and what is to be different."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "kind": "detections",
                "cameras": ["door"],
                "since": "2026-11-23T09:00:00+01:00",
                "until": "2026-11-23T18:00:00+01:00",
            }
        }
    )

    kind: RunKind = Field(
        description="The data to start from. `frames`: detect, track and count again; `detections`: track and count "
        "again; `paths`: count one camera's stored paths over other lines.",
        examples=["detections"],
    )
    cameras: Annotated[tuple[Token, ...], Field(min_length=1, max_length=MAX_CAMERAS, examples=[["door"]])]
    since: AwareDatetime = Field(description="Begin of the counts.", examples=["2026-11-23T09:00:00+01:00"])
    until: AwareDatetime = Field(description="End, exclusive.", examples=["2026-11-23T18:00:00+01:00"])
    name: Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z0-9_-]*$")] = Field(
        default="", description="The beginning of the run's name; a random part is added.", examples=["moved"]
    )
    speed: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = Field(
        default=None, description="Multiple of the original speed; as fast as possible if omitted."
    )
    lines: Annotated[tuple[LineIn, ...], Field(min_length=1, max_length=MAX_LINES)] | None = Field(
        default=None, description="Lines in place of the camera's own, for one camera."
    )
    model: Token | None = Field(default=None, description="Detection model in place of the cameras', for frames.")
    warm_up: Annotated[float, Field(ge=0, le=60)] = Field(
        default=WARM_UP, description="Minutes of data before `since`, for the tracker to find the people in view."
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if not 0 < to_ns(self.since) < to_ns(self.until):
            raise ValueError("until must come after since")
        if len(set(self.cameras)) != len(self.cameras):
            raise ValueError("each camera is named once")
        if len(self.cameras) > 1 and (self.lines is not None or self.kind is RunKind.PATHS):
            raise ValueError("lines, and runs of paths, are for one camera")
        if self.model is not None and self.kind is not RunKind.FRAMES:
            raise ValueError("another model needs frames")
        return self


class RunCameraOut(BaseModel):
    """A camera of a run."""

    camera: str
    store: str


class RunOut(BaseModel):
    """A run. Its counts are at the addresses of the live ones, with `?run=` and its name."""

    name: str
    kind: RunKind
    phase: RunPhase
    reason: str = Field(description="Why it failed; empty otherwise.")
    cameras: list[RunCameraOut]
    since: datetime
    until: datetime
    created_at: datetime
    by: str = Field(description="Who asked for it; empty where that is not known.")
    speed: float | None
    model: str | None
    lines: list[LineOut] | None = Field(description="Lines in place of the camera's own.")
    done: float = Field(description="The part that is done, 0 … 1.")
    notes: list[str] = Field(description="What whoever waits should know, such as a model that is missing.")

    @classmethod
    def of(cls, run: Run, progress: RunProgress) -> RunOut:
        """The schema of a run's entry and its progress."""
        return cls(
            name=run.name,
            kind=run.kind,
            phase=run.stands,
            reason=run.reason,
            cameras=[RunCameraOut(camera=camera.camera, store=camera.store) for camera in run.cameras],
            since=to_datetime(run.since),
            until=to_datetime(run.until),
            created_at=to_datetime(run.created_at),
            by=run.request.by if run.request else "",
            speed=run.speed,
            model=run.model,
            lines=None if run.lines is None else [LineOut.model_validate(line.model_dump()) for line in run.lines],
            done=1.0 if run.stands is RunPhase.FINISHED else progress.done,
            notes=list(progress.notes),
        )
