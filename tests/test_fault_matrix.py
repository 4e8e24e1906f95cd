"""One matrix over all plugins: every method and every command of every account, broken in every way.

A plugin is in it by being there: its contract tests are, and each of their suites has its world in their `worlds`.
Here a slice is tried, the same at every run; the whole by `make faults`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest

from gateway.testing import FAULTS, EmrContract, World, commands, matrix
from gateway.testing.faults import CORE
from gateway.testing.matrix import Opens, Tally
from tests.liars import LIARS, Liar

ROOT = Path(__file__).parents[1]
SECONDS = float(os.environ.get("FAULTS_S", "inf"))
"""How long all of what is commanded on an account may take; without an end, all of it is tried."""
STRIDE = 211
"""Of so many ways to bend an answer, one is in the slice; and of twice as many cells of an account's commands."""


def modules() -> list[ModuleType]:
    found = sorted((ROOT / "tests" / "plugins").rglob("test_contract.py"))
    return [import_module(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in found]


def suites(module: ModuleType) -> list[str]:
    kept = vars(module).items()
    return [n for n, kind in kept if n.startswith("Test") and isinstance(kind, type) and issubclass(kind, EmrContract)]


ACCOUNTS = [pytest.param(m, name, id=name.removeprefix("Test")) for m in modules() for name in suites(m)]
broken = pytest.mark.parametrize(("module", "suite"), ACCOUNTS)
first_broken = pytest.mark.parametrize(
    ("module", "suite"), [pytest.param(m, suites(m)[0], id=m.__name__.split(".")[2]) for m in modules()]
)
"""Of each module's accounts the first one."""


@asynccontextmanager
async def opening(module: ModuleType, suite: str, folder: Path) -> AsyncIterator[Opens]:
    async with module.worlds(folder) as worlds:
        yield worlds[suite]


@pytest.fixture
def told(record_property, request):
    """Takes a tally, which must have no breach."""

    def told(tally: Tally) -> None:
        record_property("fault matrix", f"{request.node.name}: {tally}")
        record_property(*matrix.figures(tally))
        assert tally.cells
        assert not tally.breaches, "\n".join(tally.breaches[:20])

    return told


# -- who is in it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
async def test_every_suite_has_its_world(module, tmp_path):
    async with module.worlds(tmp_path) as worlds:
        assert sorted(worlds) == sorted(suites(module))


async def test_every_plugin_that_is_installed_is_in_it(tmp_path):
    there = set()
    for number, module in enumerate(modules()):
        async with module.worlds(tmp_path / str(number)) as worlds:
            for opens in worlds.values():
                async with opens() as world:
                    there.add(world.vendor.key)
    assert {point.name for point in entry_points(group="emr_gateway.v1")} <= there


# -- it finds out who lies --------------------------------------------------------------------------------------------


def lying(opens: Opens, liar: Liar) -> Opens:
    @asynccontextmanager
    async def opened() -> AsyncIterator[World]:
        async with opens() as world:
            yield liar.world(world)

    return opened


async def reads(opens: Opens) -> Tally:
    return await matrix.of_reads(opens, CORE, matrix.one)


async def writes(opens: Opens) -> Tally:
    return await matrix.of_writes(opens, CORE)


async def bookings(opens: Opens) -> Tally:
    found = await commands.cells(opens, [fault for fault in CORE if fault.reaches])
    return await commands.of_commands(opens, [cell for cell in found if cell.name == "book"])


@pytest.mark.parametrize(
    ("liar", "tried"),
    [
        ("takes a broken list for an empty one", reads),
        ("quotes what the vendor said", reads),
        ("lets others' errors through", writes),
        ("calls a lost booking not sent", writes),
        ("finds no booking of its own", bookings),
    ],
)
async def test_a_liar_is_found_out(liar, tried, tmp_path):
    module = import_module("tests.plugins.sandbox.test_contract")
    async with opening(module, "TestInPlace", tmp_path) as opens:
        assert not (await tried(opens)).breaches
        assert (await tried(lying(opens, LIARS[liar]))).breaches


# -- the slice --------------------------------------------------------------------------------------------------------


@first_broken
async def test_only_the_ports_errors_come_out_of_a_plugin(module, suite, tmp_path, told):
    """Every read × fault, at one of its requests or the other; every write × half of the faults, and after it the other
    half; and some ways to bend an answer."""
    tally = Tally()
    async with opening(module, suite, tmp_path) as opens:
        tally.add(await matrix.of_reads(opens, FAULTS, matrix.one))
        tally.add(await matrix.of_writes(opens, FAULTS[::2]))
        tally.add(await matrix.of_reads_after_writes(opens, FAULTS[1::2]))
        tally.add(await matrix.of_leaves(opens, STRIDE))
    told(tally)


@first_broken
async def test_a_command_is_done_or_undone_or_refused_or_says_what_is_not(module, suite, tmp_path, told):
    tally = Tally()
    async with opening(module, suite, tmp_path) as opens:
        found = await commands.cells(opens)
        tally.add(await commands.of_commands(opens, found[:: 2 * STRIDE]))
        tally.add(await commands.of_commands(opens, found[1 :: 8 * STRIDE], times=None))
    told(tally)


# -- the whole --------------------------------------------------------------------------------------------------------


@pytest.mark.faults
@broken
async def test_all_of_what_a_plugin_is_asked(module, suite, tmp_path, told):
    tally = Tally()
    async with opening(module, suite, tmp_path) as opens:
        tally.add(await matrix.of_reads(opens))
        tally.add(await matrix.of_writes(opens))
        tally.add(await matrix.of_reads_after_writes(opens))
        tally.add(await matrix.of_leaves(opens))
    told(tally)


@pytest.mark.faults
@pytest.mark.parametrize("times", [1, None], ids=["once", "for good"])
@broken
async def test_all_of_what_is_commanded(module, suite, times, tmp_path, told):
    async with opening(module, suite, tmp_path) as opens:
        found = await commands.cells(opens)
        told(await commands.of_commands(opens, found, times=times, seconds=SECONDS))
