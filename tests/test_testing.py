"""The contract finds out every plugin that lies, and a suite that skips what it claims."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace

import pytest
from starlette.applications import Starlette

from gateway.domain.capabilities import Capabilities
from gateway.domain.errors import GatewayError
from gateway.plugin import Emr, EmrError
from gateway.testing import EmrContract, Practice, World, case
from gateway.testing.cases.failing import reads, writes
from gateway.testing.claims import CLAIMS, UNPROVEN, cases_of
from gateway.testing.faults import CORE
from tests.liars import LIARS, Liar
from tests.lying import bend
from tests.plugins.fhir.test_contract import fhir_world, probed_world
from tests.plugins.sandbox.test_contract import sandbox_app, sandbox_world

pytest_plugins = ["pytester"]

FOUND_OUT = (AssertionError, pytest.fail.Exception, EmrError, GatewayError, KeyError)
SIDE_BY_SIDE = "two_accounts_side_by_side_never_see_each_other"
MARKERS = "a_marker_is_found_on_its_own_account_only"
DECLARED = "what_is_declared_is_what_is_implemented"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starlette]:
    with sandbox_app(tmp_path_factory.mktemp("sandbox")) as app:
        yield app


@pytest.fixture(scope="module")
def tardy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starlette]:
    """Its personality that settles later does so when a case is over, however slow the machine is."""
    with sandbox_app(tmp_path_factory.mktemp("tardy"), settle_s=1.0) as app:
        yield app


@asynccontextmanager
async def world_of(app: Starlette, personality: str = "in-place") -> AsyncIterator[World]:
    if personality == "fhir":
        yield fhir_world()
        return
    if personality == "fhir, transactions":
        yield await probed_world(transactions="whole")
        return
    async with sandbox_world(app, personality) as world:
        yield world


async def keeps(world: World, name: str, **more: object) -> None:
    """One case, in this world."""
    await getattr(EmrContract(), f"test_{name}")(Practice(world), **more)


# -- liars ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("liar", "name"),
    [pytest.param(liar, name, id=f"{what}: {name}") for what, liar in LIARS.items() for name in liar.caught_by.split()],
)
async def test_a_liar_is_found_out(app: Starlette, tardy: Starlette, liar: Liar, name: str):
    theirs = tardy if liar is LIARS["settles later than it claims"] else app
    breaks = [{"fault": fault} for fault in CORE] if name.startswith("a_write_that_breaks") else [{}]
    found_out = False
    for more in breaks:
        async with world_of(theirs, liar.personality) as world:
            try:
                await keeps(liar.world(world), name, **more)
            except FOUND_OUT:
                found_out = True
                break
    assert found_out


def test_every_case_finds_out_somebody():
    caught = {name for liar in LIARS.values() for name in liar.caught_by.split()}
    assert {f"test_{name}" for name in caught | {SIDE_BY_SIDE, MARKERS, DECLARED}} == set(cases_of(EmrContract))


@pytest.mark.parametrize("method", ["calendar", "appointment", "free_time"])
async def test_an_account_that_shows_anothers_data_is_found_out(app, method):
    async with world_of(app) as world:

        async def borrowed(_, *asked):
            return await getattr(world.emr, method)(*asked)

        bend(world.other, method, borrowed)
        with pytest.raises(AssertionError, match="account"):
            await keeps(world, SIDE_BY_SIDE)


async def test_accounts_that_answer_each_other_when_asked_at_once_are_found_out(app):
    async with world_of(app) as world:
        under_way = 0

        async def crossed(honest, id):
            nonlocal under_way
            under_way += 1
            await asyncio.sleep(0)
            found = await (world.other.appointment(id) if under_way > 1 else honest(id))
            under_way -= 1
            return found

        bend(world.emr, "appointment", crossed)
        with pytest.raises(AssertionError, match="mix up"):
            await keeps(world, SIDE_BY_SIDE)


async def test_accounts_with_one_tenant_are_found_out(app):
    async with world_of(app) as world:
        world.other.tenant = world.emr.tenant
        with pytest.raises(AssertionError, match="tenant"):
            await keeps(world, SIDE_BY_SIDE)


async def test_a_marker_that_is_found_on_another_account_is_found_out(app):
    async with world_of(app) as world:

        async def borrowed(_, step):
            return await world.emr.find_own(step)

        bend(world.other, "find_own", borrowed)
        with pytest.raises(AssertionError):
            await keeps(world, MARKERS)


async def test_a_plugin_that_declares_what_it_lacks_is_found_out(app):
    class Lacking(Emr):
        pass

    async with world_of(app) as world:
        hollow = replace(world, vendor=replace(world.vendor, emr=Lacking), emr=Lacking(world.emr.capabilities, "t"))
        with pytest.raises(AssertionError, match="it declares create, but Lacking does not implement create"):
            await keeps(hollow, DECLARED)
        with pytest.raises(EmrError):
            await keeps(hollow, "a_booking_takes_its_time")
        for lacking in ({"lists": False}, {"notifies": "emr"}, {"notifies": "never"}):
            most = replace(world.vendor.capabilities, **lacking)
            less = replace(world, vendor=replace(world.vendor, capabilities=most))
            with pytest.raises(AssertionError):
                await keeps(less, DECLARED)


async def test_an_error_that_was_raised_from_itself_is_an_error_like_any(app):
    async with world_of(app) as world:

        async def circular(honest, step):
            try:
                return await honest(step)
            except EmrError as error:
                raise error from error

        def opened(transport):
            emr = world.open_over(transport)
            bend(emr, "change", circular)
            return emr

        fault = next(f for f in CORE if f.name == "401")
        await keeps(
            replace(world, open_over=opened), "a_write_that_breaks_says_what_may_have_become_of_it", fault=fault
        )


# -- what is claimed is proven ---------------------------------------------------------------------------------------


def test_every_capability_is_claimed_or_has_a_reason_not_to_be():
    names = {field.name for field in fields(Capabilities)}
    assert names - CLAIMS.keys() == UNPROVEN.keys()
    assert not UNPROVEN.keys() & CLAIMS.keys()


def test_every_claim_has_a_case():
    assert {claim for proof in cases_of(EmrContract).values() for claim in proof.claims} == CLAIMS.keys()


def test_who_claims_nothing_is_asked_for_nothing():
    assert not [claim for claim, holds in CLAIMS.items() if holds(Capabilities())]


def test_a_case_of_no_claim_is_a_mistake():
    with pytest.raises(ValueError, match="flying"):
        case("flying")


async def test_every_method_of_the_port_is_broken(app):
    """On one account or the other; `resolve` is no capability."""
    broken = {"find_own", "resolve"}
    for personality in ("slot-records", "in-place", "fhir, transactions"):
        async with world_of(app, personality) as world:
            at = Practice(world)
            broken |= {what.split()[0] for what, _ in reads(at, await at.book(3, 1))}
            broken |= {what async for what, _, _ in writes(at)}
    port = {name for name, method in vars(Emr).items() if inspect.iscoroutinefunction(method)}
    assert broken == port


SUITES = """
import httpx
import pytest

from gateway.domain.capabilities import Capabilities
from gateway.port import Emr, Receipt, Vendor
from gateway.testing import EmrContract, World, case
from tests.plugins.sandbox.test_contract import OPENINGS

CAN = Capabilities(comment=True)


def suite(**more):
    @pytest.fixture
    async def world(self):
        return World(
            vendor=None, emr=Emr(CAN, "one"), other=Emr(CAN, "two"), patient_id="p", resource_ids=("a", "b"),
            healthcare_service_id="s", openings=OPENINGS, unknown_id="u", transport=None, open_over=None,
        )
    return type("Suite", (EmrContract,), {"world": world} | more)


class TestWhole(suite()):
    pass


async def nothing(self, at):
    pass


class TestLeftOut(suite(test_a_comment_is_set_and_cleared=None)):
    pass


class TestOverridden(suite(test_a_comment_is_set_and_cleared=nothing)):
    pass


class TestLess(suite(test_a_comment_is_set_and_cleared=case()(nothing))):
    pass


class TestAgain(suite(test_a_comment_is_set_and_cleared=case("comment")(nothing))):
    pass


@case("comment")
async def later(self, at):
    pytest.skip("another day")


class TestLater(suite(test_a_comment_is_set_and_cleared=later)):
    pass


@pytest.mark.skip(reason="no time")
@case("comment")
async def marked(self, at):
    pass


class TestMarked(suite(test_a_comment_is_set_and_cleared=marked)):
    pass


class TestMarkedByConftest(suite()):
    pass


class TestWithoutWorld(suite()):
    @pytest.fixture
    async def world(self):
        pytest.skip("no credentials")


class TestUnclaimed(suite(test_another_time=None)):
    pass
"""
CONFTEST = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if "ByConftest" in item.nodeid and "set_and_cleared" in item.nodeid:
            item.add_marker(pytest.mark.xfail)
"""


def run(pytester: pytest.Pytester, pattern: str) -> dict[str, str]:
    """Each test of the suites that matches → how it ended, and what was said."""
    pytester.makeini("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(SUITES)
    ended = pytester.inline_run("-p", "no:randomly", "-p", "no:cacheprovider", "-k", pattern)
    told = {}
    for report in ended.getreports("pytest_runtest_logreport"):
        if report.when == "call" or report.outcome != "passed":
            told[report.nodeid.partition("::")[2]] = f"{report.outcome}: {report.longreprtext or report.longrepr}"
    return told


def test_a_suite_that_skips_what_it_claims_fails(pytester):
    told = run(pytester, "test_every_claim_is_proven or test_a_comment_is_set_and_cleared")
    ended = {name.partition("::")[0]: text for name, text in told.items() if "claim_is_proven" in name}
    for fine in ("TestWhole", "TestAgain", "TestLater", "TestUnclaimed"):
        assert ended.pop(fine).startswith("passed"), fine
    for name, why in (
        ("TestLeftOut", "was overridden by something that is no case: it proves comment"),
        ("TestOverridden", "was overridden by something that is no case: it proves comment"),
        ("TestLess", "was overridden by something that is no case: it proves comment"),
        ("TestMarked", "test_a_comment_is_set_and_cleared is skipped: it proves comment"),
        ("TestMarkedByConftest", "test_a_comment_is_set_and_cleared is skipped: it proves comment"),
        ("TestWithoutWorld", "without a world nothing is proven (no credentials)"),
    ):
        text = ended.pop(name)
        assert text.startswith("failed"), name
        assert why in text, text
    assert not ended
    later = told["TestLater::test_a_comment_is_set_and_cleared"]
    assert later.startswith("failed")
    assert "the account claims comment, so its case can't be skipped (another day)" in later


def test_what_is_not_claimed_is_skipped_and_what_the_world_lacks_fails(pytester):
    told = run(pytester, "TestWhole and (test_another_time or test_an_appointment_is_read)")
    assert told["TestWhole::test_another_time"].startswith("skipped")
    assert "the account does not claim: move" in told["TestWhole::test_another_time"]
    needs = told["TestWhole::test_an_appointment_is_read_as_it_stands"]
    assert needs.startswith("failed")
    assert "the world has no book_directly" in needs


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"openings": ()}, "two openings at least are needed"),
        ({"resource_ids": ("D1", "D1")}, "the two resources must differ"),
    ],
)
async def test_a_world_in_which_nothing_can_be_proven_is_told(app, wrong, sentence):
    async with world_of(app) as world:
        assert replace(world, **wrong).mistakes() == [sentence]
        naive = [replace(o, start=o.start.replace(tzinfo=None), end=o.end.replace(tzinfo=None)) for o in world.openings]
        assert replace(world, openings=tuple(naive)).mistakes() == ["the openings must be aware"]
        assert replace(world, openings=world.openings[::-1]).mistakes() == ["the openings must adjoin, in order"]
        assert replace(world, other=world.emr).mistakes() == ["the other account must be another one"]
        assert not world.mistakes()


@pytest.mark.parametrize(
    ("lacking", "name"),
    [
        ("code_service", "only_the_right_code_confirms"),
        ("beyond_clock_change", "beyond_a_clock_change_the_instant_is_kept_and_the_offset_is_not"),
        ("care_unit_id", "directories_list_and_look_up"),
    ],
)
async def test_a_world_without_what_a_claim_needs_fails_its_case(app, lacking, name):
    async with world_of(app) as world:
        with pytest.raises(pytest.fail.Exception, match="the world has no"):
            await keeps(replace(world, **{lacking: None}), name)


async def test_slots_and_appointments_that_disagree_fail_whatever_case(app):
    async with world_of(app, "slot-records") as world:

        @case()
        async def forgets_to_give_back(_, at):
            before = await at.book()
            await at.write(await at.changing(before, span=at.openings[1]))

        with pytest.raises(AssertionError, match="a slot is"):
            await forgets_to_give_back(None, Practice(world))
