"""The settings of a camera as a whole, as the operator and the API give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.area import DetectionArea, Zone
from contracts.identity import Nanoseconds, Policy, Token, token
from contracts.spec import CameraSpec, Capture, CountingLine, default_policy
from services.api.http.bodies import LONGEST_NAME, TimeZone
from services.api.http.texts import checked, tidy, tidy_name
from services.kit.vault import is_sealed


class CameraSetup(BaseModel):
    """Complete settings of a camera: omitted fields take their defaults, omitted lines and zones are removed.

    `store_name` and `time_zone` None leave those of an existing store unchanged.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    camera: Token
    address: Annotated[str, Field(min_length=1, repr=False)]
    name: str = ""
    organization: Token = "default"
    store: Token = "store"
    store_name: str | None = None
    time_zone: TimeZone | None = None
    model: str = "person-detection-0200"
    capture: Capture = Capture()
    preview_fps: Annotated[float, Field(ge=0, le=5)] = 4.0
    lines: tuple[CountingLine, ...] = ()
    zones: tuple[Zone, ...] = ()
    """Not part of the spec for the services: a change of them makes no new revision."""
    detection: DetectionArea = DetectionArea()
    paused: bool = False
    record: bool = False
    """Keep its frames for some days. Otherwise no picture of a person is stored."""
    start: Nanoseconds | None = None
    again: bool = False
    """Count a file again that was counted already."""
    policy_of_sealed: Policy | None = Field(default=None, exclude=True, repr=False)
    """The policy of a sealed address, from which it cannot be derived."""

    @model_validator(mode="after")
    def _makes_a_spec(self) -> CameraSetup:
        self.spec(1)
        token(self.model)
        return self

    @model_validator(mode="after")
    def _zones_have_own_ids(self) -> CameraSetup:
        ids = [zone.id for zone in self.zones]
        if len(set(ids)) != len(ids):
            raise ValueError(f"camera {self.camera}: two of its zones have the same id: {', '.join(ids)}")
        return self

    @property
    def policy(self) -> Policy:
        """The policy, which follows from the source: a live camera does not wait, and a file is read whole."""
        if is_sealed(self.address):
            return self.policy_of_sealed or Policy.LATEST
        return default_policy(self.address)

    def spec(self, revision: int) -> CameraSpec:
        """The spec for the services."""
        return CameraSpec.model_validate({**dict(self), "revision": revision, "policy": self.policy})


def with_tidy_names(setup: CameraSetup) -> CameraSetup:
    """A setup with names by the API's rules. Stored names are read without them.

    Raises:
        ValueError: a name has a character that is not allowed, is blank or too long.
    """
    return setup.model_copy(
        update={
            "address": checked(setup.address),
            "name": _tidy("its name", setup.name),
            "store_name": None if setup.store_name is None else _tidy("the store's name", setup.store_name, tidy_name),
            "lines": tuple(
                line.model_copy(
                    update={
                        field: _tidy(f"{field} of the line {line.id}", getattr(line, field))
                        for field in ("name", "in_name", "out_name")
                    }
                )
                for line in setup.lines
            ),
            "zones": tuple(
                zone.model_copy(update={"name": _tidy(f"name of the zone {zone.id}", zone.name)})
                for zone in setup.zones
            ),
        }
    )


def _tidy(field: str, text: str, rule: Callable[[str], str] = tidy) -> str:
    try:
        tidied = rule(text)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None
    if len(tidied) > LONGEST_NAME:
        raise ValueError(f"{field} is longer than {LONGEST_NAME} characters")
    return tidied
