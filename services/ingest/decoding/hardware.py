"""Hardware decoding, where the machine's operator chose it."""

from __future__ import annotations

from enum import StrEnum

from av.codec import CodecContext
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError


class Hardware(StrEnum):
    """Decoding hardware by FFmpeg's names; `none` is the processor."""

    NONE = "none"
    CUDA = "cuda"
    VAAPI = "vaapi"
    QSV = "qsv"


_chosen = Hardware.NONE


def choose(hardware: Hardware) -> str | None:
    """Use hardware in the whole process from now on, for the streams that it can decode.

    Returns:
        The reason why it cannot be used at all; None where it can.
    """
    global _chosen  # one for the process, as the hardware is one for the machine
    _chosen = Hardware.NONE
    if hardware is Hardware.NONE:
        return None
    try:
        context = CodecContext.create("h264", "r", hwaccel=_accelerator(hardware))
        context.open()
    except FFmpegError:
        return (
            f"this machine has no {hardware} device, or it may not be used: check its driver and who may open it. "
            "The processor decodes instead"
        )
    if not context.is_hwaccel:
        return (
            f"the FFmpeg that PyAV brings cannot use {hardware}: build PyAV against one that can. The processor decodes"
        )
    _chosen = hardware
    return None


def chosen() -> Hardware:
    """The hardware in use."""
    return _chosen


def accelerator() -> HWAccel | None:
    """The accelerator to open a stream with; None for the processor."""
    return None if _chosen is Hardware.NONE else _accelerator(_chosen)


def _accelerator(kind: Hardware) -> HWAccel:
    return HWAccel(kind.value, allow_software_fallback=True)
