"""Remarks on unusual properties of a stream, the same for files and cameras."""

from __future__ import annotations

from services.ingest.decoding.decoder import Decoder
from services.ingest.decoding.hardware import Hardware, chosen

INTERLACED = "it is interlaced, and was deinterlaced"


def remarks_on(decoder: Decoder) -> list[str]:
    """All remarks on a stream, as far as it was read."""
    remarks = (choice(decoder), slow_decoding(decoder), INTERLACED if decoder.interlaced else None)
    return [remark for remark in remarks if remark]


def slow_decoding(decoder: Decoder) -> str | None:
    """Remark that the hardware which the operator chose cannot decode this stream; None where it can."""
    hardware = chosen()
    if hardware is Hardware.NONE or decoder.by_hardware:
        return None
    return f"{decoder.tracks[decoder.track - 1].codec} is decoded by the processor: {hardware} cannot decode it here"


def choice(decoder: Decoder) -> str | None:
    """Remark on the choice among several video tracks; None where there is one alone."""
    if len(decoder.tracks) < 2:
        return None
    others = ", ".join(str(track) for track in decoder.tracks if track.number != decoder.track)
    return f"{decoder.tracks[decoder.track - 1]} is read, not {others}"
