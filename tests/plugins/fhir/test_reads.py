"""What the port reads, from a server that pages, answers in its own order and holds other people's records too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.plugin import Create, FindFreeTime, MaybeDone, ReadCalendar, Refused, Slot, Span
from tests.plugins.fhir import samples
from tests.plugins.fhir.fake import outcome
from tests.plugins.fhir.samples import at

MORNING = Span(at(8), at(12))


def times(slots):
    return [f"{slot.start:%H:%M}" for slot in slots]


async def free(emr, span=MORNING, resource="Practitioner/d1", **more):
    return (await emr.free_time(FindFreeTime(span, resource, **more))).slots


# -- appointments ---------------------------------------------------------------------------------------------------


async def test_an_appointment_is_found_by_its_id(emr):
    found = await emr.appointment("a1")
    assert (found.id, found.resource_id) == ("a1", "Practitioner/d1")


@pytest.mark.parametrize("id", ["none", "a/../b", "", "x" * 65, "å", "a1?x=1"])
async def test_an_unknown_or_impossible_id_is_none(emr, id):
    assert await emr.appointment(id) is None


async def test_what_was_deleted_is_none(emr, fake):
    fake.gone.add(("Appointment", "a1"))
    assert await emr.appointment("a1") is None


async def test_many_are_read_by_one_search_and_its_pages(emr, fake):
    for n in range(2, 8):
        fake.put(samples.appointment(f"a{n}"))
    ids = [f"a{n}" for n in range(1, 8)] + ["nobody", "im/possible"]
    found = await emr.appointments(ids)
    assert [id for id in ids if found[id] is None] == ["nobody", "im/possible"]
    assert len(fake.seen) == 3


async def test_more_ids_than_fit_one_search_are_asked_for_in_parts(emr, fake):
    for n in range(2, 62):
        fake.put(samples.appointment(f"a{n}"))
    fake.page = 100
    found = await emr.appointments([f"a{n}" for n in range(1, 62)])
    assert all(found.values())
    assert len(fake.seen) == 2


async def test_a_next_page_on_another_server_is_not_asked_for(emr, fake):
    for n in range(2, 8):
        fake.put(samples.appointment(f"a{n}"))
    fake.base = "http://elsewhere.test/r4"
    with pytest.raises(MaybeDone):
        await emr.appointments([f"a{n}" for n in range(1, 8)])
    assert len(fake.seen) == 1


async def test_pages_that_lead_in_a_circle_end(emr, fake):
    bundle = {"resourceType": "Bundle", "link": [{"relation": "next", "url": "Appointment?page=same"}]}
    fake.faults = [lambda _: fake._shown(bundle)] * 5
    with pytest.raises(MaybeDone):
        await emr.appointments(["a1", "a2"])
    assert len(fake.seen) == 2


def shown(fake, *ids, total, more=""):
    """A page of a search, answered whatever is asked."""
    entries = [{"resource": fake.get("Appointment", id)} for id in ids]
    links = [{"relation": "next", "url": f"Appointment?page={more}"}] if more else []
    bundle = {"resourceType": "Bundle", "total": total, "entry": entries, "link": links}
    return lambda _: fake._shown(bundle)


async def test_a_last_page_that_leaves_some_out_is_not_taken_for_the_last(emr, fake):
    for n in range(2, 8):
        fake.put(samples.appointment(f"a{n}"))
    fake.faults = [shown(fake, "a1", "a2", total=7, more="2"), shown(fake, "a3", total=7)] * 3
    assert all((await emr.appointments([f"a{n}" for n in range(1, 8)])).values())
    assert fake.seen[6].query_params["_count"] == "7"


async def test_a_search_during_which_a_match_has_gone_is_begun_again(emr, fake):
    for n in range(2, 8):
        fake.put(samples.appointment(f"a{n}"))
    fake.faults = [shown(fake, "a1", "a2", total=8, more="2"), shown(fake, "a4", "a5", "a6", "a7", total=7)]
    assert all((await emr.appointments([f"a{n}" for n in range(1, 8)])).values())


async def test_an_error_under_200_does_not_pass_for_an_empty_list(emr, fake):
    fake.faults = [lambda _: outcome(200, "forbidden")]
    with pytest.raises(Refused) as refused:
        await emr.appointments(["a1", "a2"])
    assert refused.value.reason == "credentials"


# -- calendar -------------------------------------------------------------------------------------------------------


async def listed(emr, span, **more):
    return [a.id for a in await emr.calendar(ReadCalendar(span, **more))]


async def test_the_calendar_holds_what_overlaps_and_nothing_that_only_touches(emr):
    assert await listed(emr, Span(at(9, 30), at(9, 45)), resource_id="Practitioner/d1") == ["a1"]
    assert await listed(emr, Span(at(10), at(11)), resource_id="Practitioner/d1") == []
    assert await listed(emr, Span(at(8), at(9)), resource_id="Practitioner/d1") == []


async def test_the_calendar_is_of_one_resource_patient_or_care_unit(emr, fake):
    fake.put(samples.appointment("a2", participant=samples.participants("accepted", ("Patient/p2", "Practitioner/d2"))))
    fake.put(samples.appointment("a3", participant=samples.participants("accepted", ("Patient/p1", "Location/u2"))))
    assert await listed(emr, MORNING) == ["a1", "a2", "a3"]
    assert await listed(emr, MORNING, resource_id="Practitioner/d2") == ["a2"]
    assert await listed(emr, MORNING, patient_id="p1") == ["a1", "a3"]
    assert await listed(emr, MORNING, care_unit_id="u1") == ["a1", "a2"]
    assert await listed(emr, MORNING, resource_id="d1") == []
    assert await listed(emr, MORNING, patient_id="Patient/p1") == []


async def test_the_calendar_is_in_order_and_leaves_out_what_was_never_meant(emr, fake):
    fake.put(samples.appointment("a0", start="2027-03-02T11:00:00+01:00", end="2027-03-02T11:30:00+01:00"))
    fake.put(samples.appointment("a2", status="entered-in-error"))
    assert await listed(emr, MORNING) == ["a1", "a0"]


# -- free time ------------------------------------------------------------------------------------------------------


async def test_free_slots_are_those_of_the_resource_that_start_in_the_span(emr):
    found = await free(emr, Span(at(8, 30), at(11)))
    assert times(found) == ["08:30", "10:00", "10:30"]
    assert found[0] == Slot(
        at(8, 30),
        at(9),
        "Practitioner/d1",
        care_unit_id="u1",
        id="d1-0830",
        version="1",
    )


async def test_own_slots_are_shown_as_free(emr):
    own = await emr.appointment("a1")
    found = await free(emr, Span(at(8, 30), at(10, 30)), ignoring=(own,))
    assert times(found) == ["08:30", "09:00", "09:30", "10:00"]


async def test_own_slots_are_not_free_where_somebody_else_lies_too(emr, fake):
    fake.put(samples.appointment("a2", start="2027-03-02T09:30:00+01:00"))
    own = await emr.appointment("a1")
    assert times(await free(emr, Span(at(9), at(10)), ignoring=(own,))) == ["09:00"]


async def test_somebody_elses_cancelled_appointment_is_not_in_the_way(emr, fake):
    fake.put(samples.appointment("a2", status="cancelled"))
    own = await emr.appointment("a1")
    assert times(await free(emr, Span(at(9), at(10)), ignoring=(own,))) == ["09:00", "09:30"]


async def test_own_slots_of_another_resource_are_not_this_ones(emr):
    own = await emr.appointment("a1")
    found = await free(emr, Span(at(9), at(10)), "Practitioner/d2", ignoring=(own,))
    assert [slot.id for slot in found] == ["d2-0900", "d2-0930"]


async def test_what_a_cancelled_appointment_held_is_not_its_own_any_more(emr, fake):
    fake.put(samples.appointment(status="cancelled"))
    own = await emr.appointment("a1")
    assert await free(emr, Span(at(9), at(10)), ignoring=(own,)) == ()


async def test_a_slot_that_the_emr_has_closed_is_not_reopened(emr, fake):
    fake.put(samples.slot("d1", at(9), "busy-unavailable"))
    own = await emr.appointment("a1")
    assert times(await free(emr, Span(at(9), at(10)), ignoring=(own,))) == ["09:30"]


async def test_slots_for_other_services_or_of_other_care_units_are_left_out(emr, fake):
    visit, surgery = ({"coding": [{"system": "urn:x", "code": code}]} for code in ("visit", "surgery"))
    fake.put({"resourceType": "HealthcareService", "id": "h1", "name": "Testvisit", "type": [visit]})
    fake.put(samples.slot("d1", at(8), serviceType=[surgery]))
    fake.put(samples.slot("d1", at(8, 30), serviceType=[visit]))
    fake.put(samples.schedule("d2", actor=[{"reference": "Practitioner/d2"}, {"reference": "Location/u2"}]))
    assert times(await free(emr, Span(at(8), at(9)), healthcare_service_id="h1")) == ["08:30"]
    assert times(await free(emr, Span(at(8), at(9)))) == ["08:00", "08:30"]
    assert await free(emr, resource="Practitioner/d2", care_unit_id="u1") == ()


async def test_an_inactive_schedule_offers_nothing(emr, fake):
    fake.put(samples.schedule("d1", active=False))
    assert await free(emr) == ()


async def test_without_a_resource_all_slots_come_with_theirs(emr):
    found = await free(emr, Span(at(8), at(8, 30)), None)
    assert [(s.id, s.resource_id) for s in found] == [("d1-0800", "Practitioner/d1"), ("d2-0800", "Practitioner/d2")]


async def test_a_resource_of_another_form_has_no_free_time(emr, fake):
    assert await free(emr, resource="d1") == ()
    assert not fake.seen


async def test_a_server_that_ignores_the_resource_is_not_believed(emr, fake):
    """Strict handling is asked for; where that is ignored as well, the schedules tell."""
    fake.faults = [
        lambda request: fake._shown(
            fake._page("Slot", list(fake.store["Slot"].values()), [("_include", "Slot:schedule")])
        )
    ]
    fake.page = 100
    found = await free(emr, resource="Practitioner/d2")
    assert {slot.id.partition("-")[0] for slot in found} == {"d2"}


# -- one's own, one slot, the account -------------------------------------------------------------------------------


def creation(marker):
    return Create(chain="n", span=Span(at(10), at(11)), patient_id="p1", resource_id="Practitioner/d1", marker=marker)


async def test_an_own_booking_is_found_by_its_marker_alone(emr, fake):
    marked = [{"system": "urn:emr-gateway:booking", "value": "c-1"}]
    fake.put(samples.appointment("a2", identifier=marked))
    assert (await emr.find_own(creation("c-1"))).id == "a2"
    assert await emr.find_own(creation("c-2")) is None


async def test_a_server_that_ignores_the_marker_is_not_believed(emr, fake):
    fake.faults = [lambda _: fake._shown(fake._page("Appointment", [fake.get("Appointment", "a1")], []))]
    assert await emr.find_own(creation("c-1")) is None


async def test_a_withdrawn_booking_is_not_found_again(emr, fake):
    marked = [{"system": "urn:emr-gateway:booking", "value": "c-1"}]
    fake.put(samples.appointment("a2", identifier=marked, status="entered-in-error"))
    assert await emr.find_own(creation("c-1")) is None


async def test_a_slot_tells_how_it_stands(emr, fake):
    slot = Slot(at(9), at(9, 30), id="d1-0900")
    state, read = await emr.slot(slot)
    assert (state, read.version) == ("busy", "1")
    fake.put(samples.slot("d1", at(9)))
    state, read = await emr.slot(slot)
    assert (state, read.version) == ("free", "2")
    fake.put(samples.slot("d1", at(9), "entered-in-error"))
    assert await emr.slot(slot) is None
    assert await emr.slot(replace(slot, id="none")) is None
    assert await emr.slot(replace(slot, id=None)) is None


async def test_the_probe_reads_the_statement_and_something_that_needs_credentials(emr, fake):
    assert await emr.probe() == emr.capabilities
    fake.faults = [lambda _: None, lambda _: outcome(401, "login")]
    with pytest.raises(Refused) as refused:
        await emr.probe()
    assert refused.value.reason == "credentials"
