"""Other clients and accounts in the place of those that run, whole or not at all, while commands are under way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
from prometheus_client import CollectorRegistry

from gateway.app import application, opened
from gateway.configuration.settings import examine, load
from tests.e2e.conftest import ACCOUNT, CLIENT, Api, working_day

ONE = CLIENT.format(id="one") + ACCOUNT.format(key="in-place", clinic="clinic-one", personality="in-place")
TWO = CLIENT.format(id="two") + ACCOUNT.format(key="in-place", clinic="clinic-two", personality="in-place")
SLOW = CLIENT.format(id="one") + ACCOUNT.format(key="in-place", clinic="clinic-one", personality="windows")
WRONG = TWO.replace("clinic-two-key", "wrong-key")
DOWN = '\n[clients.emrs.down]\nplugin = "fhir"\nsettings = { base_url = "http://127.0.0.1:9" }\n'


class Running:
    def __init__(self, folder, service, http, registry) -> None:
        self.folder, self.service, self.http, self.registry = folder, service, http, registry

    async def become(self, clients: str) -> None:
        (self.folder / "clients.toml").write_text(f"demo = true\n{clients}")
        for _ in range(3):
            await self.service.reloading.look()

    def api(self, id: str) -> Api:
        return Api(self.http, id=id)

    async def status(self, id: str, path: str = "appointments") -> int:
        return (await self.api(id).call("GET", path)).status_code

    async def emr(self, id: str):
        (account,) = (a for (client, _), a in self.service._accounts.items() if client == id)
        return account


@asynccontextmanager
async def serving(folder, clients: str):
    (folder / "clients.toml").write_text(f"demo = true\n{clients}")
    (folder / "gateway.toml").write_text(f'state_dir = "{folder / "state"}"\n[limits]\nlock_wait_s = 0.1\n')
    settings, registry = load({}, config=folder / "gateway.toml"), CollectorRegistry()
    async with opened(settings, registry, read=partial(examine, {}, config=folder / "gateway.toml")) as service:
        await service.start()
        transport = httpx.ASGITransport(application(service, settings, registry))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
            yield Running(folder, service, http, registry)


@pytest.fixture
async def running(tmp_path):
    async with serving(tmp_path, ONE) as found:
        yield found


async def test_a_client_comes_and_another_one_goes_and_the_third_notices_nothing(running):
    before = await running.emr("one")
    assert await running.status("two") == 401
    await running.become(ONE + TWO)
    assert (await running.status("one"), await running.status("two")) == (200, 200)
    assert await running.emr("one") is before, "with its connections, its login, its pace"
    await running.become(TWO)
    assert (await running.status("one"), await running.status("two")) == (401, 200)
    assert running.registry.get_sample_value("gateway_configuration_reloads_total", {"result": "switched"}) == 2


async def test_a_candidate_whose_credentials_its_emr_refuses_changes_nothing(running):
    before = dict(running.service._accounts)
    await running.become(ONE + WRONG)
    (sentence,) = running.service.configuration().refused
    assert sentence.endswith("client two: emrs.in-place: it refuses (credentials)")
    assert dict(running.service._accounts) == before
    assert (await running.status("one"), await running.status("two")) == (200, 401)
    assert running.registry.get_sample_value("gateway_configuration_differs") == 1
    await running.become(ONE + TWO)
    assert await running.status("two") == 200
    assert running.registry.get_sample_value("gateway_configuration_differs") == 0


async def test_a_broken_candidate_is_opened_beside_and_leaves_the_pace_of_what_runs(running):
    pace = (await running.emr("one")).door.manners.pace
    limits = (pace._most, pace._interval_s)
    await running.become(SLOW + WRONG)
    assert (pace._most, pace._interval_s) == limits
    assert (await running.emr("one")).edition.name == "in-place"


async def test_an_emr_that_is_down_is_no_mistake_of_the_candidate(running):
    await running.become(ONE + DOWN)
    assert running.service.configuration().refused == ()
    answer = await running.api("one").call("GET", "/api/emrs")
    assert {told["key"]: told["standing"] for told in answer.json()}.keys() == {"in-place", "down"}


async def test_what_the_emr_takes_for_the_same_account_is_still_called_as_one(running):
    before = await running.emr("one")
    await running.become(ONE.replace("A sandbox", "Another name"))
    after = await running.emr("one")
    assert after is not before
    assert after.door.manners is before.door.manners


async def test_a_command_ends_on_the_account_that_it_began_with_though_that_is_gone(running):
    api = running.api("one")
    (made,) = await api.booked(1)
    gone, going_on = asyncio.Event(), asyncio.Event()
    emr = (await running.emr("one")).emr
    honest = emr.change

    async def slow(step):
        going_on.set()
        await gone.wait()
        return await honest(step)

    emr.change = slow
    start = working_day(11).replace(hour=10)
    body = {"start": start.isoformat(), "end": start.replace(minute=30).isoformat()}
    moving = asyncio.create_task(api.patch(made["id"], 200, **body))
    await going_on.wait()
    await running.become(TWO)
    assert await running.status("one") == 401
    gone.set()
    assert (await moving)["start"] == body["start"]
