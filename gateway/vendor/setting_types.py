"""What plugins' settings have in common."""

from __future__ import annotations

import re
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


def _known_zone(value: object) -> object:
    if not isinstance(value, str):
        return value
    # Not by the list of all: to make that, the whole time zone database is walked through.
    try:
        return ZoneInfo(value)
    except (LookupError, ValueError, OSError):
        raise ValueError("not an IANA time zone") from None


Url = Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")]
"""An address at http or https, without query and fragment."""

BaseUrl = Annotated[Url, AfterValidator(lambda url: url.rstrip("/"))]
"""An `Url` below which others are made; a slash at its end is not kept, so that it is always the same one."""

Zone = Annotated[ZoneInfo, BeforeValidator(_known_zone)]
"""An IANA time zone by its name. In the model it is the zone itself."""


def of_form(pattern: str, otherwise: str) -> AfterValidator:
    """Annotates a `SecretStr` that must be of a form, all of it; `otherwise` is the sentence where it is not."""

    def check(secret: SecretStr) -> SecretStr:
        if not re.fullmatch(pattern, secret.get_secret_value()):
            raise ValueError(otherwise)
        return secret

    return AfterValidator(check)


class AccountSettings(BaseModel):
    """What an account is configured with: nothing unknown, nothing that changes, and no value quoted in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    late_write_s: float = Field(default=30.0, ge=0)
    """How long a write whose answer was lost may still come through, in seconds."""
