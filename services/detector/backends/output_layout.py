"""Layout of a network's output: its head and the label of a person, from a sidecar file or inferred from shapes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.detector.backends.heads import DetectionHead, cells
from services.detector.backends.protocol import ModelUnavailable

COCO_CLASSES = 80


class OutputLayout(BaseModel):
    """Layout of a network's output."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: DetectionHead
    person: int = Field(default=0, ge=0)
    """The label of a person."""


def from_sidecar(weights: Path) -> OutputLayout | None:
    """Read `<weights>.toml` beside the weights, such as `head = "ssd"` and `person = 1`; None where there is no file.

    Raises:
        ModelUnavailable: the file cannot be read, or has other contents.
    """
    sidecar = weights.with_suffix(".toml")
    try:
        return OutputLayout.model_validate(tomllib.loads(sidecar.read_text()))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, OSError) as error:
        heads = ", ".join(f'"{head}"' for head in DetectionHead)
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ModelUnavailable(
            f"{sidecar} does not say how to read the model ({problem}). "
            f"It needs a line head = … (one of {heads}) and a line person = … (the label of a person)."
        ) from error


def infer(
    outputs: Sequence[tuple[int, ...]], size: tuple[int, int], names: Mapping[int, str] | None, what: str
) -> OutputLayout:
    """Infer the layout from the shapes of the outputs.

    Args:
        outputs: the shapes of all outputs; -1 for a dynamic size.
        size: width and height of the input.
        names: of the labels, where the file has them.
        what: the model, for the message.

    Raises:
        ModelUnavailable: the head or the label of a person cannot be inferred, or no label is a person.
    """
    head, classes = _head(outputs, size, what)
    if names:
        return OutputLayout(head=head, person=person_label(names, what))
    if head is DetectionHead.SSD or classes not in (None, 1, COCO_CLASSES):
        raise ModelUnavailable(
            f"{what} does not say which of its labels is a person. "
            "Write a file beside it, of the same name but ending in .toml, with the lines: "
            f'head = "{head}" and person = …'
        )
    return OutputLayout(head=head)


def person_label(names: Mapping[int, str], what: str) -> int:
    """The label of a person.

    Args:
        names: of the labels.
        what: the model, for the message.

    Raises:
        ModelUnavailable: no label is a person.
    """
    person = next((label for label, name in names.items() if name.lower() in ("person", "pedestrian")), None)
    if person is None:
        known = ", ".join(list(names.values())[:10])
        raise ModelUnavailable(f"{what} knows no label called person, only {known}: it cannot count people.")
    return person


def _head(outputs: Sequence[tuple[int, ...]], size: tuple[int, int], what: str) -> tuple[DetectionHead, int | None]:
    """The head, and its number of classes where the shape gives that."""
    grid = cells(*size)
    match tuple(outputs):
        case ((1, 1, _, 7),):
            return DetectionHead.SSD, None
        case ((1, n, m),) if n == grid and m > 5:
            return DetectionHead.YOLOX, m - 5
        case ((1, m, n),) if n == grid and m > 4:
            return DetectionHead.YOLO, m - 4
        case ((1, _, 6),):
            return DetectionHead.YOLO_END_TO_END, None
    shapes = " and ".join(str(list(shape)) for shape in outputs)
    raise ModelUnavailable(
        f"{what} gives {shapes}, which is none of the layouts read here: SSD [1, 1, N, 7], "
        f"YOLOX [1, {grid}, 5 + classes], YOLOv8 and YOLO11 [1, 4 + classes, {grid}], end-to-end YOLO [1, N, 6]. "
        "Export it as one of them; see docs/models.md."
    )
