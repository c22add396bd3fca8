"""Headers of a frame on the bus; its body is a JPEG."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, ValidationError

from contracts.identity import Nanoseconds, Pixels, Policy, Revision, Seq, Token, frame_id

PREFIX = "Metrica-"


class EndReason(StrEnum):
    """Reason for the end of a session."""

    FINISHED = "finished"
    """The file or simulation was read to its end."""
    LOST = "lost"
    """The connection to the camera was lost."""
    STOPPED = "stopped"
    """The camera was paused, changed or removed, or ingest was stopped."""


class FrameHeader(BaseModel):
    """The facts about a frame that are known without decoding it.

    `previous` is the seq of the frame published before this one in the session, None for the first. `width` and
    `height` are those of the JPEG in pixels, to which all boxes refer. A header with `end` has no picture: it closes
    the session, and its `seq` is one past the last frame's.
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
        """Id of the frame, without the run."""
        return frame_id(self.camera, self.session, self.seq)

    def to_headers(self) -> dict[str, str]:
        """Make the NATS headers, without the fields that are None."""
        fields = self.model_dump(mode="json", exclude_none=True)
        headers = {PREFIX + name.replace("_", "-").title(): str(value) for name, value in fields.items() if value != ""}
        headers["Nats-Msg-Id"] = f"{self.run}/{self.id}"
        headers["Content-Type"] = "image/jpeg"
        return headers

    @classmethod
    def from_headers(cls, headers: Mapping[str, str] | None) -> FrameHeader:
        """Parse a frame's headers.

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
    """The headers of a message on a frames subject are not those of a frame."""
