"""Picture of a diagnosis: the empty scene, people's trajectories by time, the present lines and the proposed one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import cv2
import numpy as np

from contracts.spec import CountingLine, Side
from services.cli.counting.annotation import IN_COLOUR
from services.cli.diagnosis.examination import Diagnosis, Observation
from services.cli.diagnosis.trajectories import STEP, Floats, Trajectory
from services.kit.codec import Image

Colour = tuple[int, int, int]
Pixel = tuple[int, int]

WIDTH: Final = 1280
"""Least width of the picture, pixels."""
LEGEND: Final = 76
_LINE: Colour = (0, 215, 255)
_PROPOSED: Colour = (255, 120, 255)
_WHITE: Colour = (245, 245, 245)
_DARK: Colour = (24, 24, 24)
_GREY: Colour = (170, 170, 170)
_TIMES: Final = cv2.applyColorMap(np.arange(20, 236, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0].tolist()
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL_BITS: Final = 4


def draw(scene: Image, observation: Observation, diagnosis: Diagnosis, lines: Sequence[CountingLine]) -> Image:
    """Draw a diagnosis.

    Args:
        scene: a picture of the scene, of the observation's size.
        observation: the observation with the trajectories to draw.
        diagnosis: its proposed line is drawn, unless all is well with the present lines.
        lines: the camera's present lines.

    Returns:
        BGR, at least `WIDTH` wide, with a legend below.
    """
    scale = max(1.0, WIDTH / observation.size[0])
    size = (round(observation.size[0] * scale), round(observation.size[1] * scale))
    picture = _muted(cast("Image", cv2.resize(scene, size, interpolation=cv2.INTER_CUBIC)))
    anchor = lines[0].anchor if lines else CountingLine.model_fields["anchor"].default
    paths = [walk.anchors(anchor) * scale for walk in observation.walks]
    picture = _heated(picture, observation.walks, paths, scale)
    for walk, path in zip(observation.walks, paths, strict=True):
        _path(picture, walk, path, observation.seconds)
    for line in lines:
        _line(picture, line, _LINE)
    if diagnosis.proposal and not (lines and diagnosis.well):
        _line(picture, diagnosis.proposal.line, _PROPOSED, dashed=True)
    return cast("Image", np.vstack([picture, _legend(size[0], observation, diagnosis, lines)]))


def _muted(scene: Image) -> Image:
    """Make the scene greyer and darker, so that drawings stand out."""
    grey = cv2.cvtColor(cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return cast("Image", cv2.addWeighted(scene, 0.25, grey, 0.45, 0))


def _heated(picture: Image, walks: Sequence[Trajectory], paths: Sequence[Floats], scale: float) -> Image:
    """Overlay a heat map of the time that people spend in a place."""
    if not walks:
        return picture
    height, width = picture.shape[:2]
    heat = np.zeros((height, width), np.float32)
    for path in paths:
        x, y = np.clip(np.round(path).astype(int), 0, [width - 1, height - 1]).T
        np.add.at(heat, (y, x), STEP)
    sigma = 0.3 * scale * float(np.median([walk.width for walk in walks]))
    heat = cv2.GaussianBlur(heat, (0, 0), max(4.0, sigma)).astype(np.float32)
    # The square root keeps paths visible beside a place where a person stood for a minute.
    share = np.sqrt(np.clip(heat / max(float(np.percentile(heat[heat > heat.max() / 50], 97)), 1e-9), 0, 1))
    glow = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO).astype(np.float32)
    alpha = (0.62 * share)[:, :, None]
    return cast("Image", (picture * (1 - alpha) + glow * alpha).astype(np.uint8))


def _path(picture: Image, walk: Trajectory, path: Floats, seconds: float) -> None:
    points = np.round(path * 2**_SUBPIXEL_BITS).astype(np.int32)
    cv2.polylines(picture, [points[:, None]], False, _DARK, 4, cv2.LINE_AA, _SUBPIXEL_BITS)
    for at, start, end in zip(walk.at, points[:-1].tolist(), points[1:].tolist(), strict=False):
        cv2.line(picture, start, end, _time_colour(at / seconds), 2, cv2.LINE_AA, _SUBPIXEL_BITS)
    first, last = _time_colour(walk.at[0] / seconds), _time_colour(walk.at[-1] / seconds)
    cv2.circle(picture, _pixel(path[0]), 5, _DARK, -1, cv2.LINE_AA)
    cv2.circle(picture, _pixel(path[0]), 4, first, -1, cv2.LINE_AA)
    _arrow_head(picture, path, last)


def _arrow_head(picture: Image, path: Floats, colour: Colour) -> None:
    far = np.flatnonzero(np.hypot(*(path - path[-1]).T) > 14)
    if not len(far):
        return
    way = path[-1] - path[far[-1]]
    way = way / np.hypot(*way)
    aside = np.array([-way[1], way[0]])
    corners = np.array([path[-1] + way * 5, path[-1] - way * 8 + aside * 6, path[-1] - way * 8 - aside * 6])
    cv2.fillPoly(picture, [np.round(corners).astype(np.int32)], colour, cv2.LINE_AA)
    cv2.polylines(picture, [np.round(corners).astype(np.int32)], True, _DARK, 1, cv2.LINE_AA)


def _line(picture: Image, line: CountingLine, colour: Colour, *, dashed: bool = False) -> None:
    height, width = picture.shape[:2]
    a, b = np.array((line.x1 * width, line.y1 * height)), np.array((line.x2 * width, line.y2 * height))
    pieces = _dashes(a, b) if dashed else [(a, b)]
    for thick, shade in ((7, _DARK), (3, colour)):
        for start, end in pieces:
            cv2.line(picture, _pixel(start), _pixel(end), shade, thick, cv2.LINE_AA)
    for end in (a, b):
        cv2.circle(picture, _pixel(end), 7, _DARK, -1, cv2.LINE_AA)
        cv2.circle(picture, _pixel(end), 5, colour, -1, cv2.LINE_AA)
    # With y down, the right hand of a person walking along (dx, dy) points along (-dy, dx).
    dx, dy = (b - a) / np.hypot(*(b - a))
    to_in = np.array((-dy, dx)) * (1 if line.in_side is Side.RIGHT else -1)
    middle = (a + b) / 2
    for thick, shade in ((7, _DARK), (3, IN_COLOUR)):
        cv2.arrowedLine(picture, _pixel(middle), _pixel(middle + to_in * 54), shade, thick, cv2.LINE_AA, tipLength=0.3)
    (word, tall), _ = cv2.getTextSize("IN", _FONT, 0.8, 2)
    at = np.clip(middle + to_in * 80, (word, tall), (width - word, height - tall))
    _text(picture, "IN", _pixel(at + np.array((-word / 2, tall / 2))), IN_COLOUR, 0.8)


def _dashes(a: Floats, b: Floats) -> list[tuple[Floats, Floats]]:
    """Split a line into dashes."""
    count = max(2, round(float(np.hypot(*(b - a))) / 30))
    return [(a + (b - a) * (i / count), a + (b - a) * ((i + 0.6) / count)) for i in range(count)]


def _legend(width: int, observation: Observation, diagnosis: Diagnosis, lines: Sequence[CountingLine]) -> Image:
    legend = np.full((LEGEND, width, 3), _DARK, np.uint8)
    bar = width // 4
    ramp = np.array([_time_colour(i / bar) for i in range(bar)], np.uint8)
    legend[16:28, 20 : 20 + bar] = ramp
    _text(legend, "0 s", (20, 54), _WHITE)
    end = f"{observation.seconds:.0f} s"
    _text(legend, end, (20 + bar - cv2.getTextSize(end, _FONT, 0.55, 1)[0][0], 54), _WHITE)
    x, y = 60 + bar, 30
    if lines:
        cv2.line(legend, (x, y - 5), (x + 40, y - 5), _LINE, 3, cv2.LINE_AA)
        names = "the line" if len(lines) == 1 else "the lines"
        _text(legend, names, (x + 52, y), _WHITE)
    if diagnosis.proposal and not (lines and diagnosis.well):
        y = 60 if lines else 44
        for start, stop in _dashes(np.array((x, y - 5.0)), np.array((x + 40, y - 5.0))):
            cv2.line(legend, _pixel(start), _pixel(stop), _PROPOSED, 3, cv2.LINE_AA)
        proposal = diagnosis.proposal
        _text(legend, f"proposed: {proposal.pasted}", (x + 52, y), _WHITE)
    people = "1 person walked" if observation.walkers == 1 else f"{observation.walkers} people walked"
    _text(legend, people, (width - 20 - cv2.getTextSize(people, _FONT, 0.55, 1)[0][0], 30), _GREY)
    return legend


def _time_colour(part: float) -> Colour:
    b, g, r = _TIMES[min(len(_TIMES) - 1, max(0, int(part * len(_TIMES))))]
    return b, g, r


def _text(picture: Image, words: str, at: Pixel, colour: Colour, scale: float = 0.55) -> None:
    cv2.putText(picture, words, at, _FONT, scale, _DARK, 4, cv2.LINE_AA)
    cv2.putText(picture, words, at, _FONT, scale, colour, 2 if scale > 0.6 else 1, cv2.LINE_AA)


def _pixel(point: Floats) -> Pixel:
    return round(float(point[0])), round(float(point[1]))
