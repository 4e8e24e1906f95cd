"""Lists that vendors show a page at a time, by number, offset, cursor or link: all of a list or an error, never a part.

What comes or goes while the pages are read may be listed or not. What is there all the time is listed, and once, as far
as that can be seen to. A list is read again from its beginning if the totals that it tells change on the way, or if it
has shown less in the end than they say. Besides,

- by offset, each page is asked for from the last item of the one before, and the list read again unless that one stands
  where it stood: nothing is lost, provided that the vendor keeps its order;
- by cursor and by link nothing is lost if the vendor goes on from the last item that it showed, and all keep their
  places. If it counts instead, one can slip into a page that was read already when another goes; without totals that is
  not seen;
- by number the same can happen, and it is not seen even by totals if another one comes at the same time. It is the last
  choice.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import httpx

from gateway.port import MaybeDone
from gateway.vendor.http import Params, VendorHttp

MAX_PAGES = 500
"""Of one list. What has more is narrowed by its plugin's question, or has no end."""
MAX_ITEMS = 50_000
"""Of one list, what came along included: more than a clinic has in any question, and some 200 MiB in memory."""
BEGINNINGS = 3
"""How often a list that changes is begun, before it is given up."""

T = TypeVar("T")


class CutShort(MaybeDone):
    """A list says to have more than it shows, and has no more pages."""

    def __init__(self, total: int) -> None:
        super().__init__("a list shows less than it says to have")
        self.total = total
        """How many items it says to have."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page as the plugin reads it in an answer. Raises TypeError or ValueError where that makes no sense."""

    items: Sequence[tuple[Hashable, T]]
    """In the vendor's order, each with a name that no other bears: one that is shown twice is listed once, as it was
    shown last."""
    next: str | None = None
    """The cursor of the next page, or the link to it; `None` or "": there is none."""
    total: int | None = None
    """How many items the whole list has, where the vendor tells."""
    extras: Sequence[tuple[Hashable, T]] = ()
    """What came along and is not counted by the total (FHIR's `_include`)."""

    def __post_init__(self) -> None:
        hash(tuple(name for name, _ in (*self.items, *self.extras)))
        if not _is(self.next, str) or not _is(self.total, int):
            raise TypeError("a next page or a total of another type")
        if self.total is not None and self.total < 0:
            raise ValueError("a total below zero")


def _is(value: object, kind: type) -> bool:
    return value is None or isinstance(value, kind)


# -- the four ways ----------------------------------------------------------------------------------------------------


async def by_number(ask: Callable[[int], Awaitable[Page[T]]], *, size: int, first: int = 1) -> list[T]:
    """`ask` for a page by its number, of `size` items. Where no total is told, a page with fewer is the last one.

    Raises EmrError: `CutShort`, or `MaybeDone` for a list that never ends or changes faster than it can be read.
    """

    async def walk(shown: _Shown[T]) -> None:
        number, more = first, True
        while more:
            page = await ask(number)
            shown.add(page)
            number, more = number + 1, shown.goes_on(page, size)

    return await _whole(walk)


async def by_offset(ask: Callable[[int], Awaitable[Page[T]]], *, size: int) -> list[T]:
    """`ask` for the page of `size` items that begins at an offset; any offset, not only multiples of the size.

    Where no total is told, a page with fewer is the last one. Raises EmrError as `by_number` does.
    """
    overlap = min(1, size - 1)

    async def walk(shown: _Shown[T]) -> None:
        page = await ask(0)
        shown.add(page)
        while not shown.moved and shown.goes_on(page, size):
            last, _ = page.items[-1]
            page = await ask(shown.rows - overlap)
            stands = not overlap or [name for name, _ in page.items[:1]] == [last]
            shown.add(replace(page, items=page.items[overlap:]) if stands else page)
            shown.moved = not stands

    return await _whole(walk)


async def by_limit(
    http: VendorHttp,
    path: str,
    parse: Callable[[httpx.Response], Page[T]],
    names: tuple[str, str],
    *,
    size: int,
    params: Sequence[tuple[str, str]] = (),
) -> list[T]:
    """`GET path` by an offset and for at most `size` items, as the parameters are called for which `names` has the two.

    Raises EmrError as `by_number` does.
    """

    async def ask(offset: int) -> Page[T]:
        told = zip(names, (str(offset), str(size)), strict=True)
        return await http.read(path, parse, params=[*params, *told])

    return await by_offset(ask, size=size)


async def by_cursor(ask: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    """`ask` for the first page by `None`, and for each next one by the cursor that the page before has told.

    Raises EmrError as `by_number` does.
    """

    async def walk(shown: _Shown[T]) -> None:
        page = await ask(None)
        shown.add(page)
        told = set[str]()
        while page.next:
            if page.next in told:
                raise _endless()
            told.add(page.next)
            page = await ask(page.next)
            shown.add(page)

    return await _whole(walk)


async def by_link(
    http: VendorHttp,
    path: str,
    parse: Callable[[httpx.Response], Page[T]],
    *,
    params: Params | None = None,
    headers: Mapping[str, str] | None = None,
) -> list[T]:
    """`GET path`, and each next page by the link that the page before has told: followed as it stands, relative to the
    page it was on, and never to another host: our credentials would go there.

    Raises EmrError as `by_number` does.
    """

    def resolved(response: httpx.Response) -> Page[T]:
        page = parse(response)
        if not page.next:
            return page
        return replace(page, next=str(response.url.join(page.next).copy_with(fragment=None)))

    async def ask(link: str | None) -> Page[T]:
        if link is None:
            return await http.read(path, resolved, params=params, headers=headers)
        if not http.same_host(link):
            raise MaybeDone("the next page of a list is on another host")
        return await http.read(link, resolved, headers=headers)

    return await by_cursor(ask)


async def by_parameter(
    http: VendorHttp,
    path: str,
    parse: Callable[[httpx.Response], Page[T]],
    name: str,
    *,
    params: Sequence[tuple[str, str]] = (),
) -> list[T]:
    """`GET path`, and each next page by the cursor that the page before has told, in the parameter `name`.

    Raises EmrError as `by_number` does.
    """

    async def ask(cursor: str | None) -> Page[T]:
        further = [] if cursor is None else [(name, cursor)]
        return await http.read(path, parse, params=[*params, *further])

    return await by_cursor(ask)


def cursor_if(has_more: object, cursor: object) -> str | None:
    """The cursor of the next page, where a page says whether there is one. Raises TypeError where there is more and no
    cursor to it, or where it does not say: that would be a part of a list and look like all of it."""
    if has_more is False:
        return None
    if has_more is not True or not isinstance(cursor, str) or not cursor:
        raise TypeError("there is more, and no cursor to it")
    return cursor


def linked(response: httpx.Response, relation: str = "next") -> str | None:
    """The target of a relation in the answer's `Link` header (RFC 8288); `None` where it has none."""
    for target, parameters in _LINK.findall(response.headers.get("Link", "")):
        told = [quoted or token for name, quoted, token in _PARAMETER.findall(parameters) if name.lower() == "rel"]
        if told and relation in told[0].lower().split():
            return str(target)
    return None


_LINK = re.compile(r'<([^>]*)>((?:[^,"]|"(?:[^"\\]|\\.)*")*)')
_PARAMETER = re.compile(r';\s*([^\s=;,"]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*)))?')


# -- what was shown ---------------------------------------------------------------------------------------------------


class _Shown(Generic[T]):
    """What a list has shown since its beginning."""

    def __init__(self) -> None:
        self.moved = False
        """Something stands where it did not stand a page ago."""
        self.rows = self._pages = 0
        self._items: dict[Hashable, T] = {}
        self._extras: dict[Hashable, T] = {}
        self._totals = set[int]()

    def add(self, page: Page[T]) -> None:
        """Raises MaybeDone for a page that was shown before, and for one too many."""
        known = len(self._items)
        self._items.update(page.items)
        self._extras.update(page.extras)
        self._totals |= set() if page.total is None else {page.total}
        self.rows += len(page.items)
        self._pages += 1
        seen = self._pages > 1 and page.items and len(self._items) == known
        if seen or self._pages > MAX_PAGES or len(self._items) + len(self._extras) > MAX_ITEMS:
            raise _endless()

    def goes_on(self, page: Page[T], size: int) -> bool:
        """Is there more, as the total says? One that says less than was shown says nothing."""
        if page.total is None or page.total < self.rows:
            return len(page.items) >= size
        return page.total > self.rows and bool(page.items)

    def failure(self) -> MaybeDone | None:
        """Why it is not the whole list."""
        if self.moved or len(self._totals) > 1:
            return MaybeDone("a list changes faster than it can be read")
        short = [total for total in self._totals if total > len(self._items)]
        return CutShort(*short) if short else None

    @property
    def may_have_changed(self) -> bool:
        """While it was read. One page is of one moment."""
        return self._pages > 1

    def all(self) -> list[T]:
        return list({**self._items, **self._extras}.values())


async def _whole(walk: Callable[[_Shown[T]], Awaitable[None]]) -> list[T]:
    failure: MaybeDone | None = None
    for _ in range(BEGINNINGS):
        shown = _Shown[T]()
        await walk(shown)
        failure = shown.failure()
        if failure is None:
            return shown.all()
        if not shown.may_have_changed:
            break
    assert failure is not None
    raise failure


def _endless() -> MaybeDone:
    return MaybeDone("the pages of a list never end")
