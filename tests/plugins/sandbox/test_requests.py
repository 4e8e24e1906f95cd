"""Exactly what the plugin sends: one request each, with the account's key and nothing else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
import respx

from gateway.plugin import (
    Account,
    Appointment,
    Cancel,
    Change,
    Confirm,
    Create,
    Discard,
    Door,
    FindFreeTime,
    Kind,
    MarkSlot,
    MaybeDone,
    ReadCalendar,
    Slot,
    Span,
    Status,
    Throttled,
)
from plugins.sandbox import SandboxEmr, Settings, emr_open
from tests.plugins.sandbox.test_wire import BOOKING

BASE = "https://emr.example/in-place/north"
SPAN = Span(datetime(2026, 7, 1, 8, tzinfo=UTC), datetime(2026, 7, 1, 9, tzinfo=UTC))
BEFORE = Appointment(id="B/1", start=SPAN.start, end=SPAN.end, status=Status.BOOKED, version="7")
SLOT = Slot(SPAN.start, SPAN.end, "D1", id="D1-2026-07-01T10:00", version="3")
RECORD = {
    "ref": SLOT.id,
    "rev": "4",
    "begins": "2026-07-01T10:00",
    "ends": "2026-07-01T11:00",
    "with": "D1",
    "place": "U1",
}


@pytest.fixture
def router() -> respx.MockRouter:
    return respx.MockRouter(assert_all_called=True)


@pytest.fixture
async def opened(router) -> AsyncIterator[Callable[..., SandboxEmr]]:
    door = Door(httpx.MockTransport(router.async_handler))
    told = {"base_url": "https://emr.example/", "clinic": "north", "api_key": "s3cret"}
    yield lambda **more: emr_open(Account("sandbox", Settings.model_validate(told), door, **more))
    await door.aclose()


@pytest.fixture
def emr(opened) -> SandboxEmr:
    return opened()


def said(route: respx.Route) -> tuple[str, object]:
    """The one request that was sent: its query and its body."""
    (call,) = route.calls
    assert call.request.headers["x-clinic-key"] == "s3cret"
    body = call.request.content
    return call.request.url.query.decode(), json.loads(body) if body else None


async def test_appointments_are_read_by_their_references_in_one_request(emr, router):
    route = router.get(f"{BASE}/bookings").respond(json={"bookings": [BOOKING]})
    found = await emr.appointments(["B1", "x&y"])
    assert said(route) == ("ref=B1&ref=x%26y", None)
    assert (found["B1"].id, found["x&y"]) == ("B1", None)


async def test_a_calendar_question(emr, router):
    route = router.get(f"{BASE}/bookings").respond(json={"bookings": []})
    await emr.calendar(ReadCalendar(SPAN, patient_id="P1"))
    assert said(route) == ("from=2026-07-01T10%3A00&until=2026-07-01T11%3A00&who=P1", None)


async def test_a_question_for_free_time(emr, router):
    route = router.get(f"{BASE}/free").respond(json={"slots": []})
    await emr.free_time(FindFreeTime(SPAN, "D1", "K1", "U1", ignoring=(BEFORE,)))
    query = "from=2026-07-01T10%3A00&until=2026-07-01T11%3A00&with=D1&site=U1&kind=K1&ignoring=B%2F1"
    assert said(route) == (query, None)


async def test_an_entry_is_asked_for_by_itself(emr, router):
    route = router.get(f"{BASE}/register/people").respond(json={"people": []})
    assert await emr.look_up(Kind.PATIENT, "P1") is None
    assert said(route) == ("ref=P1", None)


async def test_a_change(emr, router):
    route = router.patch(f"{BASE}/bookings/B%2F1").respond(json=BOOKING)
    receipt = await emr.change(Change(chain="x", before=BEFORE, span=SPAN, comment="new"))
    times = {"begins": "2026-07-01T10:00", "ends": "2026-07-01T11:00"}
    assert said(route) == ("", {"memo": "new", "if_rev": "7"} | times)
    assert receipt.appointment.id == "B1"


async def test_a_creation(emr, router):
    route = router.post(f"{BASE}/bookings").respond(201, json=BOOKING)
    await emr.create(
        Create(chain="x", span=SPAN, patient_id="P1", resource_id="D1", healthcare_service_id="K1", marker="c-1")
    )
    times = {"begins": "2026-07-01T10:00", "ends": "2026-07-01T11:00"}
    assert said(route) == ("", {"who": "P1", "with": "D1", "kind": "K1", "mark": "c-1"} | times)


async def test_a_cancellation(emr, router):
    route = router.post(f"{BASE}/bookings/B%2F1/annul").respond(json=BOOKING)
    await emr.cancel(Cancel(chain="x", before=BEFORE, comment=""))
    assert said(route) == ("", {"memo": "", "if_rev": "7"})


async def test_a_confirmation(emr, router):
    route = router.post(f"{BASE}/bookings/B%2F1/code").respond(json=BOOKING)
    await emr.confirm(Confirm(chain="x", before=BEFORE, code="123456"))
    assert said(route) == ("", {"code": "123456"})


async def test_a_withdrawal(emr, router):
    route = router.delete(f"{BASE}/bookings/B%2F1").respond(204)
    await emr.discard(Discard(chain="x", before=BEFORE, marker="c-1"))
    assert said(route) == ("mark=c-1&if_rev=7&tell=false", None)


WRITES = [
    (Change(chain="x", before=BEFORE, comment="new"), "change", "PATCH", ""),
    (Create(chain="x", span=SPAN, patient_id="P1", resource_id="D1"), "create", "POST", None),
    (Cancel(chain="x", before=BEFORE), "cancel", "POST", "/annul"),
    (Confirm(chain="x", before=BEFORE, code="123456"), "confirm", "POST", "/code"),
]


@pytest.mark.parametrize(
    ("notify", "quiet", "tell"),
    [
        (True, False, True),
        (True, True, False),
        (False, False, False),
        (False, True, False),
        (None, False, None),
        (None, True, False),
    ],
)
@pytest.mark.parametrize(("step", "write", "method", "path"), WRITES, ids=[write[1] for write in WRITES])
async def test_each_write_says_whether_the_patient_is_told(
    opened, router, notify, quiet, tell, step, write, method, path
):
    url = f"{BASE}/bookings" if path is None else f"{BASE}/bookings/B%2F1{path}"
    route = router.request(method, url).respond(json=BOOKING)
    await getattr(opened(notify=notify), write)(replace(step, quiet=quiet))
    _, body = said(route)
    assert body.get("tell") is tell


async def test_a_slot_is_marked(emr, router):
    route = router.patch(f"{BASE}/slots/D1-2026-07-01T10%3A00").respond(json=RECORD | {"state": "busy"})
    receipt = await emr.mark_slot(MarkSlot(chain="x", slot=SLOT, state="busy"))
    assert said(route) == ("", {"state": "busy", "if_rev": "3"})
    assert receipt.slot.version == "4"


async def test_a_write_whose_answer_makes_no_sense_may_be_done(emr, router):
    route = router.patch(f"{BASE}/bookings/B%2F1").respond(200, json={"ref": "B1"})
    with pytest.raises(MaybeDone):
        await emr.change(Change(chain="x", before=BEFORE, comment="new"))
    assert route.call_count == 1


async def test_an_emr_that_is_busy_for_long_says_for_how_long(emr, router):
    router.patch(f"{BASE}/bookings/B%2F1").respond(429, json={"fault": "BUSY"}, headers={"retry-after": "60"})
    with pytest.raises(Throttled) as throttled:
        await emr.change(Change(chain="x", before=BEFORE, comment="new"))
    assert throttled.value.retry_after == 60


async def test_nothing_of_the_key_is_shown(emr):
    told = Settings(clinic="north", api_key="s3cret")
    assert "s3cret" not in repr(told) + str(told) + repr(vars(emr))
