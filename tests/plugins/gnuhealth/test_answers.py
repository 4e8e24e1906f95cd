"""What Tryton's answers mean: errors under HTTP 200, pages, and the ends of sessions."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from gateway.plugin import (
    Account,
    Appointment,
    Change,
    Door,
    EmrError,
    FindFreeTime,
    MaybeDone,
    NotSent,
    Refused,
    Status,
    Throttled,
)
from gateway.testing import without_waiting
from plugins.gnuhealth import Settings, emr_open
from plugins.gnuhealth import emr as port
from tests.plugins.gnuhealth import wire
from tests.plugins.gnuhealth.conftest import opened
from tests.plugins.gnuhealth.samples import at, half_hour

TOLD = {"base_url": "http://his.test", "database": "health", "username": "u", "password": "p", "zone": "UTC"}
BEFORE = Appointment(
    "13", at(9), at(10), Status.BOOKED, version="v", native={"token": "1795484412.700425", "leaks": False}
)
STEP = Change(chain="a", before=BEFORE, comment="x")


def account(*answers: httpx.Response):
    """One whose requests are answered by these, in order."""
    left = list(answers)
    door = Door(httpx.MockTransport(lambda _: left.pop(0)))
    return emr_open(Account("clinic", Settings.model_validate(TOLD), door))


def ok(body: object) -> httpx.Response:
    return httpx.Response(200, json=body)


def page(status: int) -> httpx.Response:
    return httpx.Response(status, html=wire.PAGE.format(status))


LOGIN = ok(wire.result(wire.LOGIN))


async def failure(asking) -> EmrError:
    with without_waiting(), pytest.raises(EmrError) as failed:
        await asking
    assert "Test prose" not in str(failed.value)
    return failed.value


@pytest.mark.parametrize(
    ("said", "reason"), [(wire.STALE, "stale"), (wire.WARNING, "rule"), (wire.SECOND_FACTOR, "credentials")]
)
async def test_an_error_under_200_is_a_refusal(said, reason):
    error = await failure(account(LOGIN, ok(wire.error(said))).change(STEP))
    assert (type(error), error.reason, error.emr_code) == (Refused, reason, said[0])


@pytest.mark.parametrize(("left", "reason"), [([], "not_found"), ([wire.BOOKED], "rule")])
async def test_a_rule_and_a_missing_record_are_told_apart_by_looking(left, reason):
    emr = account(LOGIN, ok(wire.error(wire.MISSING)), ok(wire.result(left)))
    error = await failure(emr.change(STEP))
    assert (type(error), error.reason, error.emr_code) == (Refused, reason, "UserError")


@pytest.mark.parametrize("said", [wire.STUMBLED, [], "a text", None, ["NewException", "Test prose."], [["x"]]])
async def test_nobody_knows_what_a_stumbling_server_has_done(said):
    error = await failure(account(LOGIN, ok(wire.error(said))).change(STEP))
    assert (type(error), error.emr_code) == (MaybeDone, None)


async def test_too_many_wrong_passwords_elsewhere_are_throttling():
    answers = [ok(wire.error(["RateLimitException", []]))] * 3
    assert isinstance(await failure(account(LOGIN, *answers).change(STEP)), Throttled)


@pytest.mark.parametrize(
    ("status", "kind"), [(403, Refused), (404, Refused), (423, Throttled), (429, Throttled), (500, MaybeDone)]
)
async def test_a_page_means_what_its_status_means(status, kind):
    answers = [page(status) for _ in range(3)]
    assert isinstance(await failure(account(LOGIN, *answers).change(STEP)), kind)


@pytest.mark.parametrize("body", [{}, [], {"id": 1}, {"id": 1, "result": None}, {"id": 1, "result": [{"id": 13}]}])
async def test_a_read_that_makes_no_sense_is_no_answer(body):
    assert isinstance(await failure(account(LOGIN, ok(body)).appointment("13")), MaybeDone)


# -- sessions ---------------------------------------------------------------------------------------------------------


async def test_one_login_serves_all_who_wait_for_it(practice):
    emr = opened(practice)
    await asyncio.gather(*(emr.appointment(str(n)) for n in range(1, 9)))
    assert practice.fake.logins == 1


async def test_when_a_session_ends_one_login_serves_all_and_nothing_is_written_twice(practice):
    emr, ids = opened(practice), [practice.book(practice.anna, at(10)), practice.book(practice.bo, at(10))]
    befores = (await emr.appointments([str(id) for id in ids])).values()
    practice.fake.expire()
    await asyncio.gather(*(emr.change(Change(chain="a", before=b, comment="x")) for b in befores))
    assert practice.fake.logins == 2
    assert [method for method, _ in practice.fake.written()] == ["model.gnuhealth.appointment.write"] * 2


async def test_a_session_that_is_refused_at_once_is_not_asked_for_for_ever():
    empty = httpx.Response(**wire.EMPTY_UNAUTHORIZED)
    error = await failure(account(LOGIN, empty, ok(wire.result([7, "another"])), empty).appointment("13"))
    assert (type(error), error.reason) == (Refused, "credentials")


async def test_a_wrong_password_is_tried_once_for_all_who_wait_or_come_soon(practice):
    emr = opened(practice, password="wrong")
    for _ in range(2):
        errors = await asyncio.gather(*(emr.appointment(str(n)) for n in range(1, 9)), return_exceptions=True)
        assert {(type(e), e.reason) for e in errors} == {(Refused, "credentials")}
    assert practice.fake.logins == 1


async def test_five_wrong_passwords_lock_everybody_out_and_the_gateway_comes_back_later(practice):
    practice.fake.wrong = 5
    emr = opened(practice)
    told, turned_away = await failure(emr.appointment("1")), await failure(emr.appointment("1"))
    assert (type(told), isinstance(turned_away, NotSent)) == (Throttled, True)
    assert [told.retry_after, turned_away.retry_after] == pytest.approx([120, 120], abs=5)
    assert practice.fake.logins == 1


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ok(wire.error(wire.SECOND_FACTOR)), Refused),
        (page(403), Refused),
        (page(404), NotSent),
        (page(500), NotSent),
        (ok({}), NotSent),
        (ok(wire.result(None)), NotSent),
        (ok(wire.result(["x", "y"])), NotSent),
        (httpx.Response(200, text="no JSON"), NotSent),
    ],
)
async def test_without_a_session_nothing_was_sent(answer, kind):
    copies = [httpx.Response(answer.status_code, content=answer.content) for _ in range(3)]
    assert isinstance(await failure(account(*copies).change(STEP)), kind)


async def test_the_credentials_show_nowhere():
    emr = account()
    shown = f"{emr._session!r} {Settings.model_validate({**TOLD, 'password': 'sesame'})!r}"
    assert "sesame" not in shown


# -- versions to the second -------------------------------------------------------------------------------------------


@pytest.fixture
def waited(practice, monkeypatch):
    """How long was waited for, in seconds; the staff may act meanwhile."""
    practice.fake.coarse, seconds, wait = True, [], port._sleep

    async def counting(longer):
        seconds.append(longer)
        await wait(longer)

    monkeypatch.setattr(port, "_sleep", counting)
    return seconds


async def test_an_old_version_is_written_over_at_once(practice, waited):
    id = str(practice.book(practice.anna, at(10)))
    emr = opened(practice)
    await emr.change(Change(chain="a", before=await emr.appointment(id), comment="x"))
    assert waited == []


@pytest.mark.parametrize("fields", [{"comments": "second"}, {"state": "done"}, {}])
async def test_another_write_in_the_second_of_a_version_is_found(practice, waited, fields):
    emr, id = opened(practice), practice.book(practice.anna, at(10))
    practice.fake.touch(id, comments="first")
    before = await emr.appointment(str(id))
    practice.fake.touch(id, **fields)
    row = dict(practice.fake.rows(id=id)[0])
    error = await failure(emr.change(Change(chain="a", before=before, comment="ours")))
    assert (error.reason, practice.fake.rows(id=id)) == ("stale", [row])
    assert len(waited) == 1


async def test_a_new_version_that_nobody_else_has_written_is_written_over(practice, waited):
    emr, id = opened(practice), practice.book(practice.anna, at(10))
    practice.fake.touch(id, comments="first")
    await emr.change(Change(chain="a", before=await emr.appointment(str(id)), comment="ours"))
    assert practice.fake.rows(id=id)[0]["comments"] == "ours"
    assert len(waited) == 1


async def test_a_new_free_record_that_is_booked_meanwhile_is_taken_and_not_deleted(practice, waited):
    emr, id = opened(practice), practice.open(practice.anna, at(14))
    slot = await emr._free_record(_slot(practice))
    practice.fake.touch(id, state="confirmed", patient=practice.kim)
    with pytest.raises(Refused) as no:
        await emr._take(slot)
    assert no.value.reason == "taken"
    assert practice.fake.rows(id=id)


def _slot(practice):
    from gateway.plugin import Slot

    span = half_hour(at(14))
    return Slot(span.start, span.end, str(practice.anna))


@pytest.mark.parametrize("row", [wire.FREE, wire.BOOKED])
async def test_time_of_another_resource_than_was_asked_for_is_nobodys_time(row):
    wanted = FindFreeTime(half_hour(at(9)), "1000")
    error = await failure(account(LOGIN, ok(wire.result([row]))).free_time(wanted))
    assert type(error) is MaybeDone
