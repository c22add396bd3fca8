"""CPU time of decoding a video file: ingest's reader beside OpenCV by itself, in turns, in one run.

    python -m tests.bench.bench_decoding [--file FILE.mp4] [--frames 200] [--rounds 3]

Without a file, videos of each kind are made. CPU time is that of all threads of a process, after its first frame; each
reader decodes with one thread and unpacks every frame into BGR. The ratio is of the least of each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from tests.support.films import moving_box, write, write_interlaced

KINDS: dict[str, tuple[str, str, tuple[int, int]]] = {
    "H.264 768×432": ("libx264", "yuv420p", (768, 432)),
    "H.264 1280×720": ("libx264", "yuv420p", (1280, 720)),
    "H.264 1920×1080": ("libx264", "yuv420p", (1920, 1080)),
    "MJPEG 1280×720": ("mjpeg", "yuvj420p", (1280, 720)),
    "HEVC 10 bit 1920×1080": ("libx265", "yuv420p10le", (1920, 1080)),
    "HLG 1920×1080": ("libx265", "yuv420p10le", (1920, 1080)),
    "interlaced H.264 768×432": ("libx264", "yuv420p", (768, 432)),
}


def by_ingest(path: str, frames: int, result: Connection) -> None:
    """As ingest does it."""
    from services.ingest.sources.video_file import open_video

    video = open_video(Path(path))
    video.grab()
    began, read = time.process_time(), 0
    while read < frames and video.grab() is not None:
        video.retrieve()
        read += 1
    result.send((time.process_time() - began) / read)
    video.close()


def by_opencv(path: str, frames: int, result: Connection) -> None:
    """By OpenCV's FFmpeg, whose complaints about interlaced frames are left out (-8 is AV_LOG_QUIET)."""
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    import cv2

    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    capture.grab()
    began, read = time.process_time(), 0
    while read < frames and capture.grab():
        capture.retrieve()
        read += 1
    result.send((time.process_time() - began) / read)
    capture.release()


def cost(read: Callable[[str, int, Connection], None], path: Path, frames: int) -> float:
    """Seconds of CPU a frame, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    reader = context.Process(target=read, args=(str(path), frames, sender))
    reader.start()
    seconds: float = receiver.recv()
    reader.join()
    return seconds


def make(folder: Path, kind: str, frames: int) -> Path:
    """A video of a kind, a little longer than what is read of it."""
    codec, pixels, size = KINDS[kind]
    path = folder / f"{len(list(folder.iterdir()))}.mkv"
    if kind.startswith("interlaced"):
        return write_interlaced(path, (moving_box(number, size) for number in range(2 * frames + 20)), codec)
    colours = {"color_trc": "arib-std-b67", "color_primaries": "bt2020", "colorspace": "bt2020nc"}
    options = ({"preset": "ultrafast"} if codec != "mjpeg" else {}) | (colours if kind.startswith("HLG") else {})
    pictures = (moving_box(number, size) for number in range(frames + 10))
    return write(path, pictures, codec, fps=25, pixels=pixels, options=options)


def main() -> None:
    """Measure each kind."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--file", type=Path)
    options.add_argument("--frames", type=int, default=200)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for kind in [str(given.file)] if given.file else KINDS:
            path = given.file or make(Path(folder), kind, given.frames)
            ours, theirs = (
                min(costs)
                for costs in zip(
                    *(
                        (cost(by_ingest, path, given.frames), cost(by_opencv, path, given.frames))
                        for _ in range(given.rounds)
                    ),
                    strict=True,
                )
            )
            print(f"{kind:26} ingest {ours * 1e3:6.2f} ms, OpenCV {theirs * 1e3:6.2f} ms: {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
