"""The Acme plugin keeps the contract: what it claims is done, and what breaks is told as what it is."""

from __future__ import annotations

import pytest
from practice import Practice

from gateway.testing import EmrContract, FaultMatrix, Opens, World, plainly


class TestAcme(EmrContract):
    """The cases need the fixture `world`, which conftest.py has."""


class TestAcmeWhenItBreaks(FaultMatrix):
    @pytest.fixture
    def opens(self) -> Opens:
        def untouched() -> World:
            return Practice().world()

        return plainly(untouched)
