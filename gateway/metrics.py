"""What is counted: commands, by how they ended or that they did not, and the calls that they cost.

No label names a patient or an appointment.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from gateway.ledger import State
from gateway.vendor_http import Meter


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._commands = Counter(
            "gateway_commands", "Commands, by what became of them.", ("operation", "state"), registry=registry
        )
        self._unsettled = Gauge(
            "gateway_commands_unsettled",
            "Commands that have not come to an end, by state.",
            ("state",),
            registry=registry,
        )
        self._calls = Counter("gateway_emr_calls", "HTTP requests to EMRs, by kind.", ("kind",), registry=registry)

    def ended(self, operation: str, state: State) -> None:
        """A command has come to a state; one that is repaired comes to another one later."""
        self._commands.labels(operation, state.value).inc()

    def unsettled(self, counted: Mapping[State, int]) -> None:
        for state, count in counted.items():
            self._unsettled.labels(state.value).set(count)

    def spent(self, meter: Meter) -> None:
        self._calls.labels("read").inc(meter.reads)
        self._calls.labels("write").inc(meter.writes)
