"""FHIR search on resources in memory: references, tokens, dates, ids, one step of chaining, `_include`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

Resource = dict[str, Any]
Store = dict[str, dict[str, Resource]]
Test = Callable[[Resource, str], bool]

CONTROL = {"_count", "_include", "_summary", "_page", "_sort", "-location"}


class Unknown(Exception):
    """The server has no such parameter."""


def matches(store: Store, kind: str, params: Iterable[tuple[str, str]], strict: bool) -> list[Resource]:
    """Resources that meet every parameter; a value is a comma list of alternatives."""
    found = list(store.get(kind, {}).values())
    for name, value in params:
        test = _test(store, kind, name)
        if test is not None:
            found = [r for r in found if any(test(r, one) for one in value.split(","))]
        elif strict and name not in CONTROL:
            raise Unknown
    return found


def included(store: Store, found: list[Resource], wanted: str) -> list[Resource]:
    """`_include=Slot:schedule` and `_include=Schedule:actor`."""
    _, _, name = wanted.partition(":")
    targets = {ref for r in found for ref in _references(r, name)}
    split = (ref.split("/") for ref in sorted(targets))
    return [store[kind][id] for kind, id in split if id in store.get(kind, {})]


def _test(store: Store, kind: str, name: str) -> Test | None:
    if (kind, name) == ("Slot", "schedule.actor"):
        of_actor = _reference("actor")
        return lambda r, v: any(of_actor(s, v) for s in _targets(store, r, "schedule"))
    return {**_COMMON, **_PARAMS.get(kind, {})}.get(name)


def _targets(store: Store, resource: Resource, name: str) -> list[Resource]:
    return included(store, [resource], f"X:{name}")


def _references(resource: Resource, name: str) -> list[str]:
    value = resource.get(name, [])
    if name == "actor" and "participant" in resource:
        value = [p.get("actor", {}) for p in resource["participant"]]
    return [one["reference"] for one in (value if isinstance(value, list) else [value]) if "reference" in one]


def _reference(name: str) -> Test:
    return lambda r, v: any(ref == v or ref.endswith("/" + v) for ref in _references(r, name))


def _token(resource: Resource, value: str, *, name: str) -> bool:
    system, bar, code = value.rpartition("|")
    held = resource.get(name, [])
    pairs = (
        [(i.get("system"), i.get("value")) for i in held]
        if name == "identifier"
        else [(c.get("system"), c.get("code")) for concept in held for c in concept.get("coding", [])]
    )
    return any(c == code and (not bar or (s or "") == system) for s, c in pairs)


def _coded(name: str) -> Test:
    return lambda r, v: _token(r, v, name=name)


def _date(name: str) -> Test:
    def test(resource: Resource, value: str) -> bool:
        prefix, wanted = value[:2], datetime.fromisoformat(value[2:])
        if name not in resource:
            return False
        held = datetime.fromisoformat(resource[name])
        return {"ge": held >= wanted, "lt": held < wanted, "gt": held > wanted, "le": held <= wanted}[prefix]

    return test


def _same(name: str) -> Test:
    return lambda r, v: bool(r.get(name) == v)


_COMMON: dict[str, Test] = {"_id": _same("id"), "identifier": _coded("identifier")}
_PARAMS: dict[str, dict[str, Test]] = {
    "Appointment": {
        "actor": _reference("actor"),
        "patient": _reference("actor"),
        "practitioner": _reference("actor"),
        "location": _reference("actor"),
        "date": _date("start"),
        "status": _same("status"),
        "slot": _reference("slot"),
    },
    "Slot": {
        "schedule": _reference("schedule"),
        "start": _date("start"),
        "status": _same("status"),
        "service-type": _coded("serviceType"),
    },
    "Schedule": {"actor": _reference("actor")},
    "HealthcareService": {},
}
