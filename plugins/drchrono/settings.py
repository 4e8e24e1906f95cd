"""What an account of DrChrono is configured with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.plugin import BaseUrl, Consent, Zone

SCOPE = "calendar:read calendar:write user:read patients:summary:read"
"""No more than is used: of patients that is their names."""


class Settings(BaseModel):
    """One practice group, seen by whoever of it has let the gateway in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    practice_group: str = Field(min_length=1)
    """Its doctors' `practice_group`: whoever has the same one shares appointments."""
    zone: Zone
    """Of the practice, whose wall time is spoken."""
    office_id: str | None = Field(default=None, pattern=r"^\d+$")
    """Which office is meant where a request names no care unit."""
    exam_room: int = Field(default=1, ge=1)
    """Where somebody is booked who continues no other appointment: the room's number within its office."""
    calls_per_hour: int = Field(default=500, ge=1)
    """What the application is allowed; or its share, where several accounts are of one application."""
    calls_per_second: float = Field(default=9.0, gt=0)
    """From ten on it throttles."""
    late_write_s: float = Field(default=30.0, ge=0)
    """How long a write whose answer was lost may still come through, in seconds."""
    scope: str = SCOPE
    base_url: BaseUrl = "https://app.drchrono.com"


def consent(settings: Settings) -> Consent:
    """OAuth 2, authorization code: somebody lets the gateway in, with their own rights."""
    return Consent(
        authorize_url=f"{settings.base_url}/o/authorize/",
        token_url=f"{settings.base_url}/o/token/",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        style="post",
        scope=settings.scope,
    )
