"""Every method of the FHIR plugin's port against each real FHIR server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from gateway.plugin import (
    Account,
    Appointment,
    Cancel,
    Change,
    Confirm,
    Create,
    Discard,
    Door,
    Emr,
    FindFreeTime,
    Kind,
    MarkSlot,
    NotSent,
    ReadCalendar,
    Refused,
    Slot,
    Span,
    Status,
)
from gateway.vendor.transport import AiohttpTransport
from plugins.fhir import Settings, emr_open
from tests.live.fhir_clinic import Clinic
from tests.live.fhir_seeds import at, slot_id
from tests.live.sekmet import running

pytestmark = pytest.mark.live


@pytest.fixture(scope="module", params=["open_sekmet", "medplum"])
def server(request: pytest.FixtureRequest) -> str:
    """The base URL of each server in turn."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def clinic(server: str) -> Iterator[Clinic]:
    clinic = Clinic(server)
    yield clinic
    clinic.close()


@pytest.fixture
async def emr(server: str) -> AsyncIterator[Emr]:
    transport = AiohttpTransport()
    door = Door(transport)
    yield emr_open(Account("fhir", Settings(base_url=server, zone="Europe/Stockholm", page_size=5), door))
    await door.aclose()
    await transport.aclose()


async def there(emr: Emr, id: str) -> Appointment:
    found = await emr.appointment(id)
    assert found is not None
    return found


async def free(emr: Emr, who: str, span: Span, *ignoring: Appointment) -> tuple[Slot, ...]:
    return (await emr.free_time(FindFreeTime(span, who, ignoring=ignoring))).slots


def times(slots: tuple[Slot, ...]) -> list[str]:
    return [f"{slot.start:%H:%M}" for slot in slots]


# -- reads ----------------------------------------------------------------------------------------------------------


async def test_the_probe_finds_everything_that_is_declared(emr: Emr):
    assert replace(await emr.probe(), bundle_max=0) == emr.capabilities


async def test_an_appointment_is_read_with_all_its_parties(emr: Emr, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10), comment="bring the form")
    read = await there(emr, id)
    assert (read.status, read.confirmed, read.comment) == (Status.BOOKED, True, "bring the form")
    assert (read.patient_id, read.resource_id) == (clinic.patient, clinic.anna)
    assert (read.care_unit_id, read.healthcare_service_id) == (clinic.unit, clinic.service)
    assert read.slot_ids == (slot_id(clinic.anna, at(9)), slot_id(clinic.anna, at(9, 30)))
    assert (read.start, read.end) == (at(9), at(10))
    assert await emr.appointment("nobody") is None


async def test_many_appointments_are_read_over_several_pages(emr: Emr, clinic: Clinic):
    ids = [clinic.book(clinic.anna, at(8 + n), at(8 + n, 30)) for n in range(7)]
    found = await emr.appointments([*ids, "nobody"])
    assert [found[id] is not None for id in [*ids, "nobody"]] == [True] * 7 + [False]


async def test_the_calendar_holds_what_overlaps(emr: Emr, clinic: Clinic):
    first, second = clinic.book(clinic.anna, at(9), at(10)), clinic.book(clinic.anna, at(10), at(11))
    clinic.book(clinic.bo, at(9), at(10))
    for span, ids in ((Span(at(9, 30), at(10)), [first]), (Span(at(9, 30), at(10, 30)), [first, second])):
        listed = await emr.calendar(ReadCalendar(span, resource_id=clinic.anna, patient_id=clinic.patient))
        assert [a.id for a in listed] == ids
    assert not await emr.calendar(ReadCalendar(Span(at(9), at(10)), patient_id=clinic.other_patient))


async def test_free_time_is_what_is_free_and_what_is_ones_own(emr: Emr, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10))
    span = Span(at(8, 30), at(10, 30))
    assert times(await free(emr, clinic.anna, span)) == ["08:30", "10:00"]
    own = await there(emr, id)
    slots = await free(emr, clinic.anna, span, own)
    assert times(slots) == ["08:30", "09:00", "09:30", "10:00"]
    assert {(s.resource_id, s.care_unit_id) for s in slots} == {(clinic.anna, clinic.unit)}
    assert len(await free(emr, clinic.bo, Span(at(8), at(16)), own)) == 16


async def test_directories_list_and_look_up(emr: Emr, clinic: Clinic):
    wanted = {
        Kind.CARE_UNIT: clinic.unit,
        Kind.RESOURCE: clinic.anna,
        Kind.SERVICE: clinic.service,
        Kind.PATIENT: clinic.patient,
    }
    for kind, id in wanted.items():
        entry = await emr.look_up(kind, id)
        assert entry is not None
        assert entry in await emr.directory(kind)
        assert await emr.look_up(kind, f"{id}-none") is None
    resource = await emr.look_up(Kind.RESOURCE, clinic.anna)
    assert resource is not None
    assert resource.care_unit_id == clinic.unit


async def test_a_slot_tells_how_it_stands(emr: Emr, clinic: Clinic):
    clinic.book(clinic.anna, at(9), at(9, 30))
    for when, state in ((at(9), "busy"), (at(10), "free")):
        id = slot_id(clinic.anna, when)
        found = await emr.slot(Slot(when, when, id=id))
        assert found is not None
        assert (found[0], found[1].version) == (state, clinic.read("Slot", id)["meta"]["versionId"])


# -- writes ---------------------------------------------------------------------------------------------------------


async def test_time_resource_and_comment_change_in_one_write(emr: Emr, clinic: Clinic):
    before = await there(emr, clinic.book(clinic.anna, at(9), at(10)))
    slots = await free(emr, clinic.bo, Span(at(11), at(12)))
    step = Change(
        chain="a",
        before=before,
        span=Span(at(11), at(12)),
        resource_id=clinic.bo,
        comment="moved",
        slots=slots,
    )
    now = (await emr.change(step)).appointment
    assert now is not None
    assert (now.start, now.resource_id, now.comment) == (at(11), clinic.bo, "moved")
    assert now == await there(emr, before.id)
    assert (now.id, clinic.versions("Appointment", now.id)) == (before.id, 2)
    assert now.patient_id == clinic.patient


async def test_a_change_over_an_old_version_is_refused(emr: Emr, clinic: Clinic):
    before = await there(emr, clinic.book(clinic.anna, at(9), at(10)))
    await emr.change(Change(chain="a", before=before, comment="theirs"))
    with pytest.raises(Refused) as refused:
        await emr.change(Change(chain="a", before=before, comment="ours"))
    assert refused.value.reason == "stale"
    assert (await there(emr, before.id)).comment == "theirs"


async def test_a_comment_can_be_cleared(emr: Emr, clinic: Clinic):
    before = await there(emr, clinic.book(clinic.anna, at(9), at(10), comment="old"))
    await emr.change(Change(chain="a", before=before, comment=""))
    assert (await there(emr, before.id)).comment is None


async def test_an_appointment_is_cancelled_with_its_comment(emr: Emr, clinic: Clinic):
    before = await there(emr, clinic.book(clinic.anna, at(9), at(10)))
    now = (await emr.cancel(Cancel(chain="a", before=before, comment="ill"))).appointment
    assert now is not None
    assert (now.status, now.comment) == (Status.CANCELLED, "ill")
    assert clinic.read("Appointment", before.id)["cancelationReason"]["coding"][0]["code"] == "other"


async def test_a_request_is_confirmed(emr: Emr, clinic: Clinic):
    id = clinic.book(clinic.anna, at(9), at(10), status="pending", participation="needs-action")
    before = await there(emr, id)
    assert (before.status, before.confirmed) == (Status.AWAITING, False)
    now = (await emr.confirm(Confirm(chain="a", before=before))).appointment
    assert now is not None
    assert (now.status, now.confirmed) == (Status.BOOKED, True)


async def test_a_booking_is_made_once_found_again_and_withdrawn(emr: Emr, clinic: Clinic):
    step = Create(
        chain="n",
        span=Span(at(13), at(13, 30)),
        patient_id=clinic.patient,
        resource_id=clinic.anna,
        healthcare_service_id=clinic.service,
        care_unit_id=clinic.unit,
        slots=await free(emr, clinic.anna, Span(at(13), at(13, 30))),
        marker=f"{clinic.prefix}-command-0",
    )
    assert await emr.find_own(step) is None
    first, again = [(await emr.create(step)).appointment for _ in range(2)]
    assert first is not None
    assert first == again == await emr.find_own(step)
    assert (first.status, first.start, first.care_unit_id) == (Status.BOOKED, at(13), clinic.unit)
    await emr.discard(Discard(chain="n", before=first, marker=step.marker))
    assert await emr.appointment(first.id) is None
    assert await emr.find_own(step) is None


async def test_a_slot_is_taken_and_given_back(emr: Emr, clinic: Clinic):
    (slot,) = await free(emr, clinic.anna, Span(at(9), at(9, 30)))
    taken = (await emr.mark_slot(MarkSlot(chain="a", slot=slot, state="busy"))).slot
    assert clinic.busy(clinic.anna) == ["09:00"]
    assert taken is not None
    await emr.mark_slot(MarkSlot(chain="a", slot=taken, state="free"))
    assert clinic.busy(clinic.anna) == []


async def test_of_eight_that_want_one_slot_exactly_one_gets_it(emr: Emr, clinic: Clinic):
    (slot,) = await free(emr, clinic.anna, Span(at(9), at(9, 30)))
    step = MarkSlot(chain="a", slot=slot, state="busy")
    results = await asyncio.gather(*(emr.mark_slot(step) for _ in range(8)), return_exceptions=True)
    losers = [r for r in results if isinstance(r, BaseException)]
    assert [(type(r), getattr(r, "reason", None)) for r in losers] == [(Refused, "stale")] * 7
    assert clinic.versions("Slot", slot_id(clinic.anna, at(9))) == 2


async def test_what_is_written_raw_and_what_is_read_agree(emr: Emr, clinic: Clinic):
    """Other clients of the same server see what the plugin wrote, in FHIR's own words."""
    before = await there(emr, clinic.book(clinic.anna, at(9), at(10), minutesDuration=60))
    slots = await free(emr, clinic.anna, Span(at(14), at(14, 30)))
    await emr.change(Change(chain="a", before=before, span=Span(at(14), at(14, 30)), slots=slots))
    raw = clinic.read("Appointment", before.id)
    assert (raw["start"], raw["end"]) == (at(14).isoformat(), at(14, 30).isoformat())
    assert raw["minutesDuration"] == 30
    assert raw["slot"] == [{"reference": f"Slot/{slot_id(clinic.anna, at(14))}"}]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ({"auth": "bearer", "token": "live-token"}, {"auth": "bearer", "token": "another"}),
        ({"auth": "basic", "user": "live", "password": "live-pass"}, {"auth": "none"}),
    ],
)
async def test_credentials_are_sent_and_their_refusal_is_told(
    sekmet_venv: Path, tmp_path: Path, right: dict, wrong: dict
):
    accepted = {"types": ["basic", "bearer"], "users": {"live": "live-pass"}, "tokens": ["live-token"]}
    transport = AiohttpTransport()
    with running(sekmet_venv, tmp_path, server_auth=accepted) as server:
        doors = [Door(transport), Door(transport)]
        welcome, refused = (
            emr_open(Account("fhir", Settings.model_validate({"base_url": server.base, **told}), door))
            for told, door in zip((right, wrong), doors, strict=True)
        )
        assert await welcome.appointment("nobody") is None
        with pytest.raises(Refused) as no:
            await refused.appointment("nobody")
        assert no.value.reason == "credentials"
        for door in doors:
            await door.aclose()
        await transport.aclose()


async def test_a_server_that_is_not_there_was_sent_nothing(open_sekmet: str):
    """The same account with the server's address one port off: closed on loopback."""
    transport = AiohttpTransport()
    door = Door(transport)
    gone = httpx.URL(open_sekmet).copy_with(port=1)
    emr = emr_open(Account("fhir", Settings(base_url=str(gone)), door))
    with pytest.raises(NotSent):
        await emr.appointment("a")
    await door.aclose()
    await transport.aclose()
