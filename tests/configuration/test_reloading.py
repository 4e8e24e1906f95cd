"""The configuration on the disk is read when it has changed and stays as it is, and runs only if it proves itself."""

from __future__ import annotations

import asyncio
import logging
import os
from functools import partial
from pathlib import Path

import pytest

from gateway.configuration.reloading import Reloading
from gateway.configuration.settings import examine, load
from gateway.configuration.toml_files import ConfigError
from gateway.keys import Keys
from tests.config_files import CLIENT, HMAC, SECRET, write

KEYS = Keys(bytes(32))
MORE = CLIENT + CLIENT.replace("app", "other")
NORTH = '[clients.emrs.north]\nplugin = "fhir"\nsettings = { base_url = "https://emr.example", token = "file:token" }\n'


class Switch:
    """Remembers to what it was switched."""

    def __init__(self) -> None:
        self.clients: list[list[str]] = []
        self.fails: tuple[str, ...] = ()

    async def to(self, settings) -> None:
        if self.fails:
            raise ConfigError(*self.fails)
        self.clients.append([client.id for client in settings.clients])


class World:
    def __init__(self, folder: Path, clients: str = CLIENT, gateway: str = "") -> None:
        self.folder, self.config = folder, write(folder, gateway, clients)
        self.switch, self.results = Switch(), []
        settings = load({}, config=self.config)
        self.reloading = Reloading(settings, KEYS, partial(examine, {}, config=self.config), self.switch, self._heard)

    async def _heard(self, result, configured):
        self.results.append((result, configured.digest))

    async def settle(self) -> None:
        """As many looks as it takes to see a change and that it has ended."""
        for _ in range(3):
            await self.reloading.look()

    def clients(self, text: str) -> None:
        draft = self.folder / "draft"
        draft.write_text(text)
        draft.replace(self.folder / "clients.toml")


@pytest.fixture
async def world(tmp_path):
    made = World(tmp_path)
    await made.settle()
    made.results.clear()
    return made


async def test_what_has_not_changed_is_not_read_again(world):
    await world.settle()
    assert world.results == []
    assert not world.reloading.told.differs


async def test_a_file_that_is_renamed_over_is_switched_to_once_it_stays(world):
    before = world.reloading.told
    world.clients(MORE)
    await world.reloading.look()
    assert world.results == [], "it may be just being written"
    await world.settle()
    assert world.switch.clients == [["app", "other"]]
    told = world.reloading.told
    assert told.digest != before.digest
    assert told.since > before.since
    assert not told.differs
    assert world.results == [("switched", told.digest)]


async def test_a_file_that_is_written_bit_by_bit_is_left_until_it_stays(world):
    with (world.folder / "clients.toml").open("w") as file:
        for line in MORE.splitlines(keepends=True):
            file.write(line)
            file.flush()
            await world.reloading.look()
    assert world.switch.clients == []
    await world.settle()
    assert world.switch.clients == [["app", "other"]]


async def test_a_link_that_leads_elsewhere_is_seen_as_in_a_mounted_config_map(tmp_path):
    for name, clients in (("..first", CLIENT), ("..second", MORE)):
        (tmp_path / name).mkdir()
        write(tmp_path / name, clients=clients)
    (tmp_path / "..data").symlink_to("..first")
    for name in ("gateway.toml", "clients.toml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    config, switch = tmp_path / "gateway.toml", Switch()
    reloading = Reloading(load({}, config=config), KEYS, partial(examine, {}, config=config), switch)
    (tmp_path / "..data_tmp").symlink_to("..second")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    for _ in range(3):
        await reloading.look()
    assert switch.clients == [["app", "other"]]


async def test_a_secret_in_a_file_of_its_own_is_part_of_the_configuration(tmp_path):
    (tmp_path / "token").write_text(SECRET)
    world = World(tmp_path, CLIENT + NORTH)
    await world.settle()
    before = world.reloading.told.digest
    (tmp_path / "token").write_text("another one")
    await world.settle()
    assert world.switch.clients == [["app"]]
    assert world.reloading.told.digest != before


@pytest.mark.parametrize(
    ("clients", "said"),
    [
        ("[[clients", "is not TOML"),
        ("", "names no client"),
        (CLIENT.replace(HMAC, f"plain:{SECRET}"), "plain: secret"),
        (CLIENT + NORTH, "can't be read"),
    ],
)
async def test_a_candidate_with_a_mistake_is_told_and_what_ran_goes_on(world, caplog, clients, said):
    before = world.reloading.told
    world.clients(clients)
    await world.settle()
    told = world.reloading.told
    assert (told.digest, told.since, told.differs) == (before.digest, before.since, True)
    assert world.results == [("refused", before.digest)]
    assert world.switch.clients == []
    assert any(said in sentence for sentence in told.refused)
    assert said in caplog.text
    assert SECRET not in caplog.text
    await world.settle()
    assert len(world.results) == 1, "the same mistake is told once"


async def test_what_only_the_plugins_can_say_refuses_it_too_and_the_old_file_put_back_is_no_news(world, caplog):
    world.switch.fails = ("client app: emrs.north: it refuses (credentials)",)
    world.clients(MORE)
    await world.settle()
    assert world.reloading.told.refused == world.switch.fails
    assert world.switch.fails[0] in caplog.text
    world.clients(CLIENT)
    await world.settle()
    assert not world.reloading.told.differs
    assert world.reloading.told.refused == ()
    assert [result for result, _ in world.results] == ["refused", "unchanged"]


@pytest.mark.parametrize(
    ("gateway", "name"),
    [
        ("[server]\nport = 1234\n", "server.port"),
        ("[limits]\ndrain_s = 7\n", "limits.drain_s"),
        ('state_dir = "elsewhere"\n', "state_dir"),
        ('key = "env:KEY"\n', "key"),
    ],
)
async def test_what_takes_a_restart_is_not_half_switched(world, gateway, name):
    world.clients(MORE)
    (world.folder / "gateway.toml").write_text(gateway)
    await world.settle()
    assert world.reloading.told.refused == (f"{name} is another one than that which runs; it takes a restart",)
    assert world.switch.clients == []
    assert world.reloading.told.differs


async def test_a_file_that_is_gone_for_a_moment_is_no_mistake(world, caplog):
    with caplog.at_level(logging.WARNING):
        (world.folder / "clients.toml").rename(world.folder / "away")
        await world.reloading.look()
        (world.folder / "away").rename(world.folder / "clients.toml")
        await world.settle()
    assert caplog.records == []
    assert not world.reloading.told.differs


async def test_whoever_asks_does_not_wait_and_is_answered_even_if_nothing_has_changed(world, monkeypatch):
    monkeypatch.setattr("gateway.configuration.reloading.LOOKS_S", 60.0)
    watching = asyncio.create_task(world.reloading.watch())
    for expected, clients in (("unchanged", CLIENT), ("switched", MORE)):
        (world.folder / "clients.toml").write_text(clients)
        world.results.clear()
        world.reloading.hurry()
        async with asyncio.timeout(5):
            while not world.results:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert [result for result, _ in world.results] == [expected]
    watching.cancel()


async def test_what_changes_while_it_is_read_is_read_again(world, monkeypatch):
    honest = world.reloading._read

    def read():
        found = honest()
        monkeypatch.setattr(world.reloading, "_read", honest)
        world.clients(MORE + CLIENT.replace("app", "third"))
        return found

    monkeypatch.setattr(world.reloading, "_read", read)
    world.clients(MORE)
    await world.settle()
    await world.settle()
    assert world.switch.clients == [["app", "other", "third"]]


async def test_a_bug_does_not_end_the_watch(world, monkeypatch, caplog):
    monkeypatch.setattr("gateway.configuration.reloading.LOOKS_S", 0.001)
    looks = []

    async def look():
        looks.append(None)
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(world.reloading, "look", look)
    watching = asyncio.create_task(world.reloading.watch())
    async with asyncio.timeout(5):
        while len(looks) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
    watching.cancel()
    assert "ZeroDivisionError" in caplog.text
    assert SECRET not in caplog.text


def test_the_digest_can_not_be_tried_without_the_key(tmp_path):
    settings = load({}, config=write(tmp_path))
    one, other = (
        Reloading(settings, keys, lambda: (settings, []), Switch()).told.digest for keys in (KEYS, Keys(os.urandom(32)))
    )
    assert one != other
