"""What reading a camera costs: PyAV through ingest's relay, beside OpenCV by itself, from the same RTSP server.

    python -m tests.bench.bench_sources [--file FILE.mp4] [--frames 200]

Each is a process of its own that reads in turns; CPU time is that of all of its threads, after a first frame.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tests.support.rtsp import RtspCamera


def through_the_relay(address: str, frames: int, result: Connection) -> None:
    """As ingest does it."""
    from services.ingest.sources import open_source

    source = open_source(address)
    source.grab()
    began, cpu = time.monotonic(), time.process_time()
    for _ in range(frames):
        source.grab()
        source.retrieve()
    result.send((time.process_time() - cpu, time.monotonic() - began))
    source.close()


def by_opencv(address: str, frames: int, result: Connection) -> None:
    """As ingest did it before."""
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "rtsp_transport;tcp"
    import cv2

    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    capture.grab()
    began, cpu = time.monotonic(), time.process_time()
    for _ in range(frames):
        capture.grab()
        capture.retrieve()
    result.send((time.process_time() - cpu, time.monotonic() - began))
    capture.release()


FILM = '( filesrc location="{}" ! parsebin ! rtph264pay config-interval=-1 name=pay0 pt=96 )'


def main() -> None:
    """Measure both, twice each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--file", type=Path)
    options.add_argument("--frames", type=int, default=200)
    given = options.parse_args()
    context = multiprocessing.get_context("spawn")
    size = f"{given.file.stat().st_size / 1e6:.1f} MB" if given.file else "moving bars, 320×240, 30 fps"
    print(f"{given.file or ''} {size}, {given.frames} frames")
    for turn in range(2):
        for name, read in (("OpenCV", by_opencv), ("PyAV and relay", through_the_relay)):
            with RtspCamera(streams={"film": FILM.format(given.file.resolve())} if given.file else None) as camera:
                receiver, sender = context.Pipe(duplex=False)
                reader = context.Process(
                    target=read, args=(camera.at("film" if given.file else "cam"), given.frames, sender)
                )
                reader.start()
                cpu, wall = receiver.recv()
                reader.join()
            print(
                f"{turn + 1}. {name:15} {cpu / given.frames * 1e3:6.2f} ms CPU a frame, {given.frames / wall:5.1f} fps"
            )


if __name__ == "__main__":
    main()
