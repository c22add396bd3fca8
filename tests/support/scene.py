"""The scene that the whole-system tests count: a real clip where there is footage, the simulated door everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.identity import to_ns
from contracts.spec import Capture, CountingLine, Side
from services.api.cameras.setup import CameraSetup

ROOT = Path(__file__).parents[2]
CAMERA, LINE, STORE = "camera", "line", "store"


@dataclass(frozen=True, slots=True)
class Scene:
    """A source with its line and model, and what the services need in their environment to count it."""

    address: str
    line: CountingLine
    model: str
    start: datetime
    environment: dict[str, str] = field(default_factory=dict)
    fps: float | None = None

    def camera(self, name: str = CAMERA) -> CameraSetup:
        """The camera of it, as the configuration has it."""
        return CameraSetup(
            camera=name,
            store=STORE,
            time_zone="UTC",
            address=self.address,
            model=self.model,
            capture=Capture(fps=self.fps),
            lines=(self.line,),
            start=to_ns(self.start),
        )

    def count(self, camera: str = CAMERA) -> dict[str, Any]:
        """The counts of `metrica count … --json`."""
        points = ",".join(str(point) for point in (self.line.x1, self.line.y1, self.line.x2, self.line.y2))
        command = [sys.executable, "-m", "services.cli.main", "count", self.address, "--json"]
        command += ["--line", points, "--in", self.line.in_side, "--detector", self.model]
        command += ["--camera", camera, "--line-id", self.line.id, "--start", self.start.isoformat()]
        command += [] if self.fps is None else ["--fps", str(self.fps)]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


def clip(footage: Path, name: str, model: str = "person-detection-0200", start: datetime | None = None) -> Scene:
    """A clip of the real footage with its truth's line."""
    truth = json.loads((footage / "videos" / "truth.json").read_text())[name]
    x1, y1, x2, y2 = truth["line"]
    side = Side.RIGHT if truth["in_side"].startswith("+") else Side.LEFT
    return Scene(
        address=str(footage / "videos" / name),
        line=CountingLine(id=LINE, x1=x1, y1=y1, x2=x2, y2=y2, in_side=side),
        model=model,
        start=start or today_at_noon(),
        # One thread each: two detectors share two cores, and results are the same at any number.
        environment={"METRICA_MODELS": str(footage / "models"), "METRICA_THREADS": "1"},
    )


def today_at_noon() -> datetime:
    """A start whose counts are today's, wherever in the day the test runs."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
