"""What an account of Cliniko is configured with."""

from __future__ import annotations

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from gateway.plugin import BaseUrl, Zone

_SHARD = re.compile(r"-([a-z]{2}\d{1,2})")
FIRST_SHARD = "au1"


class Settings(BaseModel):
    """One user of one Cliniko account: the API key has that user's rights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subdomain: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """What the practice's own address at Cliniko begins with: whoever has the same one shares appointments."""
    api_key: SecretStr = Field(min_length=1)
    contact: str = Field(pattern=r"^[^\s@()]+@[^\s@()]+$")
    """An e-mail address that Cliniko is told with every request, as it asks for."""
    zone: Zone
    """Of the practice: times are answered with its offset, and its days are what free time is asked by."""
    business_id: str | None = Field(default=None, pattern=r"^\d+$")
    """Which business is meant where a request names no care unit."""
    base_url: BaseUrl | None = None
    """Only to go another way than the key's own shard says."""
    late_write_s: float = Field(default=30.0, ge=0)
    """How long a write whose answer was lost may still come through, in seconds."""

    @property
    def shard(self) -> str | None:
        """The end of the key names the shard; a key without one is of the first. `None`: it is no shard's name."""
        _, dash, end = self.api_key.get_secret_value().rpartition("-")
        if not dash:
            return FIRST_SHARD
        found = _SHARD.fullmatch(f"-{end}")
        return found and found[1]

    @property
    def address(self) -> str:
        return self.base_url or f"https://api.{self.shard}.cliniko.com/v1"

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.base_url is None and self.shard is None:
            raise ValueError("api_key does not end in the name of a shard (such as -uk1)")
        return self
