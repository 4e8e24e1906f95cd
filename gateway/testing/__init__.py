"""For plugin authors: what holds a plugin to the port. It needs pytest and pytest-asyncio; no gateway imports it."""

import pytest

# Before they are imported, so that a failing assertion shows what it compared.
pytest.register_assert_rewrite(
    "gateway.testing.cases",
    "gateway.testing.contract",
    "gateway.testing.over_http",
    "gateway.testing.practice",
    "gateway.testing.watched",
)

from gateway.testing.breaking import FaultMatrix  # noqa: E402
from gateway.testing.claims import case  # noqa: E402
from gateway.testing.contract import EmrContract  # noqa: E402
from gateway.testing.fake import MemoryLedger, door  # noqa: E402
from gateway.testing.faults import FAULTS, Fault, Faulty, without_waiting  # noqa: E402
from gateway.testing.matrix import Opens, plainly  # noqa: E402
from gateway.testing.practice import Practice  # noqa: E402
from gateway.testing.world import CodeService, World  # noqa: E402
from gateway.vendor.in_process import InProcessTransport  # noqa: E402

__all__ = [
    "FAULTS",
    "CodeService",
    "EmrContract",
    "Fault",
    "FaultMatrix",
    "Faulty",
    "InProcessTransport",
    "MemoryLedger",
    "Opens",
    "Practice",
    "World",
    "case",
    "door",
    "plainly",
    "without_waiting",
]
