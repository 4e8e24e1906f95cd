"""A process that is killed has lost nothing of what it said was done."""

import signal
import subprocess
import sys

import pytest

from gateway.ledger import State, StepState
from gateway.ledger.sqlite import SqliteLedger
from tests.ledger.conftest import command

STAGES = ["begun", "planned", "attempting", "advanced", "settled"]


def acknowledged_before_the_kill(path, lines):
    """The furthest stage that each command was acknowledged to have reached."""
    arguments = [sys.executable, "-m", "tests.ledger.works_until_killed", str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        try:
            said = [child.stdout.readline() for _ in range(lines)]
        finally:
            child.send_signal(signal.SIGKILL)
        said += child.stdout.read().splitlines(keepends=True)
    whole = [line.split() for line in said if line.endswith("\n")]
    assert len(whole) >= lines
    return {id: stage for stage, id in whole}


@pytest.mark.parametrize("lines", [1, 40, 333])
async def test_every_acknowledged_write_is_there_after_kill_9(tmp_path, keys, lines):
    reached = acknowledged_before_the_kill(tmp_path / "ledger.db", lines)
    ledger = SqliteLedger(tmp_path / "ledger.db", keys)
    await ledger.open()
    for id, stage in reached.items():
        await check(ledger, id, STAGES.index(stage))
    unsettled = {row.id for row in await ledger.unsettled()}
    assert unsettled.isdisjoint(id for id, stage in reached.items() if stage == "settled")
    await ledger.close()


async def check(ledger, id, stage):
    """What is there is what was acknowledged, or the one write further that was under way."""
    row = await ledger.command(id, "demo")
    held = await ledger.begin(command("other", key=f"key-{id}"))
    assert held.id == id
    step = row.steps[0].state if row.steps else None
    order = [None, StepState.PLANNED, StepState.ATTEMPTING, StepState.DONE]
    found = 4 if row.state is State.DONE else order.index(step)
    assert found in (stage, stage + 1)
    assert (await ledger.successors("clinic", [f"old-{id}"]) == {f"old-{id}": f"new-{id}"}) == (found >= 3)
    if row.state is State.DONE:
        assert (row.payload, row.steps[0].payload, row.answer.body) == (b"", b"", id.encode())
    else:
        assert row.payload == (b"intent", b"plan", b"plan", b"plan")[found]
        assert [step.payload for step in row.steps] == [[], [b""], [b""], [b"receipt"]][found]
