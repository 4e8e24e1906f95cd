"""What an account of Acme is configured with."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.plugin import BaseUrl, Zone


class Settings(BaseModel):
    """One practice."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: BaseUrl
    """Of the practice's own server: whoever has the same one shares appointments."""
    api_key: SecretStr = Field(min_length=1)
    zone: Zone
    """Of the practice: times are answered with its offset."""
    late_write_s: float = Field(default=30.0, ge=0)
    """How long a write whose answer was lost may still come through, in seconds."""
