"""A command is refused before its first write, if it asks more of its EMR than that allows, or too much time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gateway import clock
from gateway.api import DEFAULT_WAIT_S
from gateway.configuration.accounts import OpenAccount
from gateway.domain.cost import cost
from gateway.domain.errors import EmrUnavailable
from gateway.domain.steps import Plan
from gateway.manners.errand import Errand, errand

LONGEST_S = 15 * 60.0
"""How long a command may take, in seconds. What needs longer is not begun (contract §2)."""


@contextmanager
def command_of(account: OpenAccount) -> Iterator[Errand]:
    """A command's calls. Before its first write it waits no longer than a client does for an EMR that says "later"."""
    with errand(LONGEST_S, DEFAULT_WAIT_S) as who:
        try:
            yield who
        finally:
            account.door.manners.pace.give_back(who)


def afford(account: OpenAccount, made: Plan, who: Errand) -> None:
    """Keep the calls that the plan and its undo need. Raises EmrUnavailable, with the time after which it may fit."""
    if not any(made.stages):
        return
    pace, needed, now = account.door.manners.pace, cost(made, account.emr.capabilities), clock.monotonic()
    late = pace.takes(needed.calls) + needed.settling_s - (who.lasts(now) - now)
    if late > 0:
        raise EmrUnavailable("It would take longer than a command may take.", retry_after=late)
    wait = pace.keep(who, needed.calls + needed.undo_calls)
    if wait > 0:
        raise EmrUnavailable("It takes more calls than the EMR allows.", retry_after=wait)
