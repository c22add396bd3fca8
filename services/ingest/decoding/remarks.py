"""Words on what is unusual about a stream, the same for files and cameras."""

from __future__ import annotations

from services.ingest.decoding.decoder import Decoder
from services.ingest.decoding.hardware import Hardware, chosen

INTERLACED = "it is interlaced, and was deinterlaced"


def slow_decoding(decoder: Decoder) -> str | None:
    """Words where the operator chose hardware that cannot decode this stream; None elsewhere."""
    wanted = chosen()
    if wanted is Hardware.NONE or decoder.by_hardware:
        return None
    return f"{decoder.tracks[decoder.track - 1].codec} is decoded by the processor: {wanted} cannot decode it here"


def choice(decoder: Decoder) -> str | None:
    """The track that is read, and those that are not; None where there is one alone."""
    if len(decoder.tracks) < 2:
        return None
    others = ", ".join(str(track) for track in decoder.tracks if track.number != decoder.track)
    return f"{decoder.tracks[decoder.track - 1]} is read, not {others}"
