"""What NexHealth can do, by what the practice itself runs."""

from __future__ import annotations

from dataclasses import replace

from gateway.plugin import Capabilities, Edition, Kind
from plugins.nexhealth.settings import Settings

FULL = Capabilities(
    directories=frozenset(Kind),
    lists=True,
    free_time="slots",
    free_time_by=frozenset({Kind.RESOURCE}),
    move="in_place",
    refuses_overlap=False,
    create=True,
    cancel=True,
    cancel_comment="with",
    comment=True,
    comment_max=128,
    confirm="flag",
    confirmed_flag=True,
    answers_with="nothing",
    settles_within_s=300.0,
    late_write_s=30.0,
    min_interval_s=0.1,
    quota=1000,
    quota_window_s=60.0,
)
ELSEWHERE = replace(FULL, move="none", comment=False, cancel_comment="none", comment_max=None)
"""A change of times or note stays in NexHealth's copy, until it is written over."""

DOCUMENT = "the vendor's OpenAPI document of v3.0.0"
EDITIONS = (
    Edition(title="Dentrix, Dentrix Enterprise, Eaglesoft, Open Dental", capabilities=FULL, against=DOCUMENT),
    Edition(name="others", title="any other system", capabilities=ELSEWHERE, against=DOCUMENT),
)


def edition(settings: Settings) -> Edition:
    return EDITIONS[settings.system == "other"]


def declared(settings: Settings) -> Capabilities:
    return replace(
        edition(settings).capabilities,
        settles_within_s=settings.settles_within_s,
        late_write_s=settings.late_write_s,
        min_interval_s=settings.min_interval_s,
    )
