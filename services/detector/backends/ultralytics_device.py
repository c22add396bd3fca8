"""Where weights of Ultralytics can compute: refused in words what would fail in many lines."""

from __future__ import annotations

import re
from pathlib import Path

from services.detector.backends.protocol import ModelUnavailable


def check_device(weights: Path, precision: str, device: str | None) -> None:
    """Look whether weights can run on a device at a precision, and prepare torch for it.

    Args:
        weights: a .pt, .onnx, .engine or .torchscript, or a folder with an OpenVINO network.
        precision: that is asked for.
        device: as METRICA_DEVICE says; None for the first GPU of NVIDIA, else the CPU.

    Raises:
        ModelUnavailable: what is missing, and what to do.
    """
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    engine = weights.suffix == ".engine"
    number = _gpu(device)
    if number is not None or engine:
        asked = f"METRICA_DEVICE={device}"
        if not there:
            raise ModelUnavailable(
                f"{f'{weights.name}, a TensorRT engine,' if engine else asked} needs a GPU of NVIDIA, and torch "
                f"{torch.__version__} sees none here. Look whether nvidia-smi lists it and torch is a build for CUDA, "
                "or use other weights with METRICA_DEVICE=cpu."
            )
        if number is not None and number >= there:
            raise ModelUnavailable(f"{asked} is not there: torch sees {there} GPUs of NVIDIA here, numbered from 0.")
    gpu = number is not None or (device is None and there > 0)
    if gpu:
        # By default cuDNN rounds the factors of an f32 product to 10 bits: faster, but not what f32 stands for here.
        torch.backends.cudnn.allow_tf32 = precision != "f32"
    if weights.suffix != ".pt" or precision == "f32":
        return
    if precision != "f16":
        raise ModelUnavailable(
            f"{weights} can be run in f32, or f16 on a GPU, not in {precision}: set METRICA_PRECISION."
        )
    if not gpu:
        raise ModelUnavailable(f"{weights} can be run in f16 on a GPU only: set METRICA_PRECISION=f32.")


def _gpu(device: str | None) -> int | None:
    """The number of the GPU of NVIDIA that a device names; None where it names none."""
    named = re.fullmatch(r"cuda|(?:cuda:)?(\d+)", device or "")
    return int(named[1] or 0) if named else None
