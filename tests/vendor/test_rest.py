"""What follows for a plugin that says where things lie and what a row means."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx

from gateway.plugin import (
    Appointment,
    Besides,
    Cancel,
    Capabilities,
    Change,
    Create,
    Directory,
    Door,
    Entry,
    FindFreeTime,
    Kind,
    MaybeDone,
    ReadCalendar,
    Receipt,
    Refused,
    RestEmr,
    Slot,
    Span,
    Status,
)

URL = "https://emr.example"
NINE, TEN = datetime(2027, 3, 2, 9, tzinfo=UTC), datetime(2027, 3, 2, 10, tzinfo=UTC)
SPAN = Span(NINE, TEN)


def wings(row):
    return [Entry(f"{row['id']}-{wing}", f"{row['name']}, {wing}") for wing in row["wings"]]


class Emr(RestEmr):
    path = "/visits"
    ids = r"[1-9][0-9]*"
    always = (("even", "cancelled"),)
    places = {
        Kind.RESOURCE: Directory("/doctors", ("first", "last"), is_gone=lambda row: row.get("left", False)),
        Kind.SERVICE: Directory("/kinds", query=(("all", "yes"),), one=False),
        Kind.CARE_UNIT: Directory("/sites", one=False, ids=r"[0-9]+-[ab]", several=wings),
    }

    async def rows(self, path, query=(), *, by="id"):
        return await self.http.read(path, lambda answer: answer.json(), params=[*query])

    def read(self, row):
        if row["who"] == "nobody":
            return None
        return Appointment(
            str(row["id"]), NINE, TEN, Status(row.get("state", "booked")), row["who"], "1", comment=row.get("note")
        )

    def query(self, wanted: ReadCalendar):
        return [("doctor", wanted.resource_id or "any")]


@pytest.fixture
def vendor():
    with respx.MockRouter(assert_all_called=True) as router:
        yield router


@pytest.fixture
def emr(vendor) -> Emr:
    http = Door(httpx.MockTransport(vendor.async_handler)).http(base_url=URL)
    return Emr(http, Capabilities(joins_lines=True), "a practice")


def row(id: int | str, **more: Any) -> dict[str, Any]:
    return {"id": id, "who": "5", **more}


async def test_one_is_read_by_its_id_along_with_what_is_always_asked(vendor, emr):
    vendor.get(f"{URL}/visits/7", params={"even": "cancelled"}).respond(json=row(7))
    found = await emr.appointment("7")
    assert found is not None
    assert found.id == "7"


async def test_another_one_than_was_asked_for_is_not_believed(vendor, emr):
    vendor.get(f"{URL}/visits/7").respond(json=row(8))
    with pytest.raises(MaybeDone):
        await emr.appointment("7")


@pytest.mark.parametrize("id", ["0", "x", "7/../8", "", "7\n"])
async def test_what_can_be_no_id_is_not_there_and_the_emr_is_not_asked(emr, id):
    assert await emr.appointment(id) is None
    assert await emr.look_up(Kind.RESOURCE, id) is None
    assert await emr.calendar(ReadCalendar(SPAN, resource_id=id)) == []
    with pytest.raises(Refused) as no:
        emr.at(Cancel(chain="a", before=Appointment(id, NINE, TEN, Status.BOOKED)))
    assert no.value.reason == "not_found"


async def test_an_id_is_one_part_of_a_path_whatever_is_in_it(vendor, emr, monkeypatch):
    monkeypatch.setattr(Emr, "ids", r"[^#]+")
    vendor.get(f"{URL}/visits/a%2F1%3Fb").respond(json=row("a/1?b"))
    found = await emr.appointment("a/1?b")
    assert found is not None
    assert emr.at(Cancel(chain="a", before=found), "/cancel") == "/visits/a%2F1%3Fb/cancel"


async def test_what_is_shown_under_what_can_be_no_id_makes_no_sense(vendor, emr):
    """Nobody could ask for it again, and it would seem to be gone."""
    vendor.get(f"{URL}/visits").respond(json=[row("x")])
    vendor.get(f"{URL}/doctors").respond(json=[{"id": "x", "first": "Test", "last": "Y"}])
    vendor.post(f"{URL}/visits").respond(201, json=row("x"))
    for reading in (emr.calendar(ReadCalendar(SPAN)), emr.directory(Kind.RESOURCE)):
        with pytest.raises(MaybeDone):
            await reading
    for parse in (emr.shown, emr.named, emr.made(booking())):
        with pytest.raises(MaybeDone):
            await emr.http.write("POST", "/visits", parse)


async def test_a_calendar_has_what_was_asked_for_and_nothing_else_that_is_shown(vendor, emr):
    shown = [row(7), row(8, who="6"), row(9, who="nobody")]
    vendor.get(f"{URL}/visits", params={"doctor": "1", "even": "cancelled"}).respond(json=shown)
    found = await emr.calendar(ReadCalendar(SPAN, resource_id="1", patient_id="5"))
    assert [one.id for one in found] == ["7"]


async def test_a_list_may_show_others_that_are_in_the_way(vendor, emr):
    vendor.get(f"{URL}/visits", params={"doctor": "1"}).respond(json=[row(7), row(8, who="6"), row(9, who="nobody")])
    wanted = ReadCalendar(SPAN, resource_id="1", patient_id="5")
    assert [one.id for one in await emr.listed(wanted)] == ["7", "8"]


@pytest.mark.parametrize("bent", [{"id": 7}, [], None, {"id": 7, "who": "5", "state": "?"}])
async def test_a_row_that_makes_no_sense_is_told_as_such(vendor, emr, bent):
    vendor.get(f"{URL}/visits").respond(json=[bent])
    with pytest.raises(MaybeDone):
        await emr.calendar(ReadCalendar(SPAN, resource_id="1"))


async def test_entries_have_a_name_of_all_its_parts_and_those_that_are_gone_are_not_there(vendor, emr):
    doctors = [{"id": 1, "first": "Test", "last": None}, {"id": 2, "first": "In", "last": "Vented"},
               {"id": 3, "first": "X", "last": "Y", "left": True}]  # fmt: skip
    vendor.get(f"{URL}/doctors").respond(json=doctors)
    vendor.get(f"{URL}/doctors/3").respond(json=doctors[2])
    assert await emr.directory(Kind.RESOURCE) == [Entry("1", "Test"), Entry("2", "In Vented")]
    assert await emr.look_up(Kind.RESOURCE, "3") is None


async def test_a_directory_that_has_no_place_can_not_be_had(emr):
    for asking in (emr.directory(Kind.PATIENT), emr.look_up(Kind.PATIENT, "5")):
        with pytest.raises(Refused) as no:
            await asking
        assert no.value.reason == "unsupported"


async def test_a_single_entry_may_be_read_elsewhere(vendor, emr, monkeypatch):
    monkeypatch.setattr(Emr, "places", {Kind.PATIENT: Directory("/patients/short", one="/patients")})
    vendor.get(f"{URL}/patients/5").respond(json={"id": 5, "name": "Test"})
    assert await emr.look_up(Kind.PATIENT, "5") == Entry("5", "Test")


async def test_a_row_may_say_several_entries_whose_ids_look_otherwise(vendor, emr):
    vendor.get(f"{URL}/sites").respond(json=[{"id": 4, "name": "Test", "wings": "ab"}, {"id": 5, "wings": ""}])
    entries = [Entry("4-a", "Test, a"), Entry("4-b", "Test, b")]
    assert await emr.directory(Kind.CARE_UNIT) == entries
    assert await emr.look_up(Kind.CARE_UNIT, "4-b") == entries[1]
    assert await emr.look_up(Kind.CARE_UNIT, "4") is None


async def test_an_entry_that_can_not_be_asked_for_is_looked_for_in_the_list(vendor, emr):
    vendor.get(f"{URL}/kinds", params={"all": "yes"}).respond(json=[{"id": 4, "name": "Visit"}])
    assert await emr.look_up(Kind.SERVICE, "4") == Entry("4", "Visit")


class Daily(Emr):
    most_days, longest = 2, timedelta(days=1)

    def days(self, first, last):
        return [("from", str(first)), ("to", str(last))]

    def is_shown(self, one):
        return one.comment != "break"


@pytest.fixture
def daily(vendor) -> Daily:
    http = Door(httpx.MockTransport(vendor.async_handler)).http(base_url=URL)
    return Daily(http, Capabilities(), "a practice", zone=ZoneInfo("Pacific/Kiritimati"))


async def test_a_list_that_takes_few_days_is_asked_for_in_pieces_by_the_clock_of_its_zone(vendor, daily):
    route = vendor.get(f"{URL}/visits").respond(json=[row(7), row(8, note="break")])
    wanted = ReadCalendar(Span(NINE, NINE + timedelta(days=1)), resource_id="1")
    assert [one.id for one in await daily.listed(wanted)] == ["7", "8"]
    assert [call.request.url.params.multi_items() for call in route.calls] == [
        [("from", first), ("to", last), ("doctor", "1"), ("even", "cancelled")]
        for first, last in (("2027-03-01", "2027-03-02"), ("2027-03-03", "2027-03-03"))
    ]
    assert await daily.listed(ReadCalendar(Span(TEN, TEN + timedelta(hours=1)))) == []


@pytest.mark.parametrize(("at_once", "most", "asked"), [(0, 0, 3), (2, 0, 2), (2, 3, 1)])
async def test_any_list_can_be_asked_for_by_days(vendor, daily, monkeypatch, at_once, most, asked):
    monkeypatch.setattr(Daily, "most_days", at_once)
    day = timedelta(days=1)
    route = vendor.get(f"{URL}/holidays").respond(json=[{"no": 1, "after": 0}, {"no": 2, "after": 9}])

    def holiday(row):
        return Slot(NINE + row["after"] * day, TEN + row["after"] * day, id=str(row["no"]))

    found = await daily.on_days("/holidays", holiday, Span(NINE, NINE + 2 * day), most=most, by="no")
    assert [one.id for one in found] == ["1"]
    assert route.call_count == asked


async def test_what_is_only_in_the_way_is_no_appointment(vendor, daily):
    vendor.get(f"{URL}/visits").respond(json=[row(7), row(8, note="break")])
    vendor.get(f"{URL}/visits/8").respond(json=row(8, note="break"))
    assert [one.id for one in await daily.calendar(ReadCalendar(SPAN))] == ["7"]
    assert await daily.appointment("8") is None


async def test_what_an_entry_says_is_not_heard_when_it_is_gone(vendor, emr):
    route = vendor.get(f"{URL}/doctors/1").respond(json={"id": 1, "hours": 8})
    assert await emr.about(Kind.RESOURCE, "1", lambda row: row["hours"]) == 8
    route.respond(json={"id": 1, "hours": 8, "left": True})
    assert await emr.about(Kind.RESOURCE, "1", lambda row: row["hours"]) is None
    route.respond(404)
    assert await emr.about(Kind.RESOURCE, "1", lambda row: row["hours"]) is None


async def test_a_list_is_what_its_rows_say_without_those_that_say_nothing(vendor, emr):
    vendor.get(f"{URL}/hours", params={"day": "1"}).respond(json=[{"from": 8}, {"from": None}, {"from": 9}])
    assert await emr.each("/hours", lambda row: row["from"], [("day", "1")]) == [8, 9]
    with pytest.raises(MaybeDone):
        await emr.each("/hours", lambda row: row["to"], [("day", "1")])


class Marked(Emr):
    """Its bookings bear a mark, in two rooms, and whose records are asked for is said each time."""

    whose = (("practice", "3"),)

    def read(self, row):
        native = {name: row[name] for name in ("marker", "room") if name in row}
        return replace(super().read(row), native=native)

    def near(self, one):
        return ReadCalendar(one.span)

    def in_one_place(self, one, other):
        return super().in_one_place(one, other) or Besides("room").both(one, other)


@pytest.fixture
def marked(vendor) -> Marked:
    return Marked(Door(httpx.MockTransport(vendor.async_handler)).http(base_url=URL), Capabilities(), "a practice")


async def test_whose_a_record_is_is_said_first(vendor, marked):
    route = vendor.get(f"{URL}/visits/7").respond(json=row(7))
    await marked.appointment("7")
    assert route.calls.last.request.url.params.multi_items() == [("practice", "3"), ("even", "cancelled")]


async def test_a_booking_is_known_by_its_mark_and_where_it_bears_none_by_all_that_it_says(vendor, marked):
    ours, mark = booking(marker="m1", comment="x"), "emr-gateway:m1"
    route = vendor.get(f"{URL}/visits")
    for shown, found in (
        ([row(9, note="x"), row(8, note="other", marker=mark, state="cancelled")], "9"),
        ([row(8, note="other", marker=mark)], "8"),
        ([row(9, note="x", marker="elsewhere")], None),
    ):
        route.respond(json=shown)
        own = await marked.find_own(ours)
        assert (own and own.id) == found


async def test_the_answer_to_a_booking_is_believed_in_which_one_it_is_alone(vendor, marked):
    ours = booking(marker="m1")
    vendor.post(f"{URL}/visits").mock(
        side_effect=[httpx.Response(201, json=row(9, marker=mark)) for mark in ("emr-gateway:m1", "emr-gateway:m2")]
    )
    assert await marked.http.write("POST", "/visits", marked.made(ours)) == Receipt(id="9")
    with pytest.raises(MaybeDone):
        await marked.http.write("POST", "/visits", marked.made(ours))


async def test_what_is_near_is_the_plugins_to_say(vendor, marked):
    one = Appointment("7", NINE, TEN, Status.BOOKED, resource_id="2", native={"room": 4})
    route = vendor.get(f"{URL}/visits", params={"doctor": "any"})
    for room, is_one in ((4, True), (5, False)):
        route.respond(json=[row(8, room=room)])
        assert await marked.conflicts(one) is is_one


def booking(**more: Any) -> Create:
    return Create(chain="a", span=SPAN, patient_id="5", resource_id="1", **more)


async def test_a_lost_booking_is_the_youngest_that_says_the_same(vendor, emr):
    shown = [row(9, note="a b"), row(10, note="a\nb"), row(11, note="c"), row(12, note="a b", state="cancelled")]
    vendor.get(f"{URL}/visits").respond(json=shown)
    found = await emr.find_own(booking(comment="a b"))
    assert found is not None
    assert found.id == "10"


@pytest.mark.parametrize("more", [{"comment": "else"}, {"healthcare_service_id": "4"}, {"care_unit_id": "2"}])
async def test_one_that_says_something_else_is_another(vendor, emr, more):
    vendor.get(f"{URL}/visits").respond(json=[row(9)])
    assert await emr.find_own(booking(**more)) is None


async def test_a_change_leaves_no_trace_to_be_found(emr):
    with pytest.raises(Refused):
        await emr.find_own(Change(chain="a", before=Appointment("7", NINE, TEN, Status.BOOKED)))


async def test_a_write_over_what_stands_is_answered_with_nothing(vendor, emr):
    step = Cancel(chain="a", before=Appointment("7", NINE, TEN, Status.BOOKED))
    answers = [httpx.Response(204), httpx.Response(200, json={"error": "no"})]
    vendor.put(f"{URL}/visits/7/cancel", json={"why": "ill"}).mock(side_effect=answers)
    assert await emr.over("PUT", step, "/cancel", json={"why": "ill"}) == Receipt(id="7")
    with pytest.raises(MaybeDone):
        await emr.over("PUT", step, "/cancel", json={"why": "ill"})


async def test_a_write_is_not_believed_that_is_answered_with_another_one(vendor, emr):
    step = Cancel(chain="a", before=Appointment("7", NINE, TEN, Status.BOOKED))
    vendor.delete(f"{URL}/visits/7").mock(side_effect=[httpx.Response(200, json={"id": id}) for id in (7, 8)])
    assert await emr.over("DELETE", step, parse=emr.named) == Receipt(id="7")
    with pytest.raises(MaybeDone):
        await emr.over("DELETE", step, parse=emr.named)


@pytest.mark.parametrize(
    ("there", "ignoring", "is_in_the_way"),
    [
        (row(7), (), False), (row(8), (), True), (row(8), ("8",), False), (row(8, state="cancelled"), (), False),
        (row(9, who="nobody"), (), False), (row(8, doctor="2"), (), False), (row(8, doctor="2", room="1"), (), True),
    ],
)  # fmt: skip
async def test_what_is_in_the_way_is_in_one_place_at_one_time(vendor, there, ignoring, is_in_the_way):
    class Rooms(Emr):
        def read(self, row):
            found = super().read(row)
            return found and replace(found, resource_id=row.get("doctor", "1"), native={"room": row.get("room", "2")})

        def in_one_place(self, one, other):
            return super().in_one_place(one, other) or one.native["room"] == "1"

    http = Door(httpx.MockTransport(vendor.async_handler)).http(base_url=URL)
    vendor.get(f"{URL}/visits", params={"doctor": "1"}).respond(json=[there])
    own = Appointment("7", NINE, TEN, Status.BOOKED, "5", "1")
    assert await Rooms(http, Capabilities(), "a practice").conflicts(own, ignoring) is is_in_the_way


async def test_what_is_of_no_resource_is_in_nobodys_way(emr):
    assert await emr.conflicts(Appointment("7", NINE, TEN, Status.BOOKED)) is False


def test_free_time_is_of_all_that_must_be_named(vendor):
    http = Door(httpx.MockTransport(vendor.async_handler)).http(base_url=URL)
    by = frozenset({Kind.RESOURCE, Kind.SERVICE})
    emr = Emr(http, Capabilities(free_time="slots", free_time_by=by), "a practice")
    assert emr.are_possible(FindFreeTime(SPAN, "1", "4"))
    assert not emr.are_possible(FindFreeTime(SPAN, "1", "x"))
    for unnamed in (FindFreeTime(SPAN, "1"), FindFreeTime(SPAN, None, "4")):
        with pytest.raises(Refused) as no:
            emr.are_possible(unnamed)
        assert no.value.reason == "unsupported"
