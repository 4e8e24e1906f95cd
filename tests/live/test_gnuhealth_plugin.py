"""The port of the GNU Health plugin against the real server."""

# ruff: noqa: F811  fixtures are imported, and bear the names of what they give

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.plugin import (
    Account,
    Appointment,
    Cancel,
    Change,
    Create,
    Discard,
    Door,
    Emr,
    FindFreeTime,
    MarkSlot,
    NotSent,
    Refused,
    Span,
    Status,
)
from gateway.testing import EmrContract, World
from gateway.vendor.transport import AiohttpTransport
from plugins.gnuhealth import Settings, emr_open, emr_vendor
from tests.live.clinics import HALF_HOUR
from tests.live.gnuhealth import BEYOND, Practice, clinic, practice, settings  # noqa: F401
from tests.live.gnuhealth_clinic import Clinic
from tests.live.gnuhealth_rpc import PASSWORD
from tests.live.gnuhealth_server import DATABASES, Server, running

pytestmark = pytest.mark.live

SQLITE, POSTGRESQL = DATABASES


@pytest.fixture(scope="module")
def servers(gnuhealth_venv: Path) -> Iterator[dict[str, Server]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(running(gnuhealth_venv, name)) for name in DATABASES}


@pytest.fixture(scope="module", params=DATABASES)
def gnuhealth(request: pytest.FixtureRequest, servers: dict[str, Server]) -> Server:
    """Each in turn."""
    return servers[request.param]


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    transport = AiohttpTransport()
    yield transport
    await transport.aclose()


@pytest.fixture
def emr(gnuhealth: Server, transport: AiohttpTransport) -> Emr:
    return opened(gnuhealth, transport)


def opened(server: Server, transport: httpx.AsyncBaseTransport, **more: object) -> Emr:
    account = Settings.model_validate(settings(server, **more))
    return emr_open(Account("clinic", account, Door(transport)))


async def there(emr: Emr, id: str) -> Appointment:
    found = await emr.appointment(id)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def year(servers: dict[str, Server]) -> Iterator[Practice]:
    practice = Practice(servers[POSTGRESQL], days=90, hours=(10, 12))
    practice.open(practice.anna, BEYOND)
    yield practice
    practice.close()


class TestContract(EmrContract):
    """On PostgreSQL, each case on a day of its own; the other practice is on SQLite."""

    @pytest.fixture
    def world(self, servers: dict[str, Server], year: Practice, transport: AiohttpTransport) -> World:
        here, clinic = servers[POSTGRESQL], year.clinic()
        beyond = clinic.at(10).combine(BEYOND, clinic.at(10).timetz())
        return World(
            vendor=emr_vendor(),
            emr=opened(here, transport, page_size=200),
            other=opened(servers[SQLITE], transport),
            patient_id=clinic.patient,
            resource_ids=(clinic.anna, clinic.bo),
            healthcare_service_id=clinic.service,
            care_unit_id=clinic.unit,
            openings=tuple(clinic.span(10 + n // 2, n % 2 * 30) for n in range(4)),
            unknown_id="999999",
            transport=transport,
            open_over=lambda broken: opened(here, broken, page_size=200),
            beyond_clock_change=Span(beyond, beyond + HALF_HOUR),
        )


# -- versions ---------------------------------------------------------------------------------------------------------


async def test_a_version_that_the_same_second_has_seen_twice_is_stale_all_the_same(emr: Emr, clinic: Clinic):
    """On SQLite the server would let it pass: its own check has whole seconds."""
    (id,) = clinic.booked(9)
    clinic.write(id, comments="first")
    before = await there(emr, id)
    clinic.write(id, comments="second")
    for step in (Change(chain="a", before=before, comment="ours"), Cancel(chain="a", before=before)):
        with pytest.raises(Refused) as no:
            await (emr.change(step) if isinstance(step, Change) else emr.cancel(step))
        assert no.value.reason == "stale"
    assert (await there(emr, id)).comment == "second"


async def test_a_free_record_that_the_staff_have_just_booked_is_not_taken(emr: Emr, clinic: Clinic):
    clinic.write(clinic.book(clinic.bo, clinic.at(9)), state="free", patient=None)
    (slot,) = (await emr.free_time(FindFreeTime(clinic.span(9), clinic.bo))).slots
    id = clinic.book(clinic.bo, clinic.at(9))
    with pytest.raises(Refused) as no:
        await emr.mark_slot(MarkSlot(chain="a", slot=slot, state="busy"))
    assert no.value.reason == "taken"
    assert clinic.read(id)["state"] == "confirmed"


# -- words ------------------------------------------------------------------------------------------------------------


async def test_every_state_is_read(emr: Emr, clinic: Clinic):
    (id,) = clinic.booked(9)
    states = {
        "checked_in": Status.OTHER,
        "done": Status.COMPLETED,
        "no_show": Status.NO_SHOW,
        "user_cancelled": Status.CANCELLED,
        "center_cancelled": Status.CANCELLED,
        None: Status.OTHER,
    }
    for state, status in states.items():
        clinic.write(id, state=state)
        assert (await there(emr, id)).status is status
    clinic.write(id, state="free", patient=None)
    assert await emr.appointment(id) is None


async def test_one_without_an_end_lasts_as_long_as_is_configured(gnuhealth: Server, transport: Any, clinic: Clinic):
    (id,) = clinic.booked(9)
    clinic.write(id, appointment_date_end=None)
    found = await there(opened(gnuhealth, transport, default_minutes=45), id)
    assert (found.end - found.start).total_seconds() == 45 * 60


async def test_a_calendar_follows_what_is_booked_moved_reassigned_and_withdrawn(
    gnuhealth: Server, transport: Any, clinic: Clinic
):
    """The server's own work, which it refuses to the front desk."""
    groups = clinic.rpc.rows("res.group", [["name", "in", ["Health Front Desk", "Calendar Group Administration"]]])
    allowed = {"password": PASSWORD, "groups": [["add", [group["id"] for group in groups]]]}
    clinic.rpc.create("res.user", name="Calendars", login="calendars", **allowed)
    emr = opened(gnuhealth, transport, username="calendars")
    calendars = [_with_calendar(clinic, who) for who in (clinic.anna, clinic.bo)]
    step = Create(
        chain="n", span=clinic.span(14), patient_id=clinic.patient, resource_id=clinic.anna, care_unit_id=clinic.unit
    )
    made = await there(emr, str((await emr.create(step)).id))
    assert _events(clinic, calendars) == [1, 0]
    await emr.change(Change(chain="n", before=made, span=clinic.span(15), comment="later"))
    assert _events(clinic, calendars) == [1, 0]
    await emr.change(Change(chain="n", before=await there(emr, made.id), resource_id=clinic.bo))
    assert _events(clinic, calendars) == [0, 1]
    await emr.discard(Discard(chain="n", before=await there(emr, made.id)))
    assert _events(clinic, calendars) == [0, 0]
    with pytest.raises(Refused) as no:
        await opened(gnuhealth, transport).create(step)
    assert no.value.reason == "rule"
    for who in (clinic.anna, clinic.bo):
        _use(clinic, who, None)


def _with_calendar(clinic: Clinic, who: str) -> int:
    name = f"calendar of {who}"
    calendar = clinic.rpc.create("calendar.calendar", name=name)
    more = {"password": PASSWORD, "use_caldav": True, "calendar": calendar}
    _use(clinic, who, clinic.rpc.create("res.user", name=name, login=name, **more))
    return calendar


def _use(clinic: Clinic, who: str, user: int | None) -> None:
    (row,) = clinic.rpc.rows("gnuhealth.healthprofessional", [["id", "=", int(who)]], "party")
    clinic.rpc.call("party.party", "write", [row["party"]], {"internal_user": user})


def _events(clinic: Clinic, calendars: list[int]) -> list[int]:
    return [len(clinic.rpc.rows("calendar.event", [["calendar", "=", calendar]])) for calendar in calendars]


# -- sessions and rights ----------------------------------------------------------------------------------------------


class Overheard(httpx.AsyncBaseTransport):
    """Keeps the session in which the last request was made."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner, self.session = inner, ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.session = request.headers.get("Authorization", "")
        return await self._inner.handle_async_request(request)


async def test_a_session_that_has_ended_is_followed_by_another(gnuhealth: Server, transport: Any, clinic: Clinic):
    overheard = Overheard(transport)
    emr = opened(gnuhealth, overheard)
    (id,) = clinic.booked(9)
    before, first = await there(emr, id), overheard.session
    clinic.rpc.end(first)
    await emr.change(Change(chain="a", before=before, comment="in another session"))
    assert clinic.read(id)["comments"] == "in another session"
    assert overheard.session != first


async def test_a_wrong_password_is_told(gnuhealth: Server, transport: Any):
    with pytest.raises(Refused) as no:
        await opened(gnuhealth, transport, password="another").appointment("1")
    assert no.value.reason == "credentials"


async def test_whoever_has_the_right_password_is_not_locked_out_by_a_gateway_with_a_wrong_one(
    gnuhealth: Server, transport: Any, clinic: Clinic
):
    clinic.rpc.create("res.user", name="Two", login="two", password=PASSWORD)
    wrong = opened(gnuhealth, transport, username="two", password="another")
    for _ in range(10):
        with pytest.raises(Refused) as no:
            await wrong.appointment("1")
        assert no.value.reason == "credentials"
    assert (await opened(gnuhealth, transport, username="two").probe()).lists


async def test_a_server_that_is_not_there_was_sent_nothing(gnuhealth: Server, transport: Any):
    gone = httpx.URL(gnuhealth.url).copy_with(port=1)
    with pytest.raises(NotSent):
        await opened(gnuhealth, transport, base_url=str(gone)).appointment("1")


async def test_the_probe_tells_what_the_user_may_do(gnuhealth: Server, transport: Any, emr: Emr, clinic: Clinic):
    assert await emr.probe() == emr.capabilities
    clinic.rpc.create("res.user", name="Reader", login="reader", password=PASSWORD)
    can = await opened(gnuhealth, transport, username="reader").probe()
    assert (can.lists, can.move, can.create, can.cancel, can.comment) == (True, "none", False, False, False)
