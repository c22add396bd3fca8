"""Options of `./taskw up`: `CAMERA=… LINE=…`, as arguments or in the environment."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from contracts.spec import MAX_RATE, CountingLine, Side, default_policy
from infra.local.errors import LocalError
from infra.local.processes.unprivileged import ROOT
from services.kit.settings import is_loopback

NAMES = {
    "CAMERA": "camera",
    "CAMERA_TRACK": "track",
    "CAMERA_RATE": "rate",
    "LINE": "line",
    "IN": "in_side",
    "MODEL": "model",
    "STORE": "store",
    "TIME_ZONE": "time_zone",
    "AGAIN": "again",
    "PORT": "port",
    "DETECTORS": "detectors",
    "METRICA_LOCAL_ACCESS": "local_access",
    "METRICA_HOME": "home",
}
EVERYWHERE = "0.0.0.0"  # noqa: S104  # allowed only if sign-in is required
Points = tuple[float, float, float, float]


class Options(BaseModel):
    """The options. None stands for the value of the last run, or the default."""

    model_config = ConfigDict(frozen=True)

    camera: str | None = None
    track: Annotated[int, Field(ge=0, le=32)] | None = None
    """0 for the main track again."""
    rate: Annotated[float, Field(ge=0, le=MAX_RATE, allow_inf_nan=False)] | None = None
    """0 for the file's own times again."""
    line: Points | None = None
    in_side: Side | None = None
    model: str | None = None
    store: str | None = None
    time_zone: str | None = None
    again: bool = False
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    detectors: Annotated[int, Field(ge=1, le=64)] = 1
    host: str = "127.0.0.1"
    local_access: Literal["viewer", "none"] = "viewer"
    home: Path = ROOT / ".metrica"

    @field_validator("line", mode="before")
    @classmethod
    def _four_numbers(cls, text: str) -> Points:
        try:
            x1, y1, x2, y2 = (float(part) for part in text.split(","))
        except ValueError:
            raise ValueError("give four numbers from 0 to 1, as in LINE=0.5,0,0.5,1") from None
        try:
            CountingLine(id="line", x1=x1, y1=y1, x2=x2, y2=y2)
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        return x1, y1, x2, y2

    @field_validator("camera")
    @classmethod
    def _absolute(cls, address: str) -> str:
        """Make a file's path absolute, relative to the working directory."""
        if re.match(r"[a-z][a-z0-9+.-]*://", address, re.IGNORECASE) or address.isdecimal():
            return address
        path = Path(address).expanduser().absolute()
        if not path.exists():
            raise ValueError(
                f"there is no file {path}; give a video file, an rtsp:// or http:// address, a device number or sim://door"
            )
        if path.is_dir():
            raise ValueError(f"{path} is a folder: give one video file in it")
        return str(path)

    @model_validator(mode="after")
    def _again_of_a_file(self) -> Self:
        if self.again and self.camera and not default_policy(self.camera).value == "every":
            raise ValueError("AGAIN= counts a file anew, and this camera is none")
        return self


def read_options(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """Read the options from the command line and the environment; the command line has priority.

    Raises:
        LocalError: an option is unknown or wrong; with its name.
    """
    given = {name: environment[name] for name in NAMES if environment.get(name)}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or name not in {*NAMES, "HOST", "METRICA_HOST"}:
            raise LocalError(f"{argument!r} is not understood: give {', '.join(f'{name}=…' for name in NAMES)}")
        given[name] = value
    fields = {NAMES[name]: value for name, value in given.items() if name in NAMES and value}
    try:
        return Options.model_validate({**fields, "host": _host({**environment, **given})})
    except ValidationError as error:
        wrong = error.errors()[0]
        field = wrong["loc"][0] if wrong["loc"] else ""
        name = next((name for name, known in NAMES.items() if known == field), "")
        prefix = f"{name}={given[name]}: " if name else ""
        raise LocalError(prefix + wrong["msg"].removeprefix("Value error, ")) from None


def _host(environment: Mapping[str, str]) -> str:
    """Choose the address on which the API listens: of this machine only, unless sign-in is required."""
    for name in ("HOST", "METRICA_HOST"):
        host = environment.get(name)
        if not host or host == socket.gethostname() or is_loopback(host):  # some shells set HOST to the machine's name
            continue
        if host != EVERYWHERE:
            raise LocalError(f"{name}={host}: give {name}={EVERYWHERE} to let other machines in")
        if environment.get("METRICA_LOCAL_ACCESS") != "none":
            raise LocalError(
                f"{name}={host} lets other machines in, and then nobody may look without signing in: "
                "say so by METRICA_LOCAL_ACCESS=none, and keep the password that the first start tells"
            )
        return host
    return "127.0.0.1"
