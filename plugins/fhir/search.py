"""Searching: all pages of a Bundle, never leaving the server that was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import httpx

from gateway.plugin import MaybeDone, VendorHttp
from plugins.fhir.problems import resource
from plugins.fhir.words import Json, split

STRICT = {"Prefer": "handling=strict", "Cache-Control": "no-cache"}
"""An unknown parameter must not quietly widen a search, and a result must not be one from a minute ago."""
MAX_PAGES = 500
AT_ONCE = 50
"""How many ids go into one `_id` parameter."""

Params = Sequence[tuple[str, str | int | float | bool | None]]


class Found:
    """The resources of a search, each once: what matched, and what was included with it."""

    def __init__(self) -> None:
        self.by_reference: dict[str, Json] = {}

    def add(self, bundle: Json) -> None:
        for entry in bundle.get("entry") or ():
            body = entry.get("resource") or {}
            if "id" in body:
                self.by_reference[f"{body['resourceType']}/{body['id']}"] = body

    def merge(self, other: Found) -> None:
        self.by_reference |= other.by_reference

    def of(self, kind: str) -> Iterator[Json]:
        return (body for body in self.by_reference.values() if body["resourceType"] == kind)

    def get(self, reference: str) -> Json | None:
        return self.by_reference.get(reference)


async def search(http: VendorHttp, base_url: str, kind: str, params: Params) -> Found:
    """Every page of `GET /{kind}?params`. Raises EmrError."""
    found = Found()
    bundle = await http.read(f"/{kind}", page, params=list(params), headers=STRICT)
    link = next_link(bundle, base_url)
    if link is None and _is_cut(bundle, kind):
        whole = [*(p for p in params if p[0] != "_count"), ("_count", bundle["total"])]
        bundle = await http.read(f"/{kind}", page, params=whole, headers=STRICT)
        link = next_link(bundle, base_url)
        if link is None and _is_cut(bundle, kind):
            raise MaybeDone("a search shows less than it says to have found")
    asked = set[str]()
    while True:
        found.add(bundle)
        if link is None:
            return found
        if not http.same_host(link):  # our credentials are for this server only
            raise MaybeDone("the next page of a search is on another server")
        if link in asked or len(asked) == MAX_PAGES:
            raise MaybeDone("the pages of a search never end")
        asked.add(link)
        bundle = await http.read(link, page, headers=STRICT)
        link = next_link(bundle, base_url)


def _is_cut(bundle: Json, kind: str) -> bool:
    """Some servers cut a result off and give no link to the rest; the total tells."""
    total = bundle.get("total")
    shown = sum((entry.get("resource") or {}).get("resourceType") == kind for entry in bundle.get("entry") or ())
    return isinstance(total, int) and shown < total


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


def page(response: httpx.Response) -> Json:
    body = resource(response)
    if body is None or body.get("resourceType") != "Bundle":
        raise ValueError("not a Bundle")
    return body


def next_link(bundle: Json, base_url: str) -> str | None:
    """The whole URL of the next page: opaque, to be followed as it stands."""
    links: Iterable[Mapping[str, str]] = bundle.get("link") or ()
    url = next((link["url"] for link in links if link.get("relation") == "next"), None)
    return None if url is None else str(httpx.URL(base_url + "/").join(url))


def batches(ids: Iterable[str]) -> Iterator[list[str]]:
    """Distinct ids in their order, as many at a time as one search takes."""
    waiting = iter(dict.fromkeys(ids))
    while batch := list(islice(waiting, AT_ONCE)):
        yield batch
