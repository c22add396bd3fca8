"""Decoding by the machine's own hardware, where its operator chose it."""

from __future__ import annotations

from enum import StrEnum

from av.codec import CodecContext
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError


class Hardware(StrEnum):
    """What decodes, by FFmpeg's names: the processor alone, or a part of the machine."""

    NONE = "none"
    CUDA = "cuda"
    VAAPI = "vaapi"
    QSV = "qsv"


_chosen = Hardware.NONE


def choose(wanted: Hardware) -> str | None:
    """Decode by it from now on, in all of this process, what it can decode; the processor does the rest.

    Returns:
        Why it cannot be used at all; None where it can.
    """
    global _chosen  # it is the machine's, as is the memory that `limits` bounds
    _chosen = Hardware.NONE
    if wanted is Hardware.NONE:
        return None
    try:
        context = CodecContext.create("h264", "r", hwaccel=_accelerator(wanted))
        context.open()
    except FFmpegError:
        return (
            f"this machine has no {wanted} device, or it may not be used: check its driver and who may open it. "
            "The processor decodes instead"
        )
    if not context.is_hwaccel:
        return (
            f"the FFmpeg that PyAV brings cannot use {wanted}: build PyAV against one that can. The processor decodes"
        )
    _chosen = wanted
    return None


def chosen() -> Hardware:
    """What decodes."""
    return _chosen


def accelerator() -> HWAccel | None:
    """What a stream is to be decoded by; None for the processor."""
    return None if _chosen is Hardware.NONE else _accelerator(_chosen)


def _accelerator(kind: Hardware) -> HWAccel:
    return HWAccel(kind.value, allow_software_fallback=True)
