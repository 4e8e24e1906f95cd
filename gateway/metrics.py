"""What is counted: commands by how they ended, and calls that they cost. No label names a patient or an appointment."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from gateway.ledger import State
from gateway.vendor_http import Meter


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._commands = Counter(
            "gateway_commands", "Commands, by what became of them.", ("operation", "state"), registry=registry
        )
        self._calls = Counter("gateway_emr_calls", "HTTP requests to EMRs, by kind.", ("kind",), registry=registry)

    def ended(self, operation: str, state: State) -> None:
        """A command has come to a state; one that is repaired comes to another one later."""
        self._commands.labels(operation, state.value).inc()

    def spent(self, meter: Meter) -> None:
        self._calls.labels("read").inc(meter.reads)
        self._calls.labels("write").inc(meter.writes)
