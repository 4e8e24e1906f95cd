"""A read is for its client alone; what a client hangs up on is stopped, unless it writes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.api import DEFAULT_WAIT_S
from gateway.clock import monotonic
from gateway.manners.errand import current_errand
from gateway.routes import build
from tests.stub_gateway import CREDENTIALS, EMR, MANY, ONE, StubGateway, client_of


class Slow(StubGateway):
    """Answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let, self.stopped = asyncio.Event(), asyncio.Event(), 0
        self.lasts: float | None = None

    async def _wait(self) -> None:
        who, now = current_errand(), monotonic()
        self.lasts = None if who is None else who.lasts(now) - now
        self.begun.set()
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise

    async def appointment(self, *asked: Any) -> Any:
        await self._wait()
        return await super().appointment(*asked)

    async def appointments(self, *asked: Any, **more: Any) -> Any:
        await self._wait()
        return await super().appointments(*asked, **more)

    async def timeslots(self, *asked: Any, **more: Any) -> Any:
        await self._wait()
        return await super().timeslots(*asked, **more)

    async def directory(self, *asked: Any) -> Any:
        await self._wait()
        return await super().directory(*asked)

    async def write(self, *asked: Any) -> Any:
        await self._wait()
        return await super().write(*asked)


class Call:
    """One request to the app, by hand, so that its client can hang up."""

    def __init__(self, gateway: Slow, method: str, path: str, body: bytes = b"") -> None:
        self.sent: list[Any] = []
        self._said = [{"type": "http.request", "body": body, "more_body": False}]
        self._gone = asyncio.Event()
        headers = [(name.encode(), value.encode()) for name, value in CREDENTIALS.items()]
        scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": headers}
        app = build(gateway, public_url="https://gateway.example")
        self.task = asyncio.create_task(app({**scope, "root_path": ""}, self._receive, self._send))

    async def _receive(self) -> Any:
        if self._said:
            return self._said.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    def hang_up(self) -> None:
        self._gone.set()


READS = [ONE, MANY, f"{EMR}/timeslots", f"{EMR}/patients", f"{EMR}/care-units/u/appointments", f"{EMR}/resources"]


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_read_stops_when_its_client_hangs_up(method: str, path: str):
    gateway = Slow()
    call = Call(gateway, method, path)
    await gateway.begun.wait()
    call.hang_up()
    await call.task
    assert (gateway.stopped, call.sent) == (1, [])


@pytest.mark.parametrize(("method", "path"), [("PATCH", ONE), ("PATCH", f"{ONE}?dry_run=true")])
async def test_a_write_does_not(method: str, path: str):
    gateway = Slow()
    call = Call(gateway, method, path, b'{"comment": "c"}')
    await gateway.begun.wait()
    call.hang_up()
    await asyncio.sleep(0)
    gateway.let.set()
    await call.task
    assert gateway.stopped == 0
    assert call.sent[0]["status"] == 200
    assert gateway.lasts is None, "what a write is done on is for the gateway to say"


@pytest.mark.parametrize("path", READS)
async def test_a_read_lasts_as_long_as_a_client_waits(path: str):
    gateway = Slow()
    gateway.let.set()
    async with client_of(gateway) as client:
        assert (await client.get(path)).status_code == 200
    assert gateway.lasts == pytest.approx(DEFAULT_WAIT_S, abs=1)


async def test_who_is_stopped_from_outside_stops_the_read():
    gateway = Slow()
    call = Call(gateway, "GET", ONE)
    await gateway.begun.wait()
    call.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.task
    assert gateway.stopped == 1


async def test_what_goes_wrong_after_the_client_has_gone_is_nobodys():
    class Stubborn(Slow):
        async def appointment(self, *asked: Any) -> Any:
            try:
                return await super().appointment(*asked)
            except asyncio.CancelledError:
                raise ZeroDivisionError from None

    gateway = Stubborn()
    call = Call(gateway, "GET", ONE)
    await gateway.begun.wait()
    call.hang_up()
    await call.task
    assert not call.sent
