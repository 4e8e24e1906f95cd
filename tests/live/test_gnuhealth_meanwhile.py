"""What happens to a real GNU Health server while the gateway writes to it: the staff change something, or it dies and
comes back. All or nothing becomes of the command, or what became of it is reported."""

# ruff: noqa: F811  fixtures are imported, and bear the names of what they give

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.live.gateway import CLIENT, Client, errors
from tests.live.gnuhealth import HALF_HOUR, Clinic, clinic, gnuhealth, gnuhealth_venv, practice  # noqa: F401
from tests.live.gnuhealth_gateway import serving
from tests.live.gnuhealth_proxy import Proxy, standing_before
from tests.live.gnuhealth_server import Server

pytestmark = pytest.mark.live

TAKEN, CHANGED = (409, ["NO_TIMESLOTS_AVAILABLE"]), (409, ["CHANGED_MEANWHILE"])


@pytest.fixture(scope="module")
def proxy(gnuhealth: Server) -> Iterator[Proxy]:
    with standing_before(gnuhealth.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def app(gnuhealth: Server, proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A lost answer is looked up for a second only, and not for ten: this server is never that late."""
    more = {"base_url": proxy.url, "late_write_s": 1.0}
    with serving(gnuhealth, tmp_path_factory.mktemp("gateway"), **more) as account:
        client = Client(account)
        yield client
        client.close()


def move(app: Client, clinic: Clinic, id: str, hour: int) -> httpx.Response:
    start = clinic.at(hour)
    return app.change(id, start=start.isoformat(), end=(start + HALF_HOUR).isoformat())


def told(answer: httpx.Response) -> tuple[int, list[str]]:
    return answer.status_code, errors(answer) if answer.status_code >= 400 else []


# -- the staff --------------------------------------------------------------------------------------------------------


def test_the_staff_take_the_slot_first(app: Client, proxy: Proxy, clinic: Clinic):
    (id,) = clinic.booked(9)
    proxy.expect(1, lambda: clinic.book(clinic.anna, clinic.at(13)))
    assert told(move(app, clinic, id, 13)) in (TAKEN, (400, ["NO_TIMESLOTS_AVAILABLE"]))
    assert clinic.standing(clinic.anna) == ["09:00", "10:00", "11:00", "13:00"]
    assert clinic.disagreements() == []


def test_the_staff_write_a_comment_and_both_stand(app: Client, proxy: Proxy, clinic: Clinic):
    (id,) = clinic.booked(9)
    proxy.expect(2, lambda: clinic.write(id, comments="the staff's"))
    answer = move(app, clinic, id, 13)
    assert answer.status_code == 200, answer.text
    assert clinic.read(id)["comments"] == answer.json()["comment"] == "the staff's"
    assert clinic.standing(clinic.anna) == ["10:00", "11:00", "13:00"]
    assert clinic.disagreements() == []


def test_the_staff_cancel_it_and_that_stands(app: Client, proxy: Proxy, clinic: Clinic):
    (id,) = clinic.booked(9)
    proxy.expect(2, lambda: clinic.write(id, state="center_cancelled"))
    answer = move(app, clinic, id, 13)
    assert told(answer) == (409, ["INVALID_APPOINTMENT_STATUS"])
    assert clinic.read(id)["state"] == "center_cancelled"
    assert clinic.standing(clinic.anna) == ["10:00", "11:00"]
    # The staff's cancellation does not give its time back: no rule of the server's does.
    assert [found for found in clinic.disagreements() if "09:00" not in found] == []


def test_the_staff_change_one_of_many_and_none_is_moved_over_it(app: Client, proxy: Proxy, clinic: Clinic):
    ids = clinic.booked(9, 10)
    proxy.expect(3, lambda: clinic.write(ids[1], state="done"))
    answer = app.change_many(ids, resource_id=clinic.bo)
    assert told(answer)[0] == 409, answer.text
    assert clinic.standing(clinic.anna) == ["09:00", "10:00", "11:00"]
    assert clinic.disagreements() == []


# -- the server -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "after"), [(1, True), (4, False), (4, True), (5, True)])
def test_the_server_dies_and_comes_back(
    app: Client, proxy: Proxy, clinic: Clinic, gnuhealth: Server, number: int, after: bool
):
    """At a write (taken, taken, changed, changed, given, given): before it is there, or when it is and nobody hears."""

    def dies() -> None:
        gnuhealth.kill()
        gnuhealth.start()

    proxy.expect(number, dies, after=after)
    answer = app.change_many(clinic.booked(9, 10), resource_id=clinic.bo)
    command = settled(app, answer)
    moved = clinic.standing(clinic.bo)
    assert answer.status_code != 200 or command["state"] == "done"
    if command["state"] == "done":
        assert moved == ["09:00", "10:00"]
    else:
        assert command["state"] in ("undone", "refused")
        assert moved == []
    assert len(clinic.standing(clinic.anna)) + len(moved) == 3
    assert clinic.disagreements() == []


def settled(app: Client, answer: httpx.Response) -> dict[str, str]:
    """The command once it has come to its end, in the background if need be."""
    url = f"{answer.url.copy_with(path='/api/commands')}/{answer.headers['x-command-id']}"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        command: dict[str, str] = httpx.get(url, headers=CLIENT, timeout=10).json()
        if command["state"] not in ("running", "repairing"):
            return command
        time.sleep(0.2)
    raise AssertionError("a command did not come to its end")
