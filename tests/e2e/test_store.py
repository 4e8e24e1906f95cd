"""The gateway's own store fails, over HTTP: nothing reaches the EMR meanwhile, and it goes on by itself afterwards."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.clinic import book, staff_of
from tests.e2e.conftest import Api
from tests.e2e.processes import HEADERS, at_work, bulk, gateway, sandbox, seen, settled, slow

KEY = {"idempotency-key": "only-once"}
LATENCY_MS = 400

# -- the disk of a real process ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def emr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sandbox(tmp_path_factory.mktemp("emr")) as url:
        yield url


@contextmanager
def full_disk(running: subprocess.Popen[bytes]) -> Iterator[None]:
    """The process can write nothing beyond the first kilobyte of any file, its log's included."""
    soft, hard = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (1024, hard))
    try:
        yield
    finally:
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (soft, hard))


def ready(http: httpx.Client, url: str, status: int) -> None:
    for _ in range(100):
        if http.get(f"{url}/readyz").status_code == status:
            return
        time.sleep(0.05)
    raise AssertionError(f"/readyz is not {status}")


def test_on_a_full_disk_nothing_is_taken_and_when_there_is_room_again_the_same_key_works(emr, tmp_path):
    with (
        httpx.Client(headers=HEADERS, timeout=30) as http,
        gateway(tmp_path, emr, "in-place", "full") as (running, url),
    ):
        before = seen(http, url)
        id = next(a["id"] for a in http.get(f"{url}/api/emrs/emr/appointments").json() if a["status"] == "booked")
        one = f"{url}/api/emrs/emr/appointments/{id}"
        etag = http.get(one).headers["etag"]
        with full_disk(running):
            for _ in range(3):
                refused = http.patch(one, json={"comment": "written"})
                assert (refused.status_code, refused.json()["code"]) == (503, "BUSY")
                assert int(refused.headers["retry-after"]) > 0
            assert (http.get(one).headers["etag"], seen(http, url)) == (etag, before)
            ready(http, url, 503)
        ready(http, url, 200)
        answer = http.patch(one, json={"comment": "written"})
        assert (answer.status_code, answer.json()["comment"]) == (200, "written")
        again = http.patch(one, json={"comment": "written"})
        assert (again.content, again.headers["idempotent-replayed"]) == (answer.content, "true")


@pytest.mark.faults
def test_a_disk_that_fills_up_in_the_middle_stops_a_command_between_two_writes_and_it_goes_on_by_itself(emr, tmp_path):
    async def fills_up(running: subprocess.Popen[bytes], url: str, body: Any) -> httpx.Response:
        async with httpx.AsyncClient(headers=HEADERS, timeout=60) as http:
            request = asyncio.create_task(http.patch(f"{url}/api/emrs/emr/appointments", json=body))
            await at_work(http, url, "done")
            with full_disk(running):
                await asyncio.sleep(1.5)
                assert not request.done()
                other = await http.patch(
                    f"{url}/api/emrs/emr/appointments", json=body, headers={"idempotency-key": "o"}
                )
                assert (other.status_code, other.json()["code"]) == (503, "BUSY")
            return await request

    with (
        httpx.Client(headers=HEADERS, timeout=30) as http,
        gateway(tmp_path, emr, "no-move", "fills") as (running, url),
    ):
        body = bulk(http, url)
        slow(emr, "no-move", "fills", LATENCY_MS)
        answer = asyncio.run(fills_up(running, url, body))
        slow(emr, "no-move", "fills", 0)
        assert answer.status_code == 200, answer.text
        assert [a["change"] for a in answer.json()] == ["moved", "moved", "cancelled"]
        (command,) = settled(http, url)
        assert command["state"] == "done"
        assert {step["state"] for step in command["steps"]} == {"done"}


# -- the file ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def staff(monkeypatch):
    return staff_of(monkeypatch)


@pytest.fixture
def config(config, staff):
    return config


def away(state: Path) -> Callable[[], None]:
    """The ledger is gone; → what brings it back."""
    files = [*state.glob("ledger.sqlite*")]
    elsewhere = state / "elsewhere"
    elsewhere.mkdir()
    for file in files:
        file.rename(elsewhere / file.name)
    return lambda: [(elsewhere / file.name).rename(file) for file in files]


def garbled(state: Path) -> Callable[[], None]:
    """What is in the ledger makes no sense; → what brings it back."""
    files = {file: file.read_bytes() for file in (state / "ledger.sqlite", state / "ledger.sqlite-wal")}

    def write(content: Callable[[bytes], bytes]) -> None:
        for file, whole in files.items():
            with file.open("r+b") as opened:
                opened.write(content(whole))

    write(lambda whole: b"\xaa" * len(whole))
    return lambda: write(lambda whole: whole)


@pytest.mark.parametrize("trouble", [away, garbled])
async def test_without_a_ledger_nothing_is_taken_and_when_it_is_back_the_same_key_works(http, config, staff, trouble):
    api = Api(http)
    (own,) = await api.booked(1)
    before, written = await book(api), len(staff.writes(api))
    back = trouble(config.parent / "state")
    for _ in range(3):
        refused = await api.call("PATCH", f"appointments/{own['id']}", {"comment": "written"}, KEY)
        assert (refused.status_code, refused.json()["code"]) == (503, "BUSY")
    assert len(staff.writes(api)) == written
    if trouble is away:  # one that makes no sense may still be written here and there
        assert (await http.get("/readyz")).status_code == 503
    back()
    assert (await http.get("/readyz")).status_code == 200
    assert await book(api) == before
    answer = await api.call("PATCH", f"appointments/{own['id']}", {"comment": "written"}, KEY)
    assert answer.status_code == 200, answer.text
    assert answer.json()["comment"] == "written"
    assert len(staff.writes(api)) == written + 1
