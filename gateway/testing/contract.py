"""The one class that every plugin's tests inherit: what it claims to do, done."""

from __future__ import annotations

import pytest

from gateway.testing.cases.accounts import AccountCases
from gateway.testing.cases.booking import BookingCases
from gateway.testing.cases.bundling import BundleCases
from gateway.testing.cases.changing import ChangingCases
from gateway.testing.cases.ending import EndingCases
from gateway.testing.cases.failing import FailingCases
from gateway.testing.cases.races import RaceCases
from gateway.testing.cases.reads import ReadCases
from gateway.testing.cases.telling import TellingCases
from gateway.testing.cases.times import TimeCases
from gateway.testing.claims import unproven
from gateway.testing.practice import Practice
from gateway.testing.world import World

NEVER_COUNTS = ("skip", "skipif", "xfail")


class EmrContract(
    ReadCases,
    BookingCases,
    ChangingCases,
    EndingCases,
    TellingCases,
    BundleCases,
    RaceCases,
    TimeCases,
    AccountCases,
    FailingCases,
):
    """Inherit it as `class TestAcme(EmrContract)` and give it one fixture:

        @pytest_asyncio.fixture
        async def world(self) -> AsyncIterator[World]: ...

    A case is skipped only where the account does not claim what it proves.
    """

    @pytest.fixture
    def at(self, world: World) -> Practice:
        """The practice in which a case takes place."""
        mistakes = world.mistakes()
        if mistakes:
            pytest.fail(f"the world is not one to prove anything in: {'; '.join(mistakes)}")
        return Practice(world)

    def test_every_claim_is_proven(self, request: pytest.FixtureRequest) -> None:
        """It looks at which cases there are and not at how they ended: so it holds in any order and in any process."""
        try:
            world: World = request.getfixturevalue("world")
        except pytest.skip.Exception as skipped:
            pytest.fail(f"without a world nothing is proven ({skipped.msg})")
        left = list(unproven(EmrContract, type(self), world.emr.capabilities, _skipped(request, type(self))))
        assert not left, "\n".join(left)


def _skipped(request: pytest.FixtureRequest, suite: type) -> frozenset[str]:
    """The tests of the suite that bear a mark, by their own or from a conftest."""
    own = {
        name
        for name in dir(suite)
        if name.startswith("test_")
        and any(mark.name in NEVER_COUNTS for mark in getattr(getattr(suite, name), "pytestmark", ()))
    }
    siblings = [item for item in request.session.items if isinstance(item, pytest.Function) and item.cls is suite]
    marked = {item.originalname for item in siblings for mark in NEVER_COUNTS if item.get_closest_marker(mark)}
    return frozenset(own | marked)
