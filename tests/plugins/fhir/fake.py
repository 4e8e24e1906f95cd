"""A small FHIR R4 server in memory, written from the specification: versions, ETag, If-Match, JSON Patch, search with
pages, conditional create, OperationOutcomes. It has no rules about double booking, as most FHIR servers have none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.plugins.fhir import json_patch, searching
from tests.plugins.fhir.searching import Resource, Store
from tests.plugins.fhir.transacting import Refusal, issue, transacted

BASE = "http://fhir.test/r4"
MEDIA = "application/fhir+json"
OVER = ("cancelled", "entered-in-error")


@dataclass
class FakeFhir:
    """The server's state, and what a test may turn: `page` entries per page, `answers` to writes, `faults` next.

    Without `links` a result is cut at `_count` and `most`; `chains` are followed, refused, empty or passed over.
    A server that `keeps_slots` marks those of an appointment together with it.
    `transactions` are of one of `transacting.KINDS`; without one they are neither declared nor taken.
    """

    base: str = BASE
    page: int = 3
    answers: str = "representation"
    honours_if_match: bool = True
    transactions: str | None = None
    heeds_in_transactions: bool = True
    """`ifMatch`."""
    versions_all: bool = True
    """A patch that changes nothing makes a version, too."""
    stale: int = 412
    chains: str = "followed"
    includes: bool = True
    links: bool = True
    most: int = 1000
    versions: ClassVar[str] = "{}"
    keeps_slots: bool = False
    store: Store = field(default_factory=dict)
    gone: set[tuple[str, str]] = field(default_factory=set)
    seen: list[Request] = field(default_factory=list)
    faults: list[Callable[[Request], Response | None]] = field(default_factory=list)
    last_id: int = 7000

    @property
    def app(self) -> Starlette:
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return Starlette(routes=[Route(place, self.answer, methods=methods) for place in ("/r4", "/r4/{path:path}")])

    @property
    def writes(self) -> list[Request]:
        return [r for r in self.seen if r.method != "GET"]

    # -- by hand -----------------------------------------------------------------------------------------------

    def put(self, resource: Resource) -> Resource:
        """Store a resource as a new version, as another client of the server might."""
        held = self.store.setdefault(resource["resourceType"], {})
        before = held.get(resource["id"], {})
        version = int(before.get("meta", {}).get("versionId", "0").rpartition("-")[2]) + 1
        held[resource["id"]] = {**resource, "meta": {"versionId": self.versions.format(version)}}
        return held[resource["id"]]

    def get(self, kind: str, id: str) -> Resource:
        return self.store[kind][id]

    # -- over HTTP ---------------------------------------------------------------------------------------------

    async def answer(self, request: Request) -> Response:
        self.seen.append(request)
        await request.body()
        fault = self.faults.pop(0)(request) if self.faults else None
        if fault is not None:
            return fault
        try:
            return self._dispatch(request, await request.body())
        except Refusal as no:
            return outcome(no.status, no.code, no.text)

    def _dispatch(self, request: Request, raw: bytes) -> Response:
        match (request.method, *request.path_params.get("path", "").split("/")):
            case ("GET", "metadata"):
                return self._shown(STATEMENT if self.transactions is None else SAYS_TRANSACTION)
            case ("POST", "") if self.transactions is not None:
                return self._shown(transacted(self, json.loads(raw)))
            case ("GET", kind):
                return self._search(kind, request)
            case ("POST", kind):
                return self._create(kind, json.loads(raw), request)
            case ("GET", kind, id):
                return self._versioned(self._current(kind, id))
            case ("PATCH", kind, id):
                return self._patch(kind, id, raw, request)
            case ("PUT", kind, id):
                self._check_version(self._current(kind, id), self._wanted(request))
                return self._written(self._stored(json.loads(raw)), request, 200)
            case ("DELETE", kind, id):
                self._current(kind, id)
                del self.store[kind][id]
                self.gone.add((kind, id))
                return Response(status_code=204)
        raise Refusal(405, "not-supported")

    def _current(self, kind: str, id: str) -> Resource:
        if (kind, id) in self.gone:
            raise Refusal(410, "deleted")
        if id not in self.store.get(kind, {}):
            raise Refusal(404, "not-found")
        return self.store[kind][id]

    def _wanted(self, request: Request) -> str | None:
        return request.headers.get("if-match") if self.honours_if_match else None

    def _create(self, kind: str, body: Resource, request: Request) -> Response:
        resource, status = self.created(kind, body, request.headers.get("if-none-exist"))
        return self._written(resource, request, status)

    def _patch(self, kind: str, id: str, raw: bytes, request: Request) -> Response:
        if request.headers.get("content-type") != "application/json-patch+json":
            raise Refusal(415, "not-supported")
        return self._written(self.patched(kind, id, json.loads(raw), self._wanted(request)), request, 200)

    def _check_version(self, current: Resource, wanted: str | None) -> None:
        if wanted is not None and wanted != etag(current):
            raise Refusal(self.stale, "conflict", "the version is another one by now")

    def created(self, kind: str, body: Resource, condition: str | None) -> tuple[Resource, int]:
        """A new resource, or the one that fulfils the condition; with the status that says which."""
        if condition:
            held = searching.matches(self.store, kind, parse_qsl(condition), strict=True)
            if len(held) > 1:
                raise Refusal(412, "multiple-matches")
            if held:
                return held[0], 200
        self.last_id += 1
        return self._stored({**body, "id": str(self.last_id)}), 201

    def patched(self, kind: str, id: str, ops: list[Resource], wanted: str | None) -> Resource:
        current = self._current(kind, id)
        self._check_version(current, wanted)
        try:
            changed = json_patch.apply(current, ops)
        except json_patch.Failed:
            raise Refusal(422, "processing", "the patch does not fit") from None
        return current if changed == current and not self.versions_all else self._stored(changed)

    def _stored(self, body: Resource) -> Resource:
        if body["resourceType"] == "Appointment":
            check(body)
        stored = self.put(body)
        if self.keeps_slots and body["resourceType"] == "Appointment":
            self._keep_slots()
        return stored

    def _keep_slots(self) -> None:
        standing = [a for a in self.store["Appointment"].values() if a["status"] not in OVER]
        held = {s["reference"] for a in standing for s in a.get("slot", ())}
        for slot in list(self.store["Slot"].values()):
            status = "busy" if f"Slot/{slot['id']}" in held else "free"
            if slot["status"] != status:
                self.put({**slot, "status": status})

    def _search(self, kind: str, request: Request) -> Response:
        params = request.query_params.multi_items()
        strict = "handling=strict" in request.headers.get("prefer", "")
        if any("." in name for name, _ in params) and self.chains != "followed":
            if self.chains == "refused":
                raise Refusal(400, "not-supported", "no chains")
            nothing = [("_id", "-")] if self.chains == "empty" else []
            params = [p for p in params if "." not in p[0]] + nothing
        try:
            found = searching.matches(self.store, kind, params, strict)
        except searching.Unknown:
            raise Refusal(400, "not-supported", "no such parameter") from None
        if ("_summary", "count") in params:
            return self._shown({"resourceType": "Bundle", "type": "searchset", "total": len(found)})
        return self._shown(self._page(kind, found, params))

    def _page(self, kind: str, found: list[Resource], params: list[tuple[str, str]]) -> Resource:
        first = int(dict(params).get("_page", "0"))
        size = self.page if self.links else min(self.most, int(dict(params).get("_count", "20")))
        shown = found[first : first + size]
        wanted = [v for n, v in params if n == "_include"] if self.includes else []
        more = [r for v in wanted for r in searching.included(self.store, shown, v)]
        bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        bundle["entry"] = [{"resource": r, "search": {"mode": "match"}} for r in shown]
        bundle["entry"] += [{"resource": r, "search": {"mode": "include"}} for r in more]
        if self.links and first + size < len(found):
            rest = [(n, v) for n, v in params if n != "_page"] + [("_page", str(first + size))]
            bundle["link"] = [{"relation": "next", "url": f"{self.base}/{kind}?{urlencode(rest)}"}]
        return bundle

    # -- answers -----------------------------------------------------------------------------------------------

    def _written(self, resource: Resource, request: Request, status: int) -> Response:
        headers = {"ETag": etag(resource)}
        if request.method == "POST":
            where = f"{self.base}/{resource['resourceType']}/{resource['id']}"
            headers["Location"] = f"{where}/_history/{resource['meta']['versionId']}"
        if self.answers == "minimal":
            return Response(status_code=status, headers=headers)
        if self.answers == "outcome":
            return self._shown(issue("informational", severity="information"), status, headers)
        return self._shown(resource, status, headers)

    def _versioned(self, resource: Resource) -> Response:
        return self._shown(resource, headers={"ETag": etag(resource)})

    def _shown(self, body: Resource, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        return Response(json.dumps(body), status, headers, media_type=MEDIA)


def etag(resource: Resource) -> str:
    return f'W/"{resource["meta"]["versionId"]}"'


def outcome(status: int, code: str, text: str = "", severity: str = "error", **more: Any) -> Response:
    return Response(json.dumps(issue(code, text, severity, **more)), status, media_type=MEDIA)


def check(body: Resource) -> None:
    """R4's invariants app-1 to app-4 of an Appointment."""
    participants = body.get("participant", [])
    if not participants or any("actor" not in p and "type" not in p for p in participants):
        raise Refusal(422, "invariant", "app-1")
    if ("start" in body) != ("end" in body):
        raise Refusal(422, "invariant", "app-2")
    if "start" not in body and body["status"] not in ("proposed", "cancelled", "waitlist"):
        raise Refusal(422, "invariant", "app-3")
    if "cancelationReason" in body and body["status"] not in ("cancelled", "noshow"):
        raise Refusal(422, "invariant", "app-4")
    if "comment" in body and not body["comment"].strip():
        raise Refusal(400, "value", "an empty string")


STATEMENT: Resource = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "fhirVersion": "4.0.1",
    "kind": "instance",
    "patchFormat": ["application/json-patch+json"],
    "rest": [
        {
            "mode": "server",
            "resource": [
                {"type": kind, "interaction": [{"code": code} for code in ("read", "search-type", "create", "patch")]}
                for kind in ("Appointment", "Slot", "Schedule", "Patient")
            ],
        }
    ],
}
SAYS_TRANSACTION = {**STATEMENT, "rest": [{**STATEMENT["rest"][0], "interaction": [{"code": "transaction"}]}]}
