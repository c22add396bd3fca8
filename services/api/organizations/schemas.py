"""An organization, as it is said and shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from contracts.identity import Token
from services.api.http.bodies import Incoming, Name, Patch
from services.kit.database.tables import Organization

Months = Annotated[
    int | None,
    Field(ge=1, le=1200, description="Months after which crossings and counts are removed for good; null keeps them."),
]


class OrganizationIn(Incoming):
    """A new organization."""

    id: Token | None = Field(default=None, description="Made from the name where it is left out.", examples=["acme"])
    name: Name
    months_kept: Months = None


class OrganizationPatch(Patch):
    """What is to be another about it."""

    name: Name = ""
    months_kept: Months = None
    second_factor: bool = Field(
        default=False,
        description="Members who sign in with a password have no role here until they have a second factor. Takes an "
        "admin who has one.",
    )


class OrganizationOut(BaseModel):
    """An organization."""

    id: str
    name: str
    months_kept: Months
    second_factor: bool = Field(description="Whether members need a second factor.")

    @classmethod
    def of(cls, organization: Organization) -> OrganizationOut:
        """As the API shows it."""
        return cls(**organization.model_dump(include=set(cls.model_fields)))
