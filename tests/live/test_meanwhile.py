"""What happens to a real server, and to the gateway, while a command is at work: at each of its writes the staff change
something, an answer is lost, a token ends, the server dies and comes back, or the gateway does. All or nothing becomes
of the command, or just that is reported which did; and what the staff have changed stands."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import cycle

import pytest

from tests.live.proxy import Event
from tests.live.shown import Shown
from tests.live.sites import GNUHEALTH, Site
from tests.live.trials import CANCEL, CANCELLING, CREATING, DEEDS, Act, Deed, Trial
from tests.live.ward import Case, Gate, Tried, Ward, opened

pytestmark = pytest.mark.live

TOKEN_LIFE_S = 9
"""Long enough for a server that so many write to at once."""
SMART = f"sekmet-smart-{TOKEN_LIFE_S}"
AT_ONCE = 12
WAYS = 16
"""So many are struck at once: each of two reschedules, at each of its eight writes."""


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("site", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def ward(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with opened(site, tmp_path_factory.mktemp("gateway"), WAYS) as ward:
        yield ward


@pytest.fixture(scope="module")
def writes(ward: Ward) -> dict[Deed, range]:
    """The numbers of the writes of each deed where nobody disturbs it."""

    def met(trial: Trial) -> Event:
        return Event(before=lambda: trial.meets("nobody"))

    tried = ward.tried([Case(deed, 1, met) for deed in DEEDS], AT_ONCE)
    assert tried.faults() == []
    assert {end.state for end in tried.ends()} == {"done"}
    return {trial.deed: range(1, trial.lane.writes + 1) for trial in tried.trials}


def all_well(tried: Tried, shown: Shown, what: str) -> None:
    found = tried.faults()
    shown.add(what, len(tried.trials))
    for kind, _ in found:
        shown.add(kind)
    assert not found, "\n".join(f"{kind}: {text}" for kind, text in found)


# -- the staff --------------------------------------------------------------------------------------------------------


def acting(act: Act, n: int, *, before: bool) -> partial[Event]:
    def what(trial: Trial) -> Event:
        def acts() -> None:
            act(trial, n)
            trial.meets(f"{act.__name__} {'before' if before else 'after'} {n}")

        return Event(before=acts) if before else Event(after=acts)

    return partial(what)


@on(SMART, "medplum", *GNUHEALTH)
def test_the_staff_change_something_at_a_write(ward: Ward, writes: dict[Deed, range], shown: Shown):
    """At each a note and, in turn, a cancellation or what became of it: before it or, in turn, when it is carried
    out and nobody has heard of it yet. Before the first somebody else takes the time that was wanted."""
    sides, closings = cycle((True, False)), cycle((Trial.cancelled, Trial.finished, Trial.finished, Trial.cancelled))
    cases = [Case(deed, 1, acting(Trial.taken, 1, before=True)) for deed in DEEDS if deed is not CANCEL]
    for deed in DEEDS:
        for n in writes[deed]:
            side = next(sides)
            cases.append(Case(deed, n, acting(Trial.noted, n, before=side)))
            cases.append(Case(deed, n, acting(next(closings), n, before=not side)))
    all_well(ward.tried(cases, AT_ONCE), shown, "staff interventions")


# -- the connection ---------------------------------------------------------------------------------------------------


def losing(n: int, gate: Gate | None = None, *, carried_out: bool) -> partial[Event]:
    """The answer never comes: the write was carried out before, or is not."""

    def what(trial: Trial) -> Event:
        def meets() -> None:
            trial.meets(f"lost {'after' if carried_out else 'before'} {n}")
            if gate is not None:
                gate.pass_through()

        if carried_out:
            return Event(after=meets, told=False)
        return Event(before=meets, carried_out=False, told=False)

    return partial(what)


def lost(writes: dict[Deed, range]) -> list[Case]:
    return [
        Case(deed, n, losing(n, carried_out=carried_out))
        for deed in DEEDS
        for n in writes[deed]
        for carried_out in (False, True)
    ]


def kept_at(gate: Gate, writes: dict[Deed, range]) -> list[Case]:
    """At each write of both reschedules: before it or, in turn, when it is carried out and nobody has heard of it."""
    return [
        Case(deed, n, losing(n, gate, carried_out=(n + turn) % 2 == 0))
        for turn, deed in enumerate((CREATING, CANCELLING))
        for n in writes[deed]
    ]


@on("medplum")
def test_an_answer_is_lost(ward: Ward, writes: dict[Deed, range], shown: Shown):
    """Of a server that would forget everything if it were killed."""
    all_well(ward.tried(lost(writes), AT_ONCE), shown, "lost answers")


@on(SMART)
def test_a_token_ends_before_a_write(ward: Ward, writes: dict[Deed, range], shown: Shown):
    def ending(trial: Trial) -> Event:
        def ends() -> None:
            time.sleep(TOKEN_LIFE_S + 0.5)
            trial.meets("the end of its token")

        return Event(before=ends)

    tried = ward.tried([Case(deed, n, ending) for deed in (CREATING, CANCELLING) for n in writes[deed]], WAYS)
    assert {end.state for end in tried.ends()} == {"done"}
    assert all(trial.lane.unauthorized for trial in tried.trials)
    all_well(tried, shown, "tokens that ended")


# -- the server, and the gateway --------------------------------------------------------------------------------------


@on(SMART, *GNUHEALTH)
def test_the_server_dies_and_comes_back(ward: Ward, writes: dict[Deed, range], shown: Shown):
    gate, server = Gate(), ward.site.process
    assert server is not None
    tried = ward.struck(kept_at(gate, writes), gate, server.kill, server.start)
    all_well(tried, shown, "server kills")


@on(SMART, "medplum", *GNUHEALTH)
def test_the_gateway_dies_and_comes_back(ward: Ward, writes: dict[Deed, range], shown: Shown):
    """And it answers who asks again, as if it had never been away."""
    gate, gateway = Gate(), ward.gateway
    tried = ward.struck(kept_at(gate, writes), gate, gateway.kill, gateway.start)
    all_well(tried, shown, "gateway kills")
    for trial in tried.trials:
        again = trial.ask()
        assert again is not None
        assert again.headers.get("idempotent-replayed") == "true"
        assert again.json() == trial.end().body
