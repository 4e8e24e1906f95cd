"""The socket in the state directory: its owner's alone, wherever it is, whatever was left there, and never a port."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gateway import serving
from gateway.attention import control
from gateway.attention.attending import CantBe
from gateway.attention.control import Control, NobodyThere
from gateway.attention.status import AccountStatus, ConfigurationStatus, Status
from gateway.attention.view import Listed, Shown
from gateway.ledger import Erased, LedgerDown, State, Subject

NOON = datetime(2030, 3, 4, 12, tzinfo=UTC)
ONE = {"id": "c1", "client": "demo", "emr": "clinic", "operation": "update", "since": NOON, "left": 1}
LISTED = Listed(**ONE, state=State.NEEDS_ATTENTION)
SHOWN = Shown(
    **ONE,
    state=State.NEEDS_ATTENTION,
    created_at=NOON,
    answer_status=None,
    answer_code=None,
    steps=[],
    appointments=[],
    beyond=None,
    remarks=[],
)
STATUS = Status(
    version="emr-gateway 1",
    configuration=ConfigurationStatus(digest="one", since=NOON, differs_on_disk=True, refused=["port: no"]),
    accounts=[AccountStatus(client="demo", emr="clinic", plugin="fhir", edition="standard", standing="waiting")],
)


class Script:
    """`Acts` that remember what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []
        self.fails: Exception | None = None

    def _note(self, *asked):
        self.asked.append(asked)
        if self.fails is not None:
            raise self.fails

    async def listed(self, *, settled, client, emr):
        self._note("listed", settled, client, emr)
        return [LISTED]

    async def shown(self, id, who):
        self._note("shown", id, who)
        return SHOWN

    async def retry(self, id, wait_s, who):
        self._note("retry", id, wait_s, who)
        return LISTED

    async def settle(self, id, by_hand, note, who):
        self._note("settle", id, by_hand, note, who)
        return LISTED

    async def erase(self, subject, who):
        self._note("erase", subject, who)
        return Erased(commands=2, renamed=1)


@asynccontextmanager
async def served(state_dir: Path, acts: Script):
    with control.bound(state_dir) as listening:
        assert listening is not None
        server = serving.Server(control.app(acts, lambda: STATUS), drain_s=1)
        listening.listen()
        serve = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield Control(state_dir)
        finally:
            server.should_exit = True
            await serve


@pytest.fixture
def acts():
    return Script()


async def test_what_is_asked_arrives_and_what_is_told_comes_back(tmp_path, acts):
    async with served(tmp_path, acts) as there:
        assert await there.listed(settled=True, client="démo", emr=None) == [LISTED]
        assert await there.shown("c1", "anna") == SHOWN
        assert await there.retry("c1", 1.5, "anna") == LISTED
        assert await there.settle("c1", "undone", "Noté.", "anna") == LISTED
        assert await there.erase(Subject("patient", "pä1"), "anna") == Erased(commands=2, renamed=1)
        assert await there.status() == STATUS
    assert acts.asked == [
        ("listed", True, "démo", None),
        ("shown", "c1", "anna"),
        ("retry", "c1", 1.5, "anna"),
        ("settle", "c1", "undone", "Noté.", "anna"),
        ("erase", Subject("patient", "pä1"), "anna"),
    ]


@pytest.mark.parametrize("error", [CantBe("It is done already."), LedgerDown("The ledger can't be read.")])
async def test_a_refusal_is_told_in_its_own_words(tmp_path, acts, error):
    acts.fails = error
    async with served(tmp_path, acts) as there:
        with pytest.raises(CantBe, match=str(error)):
            await there.shown("c1", "anna")


async def test_a_bug_is_told_without_what_it_says(tmp_path, acts):
    acts.fails = ValueError("Test Testsson")
    async with served(tmp_path, acts) as there:
        with pytest.raises(CantBe, match=r"The gateway failed \(500\)"):
            await there.shown("c1", "anna")


async def test_another_version_of_the_command_line_is_told_so(tmp_path, acts):
    async with served(tmp_path, acts):
        transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / control.NAME))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
            told = await http.post("/commands", json={"newer": True})
    assert (told.status_code, "another version" in told.json()["sentence"]) == (400, True)


async def test_the_socket_is_its_owners_alone_and_is_taken_away_at_the_end(tmp_path, acts):
    async with served(tmp_path, acts):
        assert stat.S_IMODE((tmp_path / control.NAME).stat().st_mode) == 0o600
    assert not (tmp_path / control.NAME).exists()


LEFT_BEHIND = """
import signal, socket, sys, os
left = socket.socket(socket.AF_UNIX)
left.bind(sys.argv[1])
left.listen()
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_a_socket_that_a_killed_process_has_left_does_no_harm(tmp_path, acts):
    command = [sys.executable, "-c", LEFT_BEHIND, str(tmp_path / control.NAME)]
    await asyncio.to_thread(subprocess.run, command, timeout=30)
    assert (tmp_path / control.NAME).is_socket()
    with pytest.raises(NobodyThere):
        await Control(tmp_path).shown("c1", "anna")
    async with served(tmp_path, acts) as there:
        assert await there.shown("c1", "anna") == SHOWN


async def test_a_path_may_be_longer_than_a_sockets_address(tmp_path, acts):
    state = tmp_path / ("a long name " * 10) / ("and another one " * 10)
    state.mkdir(parents=True)
    assert len(os.fsencode(state)) > 200
    async with served(state, acts) as there:
        assert await there.shown("c1", "anna") == SHOWN
        assert (state / control.NAME).is_socket()
    assert not (state / control.NAME).exists()


@pytest.mark.parametrize("length", [106, 107, 108, 109])
async def test_the_longest_address_of_a_socket_and_the_next_ones(acts, length):
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        state = Path(short, "x" * (length - len(f"{short}//{control.NAME}")))
        state.mkdir()  # noqa: ASYNC240
        assert len(os.fsencode(state / control.NAME)) == length
        async with served(state, acts) as there:
            assert await there.shown("c1", "anna") == SHOWN


async def test_nobody_is_there_where_there_is_no_socket(tmp_path):
    with pytest.raises(NobodyThere):
        await Control(tmp_path).listed(settled=False, client=None, emr=None)
    (tmp_path / control.NAME).write_text("a file")
    with pytest.raises(NobodyThere):
        await Control(tmp_path).listed(settled=False, client=None, emr=None)


def test_where_there_can_be_no_socket_the_gateway_does_without_and_says_so(tmp_path, caplog):
    (tmp_path / control.NAME).mkdir()
    with control.bound(tmp_path) as listening:
        assert listening is None
    assert "can't be made" in caplog.text
    assert (tmp_path / control.NAME).is_dir()


async def test_a_gateway_that_hangs_up_is_told_as_a_sentence(tmp_path):
    async def hangs_up(_, writer):
        writer.close()

    server = await asyncio.start_unix_server(hangs_up, tmp_path / control.NAME)
    async with server:
        with pytest.raises(CantBe, match="did not answer"):
            await Control(tmp_path).shown("c1", "anna")
