"""Servers that do less than they should: what the plugin finds out by itself, and what it does about it."""

from __future__ import annotations

import json

import pytest
from starlette.responses import Response

from gateway.plugin import Change, FindFreeTime, Kind, MarkSlot, NotSent, Refused, Slot, Span
from tests.plugins.fhir import samples
from tests.plugins.fhir.fake import outcome
from tests.plugins.fhir.samples import at

MORNING = FindFreeTime(Span(at(8), at(12)), "Practitioner/d1")


def patched(fake):
    return [json.loads(r._body) for r in fake.seen if r.method == "PATCH"]


async def times(emr, wanted=MORNING):
    return [f"{slot.start:%H:%M}" for slot in (await emr.free_time(wanted)).slots]


# -- versions -------------------------------------------------------------------------------------------------------


async def test_whether_versions_are_heeded_is_tried_once_and_changes_nothing(opened, fake):
    emr = opened(fresh=True)
    before, was = await emr.appointment("a1"), fake.get("Appointment", "a1")
    await emr.learned.lock(emr._http, "Appointment", "a1", before.version)
    assert fake.get("Appointment", "a1") == was
    for text in ("one", "two"):
        before = (await emr.change(Change(chain="a1", before=before, comment=text))).appointment
    trial, *written = patched(fake)
    assert trial == [{"op": "test", "path": "/resourceType", "value": ""}]
    assert written == [[{"op": "add", "path": "/comment", "value": text}] for text in ("one", "two")]


async def test_a_probe_tries_it_on_a_slot(opened, fake):
    for honours in (True, False):
        fake.honours_if_match = honours
        emr, was = opened(fresh=True), dict(fake.store["Slot"])
        await emr.probe()
        assert emr.learned.if_match is honours
        assert fake.store["Slot"] == was


async def test_where_versions_are_not_heeded_each_patch_tests_them(opened, fake):
    fake.honours_if_match = False
    emr = opened(fresh=True)
    before = await emr.appointment("a1")
    await emr.change(Change(chain="a1", before=before, comment="ours"))
    assert patched(fake)[-1][0] == {"op": "test", "path": "/meta/versionId", "value": before.version}
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=before, comment="later"))
    assert no.value.reason == "stale"
    assert fake.get("Appointment", "a1")["comment"] == "ours"


async def test_a_value_that_is_refused_is_not_told_as_another_version(opened, fake):
    fake.honours_if_match = False
    emr = opened(fresh=True)
    before = await emr.appointment("a1")
    fake.faults = [lambda _: None, lambda _: outcome(400, "value")]
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=before, comment="x"))
    assert no.value.reason == "invalid"


async def test_a_slot_is_not_taken_over_another_version_either(opened, fake):
    fake.honours_if_match = False
    emr = opened(fresh=True)
    fake.put(fake.get("Slot", "d1-1000"))
    slot = Slot(at(10), at(10, 30), id="d1-1000", version="1", native={"status": "free"})
    with pytest.raises(Refused) as no:
        await emr.mark_slot(MarkSlot(chain="a1", slot=slot, state="busy"))
    assert no.value.reason == "stale"
    assert fake.get("Slot", "d1-1000")["status"] == "free"


async def test_where_nothing_protects_what_is_there_nothing_is_written(opened, fake):
    emr, before = opened(fresh=True), await opened().appointment("a1")
    fake.seen.clear()
    fake.faults = [lambda _: Response("{}", 200)]
    with pytest.raises(Refused) as no:
        await emr.change(Change(chain="a1", before=before, comment="x"))
    assert no.value.reason == "unsupported"
    assert len(fake.seen) == 1


async def test_a_trial_without_an_answer_means_that_the_write_was_not_sent(opened, fake):
    emr, before = opened(fresh=True), await opened().appointment("a1")
    fake.faults = [lambda _: Response("busy", 500)] * 3
    with pytest.raises(NotSent):
        await emr.change(Change(chain="a1", before=before, comment="x"))
    assert fake.get("Appointment", "a1")["comment"] == "bring the form"


# -- searches -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chains", ["followed", "refused", "empty"])
async def test_free_time_is_the_same_whether_chains_are_followed_or_not(opened, fake, chains):
    fake.chains = chains
    emr = opened()
    for _ in range(2):
        assert await times(emr) == ["08:00", "08:30", "10:00", "10:30", "11:00", "11:30"]
    assert emr.learned.chains is (chains == "followed")
    asked = ["schedule.actor" in r.query_params for r in fake.seen if r.url.path.endswith("/Slot")]
    # Pages of a followed chain are asked for by its links; what is known not to work is not tried again.
    assert sum(asked) == (len(asked) if chains == "followed" else 1)


async def test_where_there_is_no_free_time_nothing_is_learned(opened, fake):
    for slot in list(fake.store["Slot"].values()):
        fake.put({**slot, "status": "busy"})
    emr = opened()
    assert await times(emr) == []
    assert emr.learned.chains is None


async def test_another_ones_slots_are_not_offered_where_chains_are_passed_over(opened, fake):
    fake.chains = "passed over"
    assert len(await times(opened())) == 6


async def test_what_is_not_included_is_read_by_its_ids(opened, fake):
    fake.includes = False
    emr = opened()
    slots = (await emr.free_time(MORNING)).slots
    assert {(s.resource_id, s.care_unit_id) for s in slots} == {("Practitioner/d1", "u1")}
    entries = await emr.directory(Kind.RESOURCE)
    assert [(e.id, e.care_unit_id) for e in entries] == [("Practitioner/d1", "u1"), ("Practitioner/d2", "u1")]


async def test_an_inactive_schedule_that_is_not_included_offers_nothing(opened, fake):
    fake.includes, fake.chains = False, "empty"
    fake.put({**fake.get("Schedule", "s-d1"), "active": False})
    assert await times(opened()) == []


async def test_a_result_that_is_cut_off_without_a_link_is_asked_for_whole(opened, fake):
    fake.links = False
    assert len(await times(opened(page_size=2))) == 6


async def test_a_result_that_grows_while_it_is_asked_for_whole_is_asked_for_again(opened, fake):
    def grows(_):
        fake.put(samples.slot("d1", at(8, 45)))

    fake.links = False
    fake.faults = [lambda _: None, grows]
    assert len(await times(opened(page_size=2))) == 7


async def test_a_result_that_stays_cut_off_is_not_taken_for_the_whole(opened, fake):
    fake.links, fake.most = False, 4
    with pytest.raises(Exception, match="less than it says"):
        await times(opened(page_size=2))
