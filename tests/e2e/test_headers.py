"""Everything about a request but its body: who asks, how often, on what condition, how long they wait."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from tests.e2e.conftest import Api, at, span, started
from tests.e2e.told import codes, on_every, refused, seen, spent, standing, with_status

KEY = {"idempotency-key": "Once, please"}


async def etag_of(api: Api, id: str) -> str:
    return (await api.call("GET", f"appointments/{id}")).headers["etag"]


async def sent(api: Api, id: str, body, headers=None, **params) -> httpx.Response:
    return await api.call("PATCH", f"appointments/{id}" if id else "appointments", body, headers, **params)


# -- credentials ------------------------------------------------------------------------------------------------------


async def test_nobody_gets_in_without_credentials(http):
    told = []
    for headers in (
        {},
        {"x-leyr-client-id": "one"},
        {"x-leyr-client-secret": "one-secret"},
        {"x-leyr-client-id": "one", "x-leyr-client-secret": "wrong"},
        {"x-leyr-client-id": "one", "x-leyr-client-secret": "two-secret"},
        {"x-leyr-client-id": "one", "x-leyr-client-secret": ""},
        {"x-leyr-client-id": "nobody", "x-leyr-client-secret": "one-secret"},
        {"x-leyr-client-id": "\x7f", "x-leyr-client-secret": "one-secret"},
    ):
        for method, path in (
            ("GET", "/api/emrs"),
            ("GET", "/api/emrs/in-place/appointments"),
            ("PATCH", "/api/emrs/in-place/appointments/x"),
            ("PATCH", "/api/emrs/nowhere/appointments"),
            ("GET", "/api/commands"),
        ):
            answer = await http.request(method, path, headers=headers)
            assert answer.status_code == 401
            body = answer.json()
            body.pop("instance")
            told.append(body)
    assert all(body == told[0] for body in told)
    assert told[0]["code"] == "UNAUTHORIZED"


# -- standard ---------------------------------------------------------------------------------------------------------


async def test_the_standard_is_leyr_unless_another_one_is_asked_for(api):
    found = await with_status(api, "booked")
    path = f"appointments/{found['id']}"
    for headers, params in (({"x-leyr-standard": "leyr"}, {}), ({}, {"standard": "leyr"})):
        answer = await api.call("GET", path, headers=headers, **params)
        assert (answer.status_code, answer.json()) == (200, found)
    for wrong in ("LEYR", "hl7", ""):
        for headers, params in (({"x-leyr-standard": wrong}, {}), ({}, {"standard": wrong})):
            for answer in (
                await api.call("GET", path, headers=headers, **params),
                await sent(api, found["id"], {"comment": "x"}, headers, **params),
            ):
                assert answer.status_code == 400
                assert "BAD_INPUT" in codes(answer.json())
    assert await api.read(found["id"]) == found


# -- idempotency keys -------------------------------------------------------------------------------------------------


@on_every
async def test_the_same_request_under_the_same_key_is_answered_and_not_done_again(each):
    (one,) = await each.booked(1)
    body, key = span(at(11, 9), at(11, 9, 30)), {"idempotency-key": f"Once on {each.emr}, please"}
    first = await sent(each, one["id"], body, key)
    assert first.status_code == 200
    moved = await each.patch(first.json()["id"], **span(at(12, 9), at(12, 9, 30)))
    again = await sent(each, one["id"], body, key)
    assert (again.status_code, again.content, again.headers["etag"]) == (200, first.content, first.headers["etag"])
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert again.headers["x-command-id"] == first.headers["x-command-id"]
    assert seen(await each.read(one["id"])) == seen(moved)


async def test_requests_are_the_same_whatever_they_look_like(api):
    (one,) = await api.booked(1)
    body = span(at(11, 9), at(11, 9, 30))
    await api.patch(one["id"], headers=KEY, **body)
    url = f"/api/emrs/in-place/care-units/U1/appointments/{one['id']}"
    spaced = json.dumps(dict(reversed(body.items())), indent=3)
    headers = {**api.headers, **KEY}
    for path in (url, url.replace("/care-units/U1", "")):
        again = await api.http.patch(path, content=spaced, headers=headers)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")


async def test_a_key_is_good_for_one_request_only(api):
    one, two = await api.booked(2)
    await api.patch(one["id"], headers=KEY, comment="x")
    for other in (
        await sent(api, one["id"], {"comment": "y"}, KEY),
        await sent(api, two["id"], {"comment": "x"}, KEY),
        await sent(api, "", {"ids": [one["id"]], "comment": "x"}, KEY),
        await api.call("POST", "appointments", {**one_more(), "comment": "x"}, KEY),
    ):
        assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert not (await api.read(two["id"]))["comment"]
    elsewhere = Api(api.http, "new-id")
    found = await with_status(elsewhere, "booked")
    assert (await sent(elsewhere, found["id"], {"comment": "x"}, KEY)).status_code == 422


def one_more(hour: int = 15):
    body = span(at(10, hour), at(10, hour, 30), "D1")
    return {**body, "patient_id": "P4", "healthcare_service_id": "K1"}


async def test_a_key_belongs_to_its_client(api, http):
    other = Api(http, api.emr, "two")
    mine, theirs = await with_status(api, "booked"), await with_status(other, "booked")
    assert (await sent(api, mine["id"], {"comment": "Mine"}, KEY)).status_code == 200
    answer = await sent(other, theirs["id"], {"comment": "Theirs"}, KEY)
    assert (answer.status_code, answer.json()["comment"]) == (200, "Theirs")


async def test_a_booking_under_a_key_is_made_once(api):
    answers = [await api.call("POST", "appointments", one_more(), KEY) for _ in range(3)]
    assert [a.status_code for a in answers] == [201, 201, 201]
    assert len({a.json()["id"] for a in answers}) == 1


@on_every
async def test_twins_at_the_same_time_are_one_command(each):
    body, key = one_more(), {"idempotency-key": f"Twins on {each.emr}"}
    answers = await asyncio.gather(*(each.call("POST", "appointments", body, key) for _ in range(6)))
    made = [a for a in answers if a.status_code == 201]
    assert made
    assert len({a.json()["id"] for a in made}) == 1
    for other in answers:
        if other.status_code != 201:
            assert (other.status_code, other.json()["code"]) == (409, "REQUEST_IN_PROGRESS")
    again = await each.call("POST", "appointments", body, key)
    assert (again.status_code, again.json()["id"]) == (201, made[0].json()["id"])


async def test_a_refusal_before_any_write_leaves_the_key_free(api):
    one, two = await api.booked(2)
    body = span(at(10, 9, 30), at(10, 10))
    refusal = await sent(api, one["id"], body, KEY)
    refused(refusal.json(), "BAD_REQUEST", "NO_TIMESLOTS_AVAILABLE")
    await api.patch(two["id"], **span(at(10, 14), at(10, 14, 30)))
    told = await sent(api, one["id"], body, KEY)
    assert told.status_code == 200
    assert "idempotent-replayed" not in told.headers


async def test_a_failure_that_was_undone_is_remembered(api):
    (one,) = await api.booked(1)
    first = await sent(api, one["id"], {"comment": "!refuse@1"}, KEY)
    assert (first.status_code, first.json()["code"]) == (409, "EMR_REFUSED")
    state = (await api.get(f"/api/commands/{first.headers['x-command-id']}"))["state"]
    again = await sent(api, one["id"], {"comment": "!refuse@1"}, KEY)
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (409, first.content)
    assert state in ("refused", "undone")
    assert (await sent(api, one["id"], {"comment": "!refuse@1"}, {"idempotency-key": "new"})).status_code == 200


async def test_keys_are_printable(api):
    found = await with_status(api, "booked")
    for key in ("", "x" * 256, "å".encode()):
        answer = await sent(api, found["id"], {"comment": "x"}, {"idempotency-key": key})
        assert answer.status_code == 400, key
        assert codes(answer.json()) == ["BAD_INPUT"]
    assert await api.read(found["id"]) == found
    assert (await sent(api, found["id"], {"comment": "x"}, {"idempotency-key": "~" * 255})).status_code == 200


async def test_a_key_is_known_after_a_restart(config):
    async with started(config) as http:
        (one,) = await Api(http).booked(1)
        first = await sent(Api(http), one["id"], span(at(11, 9), at(11, 9, 30)), KEY)
    async with started(config) as http:
        again = await sent(Api(http), one["id"], span(at(11, 9), at(11, 9, 30)), KEY)
        assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")


# -- dry runs ---------------------------------------------------------------------------------------------------------


@on_every
async def test_a_dry_run_tells_the_answer_and_writes_nothing(each):
    (one,) = await each.booked(1)
    before = await standing(each)
    body = {**span(at(11, 9), at(11, 9, 30), "D2"), "comment": "Moved"}
    dry = await sent(each, one["id"], body, dry_run="true")
    assert (dry.status_code, dry.headers["x-dry-run"]) == (200, "true")
    assert await standing(each) == before
    assert await each.read(one["id"]) == one
    real = await sent(each, one["id"], body, {"x-plan": dry.headers["x-plan"]})
    assert real.status_code == 200
    assert "x-dry-run" not in real.headers
    assert seen(real.json()) == seen(dry.json())
    new_id = real.json()["id"] != one["id"]
    assert dry.json()["id"] == (None if new_id else one["id"])
    assert dry.json()["previous_ids"] == real.json()["previous_ids"] == [one["id"]] * new_id


@on_every
async def test_a_dry_run_tells_the_ids_that_an_appointment_will_have_had(each):
    (one,) = await each.booked(1)
    second = await each.patch(one["id"], **span(at(11, 9), at(11, 9, 30)))
    for body in (span(at(12, 9), at(12, 9, 30)), {"comment": "Stays"}, {"status": "cancelled"}):
        dry = await sent(each, second["id"], body, dry_run="true")
        real = await sent(each, second["id"], body)
        assert dry.json()["previous_ids"] == real.json()["previous_ids"]
    names = [one["id"], second["id"]]
    assert real.json()["previous_ids"] == (names if one["id"] != second["id"] else [])


async def test_a_dry_run_of_a_booking_has_no_id_yet(api):
    before = await standing(api)
    dry = await api.call("POST", "appointments", {**one_more(), "comment": "x"}, dry_run="true")
    assert (dry.status_code, dry.json()["id"]) == (201, None)
    assert await standing(api) == before
    real = await api.call("POST", "appointments", {**one_more(), "comment": "x"}, {"x-plan": dry.headers["x-plan"]})
    assert (real.status_code, seen(real.json())) == (201, seen(dry.json()))


async def test_a_dry_run_is_refused_as_the_real_request(api):
    one, _ = await api.booked(2)
    done = await with_status(api, "completed")
    for id, body in (
        (one["id"], span(at(10, 9, 30), at(10, 10))),
        (one["id"], {"resource_id": "nobody"}),
        (one["id"], {"comment": "x" * 1001}),
        ("nobody", {"comment": "x"}),
        (done["id"], {"status": "cancelled"}),
        (one["id"], {}),
    ):
        dry, real = await sent(api, id, body, dry_run="true"), await sent(api, id, body)
        assert (dry.status_code, dry.json()["errors"]) == (real.status_code, real.json()["errors"])
    for wrong in ("1", "True", "", "yes"):
        answer = await sent(api, one["id"], {"comment": "x"}, dry_run=wrong)
        assert (answer.status_code, codes(answer.json())) == (400, ["BAD_INPUT"])
    assert await api.read(one["id"]) == one
    assert (await sent(api, one["id"], {"comment": "x"}, dry_run="false")).json()["comment"] == "x"


async def test_a_dry_run_of_a_cancellation_and_of_a_confirmation(api):
    (one,) = await api.booked(1)
    dry = await sent(api, one["id"], {"status": "cancelled", "comment": "x"}, dry_run="true")
    assert (dry.json()["status"], dry.json()["comment"]) == ("cancelled", "x")
    visit = await api.book(span(at(12, 9), at(12, 9, 30), "D1"), healthcare_service_id="K2")
    # Any code: only the EMR can check it, and only by taking it.
    dry = await sent(api, visit["id"], {"confirmation": {"code": "000000"}}, dry_run="true")
    assert (dry.status_code, dry.json()["status"]) == (200, "booked")
    assert await api.read(visit["id"]) == visit
    told = await api.call("PATCH", f"appointments/{visit['id']}", {"confirmation": {"code": "123456"}})
    dry = await sent(api, visit["id"], {"status": "cancelled"}, dry_run="true")
    assert (dry.status_code, dry.json()["status"], dry.json()["id"]) == (200, "awaiting_confirmation", None)
    assert await api.read(visit["id"]) == told.json()
    assert await api.read(one["id"]) == one


async def test_a_dry_run_takes_no_key(api):
    (one,) = await api.booked(1)
    for body in ({"comment": "x"}, {"comment": "y"}):
        dry = await sent(api, one["id"], body, KEY, dry_run="true")
        assert (dry.status_code, "idempotent-replayed" in dry.headers) == (200, False)
    real = await sent(api, one["id"], {"comment": "z"}, KEY)
    assert (real.status_code, "idempotent-replayed" in real.headers) == (200, False)


@on_every
async def test_another_plan_than_the_one_that_was_shown_is_not_carried_out(each):
    (one,) = await each.booked(1)
    body = span(at(11, 9), at(11, 9, 30))
    plan = (await sent(each, one["id"], body, dry_run="true")).headers["x-plan"]
    assert (await sent(each, one["id"], body, dry_run="true")).headers["x-plan"] == plan
    noted = await each.patch(one["id"], comment="Somebody was here")
    answer = await sent(each, one["id"], body, {"x-plan": plan})
    assert (answer.status_code, answer.json()["code"]) == (412, "PLAN_CHANGED")
    answer = await sent(each, one["id"], span(at(11, 10), at(11, 10, 30)), {"x-plan": plan})
    assert (answer.status_code, answer.json()["code"]) == (412, "PLAN_CHANGED")
    assert await each.read(one["id"]) == noted


# -- conditions -------------------------------------------------------------------------------------------------------


@on_every
async def test_a_stale_etag_stops_the_write(each):
    (one,) = await each.booked(1)
    old = await etag_of(each, one["id"])
    noted = await each.patch(one["id"], headers={"if-match": old}, comment="First")
    assert noted["comment"] == "First"
    for body in ({"comment": "Second"}, span(at(11, 9), at(11, 9, 30)), {"status": "cancelled"}):
        answer = await sent(each, one["id"], body, {"if-match": old})
        assert (answer.status_code, answer.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert await each.read(one["id"]) == noted
    new = each.seen[-1].headers["etag"]
    assert new == await etag_of(each, one["id"])
    for condition in ("*", f'"other", {new}'):
        told = await each.patch(one["id"], headers={"if-match": condition}, comment="First")
        assert told == noted


async def test_if_match_is_for_one_appointment(api):
    (one,) = await api.booked(1)
    etag = await etag_of(api, one["id"])
    answer = await sent(api, "", {"ids": [one["id"]], "comment": "x"}, {"if-match": etag})
    assert (answer.status_code, codes(answer.json())) == (400, ["BAD_INPUT"])
    weak = await sent(api, one["id"], {"comment": "x"}, {"if-match": f"W/{etag}"})
    assert weak.status_code in (400, 412)
    assert await api.read(one["id"]) == one


# -- waiting ----------------------------------------------------------------------------------------------------------


async def settled(api: Api, location: str):
    for _ in range(200):
        command = await api.get(location)
        if command["state"] not in ("running", "repairing"):
            return command
        await asyncio.sleep(0.02)
    raise AssertionError("the command did not settle")


@pytest.mark.parametrize("preference", ["respond-async", "wait=0", "respond-async, wait=0"])
async def test_who_does_not_want_to_wait_asks_later(api, preference):
    api.emr = "async"  # its writes take a while
    (one,) = await api.booked(1)
    body = span(at(11, 9), at(11, 9, 30))
    answer = await sent(api, one["id"], body, {"prefer": preference, **KEY})
    assert answer.status_code == 202
    assert int(answer.headers["retry-after"]) >= 0
    location = answer.headers["location"]
    assert location == f"/api/commands/{answer.headers['x-command-id']}"
    again = await sent(api, one["id"], body, KEY)
    assert (again.status_code, again.json()["code"]) == (409, "REQUEST_IN_PROGRESS")
    assert (await api.get(location))["state"] == "running"
    command = await settled(api, location)
    assert command["state"] == "done"
    assert command["answer"] == {"status": 200, "body": await api.read(one["id"])}
    again = await sent(api, one["id"], body, KEY)
    assert (again.status_code, again.json()) == (200, command["answer"]["body"])
    assert again.headers["idempotent-replayed"] == "true"


async def test_who_wants_to_wait_long_enough_gets_the_answer(api):
    api.emr = "async"
    (one,) = await api.booked(1)
    for preference in ("wait=30", "respond-async, wait=30", "wait=nonsense", "handling=lenient"):
        answer = await sent(api, one["id"], {"comment": preference}, {"prefer": preference})
        assert (answer.status_code, answer.json()["comment"]) == (200, preference)


async def test_a_refusal_that_nobody_waited_for_is_told_by_the_command(api):
    found = await with_status(api, "booked")
    answer = await sent(api, found["id"], {"resource_id": "nobody"}, {"prefer": "respond-async"})
    assert answer.status_code == 202
    command = await settled(api, answer.headers["location"])
    assert (command["state"], command["answer"]["status"]) == ("refused", 400)
    refused(command["answer"]["body"], "BAD_REQUEST", "INVALID_RESOURCE_ID")


# -- what answers carry -----------------------------------------------------------------------------------------------


async def test_answers_say_how_many_calls_they_cost(api, monkeypatch):
    (one,) = await api.booked(1)
    with spent(monkeypatch) as meters:
        for body, cost in (({"comment": "x"}, 2), ({"comment": "x"}, 1), ({"status": "cancelled"}, 2)):
            answer = await sent(api, one["id"], body)
            assert answer.headers["x-emr-calls"] == str(meters[-1].calls) == str(cost)
        answer = await sent(api, one["id"], {"status": "cancelled"}, dry_run="true")
        assert answer.headers["x-emr-calls"] == str(meters[-1].calls) == "1"
    ids = [answer.headers["x-request-id"], (await sent(api, one["id"], {})).headers["x-request-id"]]
    assert len(set(ids)) == 2


async def test_an_errors_instance_is_a_uuid_and_its_type_a_page(api):
    told = (await sent(api, "nobody", {"comment": "x"})).json()
    assert set(told) == {"code", "type", "title", "status", "detail", "instance", "errors"}
    assert [set(e) for e in told["errors"]] == [{"error_code", "details", "emr_error", "path"}]
    assert len(told["instance"].removeprefix("urn:uuid:")) == 36
    page = await api.http.get(told["type"])
    assert page.status_code == 200
    assert "NOT_FOUND" in page.text
