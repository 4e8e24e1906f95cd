"""What is counted: commands, by how they ended or that they did not, the calls that they cost, and EMR accounts by how
they stand.

No label names a patient, an appointment or a client.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.accounts import Key, OpenAccount
from gateway.api import Configured
from gateway.ledger import State
from gateway.manners import Standing
from gateway.reloading import Result
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
        self._reloads = Counter(
            "gateway_configuration_reloads",
            "How often the configuration was read again, by what came of it.",
            ("result",),
            registry=registry,
        )
        for result in get_args(Result):
            self._reloads.labels(result)
        self._calls = Counter("gateway_emr_calls", "HTTP requests to EMRs, by kind.", ("kind",), registry=registry)

    def ended(self, operation: str, state: State) -> None:
        """A command has come to a state; one that is repaired comes to another one later."""
        self._commands.labels(operation, state.value).inc()

    def reloaded(self, result: Result) -> None:
        """The configuration was read again."""
        self._reloads.labels(result).inc()

    def unsettled(self, counted: Mapping[State, int]) -> None:
        for state, count in counted.items():
            self._unsettled.labels(state.value).set(count)

    def spent(self, meter: Meter) -> None:
        self._calls.labels("read").inc(meter.reads)
        self._calls.labels("write").inc(meter.writes)


class Configuration(Collector):
    """Which configuration runs; nothing where it is not read again."""

    def __init__(self, configured: Callable[[], Configured | None]) -> None:
        self._configured = configured

    def collect(self) -> Iterator[Metric]:
        told = self._configured()
        if told is None:
            return
        yield InfoMetricFamily("gateway_configuration", "Which configuration runs.", {"digest": told.digest})
        yield GaugeMetricFamily(
            "gateway_configuration_loaded_timestamp_seconds", "Since when it runs.", told.since.timestamp()
        )
        yield GaugeMetricFamily(
            "gateway_configuration_differs", "1 if another one lies on the disk than the one that runs.", told.differs
        )


class Standings(Collector):
    """How the EMR accounts stand at the moment at which it is asked."""

    def __init__(self, accounts: Mapping[Key, OpenAccount]) -> None:
        self._accounts = accounts

    def collect(self) -> Iterator[Metric]:
        accounts = list(self._accounts.values())
        found = Tally((account.plugin, account.door.manners.standing) for account in accounts)
        gauge = GaugeMetricFamily(
            "gateway_emr_accounts", "EMR accounts, by whether their EMR is called.", labels=("plugin", "standing")
        )
        for plugin in sorted({account.plugin for account in accounts}):
            for standing in get_args(Standing):
                gauge.add_metric((plugin, standing), found[plugin, standing])
        yield gauge
