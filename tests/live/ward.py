"""A real server behind doors with a gateway in front of them, where something happens to many commands at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Signal
from threading import Semaphore
from typing import NamedTuple

from tests.live.gateway import Client, Gateway, serving
from tests.live.proxy import Event, Lane, lanes
from tests.live.sites import Site
from tests.live.trials import Deed, End, Fault, Trial
from tests.live.witness import Witness

LATE_S = 1.0
"""A lost answer is looked up for so long: these servers are never that late."""
LONGEST_S = 150
"""On a busy machine a server takes its time when so many come at once."""


class Case(NamedTuple):
    """A deed, and what happens at its `n`-th write."""

    deed: Deed
    n: int
    what: Callable[[Trial], Event]


class Gate:
    """Where trials wait for each other, until something has happened to all of them."""

    def __init__(self) -> None:
        self._there, self._open = Semaphore(0), Signal()

    def pass_through(self) -> None:
        self._there.release()
        assert self._open.wait(LONGEST_S), "the gate was never opened"

    def turned_away(self) -> None:
        """One of them will never come."""
        self._there.release()

    def gather(self, count: int) -> None:
        for _ in range(count):
            assert self._there.acquire(timeout=LONGEST_S), "one of them never came"

    def open(self) -> None:
        self._open.set()


@dataclass(frozen=True)
class Tried:
    """Trials that are over, with the state of the server."""

    trials: Sequence[Trial]
    witness: Witness

    def ends(self) -> list[End]:
        return [trial.end() for trial in self.trials]

    def faults(self) -> list[Fault]:
        """Whatever has happened to them, all of them have to end well, and nothing else may have changed."""
        ends, state = self.ends(), self.witness.ends()
        theirs = set[str]().union(*(trial.clinic.theirs for trial in self.trials))
        found = [("touched", key) for key in self.witness.unasked(state, theirs)]
        for trial, end in zip(self.trials, ends, strict=True):
            found += trial.faults(end, state)
        return found


@dataclass(frozen=True)
class Ward:
    """For each way an account with a door of its own before the server, and an app that uses it."""

    site: Site
    gateway: Gateway
    ways: Sequence[tuple[Lane, Client]]

    def tried(self, cases: Sequence[Case], at_once: int, gate: Gate | None = None) -> Tried:
        """Each case on a day of its own. What never meets its event, as it should, does not keep the others waiting."""
        witness, free = Witness(self.site.world), SimpleQueue[tuple[Lane, Client]]()
        for lane, app in self.ways:
            app.witness = witness
            free.put((lane, app))
        clinics = self.site.clinics(len(cases))
        trials = [Trial(case.deed, clinic) for case, clinic in zip(cases, clinics, strict=True)]
        state = witness.begins()

        def one(trial: Trial, case: Case) -> None:
            lane, trial.app = free.get()
            trial.begins(state, lane)
            lane.begin({case.n: case.what(trial)})
            trial.insists()
            free.put((lane, trial.app))
            if gate is not None and not trial.met:
                gate.turned_away()

        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(one, trials, cases))
        return Tried(trials, witness)

    def struck(self, cases: Sequence[Case], gate: Gate, strike: Callable[[], None], mend: Callable[[], None]) -> Tried:
        """All cases at once: when each of them has come to the gate, the stroke falls, then they go on."""
        with ThreadPoolExecutor(1) as pool:
            trying = pool.submit(self.tried, cases, len(cases), gate)
            gate.gather(len(cases))
            strike()
            gate.open()
            mend()
            return trying.result()


@contextmanager
def opened(site: Site, folder: Path, ways: int) -> Iterator[Ward]:
    with ExitStack() as stack:
        doors = stack.enter_context(lanes(site.address, ways))
        accounts = {f"way-{n}": site.account(lane.url, late_write_s=LATE_S) for n, lane in enumerate(doors)}
        gateway = stack.enter_context(serving(folder, site.plugin, **accounts))
        opened = (Client(gateway.account(key), Witness(site.world)) for key in accounts)
        apps = [stack.enter_context(closing(app)) for app in opened]
        yield Ward(site, gateway, list(zip(doors, apps, strict=True)))
