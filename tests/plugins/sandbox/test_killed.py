"""The sandbox EMR forgets nothing that it has committed, however its process ends."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from tests.plugins.sandbox.clinics import desk

KILLED = """
import asyncio, os, pathlib, signal, sys
from tests.plugins.sandbox.clinics import Desk, sandbox

async def main():
    at = Desk(sandbox(pathlib.Path(sys.argv[1])))
    await at.made("09:00", "09:30", memo="still here", mark="m-1")
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_was_committed_survives_a_killed_process(tmp_path):
    root = Path(__file__).parents[3]
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(tmp_path), cwd=root)
    await asyncio.wait_for(killed.wait(), 60)
    assert killed.returncode == -signal.SIGKILL
    async with desk(tmp_path) as at:
        (found,) = await at.bookings(mark="m-1")
        assert found["memo"] == "still here"
