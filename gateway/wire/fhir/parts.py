"""What all FHIR resources here are made of: our URLs, identifiers, references, extensions, bundles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gateway.domain.model import Kind
from gateway.ledger import Answer
from gateway.wire.values import sendable

FHIR = "application/fhir+json"
Json = dict[str, Any]

RESOURCE_TYPES: Mapping[str, str] = {
    "appointments": "Appointment",
    Kind.CARE_UNIT: "Location",
    Kind.RESOURCE: "Practitioner",
    Kind.SERVICE: "HealthcareService",
    Kind.PATIENT: "Patient",
}
"""What is listed under each of our paths, as FHIR has it."""

UNKNOWN: Json = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
}
"""Stands where FHIR demands a value that nobody knows."""

_ID = re.compile("[A-Za-z0-9.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Urls:
    """The URLs of one EMR account: they name what its ids are ids of."""

    base: str
    emr: str

    def listing(self, kind: str) -> str:
        """Where these are listed: the system of their identifiers."""
        return f"{self.base}/api/emrs/{quote(self.emr, safe='')}/{kind}"

    def one(self, kind: str, id: str) -> str:
        return f"{self.listing(kind)}/{quote(sendable(id), safe='')}"

    def reference(self, kind: Kind, id: str) -> Json:
        """By identifier: there is no FHIR server behind it on which a relative reference would lead anywhere."""
        return {"type": RESOURCE_TYPES[kind], "identifier": self.identifier(kind, id)}

    def identifier(self, kind: str, id: str, **more: str) -> Json:
        return {**more, "system": self.listing(kind), "value": sendable(id)}

    def resource(self, kind: str, id: str) -> Json:
        """The beginning of a resource. Ids that are no FHIR ids stand in its identifier alone, as all do there."""
        told: Json = {"resourceType": RESOURCE_TYPES[kind]}
        if _ID.fullmatch(id):
            told["id"] = id
        return told

    def extension(self, name: str, **value: Any) -> Json:
        return extension(self.base, name, **value)


def extension(base_url: str, name: str, **value: Any) -> Json:
    """An extension of ours; `value` is its one `value[x]`."""
    return {"url": f"{base_url}/fhir/StructureDefinition/{name}", **value}


def present(**elements: Any) -> Json:
    """The elements that are there: in FHIR nothing is empty or null."""
    return {name: value for name, value in elements.items() if value not in (None, "", [], {})}


def text(value: str | None) -> str | None:
    """A FHIR string, which is never blank."""
    return sendable(value) if value is not None and value.strip() else None


def bundle(entries: Iterable[tuple[str | None, Json]]) -> Json:
    """A collection of resources, each with the URL that names it, where it has one."""
    told = [present(fullUrl=url, resource=resource) for url, resource in entries]
    return {"resourceType": "Bundle", "type": "collection", **present(entry=told)}


def answer(status: int, resource: Json, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    body = json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, body, (("content-type", FHIR), *headers))
