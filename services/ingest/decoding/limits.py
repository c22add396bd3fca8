"""Limits for FFmpeg: the formats and protocols of each kind of source, and the memory of a picture."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from functools import cache
from pathlib import Path

# The largest block that FFmpeg may allocate: a picture of 64 megapixels in BGR. All other buffers are smaller.
_LARGEST_BLOCK = 200 * 1024 * 1024
FILE_OPTIONS = {
    # Video formats alone: no text that FFmpeg would draw, and no list of other files or addresses.
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,"
    "h264,hevc,obu,ivf,m4v,mjpeg,flv,asf,ogg,mxf,dv,dhav",
    "protocol_whitelist": "file",
}
"""FFmpeg's options for a file."""
_NETWORK_CODECS = "h264,hevc,mjpeg,mpeg4,vp8,vp9,libdav1d,av1,mpeg2video,mpeg1video"
RTSP_OPTIONS = {
    "format_whitelist": "rtsp",
    "protocol_whitelist": "rtsp,rtp,tcp",
    "codec_whitelist": _NETWORK_CODECS,
    "rtsp_transport": "tcp",
    # Sound is requested, too, and skipped: GStreamer's server sometimes sends nothing to a client that leaves it out.
}
"""FFmpeg's options for an RTSP camera."""
RTSP_OVER_UDP_OPTIONS = RTSP_OPTIONS | {
    # UDP reorders packets by a few. FFmpeg's own 500 would hold a small stream back for seconds at each loss.
    "reorder_queue_size": "16",
}
"""The options where packets come by UDP. FFmpeg gets them within its RTSP connection and opens no port."""
HTTP_OPTIONS = {
    "format_whitelist": "mpjpeg,mjpeg,hls,mpegts,h264,hevc,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,flv,avi",
    "protocol_whitelist": "none",  # FFmpeg reads through file objects of ingest, and opens nothing
    "codec_whitelist": _NETWORK_CODECS,
    "http_persistent": "0",
    "http_multiple": "0",
}
"""FFmpeg's options for an HTTP camera."""
DEVICE_OPTIONS = {
    "format_whitelist": "video4linux2,v4l2",
    "codec_whitelist": "rawvideo,mjpeg,h264,hevc",
}
"""FFmpeg's options for a camera of this machine."""


@cache
def limit_memory() -> None:
    """Limit the blocks that FFmpeg allocates. PyAV has no call for it, so its copy of libavutil is called directly."""
    # Without /proc, or with an FFmpeg that was linked otherwise, FFmpeg's own limit of 2 GB a block stays.
    with suppress(OSError, AttributeError):
        maps = Path("/proc/self/maps").read_text()
        for path in set(re.findall(r"\S*/av\.libs/libavutil\S*", maps)):
            ctypes.CDLL(path).av_max_alloc(ctypes.c_size_t(_LARGEST_BLOCK))
