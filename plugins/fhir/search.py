"""Searching: all pages of a Bundle, and what a server leaves out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

import httpx

from gateway.plugin import CutShort, Page, VendorHttp, by_link
from plugins.fhir.problems import resource
from plugins.fhir.words import Json, split

STRICT = {"Prefer": "handling=strict", "Cache-Control": "no-cache"}
"""An unknown parameter must not quietly widen a search, and a result must not be one from a minute ago."""
AT_ONCE = 50
"""How many ids go into one `_id` parameter."""

Params = Sequence[tuple[str, str | int | float | bool | None]]


class Found:
    """The resources of a search, each once: what matched, and what was included with it."""

    def __init__(self, resources: Iterable[Json] = ()) -> None:
        self.by_reference = {reference(body): body for body in resources}

    def merge(self, other: Found) -> None:
        self.by_reference |= other.by_reference

    def of(self, kind: str) -> Iterator[Json]:
        return (body for body in self.by_reference.values() if body["resourceType"] == kind)

    def get(self, reference: str) -> Json | None:
        return self.by_reference.get(reference)


async def search(http: VendorHttp, base_url: str, kind: str, params: Params) -> Found:
    """Every page of `GET /{kind}?params`. Raises EmrError."""
    place, read, asked, room = f"/{kind}", partial(_shown, base_url, kind), list(params), 0
    while True:
        try:
            return Found(await by_link(http, place, read, params=asked, headers=STRICT))
        except CutShort as cut:  # by a server that gives no link to the rest
            if cut.total <= room:
                raise
            room = cut.total  # more than before, where more has come meanwhile
            asked = [*(p for p in params if p[0] != "_count"), ("_count", room)]


def _shown(base_url: str, kind: str, response: httpx.Response) -> Page[Json]:
    bundle = bundle_in(response)
    shown = [entry["resource"] for entry in bundle.get("entry") or ()]
    # Beside what it found, a server may say something about the search.
    named = [(reference(body), body) for body in shown if body["resourceType"] != "OperationOutcome"]
    items = [one for one in named if one[1]["resourceType"] == kind]
    extras = [one for one in named if one[1]["resourceType"] != kind]
    return Page(items, next=next_link(bundle, base_url), total=bundle.get("total"), extras=extras)


def reference(body: Json) -> str:
    return f"{body['resourceType']}/{body['id']}"


async def completed(
    http: VendorHttp, base_url: str, found: Found, references: Iterable[str], kinds: Sequence[str]
) -> Found:
    """What a server was asked to include and did not, read by its ids."""
    missing: dict[str, list[str]] = {}
    for reference in dict.fromkeys(references):
        place = split(reference, kinds)
        if place is not None and found.get(reference) is None:
            missing.setdefault(place[0], []).append(place[1])
    for kind, ids in missing.items():
        for batch in batches(ids):
            found.merge(await search(http, base_url, kind, [("_id", ",".join(batch)), ("_count", AT_ONCE)]))
    return found


def bundle_in(response: httpx.Response) -> Json:
    body = resource(response)
    if body is None or body.get("resourceType") != "Bundle":
        raise ValueError("not a Bundle")
    return body


def next_link(bundle: Json, base_url: str) -> str | None:
    """The whole URL of the next page: opaque, to be followed as it stands."""
    links: Iterable[Mapping[str, str]] = bundle.get("link") or ()
    url = next((link["url"] for link in links if link.get("relation") == "next"), None)
    try:
        return None if url is None else str(httpx.URL(base_url + "/").join(url))
    except httpx.InvalidURL:
        raise ValueError("not a link") from None


def batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """Distinct ids in their order, as many at a time as one search takes."""
    waiting = iter(dict.fromkeys(ids))
    while batch := list(islice(waiting, AT_ONCE)):
        yield batch
