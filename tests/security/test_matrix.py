"""The authorisation matrix, as it is documented: no cell in which anything of another client's is told or touched."""

from __future__ import annotations

import pytest

from tests.security import matrix
from tests.security.two_houses import Houses, opened


@pytest.fixture
async def houses(tmp_path, monkeypatch):
    async with opened(tmp_path, monkeypatch) as found:
        yield found


async def held(houses: Houses, record_property, *, every: bool) -> matrix.Matrix:
    before = await houses.beta.everything()
    houses.calls.clear()
    found = await matrix.filled(houses, every=every)
    record_property("security: matrix cells", found.cells)
    record_property("security: matrix breaches", len(found.breaches))
    assert found.breaches == []
    # Its comments are what it used its own keys for.
    assert [{**a, "comment": ""} for a in await houses.beta.everything()] == [{**a, "comment": ""} for a in before]
    return found


async def test_the_matrix_is_the_documented_one(houses, record_property):
    found = await held(houses, record_property, every=False)
    assert matrix.table(found).strip() == matrix.printed(), "python -m tests.security.matrix prints it"


@pytest.mark.security
async def test_nothing_of_another_client_s_is_good_for_anything_anywhere(houses, record_property):
    assert (await held(houses, record_property, every=True)).cells > 1000


@pytest.mark.security
async def test_the_matrix_sees_a_breach(houses, record_property, monkeypatch):
    """As if a client were found by the key of its account alone."""
    houses.alpha.http.headers["x-leyr-client-id"] = "beta"
    monkeypatch.setattr(type(houses), "alpha", property(lambda self: self.beta))
    found = await matrix.filled(houses, every=False)
    assert len(found.breaches) > found.cells / 2


def test_every_operation_of_the_route_table_is_described():
    described = {(m.upper(), path) for path, ops in matrix.API["paths"].items() for m in ops if path.startswith("/api")}
    assert set(matrix.operations()) == described
