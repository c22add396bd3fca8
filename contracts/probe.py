"""Trying a camera's address out: the api asks, the ingest that is nearest answers with one frame, or says why not."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Probe(BaseModel):
    """Asks for one frame of an address, sealed."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    version: int = 1
    address: str = Field(repr=False)
    width: int = 960
    """Greatest width of the picture, pixels."""
    trusted: bool = False
    """Whether a superadmin or the machine's operator asks: the address may then reach this machine itself."""
    organization: str = ""
    """Who asks: organizations take turns."""
    id: str = ""
    """Names the probe, so that who asked can call it off."""
    expires_at: int = 0
    """When nobody waits for the answer any more, ns UTC; 0 for never."""


class Probed(BaseModel):
    """What came of it. `message` says why there is no frame, in words for the person who set the address."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    version: int = 1
    message: str = ""
    width: int = 0
    """Of the source, pixels."""
    height: int = 0
    fps: float | None = None
    """Frames per second that the source says it has."""
    jpeg: bytes = Field(default=b"")
    """The frame, no wider than was asked for."""

    @property
    def works(self) -> bool:
        """Whether there is a frame."""
        return bool(self.jpeg)
