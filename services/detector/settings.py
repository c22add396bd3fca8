"""The detector's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from contracts.identity import token
from services.kit.settings import ServiceSettings


class DetectorSettings(ServiceSettings):
    """Settings of models: their folders, device and precision."""

    models: Path | None = None
    """A folder searched for models before any download."""
    cache: Path = Path("~/.cache/metrica")
    shared_cache: Path | None = None
    """A read-only cache that is filled elsewhere: models that are complete there are not downloaded."""
    device: str | None = None
    """Device to compute on: cpu, cuda:0, intel:gpu …; by default the CPU, or an NVIDIA GPU for Ultralytics' weights."""
    precision: str = "f32"
    """f32 gives the same detections on every machine; bf16 is faster where the CPU has it, f16 (half) on a GPU."""
    closer: bool = True
    """Sliced inference where people are small (`backends/slicing.py`). False saves its time, up to four times a frame's
    own."""
    threads: Annotated[int, Field(ge=1)] | None = None
    pools: Annotated[tuple[str, ...], NoDecode] = ()
    """Models to serve, with commas between; empty serves every model that a camera asks for."""
    backends: dict[str, str] = Field(default_factory=dict)
    """Further detectors by model name, as `package.module:factory`."""

    @field_validator("pools", mode="before")
    @classmethod
    def _are_named_as_models(cls, pools: object) -> object:
        return tuple(token(name) for name in pools.split(",") if name.strip()) if isinstance(pools, str) else pools
