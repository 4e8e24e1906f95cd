"""What plugins' settings have in common, as types for their fields."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field


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
