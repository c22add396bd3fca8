"""Small streams whose pictures claim to be of any size, in every form that a camera's stream may have."""

from __future__ import annotations

import io
import os
import re
from fractions import Fraction

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tests.support.clips import numbered_picture
from tests.support.encoding import apart

GIANT = 16_000
"""Pixels of a side: 256 megapixels, which FFmpeg would take by itself."""
CODERS = {
    "h264": "libx264",
    "hevc": "libx265",
    "mjpeg": "mjpeg",
    "mpeg4": "mpeg4",
    "vp8": "libvpx",
    "vp9": "libvpx-vp9",
    "av1": "libsvtav1",
    "mpeg2video": "mpeg2video",
}
"""What FFmpeg writes each coding with that ingest reads."""


def jpeg(size: int = GIANT) -> bytes:
    """A JPEG of a few hundred bytes; its header (SOF0) says how large it is."""
    _, encoded = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))
    raw = bytearray(encoded.tobytes())
    at = raw.index(b"\xff\xc0")
    raw[at + 5 : at + 9] = size.to_bytes(2) * 2
    return bytes(raw)


@apart
def encoded(coding: str, container: str, *, frames: int = 30, size: tuple[int, int] = (320, 240)) -> bytes:
    """A sound stream."""
    target = io.BytesIO()
    os.environ.setdefault("SVT_LOG", "-1")
    options = {
        "h264": {"profile": "baseline", "preset": "ultrafast"},
        "hevc": {"preset": "ultrafast", "x265-params": "log-level=none"},
    }.get(coding, {})
    form = {"mp4": {"movflags": "frag_keyframe+empty_moov"}}.get(container, {})
    with av.open(target, "w", format=container, options=form) as out:
        stream = out.add_stream(CODERS[coding], rate=10, options=options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if coding == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = 10
        stream.codec_context.time_base = Fraction(1, 10)
        for number in range(frames):
            picture = cv2.resize(numbered_picture(number), size).astype(np.uint8)
            out.mux(stream.encode(VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode())
    return target.getvalue()


def h264(container: str, size: int = GIANT, *, after: int = 0) -> bytes:
    """H.264 whose parameters claim pictures of a size, from the first on or after some that are sound."""
    sound = encoded("h264", container, frames=20)
    at = [found.start() for found in re.finditer(rb"\x67\x42\xc0", sound)]
    assert at, container
    raw = bytearray(sound)
    for place in at[after:]:
        length = _end_of_sps(raw, place) - place
        claimed = _sps(size).ljust(length, b"\0")
        assert len(claimed) == length
        raw[place : place + length] = claimed
    return bytes(raw)


def _end_of_sps(raw: bytearray, start: int) -> int:
    """The position after the parameters: before what stands between them and the picture's (PPS), in any container."""
    following = raw.index(b"\x68\xce", start)
    return following - (4 if raw[following - 4 : following - 1] == b"\0\0\0" else 3)


def _sps(size: int) -> bytes:
    """A sequence parameter set of the baseline profile (ITU H.264 7.3.2.1.1)."""
    mbs = size // 16
    bits = "".join(
        (
            f"{0x67:08b}{66:08b}{0xC0:08b}{52:08b}",
            _ue(0),  # seq_parameter_set_id
            _ue(0),  # log2_max_frame_num_minus4
            _ue(2),  # pic_order_cnt_type
            _ue(1),  # max_num_ref_frames
            "0",
            _ue(mbs - 1),
            _ue(mbs - 1),
            "1",  # frame_mbs_only_flag
            "1",  # direct_8x8_inference_flag
            "0",  # frame_cropping_flag
            "0",  # vui_parameters_present_flag
            "1",
        )
    )
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


def _ue(value: int) -> str:
    """Unsigned exponential Golomb code."""
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code
