"""The one import that a plugin needs. What stands here is promised to third parties; nothing else of `gateway` is."""

from gateway.domain.availability import bookable, open_time, without
from gateway.domain.capabilities import Capabilities, Support
from gateway.domain.editions import Edition
from gateway.domain.model import Appointment, Entry, FreeTime, Kind, Slot, Span, Status
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.domain.steps import Cancel, Change, Confirm, Create, Discard, MarkSlot, Receipt, Step
from gateway.hookspecs import hookimpl
from gateway.port import (
    PLUGIN_API,
    Account,
    BadAccount,
    Emr,
    EmrError,
    MaybeDone,
    NotSent,
    Reason,
    Refused,
    Throttled,
    Vendor,
    in_the_way,
)
from gateway.vendor.answer import nothing, sense
from gateway.vendor.auth import ApiKey, Basic, Bearer, ClientCredentials, KeyForToken
from gateway.vendor.besides import Besides
from gateway.vendor.consent import AuthorizationCode, Consent
from gateway.vendor.fields import flag, id_of, id_or_none, in_utc, instant, minutes_after, number, records, text, wall
from gateway.vendor.hours import Week, hours, weekday, worked
from gateway.vendor.http import Door, VendorHttp
from gateway.vendor.local_time import day_bounds, from_wall, is_past, local_days, repeated, to_wall, today
from gateway.vendor.login import Login, Proof
from gateway.vendor.open_hours import OpenHoursEmr
from gateway.vendor.paging import (
    CutShort,
    Page,
    by_cursor,
    by_limit,
    by_link,
    by_number,
    by_offset,
    by_parameter,
    cursor_if,
    linked,
)
from gateway.vendor.rest import Directory, Query, RestEmr, Row
from gateway.vendor.saying import as_number, beforehand, explained, given, if_known, if_there, mark, the_same, units
from gateway.vendor.setting_types import AccountSettings, BaseUrl, Url, Zone, of_form
from gateway.vendor.smart_backend import SmartBackend
from gateway.vendor.stretches import by_days

__all__ = [
    "PLUGIN_API",
    "Account",
    "AccountSettings",
    "ApiKey",
    "Appointment",
    "AuthorizationCode",
    "BadAccount",
    "BaseUrl",
    "Basic",
    "Bearer",
    "Besides",
    "Cancel",
    "Capabilities",
    "Change",
    "ClientCredentials",
    "Confirm",
    "Consent",
    "Create",
    "CutShort",
    "Directory",
    "Discard",
    "Door",
    "Edition",
    "Emr",
    "EmrError",
    "Entry",
    "FindFreeTime",
    "FreeTime",
    "KeyForToken",
    "Kind",
    "Login",
    "MarkSlot",
    "MaybeDone",
    "NotSent",
    "OpenHoursEmr",
    "Page",
    "Proof",
    "Query",
    "ReadCalendar",
    "Reason",
    "Receipt",
    "Refused",
    "RestEmr",
    "Row",
    "Slot",
    "SmartBackend",
    "Span",
    "Status",
    "Step",
    "Support",
    "Throttled",
    "Url",
    "Vendor",
    "VendorHttp",
    "Week",
    "Zone",
    "as_number",
    "beforehand",
    "bookable",
    "by_cursor",
    "by_days",
    "by_limit",
    "by_link",
    "by_number",
    "by_offset",
    "by_parameter",
    "cursor_if",
    "day_bounds",
    "explained",
    "flag",
    "from_wall",
    "given",
    "hookimpl",
    "hours",
    "id_of",
    "id_or_none",
    "if_known",
    "if_there",
    "in_the_way",
    "in_utc",
    "instant",
    "is_past",
    "linked",
    "local_days",
    "mark",
    "minutes_after",
    "nothing",
    "number",
    "of_form",
    "open_time",
    "records",
    "repeated",
    "sense",
    "text",
    "the_same",
    "to_wall",
    "today",
    "units",
    "wall",
    "weekday",
    "without",
    "worked",
]
