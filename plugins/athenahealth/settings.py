"""What an account of athenahealth is configured with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.plugin import BaseUrl, Zone

_ID = r"^[1-9][0-9]{0,17}$"


class Settings(BaseModel):
    """The departments of one practice that lie in one time zone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    practice_id: str = Field(pattern=_ID)
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    zone: Zone
    """Which departments are meant: those of which athenahealth says this very name of a zone."""
    base_url: BaseUrl = "https://api.platform.athenahealth.com"
    confirmed_id: str | None = Field(default=None, pattern=_ID)
    """The confirmation status that says "confirmed". Without one, nothing can be confirmed."""
    move_reason_id: str | None = Field(default=None, pattern=_ID)
    """The cancel reason that a moved appointment leaves behind; `None`: the practice's own."""
    beyond_web: bool = False
    """Also offer and book what the practice does not open to scheduling over the web."""
    calls_per_day: int | None = Field(default=None, ge=1)
    calls_per_second: float | None = Field(default=None, gt=0)
    late_write_s: float = Field(default=30.0, ge=0)
    """How long a write whose answer was lost may still come through, in seconds."""
    page_size: int = Field(default=1000, ge=2, le=5000)
