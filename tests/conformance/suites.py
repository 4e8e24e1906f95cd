"""Suites that end in every way there is. They are run by a process of their own, not collected here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.plugin import Cancel, Receipt, Refused
from gateway.testing import EmrContract, FaultMatrix, Opens, World, plainly
from plugins.cliniko import ClinikoEmr
from tests.plugins.cliniko.conftest import Practice
from tests.plugins.cliniko.test_contract import world_of


class NeverCancels(ClinikoEmr):
    async def cancel(self, step: Cancel) -> Receipt:
        raise Refused("rule")


def lying() -> World:
    world = world_of(Practice())
    world.emr.__class__ = NeverCancels
    return replace(world, vendor=replace(world.vendor, emr=NeverCancels))


class TestTrue(EmrContract):
    @pytest.fixture
    def world(self) -> World:
        return world_of(Practice())


class TestTrueBroken(FaultMatrix):
    @pytest.fixture
    def opens(self) -> Opens:
        return plainly(lambda: world_of(Practice()))


class TestLiar(EmrContract):
    @pytest.fixture
    def world(self) -> World:
        return lying()


class TestSkipper(TestTrue):
    @pytest.mark.skip(reason="| not today")
    async def test_a_cancellation_says_why(self) -> None: ...

    @pytest.mark.xfail
    async def test_an_unknown_id_is_nobodys(self) -> None:
        raise AssertionError


class TestNowhere(EmrContract):
    @pytest.fixture
    def world(self) -> World:
        raise RuntimeError("a secret of the practice's")
