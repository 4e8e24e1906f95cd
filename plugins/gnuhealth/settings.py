"""What an account of a GNU Health server is configured with."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.plugin import BaseUrl, Zone


class Settings(BaseModel):
    """One database of one GNU Health server, and the user that the gateway is there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: BaseUrl
    """Where Tryton listens, without the database."""
    database: str = Field(min_length=1)
    username: str = Field(min_length=1)
    password: SecretStr
    zone: Zone
    """Of the institution: times are answered with its offset. The server itself speaks UTC."""
    default_minutes: int = Field(default=30, ge=1, le=1440)
    """How long an appointment lasts that the staff has given no end."""
    late_write_s: float = Field(default=10.0, ge=0)
    """How long a write whose answer was lost may still come through, in seconds."""
    page_size: int = Field(default=500, ge=1, le=1000)

    @property
    def default_length(self) -> timedelta:
        return timedelta(minutes=self.default_minutes)
