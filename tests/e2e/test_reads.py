"""Reading: one appointment under any id that it ever had, lists, free time, directories, abilities, commands."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from tests.e2e.conftest import ZONE, Api, at, span, working_day
from tests.e2e.told import cancelled, codes, confirmed, instant, on_every, refused

FIELDS = {
    "id",
    "emr_id",
    "start",
    "end",
    "status",
    "confirmed",
    "comment",
    "patient_id",
    "resource_id",
    "healthcare_service_id",
    "care_unit_id",
    "previous_ids",
}
NEW_IDS = ("new-id", "windows-new-id", "no-move")


async def answer(api: Api, path: str, **params: str) -> httpx.Response:
    return await api.call("GET", path, **params)


async def ids(api: Api, path: str = "appointments", **params: str) -> set[str]:
    return {a["id"] for a in await api.get(path, **params)}


# -- one --------------------------------------------------------------------------------------------------------------


@on_every
async def test_one_appointment_has_all_its_fields_and_a_strong_etag(each):
    (one,) = await each.booked(1)
    read = await answer(each, f"appointments/{one['id']}")
    told = read.json()
    assert set(told) >= FIELDS
    assert told["emr_id"] == told["id"] == one["id"]
    assert (told["status"], told["patient_id"], told["resource_id"]) == ("booked", "P4", "D1")
    assert (told["care_unit_id"], told["previous_ids"]) == ("U1", [])
    etag = read.headers["etag"]
    assert etag.startswith('"')
    assert (await answer(each, f"appointments/emr_id:{one['id']}")).headers["etag"] == etag
    assert (await answer(each, f"care-units/U1/appointments/{one['id']}")).json() == told
    changed = await each.patch(one["id"], comment="New")
    after = await answer(each, f"appointments/{one['id']}")
    assert (after.json(), after.headers["etag"] == etag) == (changed, False)


async def test_the_etag_is_the_answer_to_if_none_match(api):
    (one,) = await api.booked(1)
    etag = (await answer(api, f"appointments/{one['id']}")).headers["etag"]
    same = await api.call("GET", f"appointments/{one['id']}", headers={"if-none-match": etag})
    assert (same.status_code, same.content) == (304, b"")


async def test_what_is_not_there_is_not_found(api):
    (one,) = await api.booked(1)
    for path, error_code in {
        "appointments/nobody": "INVALID_APPOINTMENT_ID",
        "appointments/%00": "INVALID_APPOINTMENT_ID",
        f"care-units/U2/appointments/{one['id']}": "INVALID_APPOINTMENT_ID",
        f"care-units/U9/appointments/{one['id']}": "INVALID_CARE_UNIT_ID",
        "care-units/U9/appointments": "INVALID_CARE_UNIT_ID",
        "care-units/U9/timeslots": "INVALID_CARE_UNIT_ID",
    }.items():
        told = await answer(api, path)
        assert told.status_code == 404, path
        refused(told.json(), "NOT_FOUND", error_code)
    for path in ("/api/emrs/nowhere/appointments", "/api/nothing", "/api/commands/nothing", "nothing"):
        told = await answer(api, path)
        assert (told.status_code, told.json()["code"]) == (404, "NOT_FOUND")
    told = await api.call("DELETE", f"appointments/{one['id']}")
    assert (told.status_code, told.json()["code"]) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize("emr", NEW_IDS)
async def test_an_old_id_goes_on_working_everywhere(api, emr):
    api.emr = emr
    (first,) = await api.booked(1)
    second = await api.patch(first["id"], **span(at(11, 10), at(11, 10, 30)))
    assert second["id"] != first["id"]
    assert second["previous_ids"] == [first["id"]]
    third = await api.patch(first["id"], **span(at(12, 10), at(12, 10, 30)))
    assert third["id"] not in (first["id"], second["id"])
    assert third["previous_ids"] == [first["id"], second["id"]]
    etags = set()
    for id in (first["id"], second["id"], third["id"], f"emr_id:{first['id']}"):
        read = await answer(api, f"appointments/{id}")
        assert read.json() == third
        etags.add(read.headers["etag"])
    assert len(etags) == 1
    everything = await api.everything()
    assert [a for a in everything if a["id"] == third["id"]] == [third]
    assert not [a for a in everything if a["id"] in (first["id"], second["id"]) and a["status"] != "cancelled"]
    noted = await api.patch(second["id"], comment="By its old id")
    assert (noted["id"], noted["comment"]) == (third["id"], "By its old id")
    same = await api.patch(first["id"], **span(at(12, 10), at(12, 10, 30)))
    assert same == noted
    moved = await api.patch(first["id"], headers={"if-match": api.seen[-1].headers["etag"]}, resource_id="D2")
    assert moved["previous_ids"] == [first["id"], second["id"], third["id"]]
    assert (await api.call("PATCH", f"care-units/U1/appointments/{first['id']}", {"comment": "x"})).status_code == 200
    by_id = [await api.get("/api/commands", appointment_id=id) for id in (first["id"], third["id"], moved["id"])]
    assert len(by_id[0]) >= 4
    assert by_id[0] == by_id[1] == by_id[2]
    assert by_id[0] == await api.get("/api/commands", appointment_id=f"emr_id:{first['id']}")
    gone = await cancelled(api, second["id"], comment="All of it")
    assert (gone["id"], gone["status"]) == (moved["id"], "cancelled")
    for id in (first["id"], second["id"], third["id"], moved["id"]):
        assert (await api.read(id))["status"] == "cancelled"


@pytest.mark.parametrize("emr", NEW_IDS)
async def test_old_ids_work_in_bulk_and_are_not_twice_the_same(api, emr):
    api.emr = emr
    (first,) = await api.booked(1)
    second = await api.patch(first["id"], **span(at(11, 10), at(11, 10, 30)))
    (told,) = await api.many([first["id"]], comment="By its old id")
    assert (told["id"], told["comment"]) == (second["id"], "By its old id")
    told = await api.many([first["id"], second["id"]], 400, comment="Twice")
    assert "BAD_INPUT" in codes(told)
    assert (await api.read(first["id"]))["comment"] == "By its old id"


# -- lists ------------------------------------------------------------------------------------------------------------


@on_every
async def test_an_appointment_is_in_a_range_if_it_overlaps_it(each):
    one = await each.book(span(at(10, 9), at(10, 10), "D1"))
    half, minute = timedelta(minutes=30), timedelta(minutes=1)
    for start, end, inside in (
        (at(10, 9), at(10, 10), True),
        (at(10, 9, 30), at(10, 9, 45), True),
        (at(10, 8), at(10, 9) + minute, True),
        (at(10, 10) - minute, at(10, 11), True),
        (at(10, 9) - half, at(10, 9), False),
        (at(10, 10), at(10, 10) + half, False),
    ):
        found = await ids(each, start=start.isoformat(), end=end.isoformat())
        assert (one["id"] in found) == inside
    listed = [a for a in await each.everything() if a["id"] == one["id"]]
    assert listed == [await each.read(one["id"])]


async def test_lists_are_filtered(api):
    one = await api.book(span(at(10, 9), at(10, 10), "D1"))
    two = await api.book(span(at(10, 9), at(10, 10), "D2"), patient_id="P5")
    day = {"start": at(10, 0).isoformat(), "end": at(11, 0).isoformat()}
    assert await ids(api, **day) == {one["id"], two["id"]}
    assert await ids(api, patient_id="P4", **day) == {one["id"]}
    assert await ids(api, patient_id="emr_id:P4", **day) == {one["id"]}
    assert await ids(api, resource_id="D2", **day) == {two["id"]}
    assert await ids(api, resource_id="D2", patient_id="P4", **day) == set()
    assert await ids(api, "care-units/U1/appointments", **day) == {one["id"], two["id"]}
    assert await ids(api, "care-units/U2/appointments", **day) == set()
    assert await ids(api, resource_id="nobody", **day) == set()
    await cancelled(api, one["id"])
    assert {a["id"]: a["status"] for a in await api.get("appointments", **day)}[one["id"]] == "cancelled"


async def test_a_list_without_a_range_is_of_92_days_from_today(api):
    (one,) = await api.booked(1)
    found = await api.get("appointments")
    assert one["id"] in {a["id"] for a in found}
    assert [a["start"] for a in found] == sorted(a["start"] for a in found)
    start = working_day(0).astimezone(ZONE)
    assert all(instant(a["end"]) > start for a in found)
    assert one["id"] in await ids(api, start=at(10, 0).isoformat())
    assert one["id"] in await ids(api, end=at(11, 0).isoformat())


@pytest.mark.parametrize("path", ["appointments", "timeslots"])
async def test_a_range_is_of_92_days_at_most_and_has_an_offset(api, path):
    start = at(1, 0)
    fine = {"start": start.isoformat(), "end": (start + timedelta(days=91, hours=22)).isoformat()}
    assert (await answer(api, path, **fine)).status_code == 200
    for wrong in (
        {"start": start.isoformat(), "end": (start + timedelta(days=93)).isoformat()},
        {"start": start.isoformat(), "end": start.isoformat()},
        {"start": at(2, 0).isoformat(), "end": at(1, 0).isoformat()},
        {"start": "2031-03-03T09:00:00", "end": "2031-03-04T09:00:00"},
        {"start": "2031-03-03", "end": "2031-03-04"},
        {"start": "yesterday"},
        {"nonsense": "1"},
    ):
        told = await answer(api, path, **wrong)
        assert told.status_code == 400, wrong
        refused(told.json(), "BAD_REQUEST", "BAD_INPUT")


# -- free time --------------------------------------------------------------------------------------------------------


@on_every
async def test_timeslots_are_what_can_be_booked(each):
    slots = await each.free()
    assert slots
    for slot in slots:
        assert set(slot) >= {"start", "end", "resource_id", "healthcare_service_id"}
        assert (slot["resource_id"], slot["healthcare_service_id"]) == ("D1", "K1")
        assert at(10, 8) <= instant(slot["start"]) < instant(slot["end"]) <= at(10, 16)
    made = await each.book(slots[0])
    assert (made["start"], made["end"]) == (slots[0]["start"], slots[0]["end"])
    assert made["start"] not in [s["start"] for s in await each.free()]


async def test_timeslots_are_half_hours_or_windows(api):
    slots = await api.free()
    assert [(instant(s["start"]), instant(s["end"])) for s in slots] == [
        (at(10, 8) + n * timedelta(minutes=30), at(10, 8) + (n + 1) * timedelta(minutes=30)) for n in range(16)
    ]
    api.emr = "windows"
    await api.booked(1)
    windows = await api.free()
    assert [(instant(w["start"]), instant(w["end"])) for w in windows] == [
        (at(10, 8), at(10, 9)),
        (at(10, 9, 30), at(10, 16)),
    ]


async def test_timeslots_are_filtered(api):
    day = {"start": at(10, 8).isoformat(), "end": at(10, 9).isoformat()}
    assert {s["resource_id"] for s in await api.get("timeslots", **day)} == {"D1", "D2", "D3"}
    assert len(await api.get("timeslots", resource_id="D2", **day)) == 2
    assert len(await api.get("timeslots", resource_id="D2", healthcare_service_id="K2", **day)) == 2
    assert len(await api.get("care-units/U1/timeslots", resource_id="emr_id:D2", **day)) == 2
    assert await api.get("care-units/U2/timeslots", **day) == []
    whole = {"start": at(10, 8, 10).isoformat(), "end": at(10, 9, 10).isoformat(), "resource_id": "D1"}
    assert [instant(s["start"]) for s in await api.get("timeslots", **whole)] == [at(10, 8, 30)]


# -- directories ------------------------------------------------------------------------------------------------------


async def test_directories_say_which_ids_exist(api):
    units = await api.get("care-units")
    resources = await api.get("resources")
    services = await api.get("healthcare-services")
    patients = await api.get("patients")
    for entries in (units, resources, services, patients):
        assert all(e["id"] and e["name"] for e in entries)
    assert (len(units), len(resources), len(services)) == (2, 3, 2)
    assert "Video visit" in {s["name"] for s in services}
    assert {a["patient_id"] for a in await api.everything()} <= {p["id"] for p in patients}
    assert len(await api.get("care-units/U1/resources")) == 3
    assert await api.get("care-units/U2/resources") == []
    assert [u["id"] for u in await api.get("care-units/U1/care-units")] == ["U1"]
    told = await answer(api, "care-units/U9/resources")
    assert told.status_code == 404
    refused(told.json(), "NOT_FOUND", "INVALID_CARE_UNIT_ID")


async def test_a_client_sees_its_own_emrs_and_what_they_can_do(api):
    found = {e["key"]: e for e in await api.get("/api/emrs")}
    assert set(found) == {
        *("in-place", "new-id", "no-move", "windows", "windows-new-id"),
        *("starts", "slot-records", "no-content", "async", "no-refusal"),
    }
    assert {(e["plugin"], e["name"]) for e in found.values()} == {("sandbox", "A sandbox")}
    assert {key: e["edition"] for key, e in found.items()} == {key: key for key in found}
    assert {way for e in found.values() for name, way in e["tested"].items() if name != "against"} == {"own"}
    told = {key: e["capabilities"] for key, e in found.items()}
    assert told["in-place"]["update"]["start_end"] == "native"
    assert told["no-move"]["update"]["start_end"] == "emulated"
    assert told["in-place"]["continuous_reschedule"]["start_end"] == "emulated"


# -- two clients ------------------------------------------------------------------------------------------------------


async def test_clients_see_nothing_of_each_other(api, http):
    (one,) = await api.booked(1)
    await api.patch(one["id"], headers={"idempotency-key": "mine"}, comment="Mine")
    command = api.seen[-1].headers["x-command-id"]
    other = Api(http, api.emr, "two")
    assert (await answer(other, f"appointments/{one['id']}")).status_code == 404
    assert (await answer(other, f"/api/commands/{command}")).status_code == 404
    assert await other.get("/api/commands", idempotency_key="mine") == []
    assert await other.get("/api/commands", appointment_id=one["id"]) == []


# -- commands ---------------------------------------------------------------------------------------------------------


async def test_what_became_of_a_command_can_be_asked(api):
    (one,) = await api.booked(1)
    told = await api.patch(one["id"], headers={"idempotency-key": "a key"}, **span(at(11, 9), at(11, 9, 30)))
    id = api.seen[-1].headers["x-command-id"]
    command = await api.get(f"/api/commands/{id}")
    assert set(command) >= {
        *("id", "state", "operation", "emr", "created_at", "updated_at", "answer", "steps", "unsettled"),
    }
    assert (command["id"], command["state"], command["emr"], command["unsettled"]) == (id, "done", "in-place", [])
    assert command["answer"] == {"status": 200, "body": told}
    (step,) = command["steps"]
    assert set(step) >= {"action", "appointment_id", "state"}
    assert step["appointment_id"] == one["id"]
    assert instant(command["created_at"]) <= instant(command["updated_at"])
    assert [c["id"] for c in await api.get("/api/commands", idempotency_key="a key")] == [id]
    assert id in [c["id"] for c in await api.get("/api/commands", appointment_id=one["id"])]
    assert await api.get("/api/commands", state="unsettled") == []
    assert await api.get("/api/commands", idempotency_key="another") == []


async def test_a_refused_command_says_so(api):
    (one,) = await api.booked(1)
    told = await api.patch(one["id"], 400, resource_id="nobody")
    command = await api.get(f"/api/commands/{api.seen[-1].headers['x-command-id']}")
    assert (command["state"], command["answer"]) == ("refused", {"status": 400, "body": told})
    assert command["steps"] == []


@pytest.mark.parametrize("emr", ["in-place", "new-id", "no-move", "async"])
async def test_a_command_is_found_by_the_ids_that_it_made(api, emr):
    async def found(id: str) -> list[str]:
        return [c["operation"] for c in await api.get("/api/commands", appointment_id=id)]

    api.emr = emr
    (one,) = await api.booked(1)
    assert await found(one["id"]) == ["book"]
    told = await api.many([one["id"]], **span(at(10, 9), at(10, 10)))
    assert {a["change"]: await found(a["id"]) for a in told} == {
        "kept": ["reschedule", "book"],
        "created": ["reschedule"],
    }
    moved = await api.patch(one["id"], **span(at(11, 10), at(11, 10, 30)))
    assert (moved["id"] == one["id"]) is (emr in ("in-place", "async"))
    for id in (one["id"], moved["id"]):
        assert await found(id) == ["update", "reschedule", "book"]


async def test_a_command_is_found_by_the_id_to_be_confirmed(api):
    made = await api.book(span(at(12, 9), at(12, 9, 30), "D1"), healthcare_service_id="K2")
    asked = await cancelled(api, made["id"])
    assert [c["operation"] for c in await api.get("/api/commands", appointment_id=asked["id"])] == ["cancel"]


# -- bookings ---------------------------------------------------------------------------------------------------------


@on_every
async def test_a_booking_is_checked_and_made(each):
    told = await each.book(span(at(10, 9), at(10, 10), "D1"), comment="First visit")
    assert (told["status"], told["comment"], told["healthcare_service_id"]) == ("booked", "First visit", "K1")
    assert each.seen[-1].headers["etag"] == (await answer(each, f"appointments/{told['id']}")).headers["etag"]
    refused(await each.book(span(at(10, 9, 30), at(10, 10), "D1"), 400), "BAD_REQUEST", "NO_TIMESLOTS_AVAILABLE")
    refused(await each.book(span(at(10, 10), at(10, 11), "D9"), 400), "BAD_REQUEST", "INVALID_RESOURCE_ID")
    free = span(at(10, 10), at(10, 11), "D1")
    refused(await each.book(free, 400, patient_id="P9"), "BAD_REQUEST", "INVALID_PATIENT_ID")
    told = await each.book(free, 400, healthcare_service_id="K9")
    refused(told, "BAD_REQUEST", "INVALID_HEALTHCARE_SERVICE_ID")


async def test_a_booking_needs_all_that_makes_one(api):
    whole = {**span(at(10, 9), at(10, 9, 30), "D1"), "patient_id": "P4", "healthcare_service_id": "K1"}
    for name in whole:
        for body in ({n: v for n, v in whole.items() if n != name}, {**whole, name: None}):
            told = await api.call("POST", "appointments", body)
            assert told.status_code == 400
            refused(told.json(), "BAD_REQUEST", "MISSING_REQUIRED_FIELD")
    told = await api.call("POST", "care-units/U2/appointments", whole)
    assert told.status_code in (400, 404)
    assert (await api.call("POST", "care-units/U1/appointments", whole)).status_code == 201


async def test_a_request_to_cancel_is_read_as_what_it_is(api):
    made = await api.book(span(at(12, 9), at(12, 9, 30), "D1"), healthcare_service_id="K2")
    await confirmed(api, made["id"], "123456")
    asked = await cancelled(api, made["id"])
    assert await api.read(asked["id"]) == asked
    day = {"start": at(12, 0).isoformat(), "end": at(13, 0).isoformat()}
    assert await ids(api, **day) == {made["id"]}


async def test_public_pages_need_no_credentials(http):
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/errors/BAD_REQUEST"):
        assert (await http.get(path)).status_code == 200, path
    assert (await http.get("/errors/NO_SUCH_THING")).status_code == 404
