"""FHIR's words into ours: pure functions from wire JSON. What is missing, or of another type, raises for `sense`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.plugin import Appointment, Entry, Slot, Span, Status, in_utc
from plugins.fhir.settings import Settings

Json = Mapping[str, Any]

STATUSES = {
    "proposed": Status.AWAITING,
    "pending": Status.AWAITING,
    "booked": Status.BOOKED,
    "fulfilled": Status.COMPLETED,
    "cancelled": Status.CANCELLED,
    "noshow": Status.NO_SHOW,
}
"""`arrived`, `checked-in` and `waitlist` are OTHER: neither can be moved, and neither is over."""

NEVER_WAS = "entered-in-error"
KEPT = (
    "status", "participant", "minutesDuration", "comment", "slot", "serviceCategory", "serviceType",
    "specialty", "appointmentType", "reasonCode", "reasonReference",
)  # fmt: skip
"""What later writes need of an appointment's resource; the rest is not carried around."""

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}", re.ASCII)


# -- references -------------------------------------------------------------------------------------------------------


def is_id(text: str) -> bool:
    return ID.fullmatch(text) is not None


def local(reference: str, base_url: str) -> str:
    """A reference as `Type/id` where it points into this server, else as it stands; never to one version."""
    text = reference.removeprefix(base_url + "/")
    return text.split("/_history/", 1)[0]


def referred(one: Json | None, base_url: str) -> str:
    """What a Reference refers to; "" where it refers to nothing but by its words."""
    reference: str = (one or {}).get("reference") or ""
    return local(reference, base_url)


def bare(reference: str) -> str:
    """The id of a local reference; a foreign one stays whole."""
    kind, _, id = reference.partition("/")
    return id if kind.isalpha() and is_id(id) else reference


def kind_of(reference: str) -> str:
    """The resource type that a reference names: `Practitioner` for `Practitioner/1` and for a foreign URL."""
    parts = reference.split("/")
    return parts[-2] if len(parts) >= 2 else ""


def split(reference: str, kinds: Iterable[str]) -> tuple[str, str] | None:
    """`Type/id` in two where it is a local reference to one of `kinds`."""
    kind, _, id = reference.partition("/")
    return (kind, id) if kind in kinds and is_id(id) else None


def actors(body: Json, settings: Settings, key: str = "participant") -> list[str]:
    """The references of all participants (or a Schedule's actors), in their order; "" where there is none."""
    listed = [p.get("actor") for p in body.get(key, ())] if key == "participant" else body.get(key, ())
    return [referred(one, settings.base_url) for one in listed]


def resource_of(references: Sequence[str], settings: Settings) -> str | None:
    """The first participant of the account's resource types."""
    return next((r for r in references if kind_of(r) in settings.resources), None)


def unit_of(references: Iterable[str], settings: Settings) -> str | None:
    if settings.care_units == "none":
        return None
    return next((bare(r) for r in references if kind_of(r) == "Location"), None)


def bears(body: Json, system: str, value: str) -> bool:
    """Asked of search results too: a server may have ignored the parameter."""
    return any(i.get("system") == system and i.get("value") == value for i in body.get("identifier") or ())


def extensions(body: Json) -> Sequence[Json]:
    return tuple(body.get("extension") or ())


# -- codings ----------------------------------------------------------------------------------------------------------


def tokens(concepts: Iterable[Json]) -> list[str]:
    """Codings as `system|code`; a coding without a system is `|code`."""
    return [f"{coding.get('system', '')}|{coding['code']}" for concept in concepts for coding in coded(concept)]


def coded(concept: Json) -> list[Json]:
    return [coding for coding in concept.get("coding", ()) if coding.get("code")]


def service_of(body: Json, references: Iterable[str], settings: Settings) -> str | None:
    if settings.services == "serviceType":
        return next(iter(tokens(body.get("serviceType", ()))), None)
    return next((bare(r) for r in references if kind_of(r) == "HealthcareService"), None)


# -- appointments -----------------------------------------------------------------------------------------------------


def instant(text: str, settings: Settings) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an instant without an offset")
    return moment.astimezone(settings.zone)


def version_of(body: Json) -> str | None:
    version = (body.get("meta") or {}).get("versionId")
    return None if version is None else text(version)


def status_of(body: Json) -> str:
    return text(body["status"])


def text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def appointment(body: Json, settings: Settings) -> Appointment | None:
    """An Appointment resource; `None` for one that was entered in error, or that has no time yet."""
    expect(body, "Appointment")
    if status_of(body) == NEVER_WAS or "start" not in body or "end" not in body:
        return None
    references = actors(body, settings)
    return Appointment(
        id=body["id"],
        start=instant(body["start"], settings),
        end=instant(body["end"], settings),
        status=STATUSES.get(body["status"], Status.OTHER),
        patient_id=next((bare(r) for r in references if kind_of(r) == "Patient"), None),
        resource_id=resource_of(references, settings),
        healthcare_service_id=service_of(body, references, settings),
        care_unit_id=unit_of(references, settings),
        comment=body.get("comment"),
        confirmed=confirmed(body, references),
        version=version_of(body),
        slot_ids=tuple(bare(referred(s, settings.base_url)) for s in body.get("slot", ()) if "reference" in s),
        native={key: body[key] for key in KEPT if key in body},
    )


def confirmed(body: Json, references: Sequence[str]) -> bool | None:
    """Whether the patient's participation is accepted, once the appointment is more than a proposal."""
    patient = next((n for n, r in enumerate(references) if kind_of(r) == "Patient"), None)
    if patient is None:
        return None
    accepted = body["participant"][patient].get("status") == "accepted"
    return accepted and STATUSES.get(body["status"]) is not Status.AWAITING


def standing(one: Appointment) -> bool:
    """It holds its time."""
    return one.status is not Status.CANCELLED and one.confirms is None


# -- slots ------------------------------------------------------------------------------------------------------------


def slot(body: Json, settings: Settings) -> Slot:
    """Some slots say themselves where they are, by an extension that refers to a Location."""
    expect(body, "Slot")
    named = [referred(e.get("valueReference"), settings.base_url) for e in extensions(body)]
    return Slot(
        start=instant(body["start"], settings),
        end=instant(body["end"], settings),
        care_unit_id=unit_of(named, settings),
        id=body["id"],
        version=version_of(body),
        native={"status": status_of(body)},
    )


def placed(one: Slot, schedule: Json | None, settings: Settings) -> Slot:
    """A slot with the resource and care unit that its schedule (if it is known) says."""
    references = actors(schedule or {}, settings, "actor")
    unit = unit_of(references, settings) or one.care_unit_id
    return replace(one, resource_id=resource_of(references, settings), care_unit_id=unit)


def fits(body: Json, schedule: Json | None, service: str | None, codes: Sequence[str], settings: Settings) -> bool:
    """May the slot be booked for a service? One that says nothing of services is for every one.

    `codes` are the codings of the service's type.
    """
    schedule = schedule or {}
    named = [bare(r) for r in actors(schedule, settings, "actor") if kind_of(r) == "HealthcareService"]
    if settings.services == "HealthcareService" and service is not None and named and service not in named:
        return False
    offered = tokens(body.get("serviceType") or schedule.get("serviceType") or ())
    return not offered or not codes or bool(set(offered) & set(codes))


# -- directories ------------------------------------------------------------------------------------------------------


def name_of(body: Json) -> str:
    """A name to show: a string (Location, HealthcareService), or the first HumanName; the id where there is none."""
    name = body.get("name")
    if isinstance(name, str) and name:
        return name
    human: Json = next(iter(name), {}) if isinstance(name, list) else {}
    said = human.get("text") or " ".join([*human.get("given", ()), human.get("family", "")]).strip()
    named: str = said or body["id"]
    return named


def entry(body: Json, settings: Settings) -> Entry:
    """A directory's line for a resource, under the id by which appointments name it."""
    line = Entry(body["id"], name_of(body))
    kind = str(body["resourceType"])
    if kind not in settings.resources:
        return line
    units = [referred(u, settings.base_url) for u in body.get("location", ())]
    unit = unit_of(units, settings) if len(units) == 1 else None
    return Entry(f"{kind}/{line.id}", role_name(body), unit)


def role_name(body: Json) -> str:
    """A PractitionerRole has no name of its own: that of its practitioner, as the reference shows it."""
    shown = (body.get("practitioner") or {}).get("display")
    named: str = shown if shown and "name" not in body else name_of(body)
    return named


def expect(body: Json, kind: str) -> None:
    """Raises ValueError where the server answered with another resource."""
    if body.get("resourceType") != kind:
        raise ValueError(f"not a resource of the type {kind}")


def the(body: Json, kind: str, id: str) -> Json:
    """The resource that was asked for. Raises ValueError for any other."""
    expect(body, kind)
    if body["id"] != id:
        raise ValueError("another resource than was asked for")
    return body


def looking_back(span: Span, settings: Settings) -> list[tuple[str, str | int | float | bool | None]]:
    """The `date` parameters that find every appointment which may overlap `span`."""
    first = span.start.astimezone(UTC) - timedelta(hours=settings.longest_h)
    return [("date", f"ge{said(first)}"), ("date", f"lt{said(span.end)}")]


def said(moment: datetime) -> str:
    """An instant in a URL: in UTC, since a `+` would have to survive every proxy."""
    return in_utc(moment)
