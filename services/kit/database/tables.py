"""The tables of Postgres: configuration (organizations, stores, cameras, lines) and the record of counts.

Persistence owns the migrations of all tables and writes the record; the api owns the configuration and reads the
record. Accounts and rights are in `services.kit.database.account_tables`. Times are timestamptz. Every count is keyed
by run, so that a replay's counts lie beside the live ones.
"""

from __future__ import annotations

from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from services.kit.database.occupancy import RESET


class Organization(SQLModel, table=True):
    """A tenant: owner of stores."""

    id: str = Field(primary_key=True)
    name: str
    months_kept: int | None = None
    """Months after which its crossings and counts are removed; None keeps them."""
    demo: bool = False
    """True where its counts are invented, for a demonstration."""
    second_factor: bool = False
    """True where members need a second factor, if they sign in at this installation."""


class Store(SQLModel, table=True):
    """A shop. Its days begin and end in its time zone."""

    id: str = Field(primary_key=True)
    organization: str = Field(foreign_key="organization.id", index=True)
    name: str
    time_zone: str = "UTC"
    opening_hours: dict[str, object] = Field(default_factory=dict, sa_type=JSON)
    """A `services.api.stores.opening_hours.OpeningHours`; empty is always open."""
    capacity: int | None = None
    """Most people allowed inside at a time; None where it is not set."""
    occupancy_reset: time = RESET
    """Local time, the beginning of a quarter hour, at which the store is empty (`services.kit.database.occupancy`)."""


class Camera(SQLModel, table=True):
    """A camera of a store: its settings, its spec's revision, and its source address."""

    id: str = Field(primary_key=True)
    store: str = Field(foreign_key="store.id", index=True)
    name: str = ""
    revision: int = 1
    """Rises with every change of the camera or its lines."""
    address: str
    """Source address, sealed whole (`services.kit.vault`); in the clear only for a file, a device or a simulation
    without a secret key. The API shows it by the rules of `contracts.address`; it is never logged."""
    trusted: bool = False
    """True where a superadmin or the machine's operator set the address: it may then reach this machine itself."""
    start: int | None = Field(default=None, sa_type=BigInteger)
    """Of a file: captured_at of its first frame, ns UTC; None lets ingest take the time of the first opening."""
    again: int = 0
    model: str
    policy: str
    fps: float | None = None
    width: int = 960
    quality: int = 85
    track: int | None = None
    """The video track to read; None is the main one."""
    rate: float | None = None
    """Frames per second of a file with wrong times; None takes its times."""
    preview_fps: float = 4.0
    detection: dict[str, object] = Field(default_factory=dict, sa_type=JSON)
    """The region filter, a `contracts.area.DetectionArea`; empty keeps all detections."""
    paused: bool = False
    record: bool = False
    """True where its frames are kept for a while, for replays."""


class Line(SQLModel, table=True):
    """A counting line of a camera, normalised coordinates."""

    camera: str = Field(primary_key=True, foreign_key="camera.id")
    id: str = Field(primary_key=True)
    name: str = ""
    revision: int = 1
    x1: float
    y1: float
    x2: float
    y2: float
    in_side: str
    anchor: str
    in_name: str = ""
    out_name: str = ""


class ZoneRow(SQLModel, table=True):
    """A named area of a camera's picture: a `contracts.area.Zone`."""

    __tablename__ = "zone"

    camera: str = Field(primary_key=True, foreign_key="camera.id")
    id: str = Field(primary_key=True)
    name: str = ""
    polygon: list[list[float]] = Field(sa_type=JSON)


class CameraHealth(SQLModel, table=True):
    """A change of a camera's status by a service: another state or message than before. Deleted with the camera."""

    __tablename__ = "camera_health"
    __table_args__ = (Index("camera_health_by_time", "camera", "at"),)

    camera: str = Field(primary_key=True, foreign_key="camera.id", ondelete="CASCADE")
    service: str = Field(primary_key=True)
    at: datetime = Field(primary_key=True, sa_type=DateTime(timezone=True))
    """Time of the change, by the service's clock."""
    state: str
    message: str = ""
    """The problem and its remedy. Never holds a password."""
    session: str | None = None


class CrossingRow(SQLModel, table=True):
    """A crossing, in month partitions by `at`, which is therefore part of the key."""

    __tablename__ = "crossing"
    __table_args__ = (
        Index("crossing_by_time", "run", "store", "at"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    run: str = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    at: datetime = Field(primary_key=True, sa_type=DateTime(timezone=True))
    at_ns: int = Field(sa_type=BigInteger)
    """`at` to the nanosecond, as in the event."""
    store: str
    camera: str
    line: str
    line_revision: int
    direction: str
    session: str
    seq: int = Field(sa_type=BigInteger)
    place: float
    spec_revision: int
    model: str | None = None
    model_sha256: str | None = None
    model_precision: str | None = None


class _Bucket(SQLModel):
    """INs and OUTs of a line in a bucket of time, UTC."""

    run: str = Field(primary_key=True)
    store: str = Field(primary_key=True)
    camera: str = Field(primary_key=True)
    line: str = Field(primary_key=True)
    bucket: datetime = Field(primary_key=True, sa_type=DateTime(timezone=True))
    ins: int = 0
    outs: int = 0


def _by_time(bucket: str) -> PrimaryKeyConstraint:
    """Primary key that orders a store's rows by time, as queries read all lines between two moments."""
    return PrimaryKeyConstraint("run", "store", bucket, "camera", "line")


class CountQuarter(_Bucket, table=True):
    """INs and OUTs of a line in a quarter of an hour, UTC."""

    __tablename__ = "count_quarter"
    __table_args__ = (_by_time("bucket"),)


class CountMinute(_Bucket, table=True):
    """INs and OUTs of a line in a minute, UTC; kept for 48 hours."""

    __tablename__ = "count_minute"
    __table_args__ = (_by_time("bucket"),)


class CountDay(SQLModel, table=True):
    """INs and OUTs of a line on a local date of its store."""

    __tablename__ = "count_day"
    __table_args__ = (_by_time("day"),)

    run: str = Field(primary_key=True)
    store: str = Field(primary_key=True)
    camera: str = Field(primary_key=True)
    line: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    ins: int = 0
    outs: int = 0


class OccupancyCorrection(SQLModel, table=True):
    """A correction of the occupancy by hand. The api may add corrections, but neither change nor remove them."""

    __tablename__ = "occupancy_correction"
    __table_args__ = (Index("occupancy_correction_by_time", "store", "at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True),))
    store: str
    at: datetime = Field(sa_type=DateTime(timezone=True))
    inside: int
    """Number of people inside, by the correction."""
    counted: int
    """Occupancy as counted at that moment."""
    who: str


class StoreVersion(SQLModel, table=True):
    """The version of a store's counts, the id of its server-sent events: rises with every commit that changes them."""

    __tablename__ = "store_version"

    run: str = Field(primary_key=True)
    store: str = Field(primary_key=True)
    version: int = Field(sa_type=BigInteger)
    last_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    time_zone: str = "UTC"
    """The time zone by which the store's `count_day` is folded now; if the store's own differs, it must be rebuilt."""


class Promotion(SQLModel, table=True):
    """A run's counts in place of the live ones, for a line and a period; see `promotions`.

    From `since` until before `until`, both on a quarter of an hour. A row is never deleted, only revoked.
    """

    __tablename__ = "promotion"
    __table_args__ = (
        Index("promotion_in_force", "store", "camera", "line", "since", postgresql_where=text("revoked_at IS NULL")),
    )

    id: int | None = Field(default=None, sa_column=Column(Integer, Identity(), primary_key=True))
    store: str
    camera: str
    line: str
    since: datetime = Field(sa_type=DateTime(timezone=True))
    until: datetime = Field(sa_type=DateTime(timezone=True))
    run: str
    at: datetime = Field(sa_type=DateTime(timezone=True))
    who: str
    note: str = ""
    revoked_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    revoked_by: str | None = None


class SessionCount(SQLModel, table=True):
    """Number of a session's crossings in `crossing`: shows when all before the session's end have arrived."""

    __tablename__ = "session_count"

    run: str = Field(primary_key=True)
    camera: str = Field(primary_key=True)
    session: str = Field(primary_key=True)
    crossings: int = 0
    store: str
    last_at: datetime = Field(sa_type=DateTime(timezone=True))
    """Time of its newest crossing: a session is removed with the last of its crossings."""


class CoverageRow(SQLModel, table=True):
    """An interval in which a line was counted without a gap; `until` grows while it lasts. See `contracts.events`."""

    __tablename__ = "coverage"
    __table_args__ = (
        PrimaryKeyConstraint("run", "store", "camera", "line", "start"),
        Index("coverage_by_time", "run", "store", "until"),
    )

    run: str = Field(primary_key=True)
    store: str = Field(primary_key=True)
    camera: str = Field(primary_key=True)
    line: str = Field(primary_key=True)
    start: datetime = Field(primary_key=True, sa_type=DateTime(timezone=True))
    until: datetime = Field(sa_type=DateTime(timezone=True))


class RunSession(SQLModel, table=True):
    """A session that ended, stored once all its crossings are in. Tests and the command line wait for this row.

    The camera is part of the key: two cameras that play the same file from the same start have the same session.
    """

    __tablename__ = "run_session"

    run: str = Field(primary_key=True)
    camera: str = Field(primary_key=True)
    session: str = Field(primary_key=True)
    store: str
    reason: str
    at: datetime = Field(sa_type=DateTime(timezone=True))
    frames: int
    skipped: int
    missed: int
    count: int
