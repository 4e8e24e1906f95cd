from datetime import UTC, datetime, timedelta

import pytest

from gateway.keys import Keys
from gateway.ledger import CommandRow
from gateway.ledger.sqlite import SqliteLedger

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def at(minutes):
    return NOON + timedelta(minutes=minutes)


def command(id="c1", *, client="demo", minutes=0, **more):
    """A command as the service begins it."""
    fields = {"emr": "sandbox", "tenant": "clinic", "operation": "update"} | more
    return CommandRow(id=id, client=client, created_at=at(minutes), updated_at=at(minutes), **fields)


@pytest.fixture
def keys():
    return Keys(bytes(range(32)))


@pytest.fixture
async def ledger(tmp_path, keys):
    ledger = SqliteLedger(tmp_path / "ledger.db", keys)
    await ledger.open()
    yield ledger
    await ledger.close()
