"""Weights of Ultralytics for tests: the real layers, never trained, that find something in any picture."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from services.detector.backends.ultralytics import load_library

INSTALLED = find_spec("ultralytics") is not None
needs_extra = pytest.mark.skipif(not INSTALLED, reason="the extra is not installed: pip install 'metrica[ultralytics]'")
SIDE = 96


def save(path: Path, *, likely: int = 0, layers: str = "yolo11n.yaml") -> Path:
    """Write a .pt.

    Args:
        path: where to.
        likely: the label that most boxes have; 0 is a person.
        layers: a description that comes with Ultralytics.
    """
    import torch

    torch.manual_seed(7)
    yolo = library().YOLO(layers)
    for branch in getattr(yolo.model.model[-1], "cv3", ()):  # one for each of the three grids; scores come from here
        last = branch[-1]
        torch.nn.init.normal_(last.weight, std=0.1)
        torch.nn.init.constant_(last.bias, -4.0)
        last.bias.data[likely] = 0.0
    for layer in yolo.model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    yolo.model.train()
    yolo.model(torch.rand(4, 3, SIDE, SIDE))  # the norms learn their scale, or no picture would get through the layers
    yolo.model.eval()
    yolo.model.names = {label: "person" if label == 0 else f"thing {label}" for label in yolo.model.names}
    yolo.ckpt = {"train_args": {"imgsz": SIDE, "task": yolo.task}}
    yolo.save(str(path))
    return path


@cache
def library() -> ModuleType:
    """The library, with its settings in a folder that goes with the process."""
    settings = tempfile.TemporaryDirectory(prefix="metrica-ultralytics-")
    _kept.append(settings)
    os.environ["YOLO_CONFIG_DIR"] = settings.name
    return load_library("This test")


_kept: list[tempfile.TemporaryDirectory[str]] = []
