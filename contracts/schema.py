"""JSON Schemas of all messages and KV entries, for consumers in other languages and as a promise of compatibility.

`python -m contracts.schema` writes them to `contracts/schemas`. It refuses an incompatible change, by which old readers
could not read new messages or new readers old ones: such a change needs another version of the event.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaValue

from contracts.compatibility import breaking_changes
from contracts.events import (
    CROSSING_EVENT,
    Counts,
    Coverage,
    Crossing,
    DeadLetter,
    Detections,
    Path,
    SessionEnd,
    Status,
    TrackingProgress,
    Tracks,
)
from contracts.frames import FrameHeader
from contracts.probe import Probe, Probed
from contracts.runs import Run, RunProgress
from contracts.spec import CameraSpec, Source

FOLDER: Final = FilePath(__file__).with_name("schemas")
VERSION: Final = 1

MODELS: Final[Mapping[str, type[BaseModel] | TypeAdapter[Crossing | SessionEnd]]] = {
    "detections": Detections,
    "path": Path,
    "crossing": CROSSING_EVENT,
    "coverage": Coverage,
    "counts": Counts,
    "status": Status,
    "tracks": Tracks,
    "dead_letter": DeadLetter,
    "frame_header": FrameHeader,
    "camera_spec": CameraSpec,
    "source": Source,
    "run": Run,
    "run_progress": RunProgress,
    "tracking_progress": TrackingProgress,
    "probe": Probe,
    "probed": Probed,
}
"""Models of messages and KV entries by their schema's name. `crossing` is a crossing or the end of a session."""


def generate() -> dict[str, JsonSchemaValue]:
    """Generate the schemas of the present models, by file name."""
    return {f"{name}.v{VERSION}.json": _schema(name, model) for name, model in MODELS.items()}


def committed() -> dict[str, JsonSchemaValue]:
    """Read the committed schemas, by file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def broken_promises() -> list[str]:
    """List the incompatible changes of the present models to the committed schemas, in sentences."""
    present = generate()
    return [
        f"{name}: {change}"
        for name, promised in committed().items()
        for change in (breaking_changes(promised, present[name]) if name in present else ["was removed"])
    ]


def _schema(name: str, model: type[BaseModel] | TypeAdapter[Crossing | SessionEnd]) -> JsonSchemaValue:
    schema = model.json_schema() if isinstance(model, TypeAdapter) else model.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://metrica.dev/schemas/{name}.v{VERSION}.json",
        **schema,
    }


def main() -> int:
    """Write the schemas. Returns the exit status: 1 for an incompatible change, and then nothing is written."""
    broken = broken_promises()
    if broken:
        print("These changes break what is promised; give the event another version instead:", file=sys.stderr)
        print(*(f"  {change}" for change in broken), sep="\n", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    for name, schema in generate().items():
        (FOLDER / name).write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
