"""What follows for a plugin that says where things lie and what a row means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx

from gateway.plugin import (
    Appointment,
    Cancel,
    Capabilities,
    Change,
    Create,
    Directory,
    Door,
    Entry,
    Kind,
    MaybeDone,
    ReadCalendar,
    Receipt,
    Refused,
    RestEmr,
    Span,
    Status,
)

URL = "https://emr.example"
NINE, TEN = datetime(2027, 3, 2, 9, tzinfo=UTC), datetime(2027, 3, 2, 10, tzinfo=UTC)
SPAN = Span(NINE, TEN)


class Emr(RestEmr):
    path = "/visits"
    ids = r"[1-9][0-9]*"
    always = (("even", "cancelled"),)
    places = {
        Kind.RESOURCE: Directory("/doctors", ("first", "last"), is_gone=lambda row: row.get("left", False)),
        Kind.SERVICE: Directory("/kinds", query=(("all", "yes"),), one=False),
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


def row(id: int, **more: Any) -> dict[str, Any]:
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


async def test_an_entry_that_can_not_be_asked_for_is_looked_for_in_the_list(vendor, emr):
    vendor.get(f"{URL}/kinds", params={"all": "yes"}).respond(json=[{"id": 4, "name": "Visit"}])
    assert await emr.look_up(Kind.SERVICE, "4") == Entry("4", "Visit")


async def test_a_list_is_what_its_rows_say_without_those_that_say_nothing(vendor, emr):
    vendor.get(f"{URL}/hours", params={"day": "1"}).respond(json=[{"from": 8}, {"from": None}, {"from": 9}])
    assert await emr.each("/hours", lambda row: row["from"], [("day", "1")]) == [8, 9]
    with pytest.raises(MaybeDone):
        await emr.each("/hours", lambda row: row["to"], [("day", "1")])


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
