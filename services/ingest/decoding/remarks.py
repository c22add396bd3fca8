"""Words on what is unusual about a stream, the same for files and cameras."""

from __future__ import annotations

from services.ingest.decoding.decoder import Decoder

INTERLACED = "it is interlaced, and was deinterlaced"


def choice(decoder: Decoder) -> str | None:
    """The track that is read, and those that are not; None where there is one alone."""
    if len(decoder.tracks) < 2:
        return None
    others = ", ".join(str(track) for track in decoder.tracks if track.number != decoder.track)
    return f"{decoder.tracks[decoder.track - 1]} is read, not {others}"
