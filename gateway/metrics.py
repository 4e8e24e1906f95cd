"""What is counted and measured, for Prometheus: requests, commands, calls to EMRs, the store, locks, accounts, and
which configuration runs.

No label names a patient, an appointment, a client or an account: every label has few values, known beforehand or made
by whoever installs plugins.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.api import Configured
from gateway.configuration.accounts import Key, OpenAccount
from gateway.configuration.reloading import Result
from gateway.ledger import State
from gateway.manners.shared import Standing
from gateway.port import EmrError, MaybeDone, NotSent, Refused, Throttled
from gateway.vendor.flight import Flight

Outcome = Literal["answered", "refused", "throttled", "not_sent", "unknown", "failed", "cancelled"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0)
"""An EMR takes tenths of a second for a call; nobody waits longer than fifty."""
_STORE_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""A sync takes half a millisecond on a good disk; over a tenth something is wrong with it."""


class Metrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._requests = Counter(
            "gateway_http_requests",
            "Requests of clients, by the template of their path; status 499: hung up before the answer.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "gateway_http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._commands = Counter(
            "gateway_commands", "Commands, by what became of them.", ("operation", "state"), registry=registry
        )
        self._unsettled = Gauge(
            "gateway_commands_unsettled",
            "Commands that have not come to an end, by state.",
            ("state",),
            registry=registry,
        )
        self._calls = Counter(
            "gateway_emr_calls",
            "Calls to EMRs, each try for itself, by how it ended.",
            ("plugin", "kind", "outcome"),
            registry=registry,
        )
        self._call_seconds = Histogram(
            "gateway_emr_call_duration_seconds",
            "From a call's turn to its end; waiting for the turn is not in it.",
            ("plugin", "kind"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._writes = Histogram(
            "gateway_ledger_write_duration_seconds",
            "Until a write to the ledger was durable, or failed.",
            buckets=_STORE_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "gateway_ledger_failures",
            "Writes that the ledger could not keep: its disk is full or gone.",
            registry=registry,
        )
        self._waits = Histogram(
            "gateway_lock_wait_duration_seconds",
            "Waits of commands for an appointment or resource that another command held.",
            ("outcome",),
            buckets=_SECONDS,
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
        for outcome in ("got", "gave_up"):
            self._waits.labels(outcome)

    def watch(self, accounts: Mapping[Key, OpenAccount], configured: Callable[[], Configured | None]) -> None:
        """Tell, from now on, how these stand whenever somebody asks."""
        self._registry.register(OwnWork())
        self._registry.register(Standings(accounts))
        self._registry.register(Configuration(configured))

    def requested(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """A request was answered. `route`: the template of its path; `None`: there is no such path."""
        method, route = method if method in _METHODS else "other", route or "none"
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def ended(self, operation: str, state: State) -> None:
        """A command has come to a state; one that is repaired comes to another one later."""
        self._commands.labels(operation, state.value).inc()

    def unsettled(self, counted: Mapping[State, int]) -> None:
        for state, count in counted.items():
            self._unsettled.labels(state.value).set(count)

    def called(self, plugin: str, flight: Flight) -> None:
        """A call to an EMR has ended."""
        kind = "write" if flight.is_write else "read"
        self._calls.labels(plugin, kind, _outcome(flight)).inc()
        self._call_seconds.labels(plugin, kind).observe(flight.lasted_s)

    def stored(self, seconds: float, kept: bool) -> None:
        """A write to the ledger is durable, or failed."""
        self._writes.observe(seconds)
        if not kept:
            self._failures.inc()

    def waited(self, seconds: float, ours: bool) -> None:
        """A command has waited for another one."""
        self._waits.labels("got" if ours else "gave_up").observe(seconds)

    def reloaded(self, result: Result) -> None:
        """The configuration was read again."""
        self._reloads.labels(result).inc()


def _outcome(flight: Flight) -> Outcome:
    match flight.error:
        case Refused():
            return "refused"
        case Throttled():
            return "throttled"
        case NotSent():
            return "not_sent"
        case MaybeDone():
            return "unknown"
        case EmrError():
            return "failed"
        case None:
            return "answered" if flight.answered else "cancelled"


class OwnWork(Collector):
    """What the process has at work: both are few when it is idle, and stay so."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("gateway_threads", "Threads of the process.", threading.active_count())
        try:
            tasks = len(asyncio.all_tasks())
        except RuntimeError:  # asked from outside of the event loop
            return
        yield GaugeMetricFamily("gateway_tasks", "Tasks of the event loop.", tasks)


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
