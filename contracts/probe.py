"""Request and reply by which the API tests a camera's address: an ingest replica answers with a frame or a reason."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Probe(BaseModel):
    """A request for one frame of an address. Travels sealed."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    version: int = 1
    address: str = Field(repr=False)
    width: int = 960
    """Greatest width of the picture, pixels."""
    trusted: bool = False
    """True for a superadmin or the machine's operator: the address may then be one of this machine itself."""
    organization: str = ""
    """Id of the requesting organization: organizations take turns."""
    id: str = ""
    """Id by which the requester can cancel the probe."""
    expires_at: int = 0
    """End of the requester's wait for the answer, ns UTC; 0 for never."""


class Probed(BaseModel):
    """The answer to a probe. Without a frame, `message` gives the reason, for the person who set the address."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    version: int = 1
    message: str = ""
    width: int = 0
    """Width of the source, pixels."""
    height: int = 0
    fps: float | None = None
    """Frames per second, as the source declares."""
    jpeg: bytes = Field(default=b"")
    """The frame, no wider than requested."""

    @property
    def works(self) -> bool:
        """True if there is a frame."""
        return bool(self.jpeg)
