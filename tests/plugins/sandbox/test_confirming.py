"""The plugin and the code that a video visit asks for."""

from __future__ import annotations

import pytest

from gateway.plugin import (
    Cancel,
    Confirm,
    ReadCalendar,
    Receipt,
    Status,
)
from tests.plugins.sandbox.asking import ALL, DAY, at, book, refusal, settled


@pytest.mark.parametrize("personality", ALL)
async def test_a_video_visit_waits_for_its_code(opened, personality):
    emr = opened(personality)
    made = await book(emr, at(9), service="K2")
    assert (made.status, made.confirmed, made.code_to_cancel) == (Status.AWAITING, False, True)
    assert await refusal(emr.confirm(Confirm(chain="x", before=made, code="000000"))) == "wrong_code"
    assert await refusal(emr.confirm(Confirm(chain="x", before=made))) == "wrong_code"
    assert await refusal(emr.confirm(Confirm(chain="x", before=made, code="999999"))) == "expired_code"
    step = Confirm(chain="x", before=made, code="123456")
    confirmed = await settled(emr, step, await emr.confirm(step))
    assert (confirmed.id, confirmed.status, confirmed.confirmed) == (made.id, Status.BOOKED, True)
    assert await emr.confirm(step) == Receipt(id=made.id)


@pytest.mark.parametrize("personality", ALL)
async def test_its_cancellation_waits_for_another_one(opened, personality):
    emr = opened(personality)
    made = await book(emr, at(9), service="K2", comment="old")
    request = (await emr.cancel(Cancel(chain="x", before=made, comment="new"))).appointment
    assert (request.status, request.confirms, request.span) == (Status.AWAITING, made.id, made.span)
    assert request.id != made.id
    assert await emr.appointment(request.id) == request
    assert await emr.appointment(made.id) == made
    assert request.id not in {a.id for a in await emr.calendar(ReadCalendar(DAY))}
    again = (await emr.cancel(Cancel(chain="x", before=made))).appointment
    assert again == request
    step = Confirm(chain="x", before=request, code="123456")
    done = await settled(emr, step, await emr.confirm(step))
    assert (done.id, done.status, done.confirms) == (request.id, Status.CANCELLED, made.id)
    cancelled = await emr.appointment(made.id)
    assert (cancelled.status, cancelled.comment) == (Status.CANCELLED, "new")


async def test_a_plain_visit_has_nothing_to_confirm(emr):
    made = await book(emr, at(9))
    assert await refusal(emr.confirm(Confirm(chain="x", before=made, code="123456"))) == "state"
