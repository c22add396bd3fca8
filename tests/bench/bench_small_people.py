"""Least size of people: a clip with truth, counted in the middle of a larger canvas, with a closer look and without.

    METRICA_MODELS=… .venv/bin/python -m tests.bench.bench_small_people FOLDER --clip NAME.mp4 --times 1.5 2 3 4

FOLDER holds clips and their truth.json, as for `metrica eval`.
"""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from contracts.events import Crossing
from contracts.spec import CameraSpec, Capture, CountingLine
from services.cli.console.options import ModelPlaces
from services.cli.evaluation.matching import Instant, match
from services.cli.evaluation.truth import Clip, read_truth
from services.detector.backends.protocol import Detector
from services.detector.inference import analyze
from services.detector.models.loading import open_detector
from services.ingest.session import file_frames
from services.ingest.sources.video_file import open_video
from services.kit.codec import Image, decode, encode
from services.tracker.counting.camera_counter import CameraCounter

GREY = 110


def on_canvas(picture: Image, times: float) -> Image:
    """The picture in the middle of a canvas so many times as wide and high."""
    height, width = picture.shape[:2]
    canvas = np.full((round(height * times), round(width * times), 3), GREY, np.uint8)
    top, left = (canvas.shape[0] - height) // 2, (canvas.shape[1] - width) // 2
    canvas[top : top + height, left : left + width] = picture
    return canvas


def moved(line: CountingLine, times: float) -> CountingLine:
    """The line at the same place of the picture on its canvas."""
    ends = {end: (getattr(line, end) + (times - 1) / 2) / times for end in ("x1", "y1", "x2", "y2")}
    return line.model_copy(update=ends)


def report(path: Path, clip: Clip, detector: Detector, times: float, fps: float | None) -> str:
    """Matched, missed and false crossings on such a canvas, and the time it took."""
    capture = Capture(fps=fps)
    counter, frames, spent = CameraCounter("live", "store", "camera"), 0, 0.0
    crossings: list[Crossing] = []
    with closing(open_video(path)) as source:
        spec = CameraSpec(
            store="store",
            camera="camera",
            policy=source.policy,
            capture=capture,
            lines=(moved(clip.counting_line, times),),
        )
        for frame in file_frames(source, spec, session="session", start=0):
            header, jpeg = frame.header, frame.jpeg
            if header.end is None:
                larger = encode(on_canvas(decode(jpeg), times), capture)
                header, jpeg = header.model_copy(update={"width": larger.width, "height": larger.height}), larger.jpeg
            began = time.process_time()
            detections = analyze(header, jpeg, detector)
            frames, spent = frames + 1, spent + time.process_time() - began
            crossings += counter.step(detections, spec).crossings
    counted = [Instant(crossing.at / 1e9 * clip.fps, crossing.direction) for crossing in crossings]
    found = match(counted, clip.truth, tolerance=clip.tolerance)
    return f"{found.matched} matched, {found.missed} missed, {found.false} false, {spent / frames * 1e3:.0f} ms a frame"


def main() -> None:
    """Count, and print a line for each canvas."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clip", required=True)
    parser.add_argument("--detector", default="person-detection-0200")
    parser.add_argument("--times", type=float, nargs="+", default=[1.5, 2.0, 3.0, 4.0])
    parser.add_argument("--fps", type=float, default=5.0)
    asked = parser.parse_args()
    clip, places = read_truth(asked.folder)[asked.clip], ModelPlaces.of_environment()
    for closer in (False, True):
        detector = open_detector(asked.detector, folders=places.folders, cache=places.cache, threads=1, closer=closer)
        for times in asked.times:
            result = report(asked.folder / asked.clip, clip, detector, times, asked.fps)
            print(f"{asked.detector}, {times:g} times, {'closer' if closer else 'whole frame'}: {result}", flush=True)


if __name__ == "__main__":
    main()
