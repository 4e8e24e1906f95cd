"""The exact requests: method, address, headers and body, as Tryton would see them."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
import respx

from gateway.plugin import Account, Cancel, Change, Create, Discard, Door, FindFreeTime, Kind, MarkSlot, Span
from plugins.gnuhealth import Settings, emr_open
from plugins.gnuhealth.words import FIELDS
from tests.plugins.gnuhealth import wire

URL = "https://his.example.org/tryton/health%201/"
TOLD = {
    "base_url": "https://his.example.org/tryton/",
    "database": "health 1",
    "username": "frontdesk",
    "password": "sesame",
    "zone": "Europe/Stockholm",
}
A = "model.gnuhealth.appointment"
NINE = datetime(2027, 3, 2, 9, tzinfo=ZoneInfo("Europe/Stockholm"))
HALF_HOUR = timedelta(minutes=30)
HERE, LATER = Span(NINE, NINE + HALF_HOUR), Span(NINE + HALF_HOUR, NINE + 2 * HALF_HOUR)
EIGHT_UTC, HALF_PAST, NINE_UTC = (wire.datetime(2027, 3, 2, *clock) for clock in ((8,), (8, 30), (9,)))
TOKEN = {"_timestamp": {"gnuhealth.appointment,13": "1795484412.700425"}}


class Server:
    """Answers each method as it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list]] = []
        self.requests: list[httpx.Request] = []
        self.answers = {"common.db.login": wire.LOGIN, f"{A}.search_read": [wire.BOOKED]}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        assert set(body) == {"id", "method", "params"}
        self.requests.append(request)
        self.asked.append((body["method"], body["params"]))
        return httpx.Response(200, json=wire.result(self.answers.get(body["method"])))

    def last(self, method: str) -> list:
        return next(params for name, params in reversed(self.asked) if name == method)


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def emr(server):
    router = respx.MockRouter(assert_all_called=False)
    router.post(URL).mock(side_effect=server)
    door = Door(httpx.MockTransport(router.async_handler))
    yield emr_open(Account("clinic", Settings.model_validate(TOLD), door))
    await door.aclose()


@pytest.fixture
async def before(emr, server):
    found = await emr.appointment("13")
    server.asked.clear()
    return found


async def test_a_login_comes_first_and_its_session_goes_with_every_request(emr, server):
    await emr.appointments(["13", "14"])
    login, read = server.requests
    assert json.loads(login.content) == {
        "id": 1,
        "method": "common.db.login",
        "params": ["frontdesk", {"password": "sesame"}],
    }
    assert "authorization" not in login.headers
    scheme, _, pair = read.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair)) == ("Session", b"frontdesk:7:cfa41be00c73ebcf")
    assert read.headers["content-type"] == "application/json"
    domain = [["id", "in", [13, 14]], ["id", ">", 0]]
    assert server.asked[1] == (f"{A}.search_read", [domain, 0, 500, [["id", "ASC"]], list(FIELDS), {}])


async def test_a_change_writes_what_is_new_over_the_token_that_was_read(emr, server, before):
    receipt = await emr.change(Change(chain="a", before=before, span=LATER, resource_id="12", comment=""))
    values = {"appointment_date": HALF_PAST, "appointment_date_end": NINE_UTC, "comments": ""}
    assert server.asked == [(f"{A}.write", [[13], values, TOKEN])]
    assert (receipt.id, receipt.appointment) == ("13", None)


async def test_another_professional_is_named_by_its_number(emr, server, before):
    await emr.change(Change(chain="a", before=before, resource_id="15"))
    assert server.asked == [(f"{A}.write", [[13], {"healthprof": 15}, TOKEN])]


async def test_a_cancellation_is_a_state(emr, server, before):
    await emr.cancel(Cancel(chain="a", before=before))
    await emr.cancel(Cancel(chain="a", before=before, comment="ill"))
    plain, commented = (params for _, params in server.asked)
    assert plain == [[13], {"state": "user_cancelled"}, TOKEN]
    assert commented == [[13], {"state": "user_cancelled", "comments": "ill"}, TOKEN]


async def test_what_was_created_is_deleted(emr, server, before):
    await emr.discard(Discard(chain="a", before=before))
    assert server.asked == [(f"{A}.delete", [[13], TOKEN])]


async def test_a_booking_takes_from_its_slot_what_it_is_not_told(emr, server):
    server.answers[f"{A}.search_read"] = [{**wire.FREE, "appointment_type": "telemedicine", "comments": "room 2"}]
    (slot,) = (await emr.free_time(FindFreeTime(HERE, "12"))).slots
    server.answers[f"{A}.create"] = [21]
    step = Create(chain="n", span=HERE, patient_id="3", resource_id="12", slots=(slot,))
    receipt = await emr.create(step)
    assert server.last(f"{A}.create") == [
        [
            {
                "appointment_type": "telemedicine",
                "visit_type": "new",
                "urgency": "a",
                "consultations": None,
                "insurance": None,
                "comments": "",
                "state": "confirmed",
                "patient": 3,
                "healthprof": 12,
                "speciality": 1,
                "institution": 1,
                "appointment_date": EIGHT_UTC,
                "appointment_date_end": HALF_PAST,
            }
        ],
        {},
    ]
    assert receipt.id == "21"


async def test_a_slot_is_taken_by_deleting_its_record_and_given_back_as_it_was(emr, server):
    server.answers[f"{A}.search_read"] = [{**wire.FREE, "urgency": "b", "comments": "room 2"}]
    (slot,) = (await emr.free_time(FindFreeTime(HERE, "12"))).slots
    taken = (await emr.mark_slot(MarkSlot(chain="a", slot=slot, state="busy"))).slot
    assert server.asked[-1] == (f"{A}.delete", [[4], {"_timestamp": {"gnuhealth.appointment,4": "1795484394.088062"}}])
    free = [[], [{**wire.FREE, "id": 22}]]
    server.answers[f"{A}.create"] = [22]
    asked = iter(free)
    server.answers = _Changing(server.answers, f"{A}.search_read", asked)
    back = (await emr.mark_slot(MarkSlot(chain="a", slot=taken, state="free"))).slot
    (values,), _ = server.last(f"{A}.create")
    assert (values["state"], values["patient"], values["healthprof"]) == ("free", None, 12)
    assert (values["urgency"], values["comments"], values["speciality"]) == ("b", "room 2", 1)
    assert (values["appointment_date"], values["appointment_date_end"]) == (EIGHT_UTC, HALF_PAST)
    assert (back.id, back.native["record"]) == (slot.id, 22)


class _Changing(dict):
    """One method has another answer each time."""

    def __init__(self, answers, method, each):
        super().__init__(answers)
        self._method, self._each = method, each

    def get(self, method, default=None):
        return next(self._each) if method == self._method else super().get(method, default)


async def test_free_time_is_asked_for_with_whatever_else_lies_there(emr, server):
    await emr.free_time(FindFreeTime(HERE, "12", "1", "1"))
    domain = server.last(f"{A}.search_read")[0]
    early = wire.datetime(2027, 3, 2, 7, 30)
    assert domain == [
        ["healthprof", "=", 12],
        ["appointment_date", "<", HALF_PAST],
        ["OR", ["appointment_date_end", ">", EIGHT_UTC], ["appointment_date", ">", early]],
        ["id", ">", 0],
    ]


async def test_a_directory_is_read_to_its_end(emr, server):
    pages = iter([[{"id": n, "rec_name": f"Test {n}"} for n in range(1, 501)], [{"id": 777, "rec_name": "Last"}]])
    server.answers = _Changing(server.answers, "model.gnuhealth.patient.search_read", pages)
    listed = await emr.directory(Kind.PATIENT)
    assert (len(listed), listed[-1].id, listed[-1].name) == (501, "777", "Last")
    assert server.asked[-1][1] == [[["id", ">", 500]], 0, 500, [["id", "ASC"]], ["rec_name"], {}]


async def test_the_probe_asks_what_the_user_may_do(emr, server):
    rights = {"read": 1, "write": 1, "create": 1, "delete": 1}
    server.answers["model.ir.model.access.get_access"] = {"gnuhealth.appointment": rights}
    assert await emr.probe() == emr.capabilities
    assert server.asked[-1][1] == [["gnuhealth.appointment"], {}]
