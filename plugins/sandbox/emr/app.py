"""The sandbox EMR's addresses: `/{personality}/{clinic}/...`, with the clinic's key in `x-clinic-key`."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from plugins.sandbox.emr import bookings, free, journal, messages
from plugins.sandbox.emr.clinic import Clinic
from plugins.sandbox.emr.desk import Desk, Place, Write, local_now
from plugins.sandbox.emr.faults import Control
from plugins.sandbox.emr.personality import PERSONALITIES
from plugins.sandbox.emr.words import (
    Annulment,
    Asked,
    Changed,
    Code,
    Fault,
    Marked,
    NewBooking,
    Query,
    bad_value,
    understood,
)

KEY_HEADER = "x-clinic-key"
HAND_HEADER = "x-hand"
"""By what name the one who writes is to be found in the journal; nothing else depends on it."""
CLINIC = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
REGISTERS = ("sites", "staff", "kinds", "people")


def build_app(
    state_dir: Path, *, late_s: float = 3.0, settle_s: float = 0.3, now: Callable[[], datetime] = local_now
) -> Starlette:
    """The sandbox EMR over one database file in `state_dir`.

    `late_s`: after how many seconds a write is carried out whose memo says `!late`; `settle_s`: the same for one that a
    clinic of personality `async` has accepted; `now`: the clinics' local time, for what is relative to today.
    """
    desk = Desk(state_dir, late_s=late_s, settle_s=settle_s, now=now)
    routes = _Routes(desk)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await desk.close()

    return Starlette(
        routes=[Route("/{personality}/{clinic}" + path, end, methods=[m]) for m, path, end in routes.table()],
        exception_handlers={Fault: _fault},
        lifespan=lifespan,
    )


async def _fault(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, Fault)
    headers = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
    return JSONResponse({"fault": fault.word}, fault.status, headers)


class _Routes:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def table(self) -> list[tuple[str, str, Callable[[Request], Awaitable[Response]]]]:
        return [
            ("GET", "/register/{list}", self.register),
            ("GET", "/bookings", self.bookings),
            ("POST", "/bookings", self.book),
            ("PATCH", "/bookings/{ref}", self.change),
            ("DELETE", "/bookings/{ref}", self.withdraw),
            ("POST", "/bookings/{ref}/annul", self.annul),
            ("POST", "/bookings/{ref}/code", self.agree),
            ("GET", "/messages", self.messages),
            ("GET", "/journal", self.journal),
            ("GET", "/free", self.free),
            ("GET", "/slots/{ref}", self.slot),
            ("PATCH", "/slots/{ref}", self.mark),
            ("POST", "/_control", self.control),
        ]

    # -- reads ------------------------------------------------------------------------------------------------------

    async def register(self, request: Request) -> Response:
        list_, refs = request.path_params["list"], request.query_params.getlist("ref")
        if list_ not in REGISTERS:
            raise Fault(404, "UNKNOWN_REF")
        return await self._read(request, lambda clinic: {list_: _entries(clinic, list_, refs)})

    async def bookings(self, request: Request) -> Response:
        """Those of the given references; or the one with a mark; or all that overlap a stretch of time."""
        asked = request.query_params
        if "ref" in asked:
            return await self._read(request, lambda c: {"bookings": bookings.found(c, asked.getlist("ref"))})
        if "mark" in asked:
            return await self._read(request, lambda c: {"bookings": bookings.marked(c, asked["mark"])})
        query = _query(request)
        return await self._read(request, lambda c: {"bookings": bookings.listed(c, query)})

    async def messages(self, request: Request) -> Response:
        """For the staff: what patients have been told."""
        return await self._read(request, lambda c: {"messages": messages.listed(c)})

    async def journal(self, request: Request) -> Response:
        """For the staff: what has been carried out, and by whom."""
        return await self._read(request, lambda c: {"journal": journal.listed(c)})

    async def free(self, request: Request) -> Response:
        query = _query(request)
        if not {"from", "until"} <= request.query_params.keys():
            raise bad_value()
        return await self._read(request, lambda c: free.free(c, query))

    async def slot(self, request: Request) -> Response:
        return await self._read(request, lambda c: free.slot(c, request.path_params["ref"]))

    async def _read(self, request: Request, work: Callable[[Clinic], Any]) -> Response:
        place = await self._place(request)
        if self._desk.orders(place).next_read_fails():
            raise Fault(500, "BROKEN")
        return JSONResponse(await self._desk.run(place, work))

    # -- writes -----------------------------------------------------------------------------------------------------

    async def book(self, request: Request) -> Response:
        return await self._write(request, NewBooking, bookings.book, created=True)

    async def change(self, request: Request) -> Response:
        return await self._write(request, Changed, _of(request, bookings.change))

    async def annul(self, request: Request) -> Response:
        return await self._write(request, Annulment, _of(request, bookings.annul))

    async def agree(self, request: Request) -> Response:
        return await self._write(request, Code, _of(request, bookings.agree), at_once=True)

    async def mark(self, request: Request) -> Response:
        return await self._write(request, Marked, _of(request, free.mark), at_once=True)

    async def withdraw(self, request: Request) -> Response:
        place, asked = await self._place(request), request.query_params
        ref, tell = request.path_params["ref"], asked.get("tell", "true")
        if tell not in ("true", "false"):
            raise bad_value()
        act = lambda clinic, over: bookings.withdraw(clinic, ref, asked.get("mark", ""), over)  # noqa: E731
        over = Asked(if_rev=asked.get("if_rev"), tell=tell == "true")
        return await self._desk.write(Write(place, over, act, at_once=True, hand=_hand(request)))

    async def _write(
        self,
        request: Request,
        model: type[Asked],
        act: Callable[..., Any],
        *,
        created: bool = False,
        at_once: bool = False,
    ) -> Response:
        place = await self._place(request)
        asked = understood(model, await request.body())
        return await self._desk.write(Write(place, asked, act, created, at_once, _hand(request)))

    async def control(self, request: Request) -> Response:
        """For tests: how the clinic's next answers are to be."""
        place, control = await self._place(request), understood(Control, await request.body())
        self._desk.orders(place).take(control)
        for ref, stage in control.stages.items():
            await self._desk.run(place, partial(bookings.set_stage, ref=ref, stage=stage), hand=_hand(request))
        return Response(status_code=204)

    async def _place(self, request: Request) -> Place:
        """The clinic that the request is for, once its key is shown. Raises Fault."""
        place = Place(request.path_params["personality"], request.path_params["clinic"])
        if place.personality not in PERSONALITIES or not CLINIC.fullmatch(place.clinic):
            raise Fault(404, "NO_SUCH_CLINIC")
        shown, key = request.headers.get(KEY_HEADER, ""), f"{place.clinic}-key"
        if not hmac.compare_digest(shown.encode(), key.encode()):
            raise Fault(401, "BAD_KEY")
        if latency_s := self._desk.orders(place).latency_s:
            await asyncio.sleep(latency_s)
        return place


def _hand(request: Request) -> str:
    return request.headers.get(HAND_HEADER, "")


def _of(request: Request, act: Callable[..., Any]) -> Callable[[Clinic, Any], Any]:
    """`act` on what the address names."""
    ref = request.path_params["ref"]
    return lambda clinic, asked: act(clinic, ref, asked)


def _query(request: Request) -> Query:
    asked = request.query_params
    plain = {name: value for name, value in asked.items() if name != "ignoring"}
    try:
        return Query.model_validate(plain | {"ignoring": tuple(asked.getlist("ignoring"))})
    except ValidationError:
        raise bad_value() from None


def _entries(clinic: Clinic, list_: str, refs: list[str]) -> list[dict[str, Any]]:
    """A register, or what it says of the given references."""
    rows = clinic.rows("SELECT * FROM entry WHERE clinic = ? AND list = ? ORDER BY ref", list_)
    shown = ("ref", "title", "site", "minutes", "asks_code")
    return [
        {name: row[name] for name in shown if row[name] is not None} for row in rows if not refs or row["ref"] in refs
    ]
