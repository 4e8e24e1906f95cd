"""An EMR whose records have an id each, are read below a path, and are listed in pages: what such plugins have in
common. A plugin says where things lie and what a row means; the port's reads follow from that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx

from gateway.domain.capabilities import Capabilities
from gateway.domain.compare import same_span, same_text
from gateway.domain.editions import STANDARD
from gateway.domain.model import Appointment, Entry, Kind, Slot, Span, Status
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.domain.steps import Cancel, Change, Confirm, Create, Discard, Receipt
from gateway.port import Emr, MaybeDone, Refused, in_the_way
from gateway.vendor.answer import nothing, sense
from gateway.vendor.directory import Directory, Query, Row
from gateway.vendor.fields import id_of
from gateway.vendor.http import VendorHttp
from gateway.vendor.saying import if_there, mark, the_same
from gateway.vendor.stretches import by_days

T = TypeVar("T")
Dated = TypeVar("Dated", Appointment, Slot)

_UTC = ZoneInfo("UTC")


class RestEmr(Emr):
    """One account of such an EMR. `rows`, `read` and `query` are the plugin's to say, and `days` where it asks by
    them."""

    path: ClassVar[str] = "/appointments"
    """Where appointments are, each below it by its id."""
    key: ClassVar[str] = "id"
    """The field that bears an appointment's id."""
    ids: ClassVar[str] = r"[1-9][0-9]{0,18}"
    """A pattern of what can be an id at all: what can't be is not there, and the EMR is not asked."""
    always: ClassVar[Query] = ()
    """What is asked along whenever appointments are read, one or many."""
    places: ClassVar[Mapping[Kind, Directory]] = {}
    """Where the entries of directories are."""
    whose: Query = ()
    """What every read of one record bears besides, where an account is named so; `rows` has to say it, too."""
    most_days: ClassVar[int] = 0
    """How many local days the list of appointments is asked for at once, by `days`; 0: `query` says the span."""
    longest: ClassVar[timedelta] = timedelta(0)
    """How long before the first of these days something can begin that is found by its beginning alone."""

    def __init__(
        self,
        http: VendorHttp,
        capabilities: Capabilities,
        tenant: str,
        edition: str = STANDARD,
        *,
        zone: ZoneInfo = _UTC,
    ) -> None:
        """`zone`: by whose clock it counts days."""
        super().__init__(capabilities, tenant, edition)
        self.http, self.zone = http, zone

    # -- what only the plugin knows --------------------------------------------------------------------------------

    async def rows(self, path: str, query: Query = (), *, by: str = "id") -> list[Row]:
        """A whole list, by the vendor's pages. `by`: the field that no two rows share."""
        raise NotImplementedError

    def read(self, row: Row) -> Appointment | None:
        """`None`: it is no appointment, or none of this account's. May raise TypeError, ValueError, LookupError."""
        raise NotImplementedError

    def query(self, wanted: ReadCalendar) -> Query:
        """What is asked of the list of appointments. All that overlaps must be in the answer, more may be."""
        raise NotImplementedError

    def days(self, first: date, last: date) -> Query:
        """How a list is asked for what is on these days, both included."""
        raise NotImplementedError

    def is_shown(self, one: Appointment) -> bool:  # noqa: ARG002
        """Is it an appointment, or only in the way of some (a break)? That is `listed`, and not there otherwise."""
        return True

    def body(self, answer: httpx.Response) -> Any:
        """What an answer is about."""
        return answer.json()

    def can_be(self, kind: Kind | None, id: str) -> bool:
        """Can it be an id of this kind, or of an appointment (`None`)?"""
        place = None if kind is None else self.places.get(kind)
        return re.fullmatch((place and place.ids) or self.ids, id) is not None

    def in_one_place(self, one: Appointment, other: Appointment) -> bool:
        """Would they be in each other's way at the same time? Those of one resource would, and by some EMRs more."""
        return one.resource_id == other.resource_id

    def near(self, one: Appointment) -> ReadCalendar | None:
        """What shows all that `in_one_place` may be true of; `None`: there can be nothing."""
        return ReadCalendar(one.span, resource_id=one.resource_id) if one.resource_id is not None else None

    def is_made_by(self, one: Appointment, step: Create) -> bool:
        """Is it this booking? By its `native["marker"]`, where `read` has found one, else by all that it says."""
        if told := one.native.get("marker"):
            return told == mark(step)
        said = (step.patient_id, step.resource_id, step.healthcare_service_id, Status.BOOKED)
        return (
            said == (one.patient_id, one.resource_id, one.healthcare_service_id, one.status)
            and step.care_unit_id in (None, one.care_unit_id)
            and same_span(step.span, one.span, self.capabilities)
            and same_text(step.comment, one.comment, self.capabilities)
        )

    def _id(self, kind: Kind | None, id: str) -> str:
        """Raises ValueError for what can be none: nobody could ask for it again."""
        if not self.can_be(kind, id):
            raise ValueError("an id that can be none")
        return id

    def _read(self, row: Row) -> Appointment | None:
        found = self.read(row)
        if found is not None:
            self._id(None, found.id)
        return found

    # -- reads that follow -----------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        if not self.can_be(None, id):
            return None
        found = the_same(id, await self.one(self.path, id, self._read, self.always))
        return None if found is None or not self.is_shown(found) else found

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        return [one for one in await self.listed(wanted) if wanted.takes(one) and self.is_shown(one)]

    async def listed(self, wanted: ReadCalendar) -> list[Appointment]:
        """All that the list shows when it is asked this: maybe more, which may be in the way of something."""
        if not self.are_possible(wanted):
            return []
        asked = [*self.query(wanted), *self.always]
        if not self.most_days:
            return await self.each(self.path, self._read, asked, by=self.key)
        return await self.on_days(self.path, self._read, wanted.span, asked, longest=self.longest, by=self.key)

    async def conflicts(self, appointment: Appointment, ignoring: Sequence[str] = ()) -> bool:
        near = self.near(appointment)
        there = [] if near is None else await self.listed(near)
        return any(in_the_way(one, appointment, ignoring) and self.in_one_place(one, appointment) for one in there)

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        place = self.places.get(kind)
        if place is None:
            raise Refused("unsupported")

        def entries(row: Row) -> list[Entry]:
            return [entry for entry in place.entries(row) if self._id(kind, entry.id)]

        found = await self.each(place.path, entries, place.query, by=place.id)
        return [entry for each in found for entry in each]

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        if not self.can_be(kind, id):
            return None
        place = self.places.get(kind)
        if place is None or not place.one:
            return await super().look_up(kind, id)
        return the_same(id, await self.one(place.one if isinstance(place.one, str) else place.path, id, place.entry))

    async def find_own(self, step: Create | Change) -> Appointment | None:
        """The youngest, if there are several: ids grow."""
        if not isinstance(step, Create):
            raise Refused("unsupported")
        wanted = ReadCalendar(step.span, resource_id=step.resource_id, patient_id=step.patient_id)
        own = [one for one in await self.calendar(wanted) if self.is_made_by(one, step)]
        return max(own, key=lambda one: (len(one.id), one.id), default=None)

    async def one(self, path: str, id: str, parse: Callable[[Row], T], query: Query = ()) -> T | None:
        """One record by its id; `None` where there is none."""
        asked = [*self.whose, *query]
        reading = self.http.read(f"{path}/{quote(id, safe='')}", lambda answer: parse(self.body(answer)), params=asked)
        return await if_there(reading)

    async def each(self, path: str, parse: Callable[[Row], T | None], query: Query = (), *, by: str = "id") -> list[T]:
        """What the rows of a whole list say; a row that says `None` is passed over."""
        found = [sense(parse, row) for row in await self.rows(path, query, by=by)]
        return [one for one in found if one is not None]

    async def on_days(
        self,
        path: str,
        parse: Callable[[Row], Dated | None],
        span: Span,
        query: Query = (),
        *,
        most: int = 0,
        earliest: date | None = None,
        longest: timedelta = timedelta(0),
        by: str = "id",
    ) -> list[Dated]:
        """What overlaps `span` of a list that is asked for by `days`: by `most` at once, else `most_days`, else one by
        one; `earliest` and `longest` as `by_days` has them."""

        async def ask(first: date, last: date) -> list[Dated]:
            return await self.each(path, parse, [*self.days(first, last), *query], by=by)

        pieces = most or self.most_days or 1
        return await by_days(ask, span, self.zone, most=pieces, earliest=earliest, longest=longest)

    async def about(self, kind: Kind, id: str, parse: Callable[[Row], T]) -> T | None:
        """What the row of one entry says; `None` where it is not there, or gone."""
        place = self.places[kind]
        return await self.one(place.path, id, lambda row: None if place.is_gone(row) else parse(row))

    def are_possible(self, wanted: ReadCalendar | FindFreeTime) -> bool:
        """Can all that is named in the question be there? Raises Refused("unsupported") where free time is asked for
        without all that `free_time_by` says."""
        ids = {Kind.RESOURCE: wanted.resource_id, Kind.CARE_UNIT: wanted.care_unit_id}
        if isinstance(wanted, ReadCalendar):
            ids[Kind.PATIENT] = wanted.patient_id
        else:
            ids[Kind.SERVICE] = wanted.healthcare_service_id
            if any(ids[kind] is None for kind in self.capabilities.free_time_by):
                raise Refused("unsupported", "free time is told of more than is named")
        return all(self.can_be(kind, id) for kind, id in ids.items() if id is not None)

    # -- writes ----------------------------------------------------------------------------------------------------

    def at(self, step: Change | Cancel | Confirm | Discard, below: str = "") -> str:
        """The path of what a step is about. Raises Refused("not_found") for what can be no appointment."""
        if not self.can_be(None, step.before.id):
            raise Refused("not_found")
        return f"{self.path}/{quote(step.before.id, safe='')}{below}"

    def shown(self, answer: httpx.Response) -> Receipt:
        """Parses the answer to a write that shows the appointment as it now is."""
        return Receipt(appointment=self._read(self.body(answer)))

    def named(self, answer: httpx.Response) -> Receipt:
        """Parses the answer to a write that shows the appointment, but not as it now is: only its id is believed."""
        return Receipt(id=self._id(None, id_of(self.body(answer)[self.key])))

    def made(self, step: Create) -> Callable[[httpx.Response], Receipt]:
        """Parses the answer to a booking that shows it, but not as it will be: only which one it is is believed."""

        def parse(answer: httpx.Response) -> Receipt:
            found = self._read(self.body(answer))
            if found is None or not self.is_made_by(found, step):
                raise ValueError("the answer is about another booking")
            return Receipt(id=found.id)

        return parse

    async def over(
        self,
        method: str,
        step: Change | Cancel | Confirm | Discard,
        below: str = "",
        *,
        parse: Callable[[httpx.Response], object] = nothing,
        **how: Any,
    ) -> Receipt:
        """A write to what a step is about, answered with nothing or, as `parse` sees to, nothing that is believed but
        which one it is about (`named`). `how`: as `VendorHttp.write` takes it (`json`, `data`, `params`, `headers`)."""
        told = await self.http.write(method, self.at(step, below), parse, **how)
        if isinstance(told, Receipt) and told.id != step.before.id:
            raise MaybeDone("it answered with another one than was written")
        return Receipt(id=step.before.id)
