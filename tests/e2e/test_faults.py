"""Trouble at the EMR: what the client is told, what stands then, and that the appointment can be changed again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import pytest

import plugins.sandbox
from plugins.sandbox.declared import DECLARED
from plugins.sandbox.emr import build_app
from tests.e2e.conftest import PERSONALITIES, Api, at, span, started
from tests.e2e.told import confirmed, seen, together

CLEAN = {"!refuse": (409, "EMR_REFUSED"), "!error": (502, "EMR_ERROR"), "!drop": (502, "EMR_ERROR")}
"""Nothing was written, and the client is told so."""
DONE = ("!lost", "!late", "!busy")
"""It was written, or could be in a moment: that is found out."""
FAULTS = (*CLEAN, *DONE, "!other")
UNTOLD = ("no-content", "async")
"""Whose answers show nothing: what they store otherwise can't be told from what the staff has written over it."""
SOME = ("in-place", "no-move", "slot-records", "async")


async def sent(api: Api, id: str, body, method: str = "PATCH"):
    answer = await api.call(method, f"appointments/{id}" if id else "appointments", body)
    assert answer.status_code != 500, answer.text
    return answer


async def command_of(api: Api, answer):
    """Once nothing of it goes on."""
    for _ in range(400):
        command = await api.get(f"/api/commands/{answer.headers['x-command-id']}")
        if command["state"] not in ("running", "repairing"):
            return command
        await asyncio.sleep(0.05)
    raise AssertionError(f"on {api.emr} the command is {command['state']}: {command['answer']}")


async def failed(api: Api, answer, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    command = await command_of(api, answer)
    assert command["state"] in ("refused", "undone"), command
    assert command["unsettled"] == []
    assert command["answer"] == {"status": status, "body": answer.json()}


async def done(api: Api, answer, status: int = 200) -> None:
    assert answer.status_code == status, answer.text
    assert (await command_of(api, answer))["state"] == "done"


async def own_one(api: Api, n: int):
    """One of its own for each fault, on a day of its own: the faults are tried at the same time."""
    return await api.book(span(at(10 + n, 9), at(10 + n, 9, 30), "D1"), comment="Before")


async def free_times(api: Api, n: int):
    return [[(s["start"], s["end"]) for s in await api.free(day=day)] for day in (10 + n, 20 + n)]


@pytest.fixture
def http(config, monkeypatch):
    """A gateway that is told the truth about how late its EMRs' late writes may come: sooner than in life."""
    monkeypatch.setattr(plugins.sandbox, "build_app", partial(build_app, late_s=0.2, settle_s=0.04))
    for personality, can in list(DECLARED.items()):
        monkeypatch.setitem(DECLARED, personality, replace(can, late_write_s=1.5))
    return started(config)


def with_every(*faults: str, emrs=PERSONALITIES, but=()):
    """A test of the scenario with each fault on each EMR, all at the same time; on those of `but` without "!other"."""
    pairs = [(e, f) for f in faults for e in emrs if f != "!other" or e not in but]

    def decorate(scenario):
        async def test(http):
            async with http as client:
                await together({f"{e} {f}": scenario(Api(client, e), FAULTS.index(f), f) for e, f in pairs})

        test.__name__ = scenario.__name__
        return test

    return decorate


@with_every(*FAULTS, but=UNTOLD)
async def test_an_update_is_done_whole_or_not_at_all(api, n, fault):
    one = await own_one(api, n)
    free = await free_times(api, n)
    answer = await sent(api, one["id"], {**span(at(20 + n, 9), at(20 + n, 9, 30)), "comment": f"Now {fault}"})
    if fault in DONE:
        await done(api, answer)
        now = await api.read(one["id"])
        assert (now["start"], now["comment"]) == (at(20 + n, 9).isoformat(), f"Now {fault}")
        assert now == answer.json()
    else:
        await failed(api, answer, *CLEAN.get(fault, (502, "EMR_DEVIATION")))
        now = await api.read(one["id"])
        assert seen(now) == seen(one)
        assert await free_times(api, n) == free
    after = await api.patch(now["id"], **span(at(20 + n, 13), at(20 + n, 13, 30)), comment="Again")
    assert (after["start"], after["comment"]) == (at(20 + n, 13).isoformat(), "Again")


@with_every(*CLEAN, *DONE)
async def test_a_cancellation_is_done_or_not(api, n, fault):
    one = await own_one(api, n)
    answer = await sent(api, one["id"], {"status": "cancelled", "comment": f"Now {fault}"})
    now = await api.read(one["id"])
    if fault in DONE:
        await done(api, answer)
        assert (now["status"], now["comment"]) == ("cancelled", f"Now {fault}")
        assert (await sent(api, one["id"], {"status": "cancelled"})).status_code == 200
    else:
        await failed(api, answer, *CLEAN[fault])
        assert seen(now) == seen(one)
        assert (await sent(api, one["id"], {"status": "cancelled"})).json()["status"] == "cancelled"
    assert (await own_one(api, n))["status"] == "booked"


@with_every("!other", emrs=SOME)
async def test_a_cancellation_that_stored_another_text_is_not_called_undone(api, n, fault):
    one = await own_one(api, n)
    answer = await sent(api, one["id"], {"status": "cancelled", "comment": f"Now {fault}"})
    assert answer.status_code == 502
    assert answer.json()["code"] in ("EMR_DEVIATION", "PARTIALLY_APPLIED")
    command = await api.get(f"/api/commands/{answer.headers['x-command-id']}")
    assert command["state"] == "needs_attention"
    assert [(s["action"], s["appointment_id"]) for s in command["unsettled"]] == [("cancel", one["id"])]
    assert command["id"] in [c["id"] for c in await api.get("/api/commands", state="unsettled")]
    now = await api.read(one["id"])
    assert (now["status"], now["comment"] != one["comment"]) == ("cancelled", True)


@with_every("!other", emrs=UNTOLD)
async def test_another_text_that_no_answer_shows_stands_and_is_reported(api, n, fault):
    one = await own_one(api, n)
    moved = await sent(api, one["id"], {**span(at(20 + n, 9), at(20 + n, 9, 30)), "comment": f"Now {fault}"})
    body = {**span(at(20 + n, 10), at(20 + n, 10, 30), "D1"), "patient_id": "P5", "healthcare_service_id": "K1"}
    booked = await sent(api, "", {**body, "comment": f"A new one {fault}"}, "POST")
    day = {"start": at(20 + n, 0).isoformat(), "end": at(21 + n, 0).isoformat()}
    for answer, there in zip((moved, booked), await api.get("appointments", **day), strict=True):
        assert (answer.status_code, answer.json()["code"]) == (502, "PARTIALLY_APPLIED"), answer.text
        (problem,) = answer.json()["errors"]
        assert (problem["error_code"], problem["path"]) == ("CHANGED_MEANWHILE", None)
        command = await command_of(api, answer)
        assert command["state"] == "needs_attention"
        assert [s["appointment_id"] for s in command["unsettled"]] == [there["id"]]
        assert there["comment"] not in ("Before", f"Now {fault}", f"A new one {fault}")


@with_every(*FAULTS, but=UNTOLD)
async def test_a_booking_is_made_once_or_not_at_all(api, n, fault):
    free = await free_times(api, n)
    body = {**span(at(20 + n, 9), at(20 + n, 9, 30), "D1"), "patient_id": "P5", "healthcare_service_id": "K1"}
    answer = await sent(api, "", {**body, "comment": f"Now {fault}"}, "POST")
    day = {"start": at(20 + n, 0).isoformat(), "end": at(21 + n, 0).isoformat()}
    there = [a for a in await api.get("appointments", **day) if a["status"] != "cancelled"]
    if fault in DONE:
        await done(api, answer, 201)
        assert there == [answer.json()]
        assert there[0]["comment"] == f"Now {fault}"
    else:
        await failed(api, answer, *CLEAN.get(fault, (502, "EMR_DEVIATION")))
        assert there == []
        assert await free_times(api, n) == free
        assert (await sent(api, "", body, "POST")).status_code == 201


@with_every("!refuse", "!lost", "!other", emrs=SOME, but=UNTOLD)
async def test_only_the_write_that_was_named_fails(api, n, fault):
    """What is noted at its second write goes well at the first, and again at the third."""
    one = await own_one(api, n)
    comment = f"Twice {fault}@2"
    assert (await api.patch(one["id"], comment=comment))["comment"] == comment
    await api.patch(one["id"], comment="Between")
    answer = await sent(api, one["id"], {"comment": comment})
    assert (answer.status_code == 200) == (fault == "!lost")
    assert (await api.read(one["id"]))["comment"] == (comment if fault == "!lost" else "Between")
    await api.patch(one["id"], comment="Once more")
    assert (await api.patch(one["id"], comment=comment))["comment"] == comment


@with_every("!refuse", emrs=["in-place"])
async def test_the_emrs_own_refusal_is_named_by_its_code_alone(api, n, fault):
    one = await own_one(api, n)
    told = (await sent(api, one["id"], {"comment": f"Secret words {fault}"})).json()
    assert [e["emr_error"] for e in told["errors"]] == ["RULE_REFUSED"]
    assert "Secret" not in str(told)
    command = (await api.get("/api/commands", appointment_id=one["id"]))[0]
    assert "Secret" not in str(command)


@with_every(*FAULTS, emrs=SOME)
async def test_a_cancellation_that_asks_for_a_code_is_asked_for_or_nobody_knows(api, n, fault):
    """An appointment that is as it was does not show whether the EMR has taken the cancellation."""
    made = await api.book(span(at(10 + n, 9), at(10 + n, 9, 30), "D1"), healthcare_service_id="K2", comment="Before")
    made = await confirmed(api, made["id"], "123456")
    answer = await sent(api, made["id"], {"status": "cancelled", "comment": f"Now {fault}"})
    assert seen(await api.read(made["id"])) == seen(made)
    if fault in ("!busy", "!other"):
        await done(api, answer)
        asked = answer.json()
        assert asked["status"] == "awaiting_confirmation"
        assert asked["id"] != made["id"]
    elif fault == "!refuse":
        await failed(api, answer, *CLEAN[fault])
    else:
        assert (answer.status_code, answer.json()["code"]) == (502, "OUTCOME_UNKNOWN")
        command = await command_of(api, answer)
        assert (command["state"], command["answer"]["body"]) == ("needs_attention", answer.json())
        assert [s["appointment_id"] for s in command["unsettled"]] == [made["id"]]
    if answer.status_code != 200:
        asked = (await sent(api, made["id"], {"status": "cancelled", "comment": "Now"})).json()
    gone = await confirmed(api, asked["id"], "123456")
    assert gone["status"] == "cancelled"
    assert (await api.read(made["id"]))["status"] == "cancelled"


@with_every(*CLEAN, emrs=["windows-new-id"])
async def test_who_did_not_wait_learns_of_the_trouble_later(api, n, fault):
    one = await own_one(api, n)
    answer = await api.call("PATCH", f"appointments/{one['id']}", {"comment": fault}, {"prefer": "respond-async"})
    assert answer.status_code == 202
    command = await command_of(api, answer)
    assert (command["answer"]["status"], command["answer"]["body"]["code"]) == CLEAN[fault]
    assert await api.read(one["id"]) == one
