"""Lists in pages: all of it in order, each once, or an error; whatever changes on the way and whoever answers."""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.port import EmrError, MaybeDone, Refused
from gateway.vendor import http as vendor_http
from gateway.vendor import paging
from gateway.vendor.auth import Bearer
from gateway.vendor.http import Door, VendorHttp
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

BASE = "https://emr.example/v1"
SIZES = st.integers(1, 7)
COUNTS = st.integers(0, 30)


class Listing:
    """A vendor's list of numbers, in their order. Between two pages the next of `changes` happens to it."""

    def __init__(self, items: list[int], size: int, *, totals: bool = False, changes: Iterable[int] = ()) -> None:
        self.items, self.size, self.totals = items, size, totals
        self.asked = 0
        self.always = set(items)
        """What was there all the time."""
        self._changes = iter(changes)

    async def number(self, number: int) -> Page[str]:
        self._change()
        return self._page((number - 1) * self.size)

    async def offset(self, offset: int) -> Page[str]:
        self._change()
        return self._page(offset)

    async def cursor(self, cursor: str | None) -> Page[str]:
        """Goes on from the last item that was shown, whether it is still there or not."""
        self._change()
        page = self._page(bisect_right(self.items, int(cursor)) if cursor else 0)
        more = page.items and page.items[-1][0] != self.items[-1]
        return Page(page.items, next=str(page.items[-1][0]) if more else None, total=page.total)

    def _page(self, first: int) -> Page[str]:
        self.asked += 1
        shown = self.items[first : first + self.size]
        return Page([(n, f"item {n}") for n in shown], total=len(self.items) if self.totals else None)

    def _change(self) -> None:
        """Below zero one goes; above, one comes; by the number, where. Names are not used again."""
        change = next(self._changes, 0) if self.asked else 0
        if change < 0 and self.items:
            self.always.discard(self.items.pop(-change % len(self.items)))
        elif change > 0:
            new = 1000 * (change % 40) + self.asked
            if new not in self.items:
                insort(self.items, new)


def thousands(many: int) -> list[int]:
    """With room between them for what comes."""
    return [1000 * n for n in range(many)]


Read = Callable[[Listing], Awaitable[list[str]]]
READS: dict[str, Read] = {
    "number": lambda listing: by_number(listing.number, size=listing.size),
    "offset": lambda listing: by_offset(listing.offset, size=listing.size),
    "cursor": lambda listing: by_cursor(listing.cursor),
}


@pytest.mark.parametrize("kind", READS)
@pytest.mark.parametrize("totals", [False, True])
@given(many=COUNTS, size=SIZES)
async def test_all_of_a_list_is_read_in_order_and_each_once(kind, totals, many, size):
    listing = Listing(thousands(many), size, totals=totals)
    assert await READS[kind](listing) == [f"item {1000 * n}" for n in range(many)]
    assert listing.asked <= many // max(1, size - (kind == "offset")) + 2


@pytest.mark.parametrize("kind", READS)
async def test_no_page_is_asked_for_beyond_what_the_total_says(kind):
    listing = Listing(thousands(10), 5 + (kind == "offset"), totals=True)
    await READS[kind](listing)
    assert listing.asked == 2


@pytest.mark.parametrize(("kind", "totals"), [("offset", False), ("offset", True), ("cursor", False), ("cursor", True)])
@given(many=st.integers(0, 20), size=st.integers(2, 7), changes=st.lists(st.integers(-40, 40), max_size=8))
async def test_whatever_comes_and_goes_nothing_that_stays_is_lost(kind, totals, many, size, changes):
    listing = Listing(thousands(many), size, totals=totals, changes=changes)
    await holds_what_stayed(READS[kind], listing)


@given(many=st.integers(0, 20), size=SIZES, changes=st.lists(st.integers(0, 40), max_size=8), grows=st.booleans())
async def test_by_number_nothing_is_lost_where_totals_tell_that_the_list_grows_or_shrinks(many, size, changes, grows):
    one_way = [change if grows else -change for change in changes]
    await holds_what_stayed(READS["number"], Listing(thousands(many), size, totals=True, changes=one_way))


@given(many=st.integers(0, 20), size=st.integers(3, 7), changes=st.lists(st.integers(0, 40), max_size=8))
async def test_by_number_nothing_is_lost_without_totals_as_long_as_nothing_goes(many, size, changes):
    await holds_what_stayed(READS["number"], Listing(thousands(many), size, changes=changes))


async def holds_what_stayed(read: Read, listing: Listing) -> None:
    try:
        found = await read(listing)
    except MaybeDone as failed:
        told = str(failed)
    else:
        told = ""
        assert len(set(found)) == len(found)
        assert {f"item {n}" for n in listing.always} <= set(found)
    assert told in ("", "a list changes faster than it can be read", "the pages of a list never end")


@pytest.mark.parametrize("kind", ["number", "offset"])
async def test_a_list_that_shrinks_once_is_read_again(kind):
    listing = Listing(thousands(9), 4, totals=kind == "number", changes=[-9])
    assert await READS[kind](listing) == [f"item {1000 * n}" for n in range(1, 9)]


@pytest.mark.parametrize("kind", READS)
async def test_a_list_that_does_not_stand_still_is_given_up(kind):
    changes = list(range(30)) * 30
    with pytest.raises(MaybeDone, match="changes faster"):
        await READS[kind](Listing(thousands(9), 4, totals=True, changes=changes))


# -- totals -----------------------------------------------------------------------------------------------------------


def always(*pages: Page[str]) -> Callable[[Any], Awaitable[Page[str]]]:
    """Answers with these in turn, and then with the last one for ever."""
    left = list(pages)

    async def ask(_: Any) -> Page[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return ask


def names(*listed: str, **more: Any) -> Page[str]:
    return Page([(name, name) for name in listed], **more)


@pytest.mark.parametrize("read", [lambda ask: by_number(ask, size=2), lambda ask: by_offset(ask, size=2), by_cursor])
async def test_one_page_that_says_less_than_its_total_is_no_whole_list(read):
    asked = []

    async def ask(place: Any) -> Page[str]:
        asked.append(place)
        return names("a", total=3) if len(asked) == 1 else names(total=3)

    with pytest.raises(CutShort) as cut:
        await read(ask)
    assert cut.value.total == 3


async def test_one_page_is_of_one_moment_and_not_read_again():
    asked = []

    async def ask(cursor: str | None) -> Page[str]:
        asked.append(cursor)
        return names("a", total=3)

    with pytest.raises(CutShort):
        await by_cursor(ask)
    assert asked == [None]


async def test_by_cursor_one_that_went_before_it_was_shown_is_read_about_again():
    pages = [names("a", next="1", total=3), names("b"), names("a", next="1", total=2), names("b")]
    assert await by_cursor(always(*pages)) == ["a", "b"]


async def test_a_list_in_several_pages_that_stays_short_is_no_whole_list():
    pages = [names("a", next="1", total=9), names("b", total=9)] * 3
    with pytest.raises(CutShort):
        await by_cursor(always(*pages))


async def test_a_server_that_gives_smaller_pages_than_asked_for_is_asked_on_while_its_total_says_so():
    assert await by_number(always(names("a", total=3), names("b", total=3), names("c", total=3)), size=10) == [*"abc"]


async def test_a_total_that_says_less_than_was_shown_ends_no_list():
    pages = [names("a", "b", total=0), names("c", total=0)]
    assert await by_number(always(*pages), size=2) == ["a", "b", "c"]


async def test_what_came_along_is_not_counted_and_stands_behind():
    pages = [
        Page([("a", "A"), ("b", "B")], next="1", total=3, extras=[("x", "X")]),
        Page([("c", "C")], total=3, extras=[("x", "X again")]),
    ]
    assert await by_cursor(always(*pages)) == ["A", "B", "C", "X again"]


async def test_an_item_that_is_shown_twice_is_told_as_it_was_shown_last():
    pages = [Page([("a", 1), ("b", 1)], next="1"), Page([("b", 2), ("c", 2)])]
    assert await by_cursor(always(*pages)) == [1, 2, 2]


@pytest.mark.parametrize("wrong", [{"total": -1}, {"total": "9"}, {"next": 7}, {"next": {}}, {"items": [([], "x")]}])
async def test_a_page_that_makes_no_sense_is_no_answer(wrong):
    with pytest.raises((TypeError, ValueError)):
        Page(**{"items": [], **wrong})


# -- lists without an end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("read", [by_number, by_offset])
async def test_a_server_that_passes_the_place_over_is_noticed_at_its_second_page(read, size):
    asked = []

    async def ask(place: int) -> Page[str]:
        asked.append(place)
        return names(*"abcde"[:size])

    with pytest.raises(MaybeDone, match="never end"):
        await read(ask, size=size)
    assert len(asked) == 2


@pytest.mark.parametrize(
    "pages",
    [
        [names("a", next="1")],
        [names("a", next="1"), names("b", next="2"), names("c", next="1")],
        [names("a", next="1"), names("a", next="2")],
        [names(next="1")],
    ],
)
async def test_a_cursor_or_a_page_that_comes_again_is_the_end(pages):
    with pytest.raises(MaybeDone, match="never end"):
        await by_cursor(always(*pages))


@pytest.mark.parametrize("kind", READS)
async def test_a_list_of_ever_new_items_is_given_up(kind, monkeypatch):
    monkeypatch.setattr(paging, "MAX_PAGES", 20)
    listing = Listing(list(range(1000)), 3)
    with pytest.raises(MaybeDone, match="never end"):
        await READS[kind](listing)
    assert listing.asked == 21


async def test_a_list_of_more_items_than_anybody_has_is_given_up_also_by_what_comes_along(monkeypatch):
    monkeypatch.setattr(paging, "MAX_ITEMS", 5)
    many = [(n, n) for n in range(4)]
    assert len(await by_cursor(always(Page(many, extras=[("x", 0)])))) == 5
    for page in (Page([(n, n) for n in range(6)]), Page(many, extras=[("x", 0), ("y", 0)])):
        with pytest.raises(MaybeDone, match="never end"):
            await by_cursor(always(page))


PAGES = st.lists(
    st.builds(
        lambda named, told, total, extras: Page([(n, n) for n in named], told, total, [(n, n) for n in extras]),
        st.lists(st.integers(0, 9), max_size=4),
        st.sampled_from([None, "", "1", "2", "3", "4"]),
        st.none() | st.integers(0, 12),
        st.lists(st.integers(0, 3), max_size=2),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("kind", READS)
@given(pages=PAGES, size=st.integers(1, 4))
async def test_whatever_a_server_answers_there_is_an_end_and_no_other_error(kind, pages, size):
    turn = count()

    async def ask(_: Any) -> Page[int]:
        return pages[next(turn) % len(pages)]

    reading = by_cursor(ask) if kind == "cursor" else {"number": by_number, "offset": by_offset}[kind](ask, size=size)
    try:
        found = await reading
    except MaybeDone:
        found = []
    assert len(set(found)) == len(found)


# -- links ------------------------------------------------------------------------------------------------------------


class Server:
    """Answers with the pages that it has at paths and queries, and keeps what was asked."""

    def __init__(self, pages: dict[str, Any]) -> None:
        self.pages, self.seen = pages, list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        if len(self.seen) > 30:
            raise AssertionError("it is asked for ever")
        told = self.pages.get(request.url.raw_path.decode(), {"items": []})
        told = told(request) if callable(told) else told
        return told if isinstance(told, httpx.Response) else httpx.Response(200, json=told)

    @property
    def asked(self) -> list[str]:
        return [str(request.url) for request in self.seen]

    def http(self) -> VendorHttp:
        return Door(httpx.MockTransport(self)).http(base_url=BASE, auth=Bearer(SecretStr("ours")))


def page(response: httpx.Response) -> Page[str]:
    body = response.json()
    return Page([(item, item) for item in body["items"]], next=body.get("next"), total=body.get("total"))


@pytest.mark.parametrize(
    "link",
    [
        "https://emr.example/v1/list?page=2&q%5B%5D=a%3Ab|c",
        "/v1/list?page=2&q%5B%5D=a%3Ab|c",
        "list?page=2&q%5B%5D=a%3Ab|c",
        "?page=2&q%5B%5D=a%3Ab|c#top",
        "https://emr.example:443/v1/list?page=2&q%5B%5D=a%3Ab|c",
    ],
)
async def test_a_link_is_followed_as_it_stands_with_the_headers_but_not_the_parameters(link):
    server = Server({"/v1/list?q=1": {"items": ["a"], "next": link}})
    server.pages["/v1/list?page=2&q%5B%5D=a%3Ab|c"] = {"items": ["b"]}
    found = await by_link(server.http(), "/list", page, params={"q": "1"}, headers={"X-Strict": "yes"})
    assert found == ["a", "b"]
    assert [(r.method, r.headers["x-strict"], r.headers["authorization"]) for r in server.seen] == [
        ("GET", "yes", "Bearer ours")
    ] * 2


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.example/v1/list?page=2",
        "http://emr.example/v1/list?page=2",
        "https://emr.example:8443/v1/list?page=2",
        "//elsewhere.example/v1/list?page=2",
        "https://emr.example@elsewhere.example/v1/list",
        "https://emr.example.elsewhere.example/v1/list",
        "ftp://emr.example/v1/list",
        "mailto:somebody",
    ],
)
async def test_no_link_leads_our_credentials_to_another_place(link):
    server = Server({"/v1/list": {"items": ["a"], "next": link}})
    with pytest.raises(MaybeDone, match="another host"):
        await by_link(server.http(), "/list", page)
    assert server.asked == [f"{BASE}/list"]


@pytest.mark.parametrize("links", [["/v1/list"], ["/v1/list?2", "/v1/list?3", "/v1/list?2"], ["?2", "?2"]])
async def test_links_that_lead_in_a_circle_end(links):
    paths = ["/v1/list", *links]
    server = Server({path: {"items": [path], "next": link} for path, link in zip(paths, links, strict=False)})
    server.pages.setdefault("/v1/list?2", {"items": [], "next": "?2"})
    with pytest.raises(MaybeDone, match="never end"):
        await by_link(server.http(), "/list", page)
    assert len(server.seen) <= len(set(paths)) + 1


@given(link=st.text(max_size=30) | st.text("htps:/.@#?%[]0ev \\\t\n", max_size=20).map("https://".__add__))
async def test_whatever_stands_in_a_link_nothing_leaves_and_no_other_error_comes(link):
    server = Server({"/v1/list": {"items": ["a"], "next": link}})
    with suppress(EmrError):
        assert await by_link(server.http(), "/list", page) == ["a"]
    assert {request.url.host for request in server.seen} == {"emr.example"}


async def test_an_error_on_the_way_is_the_lists_error(monkeypatch):
    monkeypatch.setattr(vendor_http, "_sleep", lambda _: asyncio.sleep(0))
    server = Server({"/v1/list": {"items": ["a"], "next": "?2"}, "/v1/list?2": httpx.Response(403)})
    with pytest.raises(Refused):
        await by_link(server.http(), "/list", page)
    server.pages["/v1/list?2"] = {"items": [["x"]]}
    with pytest.raises(MaybeDone, match="no sense"):
        await by_link(server.http(), "/list", page)


async def test_each_way_goes_over_the_accounts_door_with_whatever_the_vendor_wants_said():
    server = Server({"/v1/n?page=2&per_page=2": {"items": ["c"]}, "/v1/n?page=1&per_page=2": {"items": ["a", "b"]}})
    server.pages |= {"/v1/o?Offset=0&Limit=2": {"items": ["a", "b"]}, "/v1/o?Offset=1&Limit=2": {"items": ["b"]}}
    server.pages["/v1/graphql"] = lambda request: {
        "items": ["b"] if b'"after":"1"' in request.content else ["a"],
        "next": None if b'"after":"1"' in request.content else "1",
    }
    http = server.http()

    def by_query(after: str | None) -> Awaitable[Page[str]]:
        return http.read("/graphql", page, method="POST", json={"query": "...", "variables": {"after": after}})

    assert await by_number(lambda n: http.read("/n", page, params={"page": n, "per_page": 2}), size=2) == [
        "a",
        "b",
        "c",
    ]
    assert await by_offset(lambda n: http.read("/o", page, params={"Offset": n, "Limit": 2}), size=2) == ["a", "b"]
    assert await by_limit(http, "/o", page, ("Offset", "Limit"), size=2) == ["a", "b"]
    assert await by_cursor(by_query) == ["a", "b"]


# -- RFC 8288 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://emr.example/v1/list?page=2>; rel="next"', "https://emr.example/v1/list?page=2"),
        ("<?p=1>; rel=prev, <?p=3>; rel=next", "?p=3"),
        ('<?p=1>; rel="prev",<?p=3>;title="a, b; rel=last";rel="Next last"', "?p=3"),
        ('<?p=3,4;5>; REL = "next"', "?p=3,4;5"),
        ('<?p=3>; rel="prev"; rel="next"', None),
        ('<?p=3>; title="\\"; rel=next; x="', None),
        ('<?p=3>; title="; rel=next"; rel=last', None),
        ("<?p=3>; rel=nextish", None),
        ("<?p=3>", None),
        ("?p=3; rel=next", None),
        ('<?p=3>; rel="next', None),
        ("", None),
    ],
)
def test_a_link_header_is_read_as_the_standard_says(header, target):
    assert linked(httpx.Response(200, headers={"Link": header})) == target


def test_several_link_headers_are_one():
    answer = httpx.Response(200, headers=[("Link", "<?p=1>; rel=prev"), ("Link", "<?p=3>; rel=next")])
    assert (linked(answer), linked(answer, "prev"), linked(httpx.Response(200))) == ("?p=3", "?p=1", None)


@given(st.text('<>;,="\\ relnxt?/', max_size=60))
def test_whatever_stands_in_a_link_header_there_is_an_answer(header):
    assert linked(httpx.Response(200, headers={"Link": header})) is None or "next" in header


async def test_a_header_leads_on_as_a_body_does():
    def headed(response: httpx.Response) -> Page[str]:
        return Page([(item, item) for item in response.json()], next=linked(response))

    first = httpx.Response(200, json=["a"], headers={"Link": '</v1/list?p=2>; rel="next"'})
    server = Server({"/v1/list": first, "/v1/list?p=2": httpx.Response(200, json=["b"])})
    assert await by_link(server.http(), "/list", headed) == ["a", "b"]


# -- cursors in a parameter -------------------------------------------------------------------------------------------


def related(response: httpx.Response) -> Page[str]:
    body = response.json()
    return Page([(item, item) for item in body["items"]], next=cursor_if(body["more"], body["end"]))


async def test_a_cursor_goes_behind_what_was_asked_first():
    server = Server({"/v1/list?q=1": {"items": ["a"], "more": True, "end": "x y"}})
    server.pages["/v1/list?q=1&after=x+y"] = {"items": ["b"], "more": False, "end": "z"}
    assert await by_parameter(server.http(), "/list", related, "after", params=[("q", "1")]) == ["a", "b"]


@pytest.mark.parametrize(("more", "end"), [(True, ""), (True, None), (True, 7), (None, "x"), (0, None), ("no", "x")])
async def test_a_list_that_has_more_and_no_way_to_it_is_not_taken_for_the_whole(more, end):
    server = Server({"/v1/list": {"items": ["a"], "more": more, "end": end}})
    with pytest.raises(MaybeDone):
        await by_parameter(server.http(), "/list", related, "after")
    assert cursor_if(False, end) is None
