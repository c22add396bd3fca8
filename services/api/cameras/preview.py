"""The newest frame of a camera, from the PREVIEW stream."""

from __future__ import annotations

from dataclasses import dataclass

from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js.errors import NotFoundError

from contracts import subjects
from contracts.frames import FrameHeader, MalformedFrame
from contracts.identity import LIVE
from contracts.streams import PREVIEW
from services.api.http.problems import NotFound, Unavailable
from services.kit.database.tables import Camera
from services.kit.nats.bus import Bus


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame's JPEG and header."""

    jpeg: bytes
    header: FrameHeader

    @property
    def etag(self) -> str:
        """ETag of the frame: session and number."""
        return f'"{self.header.session}-{self.header.seq}"'


async def newest_picture(bus: Bus, camera: Camera) -> Picture:
    """Fetch the newest frame of a camera.

    Raises:
        NotFound: there is none of the last minute.
        Unavailable: NATS cannot be reached.
    """
    if not bus.connected:
        raise Unavailable(
            "NATS is away, and the pictures with it; it is tried again all the time.", code="pictures-away"
        )
    subject = subjects.preview(LIVE, camera.store, camera.id)
    try:
        msg = await bus.js.get_last_msg(PREVIEW.name, subject, direct=True)
        header = FrameHeader.from_headers(msg.headers)
    except (NotFoundError, NoRespondersError, MalformedFrame) as error:
        # No responders: ingest has not created the stream yet.
        raise NotFound(_reason_for_none(camera), code="no-picture") from error
    except (NatsError, TimeoutError) as error:
        raise Unavailable("NATS did not give the picture: {error}", code="picture-unreadable", error=error) from error
    if not msg.data:
        raise NotFound(_reason_for_none(camera), code="no-picture")
    return Picture(msg.data, header)


def _reason_for_none(camera: Camera) -> str:
    if camera.paused:
        return f"Camera {camera.id} is paused: it has no new picture."
    if not camera.preview_fps:
        return f"Camera {camera.id} shows no pictures: its preview_fps is 0."
    return (
        f"Camera {camera.id} has sent no picture in the last minute: it is starting, cannot be reached, or is at its "
        "end. Its status says which."
    )
