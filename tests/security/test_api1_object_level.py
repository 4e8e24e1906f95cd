"""API1:2023 Broken Object Level Authorization: what is another one's does not exist. The matrix has every place."""

from __future__ import annotations

import pytest

from tests.security import matrix
from tests.security.two_houses import opened

pytestmark = pytest.mark.security


@pytest.fixture
async def houses(tmp_path, monkeypatch):
    async with opened(tmp_path, monkeypatch) as found:
        yield found


def test_every_place_that_can_name_an_object_is_in_the_matrix():
    places = {cell.place for cell in matrix.cells(every=False)}
    assert places == set(matrix.FITS)


async def test_an_object_of_another_s_and_one_that_there_is_none_of_are_answered_alike(houses):
    for path in ("appointments/{}", "care-units/{}/appointments", "care-units/{}/patients"):
        answers = []
        for id in (houses.theirs["appointment" if path.startswith("app") else "care unit"], "nowhere"):
            answer = await houses.alpha.call("GET", path.format(id))
            answers.append({**answer.json(), "instance": "", "status": answer.status_code})
        assert answers[0] == answers[1]
    assert houses.calls == []
