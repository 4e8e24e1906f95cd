"""How the fake server takes a transaction: as the specification says, or as servers have been seen to do instead."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.plugins.fhir.searching import Resource

if TYPE_CHECKING:
    from tests.plugins.fhir.fake import FakeFhir

KINDS = ("whole", "left standing", "entry by entry", "hollow", "without patches")
"""`whole`: all or nothing. `left standing`: refused, and what came before the refused entry stays. `entry by entry`:
each by itself, under a success. `hollow`: a success, and nothing was stored. `without patches`: no PATCH in it."""
ORDER = ("DELETE", "POST", "PUT", "PATCH")


class Refusal(Exception):
    def __init__(self, status: int, code: str, text: str = "") -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def issue(code: str, text: str = "", severity: str = "error", **more: Any) -> Resource:
    told = {"severity": severity, "code": code, "diagnostics": text, **more}
    return {"resourceType": "OperationOutcome", "issue": [told]}


def transacted(fake: FakeFhir, bundle: Resource) -> Resource:
    """The answer to a transaction. Raises Refusal for the whole of it."""
    entries = bundle["entry"]
    if bundle["type"] != "transaction" or not _apart(entries):
        raise Refusal(400, "invalid")
    before = copy.deepcopy((fake.store, fake.gone, fake.last_id))
    told: dict[int, Resource] = {}
    for n in sorted(range(len(entries)), key=lambda n: ORDER.index(entries[n]["request"]["method"])):
        try:
            told[n] = _carried_out(fake, entries[n])
        except Refusal as no:
            if fake.transactions == "entry by entry":
                told[n] = {"response": {"status": str(no.status), "outcome": issue(no.code, no.text)}}
                continue
            if fake.transactions != "left standing":
                fake.store, fake.gone, fake.last_id = before
            raise
    if fake.transactions == "hollow":
        fake.store, fake.gone, fake.last_id = before
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": [told[n] for n in range(len(entries))]}


def _apart(entries: list[Resource]) -> bool:
    """No two are about one resource, and each but a creation says whose address it is."""
    urls = [e["request"]["url"] for e in entries if e["request"]["method"] != "POST"]
    named = [e["fullUrl"] for e in entries if e["request"]["method"] != "POST"]
    return len(set(urls)) == len(urls) and all(n.endswith(f"/{u}") for n, u in zip(named, urls, strict=True))


def _carried_out(fake: FakeFhir, entry: Resource) -> Resource:
    request, body = entry["request"], entry["resource"]
    kind, _, id = request["url"].partition("/")
    wanted = request.get("ifMatch") if fake.heeds_in_transactions else None
    match request["method"]:
        case "POST":
            stored, status = fake.created(kind, body, request.get("ifNoneExist"))
        case "PATCH":
            if fake.transactions == "without patches":
                raise Refusal(400, "not-supported")
            assert (body["resourceType"], body["contentType"]) == ("Binary", "application/json-patch+json")
            stored, status = fake.patched(kind, id, json.loads(base64.b64decode(body["data"])), wanted), 200
        case _:
            raise Refusal(405, "not-supported")
    return _told(fake, stored, status)


def _told(fake: FakeFhir, stored: Resource, status: int) -> Resource:
    version = stored["meta"]["versionId"]
    where = f"{fake.base}/{stored['resourceType']}/{stored['id']}/_history/{version}"
    response = {"status": f"{status} Ok", "location": where, "etag": f'W/"{version}"'}
    shown: dict[str, Callable[[], Resource]] = {
        "representation": lambda: {"resource": stored, "response": response},
        "minimal": lambda: {"response": response},
        "outcome": lambda: {"response": {**response, "outcome": issue("informational", severity="information")}},
    }
    return shown[fake.answers]()
