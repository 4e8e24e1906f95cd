"""Several writes as one transaction: what is sent, and what the answers mean."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from starlette.responses import Response

from gateway.domain.commands import Book, Cancel, Reschedule, Update
from gateway.domain.errors import GatewayError
from gateway.ledger import StepState
from gateway.plugin import Change, Create, MarkSlot, MaybeDone, Refused, Slot, Span, Throttled
from gateway.testing import without_waiting
from gateway.testing.desk import Desk
from tests.plugins.fhir.fake import outcome
from tests.plugins.fhir.samples import at
from tests.plugins.fhir.transacting import Refusal, issue

MOVED = Span(at(10), at(10, 30))


@pytest.fixture
def fake(fake):
    fake.transactions = "whole"
    return fake


@pytest.fixture
async def emr(opened):
    emr = opened(fresh=True)
    emr.capabilities = await emr.probe()
    return emr


def free(id, version="1"):
    start = at(int(id[-4:-2]), int(id[-2:]))
    return Slot(start, start.replace(minute=start.minute + 29), id=id, version=version, native={"status": "free"})


async def moving(emr, fake, **more):
    """The steps that move a1 from its two slots to a free one."""
    before = await emr.appointment("a1")
    new = replace(free("d1-1000"), version=fake.get("Slot", "d1-1000")["meta"]["versionId"])
    old = [replace(free(id), native={"status": "busy"}) for id in ("d1-0900", "d1-0930")]
    return [
        MarkSlot(chain="a1", slot=new, state="busy"),
        Change(chain="a1", before=before, span=MOVED, slots=(new,), **more),
        *(MarkSlot(chain="a1", slot=slot, state="free") for slot in old),
    ]


def sent(fake):
    return [json.loads(r._body) for r in fake.writes if r.method == "POST" and r.url.path == "/r4"][-1]


def ops(entry):
    return json.loads(base64.b64decode(entry["resource"]["data"]))


def stands(fake):
    a1 = fake.get("Appointment", "a1")
    return a1["start"], [r["reference"] for r in a1["slot"]], busy(fake)


def busy(fake):
    return sorted(id for id, slot in fake.store["Slot"].items() if slot["status"] == "busy")


BEFORE = ("2027-03-02T09:00:00+01:00", ["Slot/d1-0900", "Slot/d1-0930"], ["d1-0900", "d1-0930"])
AFTER = ("2027-03-02T10:00:00+01:00", ["Slot/d1-1000"], ["d1-1000"])


# -- what is sent, and what comes back ------------------------------------------------------------------------------


async def test_a_move_and_its_slots_are_one_write(emr, fake):
    fake.seen.clear()
    receipts = await emr.bundle(await moving(emr, fake, comment="grüß"))
    assert len(fake.writes) == 1
    assert [entry["request"]["method"] for entry in sent(fake)["entry"]] == ["PATCH"] * 4
    assert stands(fake) == AFTER
    assert receipts[1].appointment.comment == "grüß"
    slot = fake.get("Slot", "d1-1000")
    assert (receipts[0].slot.version, receipts[0].slot.native) == (slot["meta"]["versionId"], {"status": "busy"})


@pytest.mark.parametrize("answers", ["minimal", "outcome"])
async def test_an_answer_without_resources_tells_versions_and_ids(emr, fake, answers):
    fake.answers = answers
    new, *_ = await moving(emr, fake)
    step = Create(chain="n", span=MOVED, patient_id="p1", resource_id="Practitioner/d1", slots=(new.slot,), marker="m")
    marked, booked = await emr.bundle([new, step])
    assert marked.slot.version == fake.get("Slot", "d1-1000")["meta"]["versionId"]
    assert (booked.appointment, booked.id) == (None, (await emr.find_own(step)).id)


async def test_a_booking_in_a_transaction_can_not_happen_twice_either(emr, fake):
    before = await emr.appointment("a1")
    step = Create(chain="n", span=MOVED, patient_id="p1", resource_id="Practitioner/d1", marker="m1")
    first, _ = await emr.bundle([step, Change(chain="a1", before=before, comment="one")])
    assert sent(fake)["entry"][0]["request"]["ifNoneExist"] == "identifier=urn%3Aemr-gateway%3Abooking|m1"
    again, _ = await emr.bundle([step, Change(chain="a1", before=await emr.appointment("a1"), comment="two")])
    assert first.id == again.id


async def test_where_versions_are_not_heeded_each_patch_tests_them_here_too(opened, fake):
    fake.honours_if_match = False
    emr = opened(fresh=True)
    emr.capabilities = await emr.probe()
    await emr.bundle(await moving(emr, fake))
    for entry in sent(fake)["entry"]:
        version = entry["request"]["ifMatch"].removeprefix("W/").strip('"')
        assert ops(entry)[0] == {"op": "test", "path": "/meta/versionId", "value": version}


async def test_an_account_whose_server_has_proven_nothing_bundles_nothing(opened, fake):
    emr = opened()
    with pytest.raises(Refused) as no:
        await emr.bundle(await moving(emr, fake))
    assert (no.value.reason, fake.writes) == ("unsupported", [])


def told(*statuses, **more):
    """An answer that tells of so many writes."""
    entries = [{"response": {"status": status, **more}} for status in statuses]
    return Response(json.dumps({"resourceType": "Bundle", "type": "transaction-response", "entry": entries}), 200)


# -- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stale", [412, 409])
@pytest.mark.parametrize("which", ["Appointment/a1", "Slot/d1-1000", "Slot/d1-0930"])
async def test_whatever_was_changed_meanwhile_nothing_is_done(emr, fake, which, stale):
    fake.stale = stale
    steps = await moving(emr, fake)
    fake.put(fake.get(*which.split("/")))
    with pytest.raises(Refused) as no:
        await emr.bundle(steps)
    assert no.value.reason == "stale"
    assert stands(fake) == BEFORE


async def test_a_test_that_fails_is_another_version_and_a_value_that_is_refused_is_not(opened, fake):
    fake.honours_if_match = False
    emr = opened(fresh=True)
    emr.capabilities = await emr.probe()
    fake.heeds_in_transactions = False
    steps = await moving(emr, fake)
    fake.put(fake.get("Slot", "d1-1000"))
    with pytest.raises(Refused) as no:
        await emr.bundle(steps)
    assert no.value.reason == "stale"
    steps = await moving(emr, fake)
    fake.faults = [lambda _: outcome(422, "value")]
    with pytest.raises(Refused) as no:
        await emr.bundle(steps)
    assert no.value.reason == "invalid"
    assert stands(fake) == BEFORE


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (outcome(404, "not-found"), Refused, "not_found"),
        (outcome(403, "forbidden"), Refused, "credentials"),
        (outcome(400, "business-rule"), Refused, "rule"),
        (outcome(409, "conflict", expression=["Slot.status"]), Refused, "stale"),
        (outcome(409, "business-rule"), Refused, "rule"),
        (outcome(412, "lock-error"), Throttled, None),
        (outcome(500, "exception"), MaybeDone, None),
        (outcome(200, "conflict"), MaybeDone, None),
        (Response("{}", 200), MaybeDone, None),
        (Response("", 200), MaybeDone, None),
        (Response('{"resourceType": "Bundle", "type": "transaction-response"}', 200), MaybeDone, None),
        (told("200 OK"), MaybeDone, None),
        (told(*["200 OK"] * 3, "409 Conflict"), MaybeDone, None),
        (told(*["200 OK"] * 4, outcome=issue("exception")), MaybeDone, None),
    ],
)
async def test_what_an_answer_says_it_says_of_the_whole(emr, fake, answer, kind, reason):
    steps = await moving(emr, fake)
    fake.faults = [lambda _: answer] * 3
    with without_waiting(), pytest.raises(kind) as no:
        await emr.bundle(steps)
    assert getattr(no.value, "reason", None) == reason
    assert stands(fake) == BEFORE


async def test_a_server_that_takes_only_slots_together_gets_ordered_steps_from_then_on(emr, fake):
    patched = fake.patched
    fake.transactions = "whole"

    def slots_only(kind, *more):
        if kind != "Slot" and fake.seen[-1].method == "POST":
            raise Refusal(400, "not-supported")
        return patched(kind, *more)

    fake.patched = slots_only
    with pytest.raises(Refused) as no:
        await emr.bundle(await moving(emr, fake))
    assert no.value.reason == "stale", "so that it is planned anew, now without"
    assert emr.capabilities.bundle_max == (await emr.probe()).bundle_max == 0
    await Desk(emr).do(Update(("a1",), span=MOVED))
    assert stands(fake) == AFTER


async def test_an_error_inside_a_success_leaves_it_open_what_was_done(emr, fake):
    steps = await moving(emr, fake)
    fake.transactions = "entry by entry"
    fake.put(fake.get("Slot", "d1-1000"))
    with pytest.raises(MaybeDone):
        await emr.bundle(steps)
    assert stands(fake) == (AFTER[0], AFTER[1], []), "so it does leave something"


# -- commands -------------------------------------------------------------------------------------------------------


async def test_each_command_of_several_writes_is_one(emr, fake):
    desk = Desk(emr)
    for intent in (
        Update(("a1",), span=MOVED),
        Reschedule(("a1",), Span(at(11), at(12)), None, "and one more"),
        Book(MOVED, "p2", "Practitioner/d1", "h1"),
        Cancel(("a1",), "ill"),
    ):
        fake.seen.clear()
        await desk.do(intent)
        assert [r.method for r in fake.writes] == ["POST"], intent
    assert busy(fake) == ["d1-1000", "d1-1130"]


async def test_a_slot_that_is_taken_between_the_check_and_the_write_refuses_the_whole(emr, fake):
    def taken(request):
        if request.method == "POST":
            fake.put({**fake.get("Slot", "d1-1000"), "status": "busy"})

    fake.faults = [taken] * 20
    with pytest.raises(GatewayError) as no:
        await Desk(emr).do(Update(("a1",), span=MOVED))
    assert [p.error_code for p in no.value.problems] == ["CHANGED_MEANWHILE"]
    assert no.value.problems[0].path is None
    assert stands(fake) == (BEFORE[0], BEFORE[1], ["d1-0900", "d1-0930", "d1-1000"])


@pytest.mark.parametrize("kind", ["entry by entry", "hollow", "left standing"])
async def test_a_server_that_breaks_its_word_later_is_found_out_and_everything_undone(emr, fake, kind):
    """The appointment is one that the server refuses by a rule of its own, the slots it takes."""
    emr.capabilities = replace(emr.capabilities, late_write_s=0)
    fake.transactions, patched = kind, fake.patched

    def strict(kind, id, ops, wanted):
        if kind == "Appointment" and fake.transactions == "entry by entry":
            raise Refusal(422, "business-rule")
        return patched(kind, id, ops, wanted)

    fake.patched = strict
    if kind == "left standing":
        fake.faults = [lambda r: None if r.method == "GET" else _cut_off(fake, r)] * 20
    with pytest.raises(GatewayError):
        await Desk(emr).do(Update(("a1",), span=MOVED))
    assert stands(fake) == BEFORE


def _cut_off(fake, request):
    """The connection is gone after the first entry."""
    if request.url.path != "/r4":
        return None
    entry = json.loads(request._body)["entry"][0]
    fake.patched(*entry["request"]["url"].split("/"), ops(entry), entry["request"]["ifMatch"])
    return Response("", 500)


async def test_a_lost_answer_is_looked_up_and_nothing_is_sent_again(emr, fake):
    def lost(request):
        if request.url.path != "/r4":
            return None
        fake._dispatch(request, request._body)
        return Response("", 500)

    fake.seen.clear()
    fake.faults = [lost] * 30
    run = await Desk(emr).do(Update(("a1",), span=MOVED))
    assert {step.state for step in run.progress} == {StepState.DONE}
    assert len(fake.writes) == 1
    assert stands(fake) == AFTER
