"""One appointment updated: every form, and what is checked before anything is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from tests.e2e.conftest import ZONE, at, span
from tests.e2e.told import (
    cancelled,
    codes,
    confirmed,
    instant,
    on_every,
    patched,
    refused,
    spent,
    standing,
    with_status,
)


def offered(slots, start: datetime, end: datetime) -> bool:
    """Is any part of this half hour free, whether the EMR lists slots or windows?"""
    assert end - start == timedelta(minutes=30)
    return any(instant(s["start"]) < end and start < instant(s["end"]) for s in slots)


@on_every
async def test_new_times_move_it_and_nothing_else_changes(each):
    (made,) = await each.booked(1)
    told = await each.patch(made["id"], **span(at(11, 10), at(11, 10, 30)))
    etag = each.seen[-1].headers["etag"]
    assert (instant(told["start"]), instant(told["end"])) == (at(11, 10), at(11, 10, 30))
    for kept in ("status", "comment", "patient_id", "resource_id", "healthcare_service_id", "care_unit_id"):
        assert told[kept] == made[kept]
    read = await each.call("GET", f"appointments/{told['id']}")
    assert read.json() == told
    assert read.headers["etag"] == etag
    assert offered(await each.free(day=10), at(10, 9), at(10, 9, 30))
    assert not offered(await each.free(day=11), at(11, 10), at(11, 10, 30))


@on_every
async def test_times_resource_and_comment_go_in_any_combination(each):
    (one,) = await each.booked(1)
    told = await each.patch(one["id"], **span(at(10, 13), at(10, 14), "D2"))
    assert (told["resource_id"], instant(told["start"]), instant(told["end"])) == ("D2", at(10, 13), at(10, 14))
    told = await each.patch(told["id"], resource_id="D3")
    assert (told["resource_id"], instant(told["start"]), instant(told["end"])) == ("D3", at(10, 13), at(10, 14))
    slots = await each.free("D2")
    assert offered(slots, at(10, 13), at(10, 13, 30))
    assert offered(slots, at(10, 13, 30), at(10, 14))
    told = await each.patch(told["id"], resource_id="D1", comment="To the doctor")
    assert (told["resource_id"], told["comment"]) == ("D1", "To the doctor")
    told = await each.patch(told["id"], **span(at(11, 8), at(11, 8, 30)), comment="Earlier")
    assert (instant(told["start"]), told["comment"]) == (at(11, 8), "Earlier")
    told = await each.patch(told["id"], **span(at(11, 9), at(11, 9, 30), "D2"), comment="All of it")
    assert (instant(told["start"]), told["resource_id"], told["comment"]) == (at(11, 9), "D2", "All of it")
    assert told == await each.read(told["id"])
    assert len([a for a in await each.everything() if a["patient_id"] == "P4" and a["status"] == "booked"]) == 2


@on_every
async def test_a_comment_alone_is_written_and_cleared(each):
    (one,) = await each.booked(1)
    told = await each.patch(one["id"], comment="Fasting, please. Å ä ö 🩺")
    assert told["comment"] == "Fasting, please. Å ä ö 🩺"
    assert (told["id"], told["start"]) == (one["id"], one["start"])
    told = await each.patch(one["id"], comment="")
    assert not told["comment"]
    assert not (await each.read(one["id"]))["comment"]


async def test_values_equal_to_the_current_ones_are_not_written(each):
    one = await each.book(span(at(10, 9), at(10, 9, 30), "D1"), comment="As it is")
    etag = (await each.call("GET", f"appointments/{one['id']}")).headers["etag"]
    await each.patch(one["id"], comment="As it is")
    await each.patch(one["id"], resource_id="D1")
    await each.patch(one["id"], **span(at(10, 9).astimezone(UTC), at(10, 9, 30).astimezone(UTC)))
    await each.patch(one["id"], **span(at(10, 9), at(10, 9, 30), "D1"), comment="As it is")
    assert {a.headers["etag"] for a in each.seen[-4:]} == {etag}
    assert await each.read(one["id"]) == one


async def test_what_changes_nothing_costs_no_write(api, monkeypatch):
    (one,) = await api.booked(1)
    with spent(monkeypatch) as meters:
        await api.patch(one["id"], comment="")
        await api.patch(one["id"], resource_id="D1")
        await api.patch(one["id"], **span(at(10, 9), at(10, 9, 30), "D1"), comment="")
    assert [m.writes for m in meters] == [0, 0, 0]


@on_every
async def test_a_time_that_is_not_free_is_refused_and_nothing_is_written(each):
    one, _ = await each.booked(2)
    await each.book(span(at(10, 9), at(10, 9, 30), "D2"), patient_id="P5")
    before = await standing(each)
    taken = [
        span(at(10, 9, 30), at(10, 10)),  # by the neighbour
        span(at(10, 9), at(10, 10)),  # half of it by the neighbour
        span(at(10, 7, 30), at(10, 8)),  # before opening
        span(at(10, 15, 30), at(10, 16, 30)),  # across closing
        span(at(10, 15, 30), at(11, 8, 30)),  # over night
        {"resource_id": "D2"},  # at its own time, which the other resource has given away
        span(at(10, 9), at(10, 9, 30), "D2"),
        {"resource_id": "D2", "comment": "Not written either"},
    ]
    for body in taken:
        told = await each.patch(one["id"], 400, **body)
        refused(told, "BAD_REQUEST", "NO_TIMESLOTS_AVAILABLE")
    assert await each.read(one["id"]) == one
    assert await standing(each) == before


async def test_a_weekend_has_no_slots(api):
    (one,) = await api.booked(1)
    day = at(10, 9)
    while day.weekday() < 5:
        day += timedelta(days=1)
    told = await api.patch(one["id"], 400, **span(day, day + timedelta(minutes=30)))
    refused(told, "BAD_REQUEST", "NO_TIMESLOTS_AVAILABLE")


@on_every
async def test_slots_must_tile_the_range_and_windows_must_contain_it(each):
    (one,) = await each.booked(1)
    windows = each.emr.startswith("windows")
    for start, end in ((at(10, 13, 15), at(10, 13, 45)), (at(10, 14), at(10, 14, 10)), (at(10, 14), at(10, 14, 50))):
        told = await each.patch(one["id"], 200 if windows else 400, **span(start, end))
        if windows:
            assert (instant(told["start"]), instant(told["end"])) == (start, end)
            one = told
        else:
            refused(told, "BAD_REQUEST", "NO_TIMESLOTS_AVAILABLE")
    told = await each.patch(one["id"], **span(at(10, 13), at(10, 14, 30)))
    assert (instant(told["start"]), instant(told["end"])) == (at(10, 13), at(10, 14, 30))


@on_every
async def test_its_own_time_counts_as_free(each):
    one = await each.book(span(at(10, 9), at(10, 10), "D1"))
    for start, end in (
        (at(10, 9, 30), at(10, 10, 30)),  # half over itself
        (at(10, 9), at(10, 11)),  # longer at both ends
        (at(10, 10), at(10, 10, 30)),  # shorter
        (at(10, 10), at(10, 11)),  # longer at the end
    ):
        one = await each.patch(one["id"], **span(start, end))
        assert (instant(one["start"]), instant(one["end"])) == (start, end)
    slots = await each.free()
    assert offered(slots, at(10, 9, 30), at(10, 10))
    assert not offered(slots, at(10, 10), at(10, 10, 30))
    assert not offered(slots, at(10, 10, 30), at(10, 11))


async def test_its_own_time_is_not_free_where_somebody_else_lies_too(api):
    one = await api.book(span(at(10, 9), at(10, 10), "D1"))
    await api.book(span(at(10, 10), at(10, 10, 30), "D1"), patient_id="P5")
    told = await api.patch(one["id"], 400, **span(at(10, 9, 30), at(10, 10, 30)))
    refused(told, "BAD_REQUEST", "NO_TIMESLOTS_AVAILABLE")


async def test_times_alone_ask_for_the_current_resource(api):
    (one,) = await api.booked(1, resource="D2")
    await api.book(span(at(11, 9), at(11, 9, 30), "D2"), patient_id="P5")
    told = await api.patch(one["id"], 400, **span(at(11, 9), at(11, 9, 30)))
    refused(told, "BAD_REQUEST", "NO_TIMESLOTS_AVAILABLE")
    assert (await api.patch(one["id"], **span(at(11, 9), at(11, 9, 30), "D1")))["resource_id"] == "D1"


@on_every
async def test_only_a_booked_appointment_can_be_moved(each):
    for status in ("completed", "no_show", "other", "awaiting_confirmation", "cancelled"):
        found = next(a for a in await each.everything() if a["status"] == status)
        for body in (span(at(10, 9), at(10, 9, 30)), {"resource_id": "D1" if found["resource_id"] != "D1" else "D2"}):
            refused(await each.patch(found["id"], 409, **body), "CONFLICT", "INVALID_APPOINTMENT_STATUS")
        assert await each.read(found["id"]) == found


@on_every
async def test_a_comment_can_be_written_unless_it_is_cancelled(each):
    for status, service in (("completed", "K1"), ("no_show", "K1"), ("other", "K1"), ("awaiting_confirmation", "K2")):
        found = await with_status(each, status, service)
        told = await each.patch(found["id"], comment="Noted afterwards")
        assert (told["comment"], told["status"]) == ("Noted afterwards", status)
    gone = await with_status(each, "cancelled")
    told = await each.patch(gone["id"], 409, comment="Noted afterwards")
    refused(told, "CONFLICT", "INVALID_APPOINTMENT_STATUS")
    assert await each.read(gone["id"]) == gone


async def test_unknown_ids_are_told_apart(api):
    (one,) = await api.booked(1)
    refused(await api.patch("nobody", 404, comment="x"), "NOT_FOUND", "INVALID_APPOINTMENT_ID")
    refused(await api.patch("nobody", 404, **span(at(10, 9), at(10, 10))), "NOT_FOUND", "INVALID_APPOINTMENT_ID")
    refused(await cancelled(api, "nobody", 404), "NOT_FOUND", "INVALID_APPOINTMENT_ID")
    refused(await confirmed(api, "nobody", "1", 404), "NOT_FOUND", "INVALID_APPOINTMENT_ID")
    refused(await api.patch(one["id"], 400, resource_id="nobody"), "BAD_REQUEST", "INVALID_RESOURCE_ID")
    told = await api.patch(one["id"], 400, **span(at(10, 13), at(10, 14), "nobody"))
    refused(told, "BAD_REQUEST", "INVALID_RESOURCE_ID")
    answer = await api.call("PATCH", "/api/emrs/nowhere/appointments/x", {"comment": "x"})
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


NO_SENSE = [
    ({}, None),
    ({"comment": None, "resource_id": None, "start": None}, None),
    ({"start": "2031-03-03T09:00:00+01:00"}, "MISSING_REQUIRED_FIELD"),
    ({"end": "2031-03-03T09:00:00+01:00", "comment": "x"}, "MISSING_REQUIRED_FIELD"),
    ({"start": "2031-03-03T10:00:00+01:00", "end": "2031-03-03T09:00:00+01:00"}, "BAD_INPUT"),
    ({"start": "2031-03-03T09:00:00+01:00", "end": "2031-03-03T08:00:00Z"}, "BAD_INPUT"),
    ({"start": "2031-03-03T09:00:00", "end": "2031-03-03T10:00:00+01:00"}, "BAD_INPUT"),
    ({"start": "2031-03-03", "end": "2031-03-04"}, "BAD_INPUT"),
    ({"start": 1, "end": 2}, "BAD_INPUT"),
    ({"status": "booked"}, "BAD_INPUT"),
    ({"status": "completed"}, "BAD_INPUT"),
    ({"status": "cancelled", "start": "2031-03-03T09:00:00Z", "end": "2031-03-03T10:00:00Z"}, "BAD_INPUT"),
    ({"status": "cancelled", "resource_id": "D1"}, "BAD_INPUT"),
    ({"status": "cancelled", "confirmation": {"code": "123456"}}, "BAD_INPUT"),
    ({"confirmation": {"code": "123456"}, "comment": "x"}, "BAD_INPUT"),
    ({"confirmation": {"code": "123456"}, "resource_id": "D1"}, "BAD_INPUT"),
    ({"confirmation": {"code": "123456", "more": 1}}, "BAD_INPUT"),
    ({"confirmation": "123456"}, "BAD_INPUT"),
    ({"patient_id": "P1"}, "BAD_INPUT"),
    ({"comment": "x", "ids": ["1"]}, "BAD_INPUT"),
    ({"comment": 7}, "BAD_INPUT"),
    ({"comment": ["x"]}, "BAD_INPUT"),
    ({"comment": "x" * 1001}, "INVALID_COMMENT_LENGTH"),
    ({"resource_id": ""}, "INVALID_RESOURCE_ID"),
    ([], "BAD_INPUT"),
    ("x", "BAD_INPUT"),
    (7, "BAD_INPUT"),
]


async def test_what_is_no_sensible_body_is_refused(api):
    found = await with_status(api, "booked")
    for body, error_code in NO_SENSE:
        answer = await api.call("PATCH", f"appointments/{found['id']}", body)
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST"), body
        assert error_code in (None, *codes(answer.json())), body
        assert "x" * 50 not in answer.text
    assert await api.read(found["id"]) == found


async def test_null_is_as_if_the_field_was_not_given(api):
    one = await api.book(span(at(10, 9), at(10, 9, 30), "D1"), comment="Stays")
    nothing = dict.fromkeys(("comment", "start", "end", "status", "confirmation"))
    told = await patched(api, one["id"], {"resource_id": "D2", **nothing})
    assert (told["resource_id"], told["comment"], told["start"]) == ("D2", "Stays", one["start"])


async def raw(api, id, content, **headers):
    url = f"/api/emrs/{api.emr}/appointments/{id}"
    return await api.http.patch(url, content=content, headers={**api.headers, **headers})


async def test_bodies_are_taken_as_curl_sends_them(api):
    (one,) = await api.booked(1)
    for number, type in enumerate(
        (None, "application/x-www-form-urlencoded", "application/json; charset=utf-8", "application/merge-patch+json")
    ):
        headers = {} if type is None else {"content-type": type}
        answer = await raw(api, one["id"], json.dumps({"comment": f"Number {number}"}), **headers)
        assert (answer.status_code, answer.json()["comment"]) == (200, f"Number {number}")


async def test_other_content_types_are_not_taken(api):
    found = await with_status(api, "booked")
    for type in ("text/plain", "multipart/form-data", "application/xml"):
        answer = await raw(api, found["id"], b'{"comment": "x"}', **{"content-type": type})
        assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert await api.read(found["id"]) == found


async def test_what_is_not_json_is_refused(api):
    found = await with_status(api, "booked")
    for content in (b"", b"{", b"comment=x", b"\xff", b'{"comment": NaN}', b"[" * 100_000):
        answer = await raw(api, found["id"], content, **{"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


async def test_a_body_over_one_mebibyte_is_too_large(api):
    found = await with_status(api, "booked")
    answer = await raw(api, found["id"], b'{"comment": "' + b"x" * 2**20 + b'"}')
    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_ids_may_say_that_they_are_the_emrs(api):
    (one,) = await api.booked(1)
    told = await api.patch(f"emr_id:{one['id']}", resource_id="emr_id:D2")
    assert (told["id"], told["resource_id"]) == (one["id"], "D2")
    told = await api.patch(one["id"], 400, resource_id="hsa_id:SE123")
    refused(told, "BAD_REQUEST", "NOT_SUPPORTED")


async def test_times_are_answered_in_the_care_units_offset(api):
    (one,) = await api.booked(1)
    told = await api.patch(one["id"], **span(at(11, 9).astimezone(UTC), at(11, 9, 30).astimezone(UTC)))
    assert told["start"] == at(11, 9).isoformat()
    assert instant(told["end"]).utcoffset() == at(11, 9, 30).astimezone(ZONE).utcoffset()


@on_every
async def test_in_a_care_units_form_only_its_own_appointments_are_found(each):
    (one,) = await each.booked(1)
    path = "care-units/{}/appointments/" + one["id"]
    answer = await each.call("PATCH", path.format("U1"), {"comment": "Here"})
    assert (answer.status_code, answer.json()["comment"]) == (200, "Here")
    answer = await each.call("PATCH", path.format("U2"), {"comment": "There"})
    assert answer.status_code == 404
    refused(answer.json(), "NOT_FOUND", "INVALID_APPOINTMENT_ID")
    answer = await each.call("PATCH", path.format("U9"), {"comment": "Nowhere"})
    assert answer.status_code == 404
    refused(answer.json(), "NOT_FOUND", "INVALID_CARE_UNIT_ID")
    assert (await each.read(one["id"]))["comment"] == "Here"


async def test_the_answer_says_who_was_served_and_what_it_cost(api):
    (one,) = await api.booked(1)
    await api.patch(one["id"], comment="x")
    headers = api.seen[-1].headers
    assert int(headers["x-emr-calls"]) >= 2
    command = await api.get(f"/api/commands/{headers['x-command-id']}")
    assert (command["state"], command["emr"]) == ("done", "in-place")
    assert command["answer"]["status"] == 200
    assert command["answer"]["body"] == await api.read(one["id"])
