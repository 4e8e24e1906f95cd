"""Where a move gives an appointment another id, the old one goes on working, and no list shows both."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Api, at, span


@pytest.mark.parametrize("personality", ["new-id", "no-move", "windows-new-id"])
async def test_an_appointment_that_moved_twice_is_listed_once_and_found_by_every_id(http, personality):
    api = Api(http, personality)
    (first,) = await api.booked(1)
    second = await api.patch(first["id"], **span(at(11, 10), at(11, 10, 30)))
    third = await api.patch(first["id"], **span(at(11, 10), at(11, 11)))
    assert third["previous_ids"] == [first["id"], second["id"]]
    for id in (first["id"], second["id"], third["id"]):
        assert await api.read(id) == third
    own = {first["id"], second["id"], third["id"]}
    assert [a["id"] for a in await api.everything() if a["id"] in own] == [third["id"]]


@pytest.mark.parametrize("personality", ["new-id", "no-move", "windows-new-id"])
async def test_two_names_of_one_appointment_are_a_duplicate(http, personality):
    api = Api(http, personality)
    (first,) = await api.booked(1)
    second = await api.patch(first["id"], **span(at(11, 10), at(11, 10, 30)))
    told = await api.many([first["id"], second["id"]], 400, comment="twice")
    assert [(e["error_code"], e["path"]) for e in told["errors"]] == [("BAD_INPUT", "ids/1")]
