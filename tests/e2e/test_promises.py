"""Keys, plans, tags, waiting and tenants: what a client may rely on around every write (contract §2, §7)."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.conftest import Api, at, span, started


async def patched(api, id, body, headers=None, **params):
    return await api.call("PATCH", f"appointments/{id}", body, headers, **params)


def codes(answer):
    return [e["error_code"] for e in answer.json()["errors"]]


# -- idempotency keys -----------------------------------------------------------------------------------------------


async def test_a_key_replays_its_answer_and_nothing_is_written_again(each):
    (own,) = await each.booked(1)
    key = {"idempotency-key": "one"}
    first = await patched(each, own["id"], span(at(11, 9), at(11, 9, 30)), key)
    assert first.status_code == 200
    assert "idempotent-replayed" not in first.headers
    await each.patch(first.json()["id"], comment="meanwhile")
    again = await patched(each, own["id"], span(at(11, 9), at(11, 9, 30)), key)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert (again.headers["idempotent-replayed"], again.headers["x-emr-calls"]) == ("true", "0")
    assert again.headers["x-command-id"] == first.headers["x-command-id"]
    assert (await each.read(own["id"]))["comment"] == "meanwhile"


async def test_a_key_is_good_for_one_request_only_and_both_paths_are_one(api):
    (own,) = await api.booked(1)
    key = {"idempotency-key": "two"}
    assert (await patched(api, own["id"], {"comment": "x"}, key)).status_code == 200
    other = await patched(api, own["id"], {"comment": "y"}, key)
    assert (other.status_code, other.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    unit = await api.call("PATCH", f"care-units/U1/appointments/{own['id']}", {"comment": "x"}, key)
    assert unit.headers["idempotent-replayed"] == "true"
    spaced = await api.call("PATCH", f"appointments/emr_id:{own['id']}", {"comment": "x", "start": None}, key)
    assert spaced.headers["idempotent-replayed"] == "true"


async def test_concurrent_twins_take_effect_once(api):
    slot = (await api.free())[0]
    body = {k: slot[k] for k in ("start", "end", "resource_id")} | {"patient_id": "P4", "healthcare_service_id": "K1"}
    twins = [api.call("POST", "appointments", body, {"idempotency-key": "twin"}) for _ in range(6)]
    told = await asyncio.gather(*twins)
    assert {a.status_code for a in told} <= {201, 409}
    assert {a.json()["code"] for a in told if a.status_code == 409} <= {"REQUEST_IN_PROGRESS"}
    assert len({a.json()["id"] for a in told if a.status_code == 201}) == 1
    assert len([a for a in await api.everything() if a["start"] == slot["start"] and a["resource_id"] == "D1"]) == 1


async def test_a_refusal_before_any_write_is_not_remembered_and_one_by_the_emr_is(api):
    (own,) = await api.booked(1)
    key = {"idempotency-key": "three"}
    taken = await patched(api, own["id"], span(at(11, 9, 10), at(11, 9, 40)), key)
    assert codes(taken) == ["NO_TIMESLOTS_AVAILABLE"]
    assert (await patched(api, own["id"], {"comment": "now"}, key)).status_code == 200
    refused = {"idempotency-key": "four"}
    first = await patched(api, own["id"], {"comment": "!refuse"}, refused)
    again = await patched(api, own["id"], {"comment": "!refuse"}, refused)
    assert (first.status_code, first.json()["code"], again.content) == (409, "EMR_REFUSED", first.content)
    assert again.headers["idempotent-replayed"] == "true"


async def test_answers_survive_a_restart(config):
    async with started(config) as http:
        api = Api(http)
        (own,) = await api.booked(1)
        first = await patched(api, own["id"], {"comment": "kept"}, {"idempotency-key": "five"})
    async with started(config) as http:
        again = await patched(Api(http), own["id"], {"comment": "kept"}, {"idempotency-key": "five"})
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert again.headers["etag"] == first.headers["etag"]


# -- dry runs, plans and tags ---------------------------------------------------------------------------------------


async def test_a_dry_run_writes_nothing_and_foresees_the_answer(each):
    own = await each.booked(2)
    body = {"ids": [a["id"] for a in own], **span(at(11, 9), at(11, 10, 30)), "comment": "foreseen"}
    before = await each.everything()
    dry = await each.call("PATCH", "appointments", body, dry_run="true")
    assert (dry.status_code, dry.headers["x-dry-run"]) == (200, "true")
    assert await each.everything() == before
    real = await each.call("PATCH", "appointments", body, {"x-plan": dry.headers["x-plan"]})
    assert real.status_code == 200
    told = [(a["change"], a["start"], a["end"], a["comment"], a["status"]) for a in dry.json()]
    assert told == [(a["change"], a["start"], a["end"], a["comment"], a["status"]) for a in real.json()]
    assert [a["previous_ids"] for a in dry.json()] == [a["previous_ids"] for a in real.json()]
    renamed = ("new-id", "no-move", "windows-new-id")
    unknown = [a["change"] for a in dry.json() if a["id"] is None]
    assert unknown == (["moved", "moved", "created"] if each.emr in renamed else ["created"])


async def test_another_plan_than_the_one_named_is_refused(api):
    (own,) = await api.booked(1)
    dry = await patched(api, own["id"], {"comment": "planned"}, dry_run="true")
    await api.patch(own["id"], comment="by somebody else")
    late = await patched(api, own["id"], {"comment": "planned"}, {"x-plan": dry.headers["x-plan"]})
    assert (late.status_code, late.json()["code"]) == (412, "PLAN_CHANGED")
    assert (await api.read(own["id"]))["comment"] == "by somebody else"


async def test_a_tag_is_stable_until_something_changes_and_a_stale_one_is_refused(each):
    (own,) = await each.booked(1)
    path = f"appointments/{own['id']}"
    tag = (await each.call("GET", path)).headers["etag"]
    assert tag == (await each.call("GET", path)).headers["etag"]
    assert not tag.startswith("W/")
    fresh = await patched(each, own["id"], {"comment": "one"}, {"if-match": tag})
    assert fresh.status_code == 200
    assert fresh.headers["etag"] == (await each.call("GET", path)).headers["etag"] != tag
    stale = await patched(each, own["id"], {"comment": "two"}, {"if-match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "PRECONDITION_FAILED")
    assert (await each.read(own["id"]))["comment"] == "one"


# -- waiting, and asking later --------------------------------------------------------------------------------------


async def test_a_client_that_does_not_wait_is_told_where_to_ask(api):
    (own,) = await api.booked(1)
    told = await patched(api, own["id"], {"comment": "later"}, {"prefer": "respond-async"})
    assert told.status_code == 202
    assert int(told.headers["retry-after"]) > 0
    for _ in range(100):
        command = (await api.call("GET", told.headers["location"])).json()
        if command["state"] != "running":
            break
        await asyncio.sleep(0.02)
    assert (command["state"], command["answer"]["status"]) == ("done", 200)
    assert command["answer"]["body"]["comment"] == "later"
    assert command["id"] == told.headers["x-command-id"]
    assert [(s["action"], s["appointment_id"], s["state"]) for s in command["steps"]] == [("change", own["id"], "done")]
    by_id = (await api.call("GET", "/api/commands", appointment_id=own["id"])).json()
    assert command["id"] in [c["id"] for c in by_id]


# -- faults -----------------------------------------------------------------------------------------------------------

ENDS = {
    "!refuse": (409, "EMR_REFUSED"),
    "!error": (502, "EMR_ERROR"),
    "!drop": (502, "EMR_ERROR"),
    "!lost": (200, None),
    "!late": (200, None),
    "!busy": (200, None),
    "!other": (502, "EMR_DEVIATION"),
}


@pytest.mark.parametrize("fault", ENDS)
async def test_each_fault_ends_as_it_should_and_leaves_no_trace(http, fault):
    async def ended(personality):
        api = Api(http, personality)
        (own,) = await api.booked(1)
        told = await patched(api, own["id"], {**span(at(11, 9), at(11, 9, 30)), "comment": fault})
        status, code = ENDS[fault]
        assert told.status_code == status, (personality, told.text)
        now = await api.read(own["id"])
        if code is None:
            assert (now["start"], now["comment"]) == (at(11, 9).isoformat(), fault)
        elif fault == "!other" and personality == "no-content":
            # No answer shows whose it is: it may be the staff's, and stands.
            assert told.json()["code"] == "PARTIALLY_APPLIED"
            assert (now["start"], now["comment"] != fault) == (at(11, 9).isoformat(), True)
        else:
            assert told.json()["code"] == code
            assert (now["start"], now["comment"]) == (own["start"], own["comment"])
        changed = await patched(api, own["id"], {"comment": "afterwards"})
        assert changed.status_code == 200, (personality, changed.text)

    await asyncio.gather(
        *(ended(p) for p in ("in-place", "new-id", "no-move", "windows", "slot-records", "no-content"))
    )


# -- tenants --------------------------------------------------------------------------------------------------------


async def test_a_client_sees_its_own_appointments_and_commands_only(http):
    one, two = Api(http, id="one"), Api(http, id="two")
    (own,) = await one.booked(1)
    made = one.seen[-1].headers["x-command-id"]
    assert (await two.call("GET", f"appointments/{own['id']}")).status_code == 404
    assert (await two.call("GET", f"/api/commands/{made}")).status_code == 404
    assert made not in [c["id"] for c in (await two.call("GET", "/api/commands")).json()]
    assert (await one.call("GET", f"/api/commands/{made}")).status_code == 200
    key = {"idempotency-key": "shared"}
    assert (await patched(one, "B1001", {"comment": "one"}, key)).status_code == 200
    assert (await patched(two, "B1001", {"comment": "two"}, key)).status_code == 200
    assert ((await one.read("B1001"))["comment"], (await two.read("B1001"))["comment"]) == ("one", "two")
