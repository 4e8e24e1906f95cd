"""What an account of Open Dental is configured with."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from gateway.plugin import BaseUrl, Zone

REMOTE = "api.opendental.com"


def _is_key(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-.0-~]+", key.get_secret_value()):
        raise ValueError("a key has neither white space nor a slash in it")
    return key


Key = Annotated[SecretStr, AfterValidator(_is_key)]


class Settings(BaseModel):
    """One office, as one developer may reach it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    office: str = Field(min_length=1)
    """A name of your own for the office: accounts with the same one share its appointments."""
    developer_key: Key
    customer_key: Key
    """Open Dental gives one for each pair of developer and office."""
    zone: Zone
    """Of the office: Open Dental speaks its local time, without an offset."""
    confirmed: tuple[int, ...] = ()
    """The numbers (`DefNum`) of the definitions that mean "confirmed" in this office; the first is what a confirmation
    writes. Without any there is nothing to confirm."""
    unscheduled_list: bool = True
    """A cancelled appointment goes to the Unscheduled List; otherwise it stays in the book, as broken."""
    base_url: BaseUrl = f"https://{REMOTE}/api/v1"
    """Or that of the office's own API service."""
    late_write_s: float = Field(default=60.0, ge=0)
    """How long a write whose answer was lost may still come through, in seconds."""

    @property
    def is_remote(self) -> bool:
        """Through the vendor's own servers, which count requests; an office's own service does not."""
        return (urlsplit(self.base_url).hostname or "").rstrip(".") == REMOTE
