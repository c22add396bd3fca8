"""Devices and precisions for weights of Ultralytics: refuses impossible ones early, with a clear message."""

from __future__ import annotations

import re
from pathlib import Path

from services.detector.backends.protocol import ModelUnavailable


def check_device(weights: Path, precision: str, device: str | None) -> None:
    """Check that weights can run on a device at a precision, and prepare torch for it.

    Args:
        weights: a .pt, .onnx, .engine or .torchscript, or a folder with an OpenVINO network.
        precision: the requested one.
        device: by METRICA_DEVICE; None for the first NVIDIA GPU, else the CPU.

    Raises:
        ModelUnavailable: they cannot; the message says why, and what to do.
    """
    import torch

    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    engine = weights.suffix == ".engine"
    number = _gpu(device)
    if number is not None or engine:
        setting = f"METRICA_DEVICE={device}"
        if not available:
            raise ModelUnavailable(
                f"{f'{weights.name}, a TensorRT engine,' if engine else setting} needs a GPU of NVIDIA, and torch "
                f"{torch.__version__} sees none here. Look whether nvidia-smi lists it and torch is a build for CUDA, "
                "or use other weights with METRICA_DEVICE=cpu."
            )
        if number is not None and number >= available:
            raise ModelUnavailable(
                f"{setting} is not there: torch sees {available} GPUs of NVIDIA here, numbered from 0."
            )
    gpu = number is not None or (device is None and available > 0)
    if gpu:
        # By default cuDNN rounds the factors of an f32 product to 10 bits (TF32), which here does not count as f32.
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
    """The number of the NVIDIA GPU that a device names; None where it names another device."""
    named = re.fullmatch(r"cuda|(?:cuda:)?(\d+)", device or "")
    return int(named[1] or 0) if named else None
