"""The detector's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from contracts.identity import token
from services.kit.settings import ServiceSettings


class DetectorSettings(ServiceSettings):
    """Where models are, and how they run."""

    models: Path | None = None
    """A folder searched for models before any download."""
    cache: Path = Path("~/.cache/metrica")
    shared_cache: Path | None = None
    """A cache that somebody else fills: models that are whole there are not downloaded. Never written."""
    device: str | None = None
    """What computes, as cpu, cuda:0 or intel:gpu; by default the CPU, or a GPU of NVIDIA for Ultralytics' weights."""
    precision: str = "f32"
    """f32 gives the same detections on every machine; bf16 is faster where the CPU has it, f16 (half) on a GPU."""
    closer: bool = True
    """Look closer where people are small; see closer.py. False saves the time that takes, up to four times as much."""
    threads: Annotated[int, Field(ge=1)] | None = None
    pools: Annotated[tuple[str, ...], NoDecode] = ()
    """Only these models, with commas between; empty takes every one that a camera asks for."""
    backends: dict[str, str] = Field(default_factory=dict)
    """Further detectors by model name, as `package.module:factory`."""

    @field_validator("pools", mode="before")
    @classmethod
    def _are_named_as_models(cls, pools: object) -> object:
        return tuple(token(name) for name in pools.split(",") if name.strip()) if isinstance(pools, str) else pools
