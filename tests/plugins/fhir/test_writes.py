"""What the port writes: one HTTP write each, over the version that was read."""

from __future__ import annotations

import asyncio

import pytest

from gateway.plugin import Cancel, Change, Confirm, Create, Discard, FindFreeTime, MarkSlot, Refused, Slot, Span, Status
from tests.plugins.fhir import samples
from tests.plugins.fhir.fake import outcome
from tests.plugins.fhir.samples import at


async def slot_of(emr, when, resource="Practitioner/d1"):
    found = await emr.free_time(FindFreeTime(Span(when, when.replace(minute=when.minute + 1)), resource))
    return found.slots[0]


def creation(**more):
    fields = {
        "chain": "n",
        "span": Span(at(10), at(10, 30)),
        "patient_id": "p2",
        "resource_id": "Practitioner/d1",
        "healthcare_service_id": "h1",
        "care_unit_id": "u1",
        "slots": (Slot(at(10), at(10, 30), id="d1-1000"),),
        "marker": "c-1",
        "comment": "first",
    }
    return Create(**{**fields, **more})


async def test_time_resource_and_comment_change_in_one_write(emr, fake, read):
    before = await read("a1")
    slots = (Slot(at(10), at(10, 30), id="d2-1000"),)
    step = Change(
        chain="a1",
        before=before,
        span=Span(at(10), at(10, 30)),
        resource_id="Practitioner/d2",
        comment=" new ",
        slots=slots,
    )
    now = (await emr.change(step)).appointment
    assert (now.resource_id, now.comment, now.slot_ids) == ("Practitioner/d2", " new ", ("d2-1000",))
    assert now.span.same(step.span)
    assert now.version != before.version
    assert len(fake.writes) == 1
    assert now == await read("a1")


async def test_the_other_participants_stay(emr, fake, read):
    before = await read("a1")
    await emr.change(Change(chain="a1", before=before, resource_id="Practitioner/d2"))
    people = [p["actor"]["reference"] for p in fake.get("Appointment", "a1")["participant"]]
    assert people == ["Patient/p1", "Practitioner/d2", "Location/u1", "HealthcareService/h1"]


async def test_a_change_over_an_old_version_is_stale_and_changes_nothing(emr, fake, read):
    before = await read("a1")
    fake.put(samples.appointment(comment="somebody else's"))
    with pytest.raises(Refused) as refused:
        await emr.change(Change(chain="a1", before=before, comment="ours"))
    assert (refused.value.reason, refused.value.emr_code) == ("stale", "conflict")
    assert fake.get("Appointment", "a1")["comment"] == "somebody else's"


async def test_where_versions_are_ignored_the_wrong_participant_is_still_not_replaced(emr, fake, read):
    before = await read("a1")
    fake.honours_if_match = False
    swapped = ("Practitioner/d1", "Patient/p1")
    fake.put(samples.appointment(participant=samples.participants("accepted", swapped)))
    with pytest.raises(Refused):
        await emr.change(Change(chain="a1", before=before, resource_id="Practitioner/d2"))
    assert fake.get("Appointment", "a1")["participant"] == samples.participants("accepted", swapped)


async def test_clearing_a_comment_leaves_none(emr, fake, read):
    now = (await emr.change(Change(chain="a1", before=await read("a1"), comment=""))).appointment
    assert now.comment is None
    assert "comment" not in fake.get("Appointment", "a1")


async def test_cancelling_says_why_and_keeps_the_old_comment_without_a_new_one(emr, fake, read):
    now = (await emr.cancel(Cancel(chain="a1", before=await read("a1")))).appointment
    assert (now.status, now.comment) == (Status.CANCELLED, "bring the form")
    assert fake.get("Appointment", "a1")["cancelationReason"]["coding"][0]["code"] == "other"


async def test_cancelling_takes_the_comment_along(emr, read):
    now = (await emr.cancel(Cancel(chain="a1", before=await read("a1"), comment="ill"))).appointment
    assert (now.status, now.comment) == (Status.CANCELLED, "ill")


async def test_confirming_a_request_books_it(emr, fake, read):
    fake.put(samples.appointment(status="pending", participant=samples.participants("needs-action")))
    before = await read("a1")
    assert (before.status, before.confirmed) == (Status.AWAITING, False)
    now = (await emr.confirm(Confirm(chain="a1", before=before))).appointment
    assert (now.status, now.confirmed) == (Status.BOOKED, True)


async def test_a_booking_is_made_with_all_that_it_needs_and_found_again(emr, fake):
    made = (await emr.create(creation())).appointment
    assert (made.status, made.patient_id, made.resource_id) == (Status.BOOKED, "p2", "Practitioner/d1")
    assert (made.care_unit_id, made.healthcare_service_id, made.comment) == ("u1", "h1", "first")
    assert made.slot_ids == ("d1-1000",)
    assert await emr.find_own(creation()) == made
    assert len(fake.writes) == 1


async def test_a_booking_that_is_sent_twice_is_made_once(emr, fake):
    first, second = [(await emr.create(creation())).appointment for _ in range(2)]
    assert first == second
    assert len(fake.store["Appointment"]) == 2


async def test_a_booking_beside_another_is_like_it(emr, fake, read):
    like = await read("a1")
    made = (await emr.create(creation(like=like, patient_id="p1", comment=None))).appointment
    assert (made.patient_id, made.comment) == ("p1", None)


async def test_a_withdrawn_booking_is_gone_unless_somebody_has_changed_it(emr, fake):
    made = (await emr.create(creation())).appointment
    fake.put({**fake.get("Appointment", made.id), "comment": "changed"})
    with pytest.raises(Refused) as refused:
        await emr.discard(Discard(chain="n", before=made, marker="c-1"))
    assert refused.value.reason == "stale"
    await emr.discard(Discard(chain="n", before=await emr.appointment(made.id), marker="c-1"))
    assert await emr.appointment(made.id) is None
    assert fake.get("Appointment", made.id)["status"] == "entered-in-error"


async def test_a_slot_is_taken_and_given_back(emr, fake):
    slot = await slot_of(emr, at(10))
    taken = (await emr.mark_slot(MarkSlot(chain="a1", slot=slot, state="busy"))).slot
    assert fake.get("Slot", "d1-1000")["status"] == "busy"
    assert (taken.id, taken.version, taken.resource_id) == ("d1-1000", "2", "Practitioner/d1")
    await emr.mark_slot(MarkSlot(chain="a1", slot=taken, state="free"))
    assert fake.get("Slot", "d1-1000")["status"] == "free"
    assert len(fake.writes) == 2


async def race(emr, slot):
    step = MarkSlot(chain="a1", slot=slot, state="busy")
    return await asyncio.gather(*(emr.mark_slot(step) for _ in range(8)), return_exceptions=True)


@pytest.mark.parametrize("honours", [True, False])
async def test_of_eight_that_want_one_slot_exactly_one_gets_it(emr, fake, honours):
    """Also where versions are ignored: then the test of its status decides."""
    slot = await slot_of(emr, at(10))
    fake.honours_if_match = honours
    results = await race(emr, slot)
    losers = [r for r in results if isinstance(r, BaseException)]
    assert len(losers) == 7
    assert {(type(r), r.reason) for r in losers} == {(Refused, "stale")}


@pytest.mark.parametrize("id", [None, "a/b"])
async def test_a_slot_that_is_no_record_can_not_be_marked(emr, fake, id):
    with pytest.raises(Refused) as refused:
        await emr.mark_slot(MarkSlot(chain="a1", slot=Slot(at(9), at(9, 30), id=id), state="busy"))
    assert refused.value.reason == "invalid"
    assert not fake.seen


@pytest.mark.parametrize("answers", ["minimal", "outcome"])
async def test_a_server_that_answers_with_no_resource_proves_at_least_ids_and_versions(emr, fake, read, answers):
    fake.answers = answers
    before, slot = await read("a1"), await slot_of(emr, at(10))
    changed = await emr.change(Change(chain="a1", before=before, comment="x"))
    assert changed.appointment is None
    created = await emr.create(creation())
    assert created.appointment is None
    assert fake.get("Appointment", created.id)["comment"] == "first"
    taken = (await emr.mark_slot(MarkSlot(chain="a1", slot=slot, state="busy"))).slot
    given = (await emr.mark_slot(MarkSlot(chain="a1", slot=taken, state="free"))).slot
    assert (taken.version, given.version) == ("2", "3")


async def test_an_error_under_200_is_a_refusal_of_the_write(emr, fake, read):
    before = await read("a1")
    fake.faults = [lambda _: outcome(200, "business-rule")]
    with pytest.raises(Refused) as refused:
        await emr.cancel(Cancel(chain="a1", before=before))
    assert (refused.value.reason, refused.value.emr_code) == ("rule", "business-rule")


async def test_nothing_can_be_found_of_a_change_that_keeps_its_id(emr, read):
    with pytest.raises(Refused) as refused:
        await emr.find_own(Change(chain="a1", before=await read("a1"), comment="x"))
    assert refused.value.reason == "unsupported"
