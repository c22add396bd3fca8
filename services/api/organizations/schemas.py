"""Schemas of organizations."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from contracts.identity import Token
from services.api.http.bodies import Incoming, Name, Patch, RowOut

Months = Annotated[
    int | None,
    Field(ge=1, le=1200, description="Months after which crossings and counts are deleted; null keeps them."),
]


class OrganizationIn(Incoming):
    """A new organization."""

    id: Token | None = Field(default=None, description="Derived from the name if omitted.", examples=["acme"])
    name: Name
    months_kept: Months = None


class OrganizationPatch(Patch):
    """Fields of an organization to update; omitted fields are unchanged."""

    name: Name = ""
    months_kept: Months = None
    second_factor: bool = Field(
        default=False,
        description="Require a second factor: members who sign in with a password have no role here until they have "
        "one. Only an admin who has one can set this.",
    )


class OrganizationOut(RowOut):
    """An organization."""

    id: str
    name: str
    months_kept: Months
    second_factor: bool = Field(description="Whether members need a second factor.")
