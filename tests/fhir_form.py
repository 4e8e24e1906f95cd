"""What it is to be FHIR R4: the published models, and those of its rules that they don't hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from fhir.resources.R4B import get_fhir_model_class
from pydantic import BaseModel

URL = "https://gateway.example"
MEDIA = "application/fhir+json"
ISSUE_TYPES = frozenset(
    [
        "invalid",
        "structure",
        "required",
        "value",
        "invariant",
        "security",
        "login",
        "unknown",
        "expired",
        "forbidden",
        "suppressed",
        "processing",
        "not-supported",
        "duplicate",
        "multiple-matches",
        "not-found",
        "deleted",
        "too-long",
        "code-invalid",
        "extension",
        "too-costly",
        "business-rule",
        "conflict",
        "transient",
        "lock-error",
        "no-store",
        "exception",
        "timeout",
        "incomplete",
        "throttled",
        "informational",
    ]
)


def fhir(body: bytes | str | dict[str, Any]) -> dict[str, Any]:
    """The resource, if it is one in form."""
    told: dict[str, Any] = body if isinstance(body, dict) else json.loads(body)
    model = get_fhir_model_class(told["resourceType"]).model_validate(told)
    assert json.loads(model.model_dump_json()) == json.loads(json.dumps(told).replace("+00:00", "Z"))
    assert list(empty(told)) == []
    for part in models_in(model):
        check_codes(part)
    for one in resources_in(told):
        RULES.get(one["resourceType"], lambda _: None)(one)
    return told


def empty(value: Any, path: str = "") -> Iterator[str]:
    """Where something is that FHIR's JSON never has."""
    if value is None or value in ("", [], {}) or (isinstance(value, str) and not value.strip()):
        yield path
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from empty(inner, f"{path}/{key}")


def models_in(model: BaseModel) -> Iterator[BaseModel]:
    yield model
    for name in type(model).model_fields:
        value = getattr(model, name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, BaseModel):
                yield from models_in(one)


def check_codes(model: BaseModel) -> None:
    """Codes of the value sets that are binding."""
    for name, field in type(model).model_fields.items():
        extra = field.json_schema_extra
        value = getattr(model, name)
        if isinstance(extra, dict) and "enum_values" in extra and value is not None:
            assert value in extra["enum_values"], f"{name} is {value}"
    if type(model).__name__ == "Extension":
        values = [n for n in type(model).model_fields if n.startswith("value") and getattr(model, n) is not None]
        assert len(values) == 1


def resources_in(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield told
    for entry in told.get("entry", ()):
        yield from resources_in(entry["resource"])
    for contained in told.get("contained", ()):
        yield from resources_in(contained)


def check_appointment(told: dict[str, Any]) -> None:
    assert all("type" in p or "actor" in p for p in told["participant"])
    assert ("start" in told) == ("end" in told)
    assert "start" in told or told.get("status") in ("proposed", "cancelled", "waitlist")
    assert told["participant"]


def check_slot(told: dict[str, Any]) -> None:
    assert {told["schedule"]["reference"]} == {f"#{one['id']}" for one in told["contained"]}
    assert all(one["actor"] for one in told["contained"])


def check_bundle(told: dict[str, Any]) -> None:
    assert told["type"] == "collection"
    assert not told.keys() & {"total", "link"}
    urls = [entry["fullUrl"] for entry in told.get("entry", ()) if "fullUrl" in entry]
    assert len(urls) == len(set(urls))
    for entry in told.get("entry", ()):
        assert not entry.keys() & {"search", "request", "response"}
        id = entry["resource"].get("id")
        assert id is None or entry["fullUrl"].endswith(f"/{id}")


def check_operation_outcome(told: dict[str, Any]) -> None:
    assert str(UUID(told["id"])) == told["id"]
    assert told["issue"]
    assert all(issue["code"] in ISSUE_TYPES for issue in told["issue"])


RULES = {
    "Appointment": check_appointment,
    "Slot": check_slot,
    "Bundle": check_bundle,
    "OperationOutcome": check_operation_outcome,
}


def codes(outcome: dict[str, Any]) -> list[str]:
    """Our codes: that of the error, then those of its entries."""
    return [coding["code"] for issue in outcome["issue"] for coding in issue["details"]["coding"]]


def places(outcome: dict[str, Any]) -> list[str | None]:
    """Of each entry, in the request."""
    return [issue.get("location", [None])[0] for issue in outcome["issue"][1:]]


def told_extensions(resource: dict[str, Any]) -> dict[str, Any]:
    """Our extensions by their names."""
    found = {}
    for one in resource.get("extension", ()):
        base, _, name = one["url"].rpartition("/")
        assert base.endswith("/fhir/StructureDefinition")
        found[name] = next(value for key, value in one.items() if key.startswith("value"))
    return found


def actors(appointment: dict[str, Any]) -> dict[str, str]:
    """The ids of the participants, by type."""
    references = [p["actor"] for p in appointment["participant"]]
    return {one["type"]: one["identifier"]["value"] for one in references}
