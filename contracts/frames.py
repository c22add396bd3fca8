"""A frame on the bus: raw JPEG bytes with these headers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.identity import Nanoseconds, Pixels, Policy, Revision, Seq, Token, frame_id

PREFIX = "Metrica-"


class EndReason(StrEnum):
    """Why a session ended."""

    FINISHED = "finished"
    """The file or simulation was read to its end."""
    LOST = "lost"
    """The camera went away."""
    STOPPED = "stopped"
    """The camera was paused, changed or removed, or its ingest was stopped."""


class FrameHeader(BaseModel):
    """What is known of a frame without decoding it.

    `previous` is the seq of the frame published before this one in the session, None for the first. `width` and
    `height` are pixels of the JPEG, the frame of reference of every box made from it. A header with `end` carries no
    picture: it closes the session, `seq` being one past the last frame's.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int = 1
    run: Token
    store: Token
    camera: Token
    session: Token
    seq: Seq
    previous: Seq | None = None
    captured_at: Nanoseconds
    width: Pixels
    height: Pixels
    spec_revision: Revision
    policy: Policy
    end: EndReason | None = None
    traceparent: str = ""

    @property
    def id(self) -> str:
        """The frame's name, less the run."""
        return frame_id(self.camera, self.session, self.seq)

    def to_headers(self) -> dict[str, str]:
        """NATS headers; fields that are None stay out."""
        fields = self.model_dump(mode="json", exclude_none=True)
        headers = {PREFIX + name.replace("_", "-").title(): str(value) for name, value in fields.items() if value != ""}
        headers["Nats-Msg-Id"] = f"{self.run}/{self.id}"
        headers["Content-Type"] = "image/jpeg"
        return headers

    @classmethod
    def from_headers(cls, headers: Mapping[str, str] | None) -> FrameHeader:
        """Read a frame's headers.

        Raises:
            MalformedFrame: a header is missing or cannot be read; the message names it.
        """
        fields = {
            name.removeprefix(PREFIX).replace("-", "_").lower(): value
            for name, value in (headers or {}).items()
            if name.startswith(PREFIX)
        }
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            problem = error.errors()[0]
            name = PREFIX + "-".join(str(part) for part in problem["loc"]).replace("_", "-").title()
            raise MalformedFrame(f"frame header {name}: {problem['msg']}") from error


class MalformedFrame(ValueError):
    """A message on a frames subject whose headers are not a frame's."""
