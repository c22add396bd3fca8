"""Cost of reading cameras: PyAV through ingest's relay, beside OpenCV by itself, from the same RTSP server.

    python -m tests.bench.bench_sources [--file FILE.mp4] [--frames 200] [--cameras 8]

Each way is a process of its own that reads in turns, each camera on a thread of its own. CPU time is that of all of its
threads, after each camera's first frame; memory is what the process keeps in RAM at the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from tests.support.rtsp import RtspCamera

FILM = '( filesrc location="{}" ! parsebin ! rtph264pay config-interval=-1 name=pay0 pt=96 )'
Read = Callable[[str, int, threading.Barrier], None]


def through_the_relay(address: str, frames: int, all_there: threading.Barrier) -> None:
    """As ingest does it."""
    from services.ingest.sources.opening import open_source

    source = open_source(address)
    source.grab()
    all_there.wait()
    for _ in range(frames):
        source.grab()
        source.retrieve()
    all_there.wait()
    source.close()


def by_opencv(address: str, frames: int, all_there: threading.Barrier) -> None:
    """As ingest did it before."""
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "rtsp_transport;tcp"
    import cv2

    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    capture.grab()
    all_there.wait()
    for _ in range(frames):
        capture.grab()
        capture.retrieve()
    all_there.wait()
    capture.release()


def measure(read: Read, address: str, cameras: int, frames: int, result: Connection) -> None:
    """Read all cameras at once; sends CPU seconds, seconds and bytes."""
    all_there = threading.Barrier(cameras + 1)
    with ThreadPoolExecutor(cameras) as threads:
        reading = [threads.submit(read, address, frames, all_there) for _ in range(cameras)]
        all_there.wait()
        began, cpu = time.monotonic(), time.process_time()
        all_there.wait()
        used = time.process_time() - cpu, time.monotonic() - began
        result.send((*used, psutil.Process().memory_full_info().uss))
        for one in reading:
            one.result()


def main() -> None:
    """Measure both, twice each."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--file", type=Path)
    options.add_argument("--frames", type=int, default=200)
    options.add_argument("--cameras", type=int, default=1)
    given = options.parse_args()
    context = multiprocessing.get_context("spawn")
    size = f"{given.file.stat().st_size / 1e6:.1f} MB" if given.file else "moving bars, 320×240, 30 fps"
    print(f"{given.file or ''} {size}, {given.frames} frames, {given.cameras} cameras")
    for turn in range(2):
        for name, read in (("OpenCV", by_opencv), ("PyAV and relay", through_the_relay)):
            with RtspCamera(streams={"film": FILM.format(given.file.resolve())} if given.file else None) as camera:
                receiver, sender = context.Pipe(duplex=False)
                wanted = (read, camera.at("film" if given.file else "cam"), given.cameras, given.frames, sender)
                process = context.Process(target=measure, args=wanted)
                process.start()
                cpu, took, memory = receiver.recv()
                process.join()
            each = cpu * 1000 / given.frames / given.cameras
            share = f"{cpu / took:.1%} of a core, {memory / 1e6:.0f} MB"
            print(f"{turn + 1}: {name:15} {each:6.2f} ms CPU a frame, {share}, over {took:.1f} s")


if __name__ == "__main__":
    main()
