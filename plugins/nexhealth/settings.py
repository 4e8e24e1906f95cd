"""What an account of NexHealth is configured with."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gateway.plugin import BaseUrl, Zone

System = Literal["dentrix", "dentrix-enterprise", "eaglesoft", "open-dental", "other"]


class Settings(BaseModel):
    """One location of one practice."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subdomain: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Names the practice at NexHealth: whoever has the same one shares appointments."""
    location_id: str = Field(pattern=r"^[1-9][0-9]{0,8}$")
    """The only care unit of the account: what belongs to another location is not there."""
    api_key: SecretStr = Field(min_length=1)
    zone: Zone
    """Of the location: times are answered with its offset, and its days are what free time is asked by."""
    system: System
    """What the practice itself runs, as it decides what NexHealth can have written there."""
    written: Literal["there", "copy"] = "there"
    """When a change counts as written: as the practice's system is read again, or as NexHealth's copy has it."""
    settles_within_s: float = Field(default=300.0, ge=0, le=450)
    """How long an accepted write may take to be written in the practice's system, in seconds."""
    late_write_s: float = Field(default=30.0, ge=0)
    """How long a write whose answer was lost may still come through to NexHealth, in seconds."""
    only_awake: bool = True
    """Nothing is written while NexHealth says that it can't write to the practice's system, or can't read it."""
    slack_s: float = Field(default=1.0, ge=0)
    """How much later than its reading NexHealth may stamp what it has read, in seconds."""
    min_interval_s: float = Field(default=0.1, ge=0)
    """The least time from one call to the next, in seconds: appointments may be listed ten times a second."""
    base_url: BaseUrl = "https://nexhealth.info"
