"""A practice for each test, and what the contract's cases need to know of it."""

from __future__ import annotations

import pytest
from practice import Practice

from gateway.testing import World


@pytest.fixture
def practice() -> Practice:
    return Practice()


@pytest.fixture
def world(practice: Practice) -> World:
    return practice.world()
