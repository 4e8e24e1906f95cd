"""A clinic app, the whole gateway, and a fake Open Dental whose staff does things meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from starlette.responses import Response

from gateway.testing import World
from tests.plugins.opendental.conftest import HALF_HOUR, Office, said
from tests.plugins.opendental.test_contract import world_of
from tests.plugins.over_http import App, PatchScenarios


class TestOpenDentalOverHttp(PatchScenarios):
    @pytest.fixture
    def world(self, office: Office) -> World:
        return world_of(office)

    @pytest.fixture
    def settings(self, office: Office) -> dict[str, Any]:
        return office.settings

    @pytest.mark.parametrize(("pattern", "to"), [("//XX//", (2, 3)), ("/XX/XX//XXX/", (3, 3))])
    async def test_a_double_booking_that_comes_first_is_found_afterwards_and_undone(
        self, app: App, office: Office, pattern: str, to: tuple[int, int]
    ):
        """By whomever in that chair; and longer or shorter, it has the very pattern again that it had."""
        id = office.staff_books(office.half_hour(0), Pattern=pattern, PatternSecondary="/" * len(pattern), Note="stays")
        before = dict(office.fake.row(id))
        office.fake.before_write = lambda: office.staff_books(office.half_hour(3), PatNum=office.lo, ProvNum=office.hy)
        answer = await app.send("PATCH", f"/appointments/{id}", app.when(*to))
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (409, "NO_TIMESLOTS_AVAILABLE")
        assert [method for method, _ in office.fake.written()] == ["PUT", "PUT"]
        assert {**office.fake.row(id), "DateTStamp": ""} == {**before, "DateTStamp": ""}

    async def test_a_provider_who_is_busy_with_it_is_not_free_in_another_chair(self, app: App, office: Office):
        """Open Dental tells only what is free in all chairs of a provider: at another time they may change places."""
        id, elsewhere = office.staff_books(office.half_hour(0)), f"{office.second}-{office.anna}"
        await app.refused(400, "NO_TIMESLOTS_AVAILABLE", str(id), resource_id=elsewhere)
        told = await app.patch(str(id), resource_id=elsewhere, **app.when(1))
        assert (told["resource_id"], office.fake.row(id)["Op"]) == (elsewhere, office.second)

    async def test_local_wall_time_in_is_local_wall_time_out(self, app: App, office: Office):
        id, there = office.staff_books(office.half_hour(0)), office.half_hour(beyond=True)
        told = await app.patch(str(id), start=there.start.isoformat(), end=there.end.isoformat())
        assert (told["start"], told["end"]) == (there.start.isoformat(), there.end.isoformat())
        assert office.fake.row(id)["AptDateTime"] == said(there)

    async def test_the_hour_that_the_clock_shows_twice_is_refused(self, app: App, office: Office):
        id, change = office.staff_books(office.half_hour(0)), clock_change(office, timedelta(hours=-1))
        for start in (change - HALF_HOUR, change, change + HALF_HOUR):
            times = {"start": start.isoformat(), "end": (start + HALF_HOUR).isoformat()}
            await app.refused(400, "BAD_INPUT", str(id), **times)
        assert not office.fake.written()

    async def test_the_hour_that_the_clock_skips_is_never_said(self, app: App, office: Office):
        """Half past two, as somebody says who has not changed his clock, is half past three."""
        office.fake.opens, office.fake.closes = timedelta(0), timedelta(hours=24)
        id, change = office.staff_books(office.half_hour(0)), clock_change(office, timedelta(hours=1))
        start = (change + HALF_HOUR).astimezone(timezone(timedelta(hours=-5)))
        told = await app.patch(str(id), start=start.isoformat(), end=(start + HALF_HOUR).isoformat())
        assert (start.hour, office.fake.row(id)["AptDateTime"][11:]) == (2, "03:30:00")
        assert told["start"] == start.astimezone(office.zone).isoformat()

    async def test_lines_of_a_comment_are_its_words(self, app: App, office: Office):
        id = str(office.staff_books(office.half_hour(0)))
        told = await app.patch(id, comment="two\r\nlines")
        assert (told["comment"], office.fake.row(id)["Note"]) == ("two lines", "two\r\nlines")
        await app.patch(id, comment="two lines")
        assert len(office.fake.written()) == 1

    async def test_an_office_that_is_cut_off_after_it_has_booked_has_booked(self, app: App, office: Office):
        """It is explained by a 400 as if it had been refused."""
        office.fake.after_write = lambda: Response("Test prose.", 400, media_type="text/plain")
        made = await app.booked(0)
        assert [row["AptNum"] for row in office.fake.rows["appointments"].values()] == [int(made["id"])]

    async def test_a_reason_for_a_cancellation_that_fails_is_taken_back(self, app: App, office: Office):
        id = office.staff_books(office.half_hour(0), Note="stays")
        office.fake.breaks = False
        answer = await app.send("PATCH", f"/appointments/{id}", {"status": "cancelled", "comment": "ill"})
        assert (answer.status_code, answer.json()["errors"][0]["error_code"]) == (502, "EMR_ERROR")
        assert (office.fake.row(id)["AptStatus"], office.fake.row(id)["Note"]) == ("Scheduled", "stays")
        assert [path.rpartition("/")[2] for _, path in office.fake.written()] == [str(id), "Break", str(id)]

    async def test_older_versions_answer_an_update_with_nothing(self, app: App, office: Office):
        office.fake.says_object = False
        id = str(office.staff_books(office.half_hour(0)))
        assert (await app.patch(id, comment="new"))["comment"] == "new"


def clock_change(office: Office, by: timedelta) -> datetime:
    """When the office's clock is next set by so much, to the hour."""
    hours = (datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=n) for n in range(9000))
    local = ((hour, hour.astimezone(office.zone)) for hour in hours)
    before = timedelta(hours=1)
    return next(
        hour for hour, now in local if now.utcoffset() == (hour - before).astimezone(office.zone).utcoffset() + by
    )
