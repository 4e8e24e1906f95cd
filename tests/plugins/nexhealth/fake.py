"""NexHealth as far as appointments go, written from its documents (OpenAPI of v3.0.0, guides): one practice.

It keeps a copy, and the practice has a system of its own. A write changes the copy at once and the system later, which
may refuse it: then the copy is put back as the system has it when that is read again. It knows nothing of the gateway.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Row = dict[str, Any]

PATCHED = {"confirmed", "cancelled", "start_time", "end_time", "operatory_id", "note"}
EVERYWHERE = {"confirmed", "cancelled"}
"""What every system takes; the rest only some."""
BLANK: Row = {
    **dict.fromkeys(("note", "checkin_at", "foreign_id", "last_sync_time", "cancelled_at", "confirmed_at", "referrer")),
    **dict.fromkeys(("appointment_type_id", "operatory_id", "patient_id", "provider_name"), None),
    **dict.fromkeys(("confirmed", "cancelled", "patient_missed", "checked_out", "unavailable"), False),
}


class Wrong(Exception):
    """An answer that is none."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Queued:
    """A write on its way to the practice's system. `values`: `None` inserts the whole row."""

    due: float
    id: int
    values: Row | None


class FakeNexHealth:
    """`opens`, `closes`: the hours of all providers, by the clock of `zone`, every day."""

    def __init__(self, zone: str, *, key: str = "invented-key", url: str = "http://nexhealth.test") -> None:
        self.zone, self.key, self.url = ZoneInfo(zone), key, url
        self.opens, self.closes = 8, 17
        self.settle_s = 0.004
        """How long until a write has reached the system."""
        self.refuses: Callable[[Row, Row | None], bool] = lambda *_: False
        """Does the system refuse a row, given what is to be written of it (`None`: all of it)?"""
        self.takes_all = True
        """It is a system that takes times and notes, too."""
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.kept: dict[str, dict[int, Row]] = {
            name: {} for name in ("locations", "providers", "operatories", "appointment_types", "patients")
        }
        self.rows: dict[int, Row] = {}
        self.system: dict[int, Row] = {}
        """What the practice itself sees."""
        self.queue: list[Queued] = []
        self.calls: list[tuple[str, str]] = []
        self.before_write: Callable[[], Any] | None = None
        """What somebody else does just before the next write, once."""
        self.logins = 0
        self.patched: list[Row] = []
        """What was sent to be changed."""
        self.write_status = "green"
        self.tokens: set[str] = set()
        self._last, self._ticks = 7000, 0
        self.app = Starlette(routes=[*self._routes()])

    def _routes(self) -> Iterator[Route]:
        yield Route("/authenticates", self._login, methods=["POST"])
        yield Route("/locations/{id:int}", self._served(self._one("locations")))
        for name in ("providers", "appointment_types", "patients"):
            yield Route(f"/{name}", self._served(self._list(name)))
            yield Route(f"/{name}/{{id:int}}", self._served(self._one(name)))
        yield Route("/appointments", self._served(self._calendar), methods=["GET"])
        yield Route("/appointments", self._served(self._create), methods=["POST"])
        yield Route("/appointments/{id:int}", self._served(self._shown), methods=["GET"])
        yield Route("/appointments/{id:int}", self._served(self._update), methods=["PATCH"])
        yield Route("/sync_status", self._served(self._status))
        yield Route("/available_slots", self._served(self._slots))

    # -- what tests see and do -----------------------------------------------------------------------------------

    def put(self, name: str, /, **values: Any) -> int:
        self._last += 1
        self.kept[name][self._last] = {"id": self._last, **values}
        return self._last

    def staff(self, **values: Any) -> int:
        """An appointment or a block as the practice's staff make it, read by NexHealth already."""
        self._last += 1
        row = {**BLANK, "id": self._last, **values, "foreign_id": f"S{self._last}"}
        self.rows[self._last] = row
        self._read(row)
        return self._last

    def staff_changes(self, id: int, **values: Any) -> None:
        self.rows[id].update(values)
        self._read(self.rows[id])

    def written(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]

    def _stamp(self) -> datetime:
        """No two within the seconds that a reading may take."""
        self._ticks += 1
        return self.now() + timedelta(seconds=10 * self._ticks)

    def _read(self, row: Row) -> None:
        """From the system, as it has it now; what is read is stamped a little later."""
        stamp = self._stamp()
        row.update(last_sync_time=_said(stamp), updated_at=_said(stamp + timedelta(milliseconds=400)))
        row.setdefault("created_at", row["updated_at"])
        self.system[row["id"]] = {name: value for name, value in row.items() if name not in STAMPS}

    # -- on to the system --------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while self.queue and self.queue[0].due <= time.monotonic():
            one = self.queue.pop(0)
            row, there = self.rows[one.id], self.system.get(one.id)
            if one.values is None:
                if not self.refuses(row, None):
                    row["foreign_id"] = f"S{row['id']}"
                    self._read(row)
            elif there is not None:
                taken = {k: v for k, v in one.values.items() if self.takes_all or k in EVERYWHERE}
                row.update(there if self.refuses(row, taken) else {**there, **taken})
                self._read(row)

    def _enqueue(self, id: int, values: Row | None) -> None:
        self.queue.append(Queued(time.monotonic() + self.settle_s, id, values))

    # -- HTTP ------------------------------------------------------------------------------------------------------

    async def _login(self, request: Request) -> Response:
        if request.headers.get("authorization") != self.key:
            return JSONResponse(_envelope(None, ok=False), 401)
        self.logins += 1
        token = f"token-{self.logins}"
        self.tokens.add(token)
        return JSONResponse(_envelope({"token": token}), 201)

    def _served(self, act: Callable[[Request, Row], Response]) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            self.calls.append((request.method, request.url.path))
            try:
                self._admit(request)
                self._work()
                content = await request.body()
                if request.method != "GET" and self.before_write is not None:
                    comes_first, self.before_write = self.before_write, None
                    comes_first()
                return act(request, json.loads(content) if content else {})
            except Wrong as wrong:
                return JSONResponse(_envelope({}, ok=False), wrong.status)

        return serve

    def _admit(self, request: Request) -> None:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            raise Wrong(401)
        if request.headers.get("nex-api-version") not in ("v3.0.0", "v20240412"):
            raise Wrong(400)
        if "subdomain" not in request.query_params and "/locations/" not in request.url.path:
            raise Wrong(400)

    def _one(self, name: str) -> Callable[[Request, Row], Response]:
        def answer(request: Request, _: Row) -> Response:
            return JSONResponse(_envelope(self._kept(name, request.path_params["id"])))

        return answer

    def _list(self, name: str) -> Callable[[Request, Row], Response]:
        def answer(request: Request, _: Row) -> Response:
            rows = [*self.kept[name].values()]
            if name == "appointment_types":
                return JSONResponse(_envelope(rows) | {"count": len(rows)})
            return _page(request, rows)

        return answer

    def _status(self, _request: Request, _: Row) -> Response:
        up = {"read_status": "green", "write_status": self.write_status, "sync_source_name": "Test"}
        return JSONResponse(_envelope([up]))

    def _kept(self, name: str, id: int) -> Row:
        if id not in self.kept[name]:
            raise Wrong(404)
        return self.kept[name][id]

    # -- appointments ------------------------------------------------------------------------------------------------

    def _row(self, request: Request) -> Row:
        if request.path_params["id"] not in self.rows:
            raise Wrong(404)
        return self.rows[request.path_params["id"]]

    def _shown(self, request: Request, _: Row) -> Response:
        return JSONResponse(_envelope(self._row(request)))

    def _calendar(self, request: Request, _: Row) -> Response:
        """What begins within the range."""
        asked = request.query_params
        start, end = (datetime.fromisoformat(asked[name]) for name in ("start", "end"))
        rows = [row for row in self.rows.values() if start <= datetime.fromisoformat(row["start_time"]) <= end]
        for field, name in (("patient_id", "patient_ids[]"), ("provider_id", "provider_ids[]")):
            wanted = {int(id) for id in asked.getlist(name)}
            rows = [row for row in rows if not wanted or row[field] in wanted]
        return _page(request, [row for row in rows if row["location_id"] == int(asked["location_id"])])

    def _create(self, request: Request, body: Row) -> Response:
        told, where = body["appt"], int(request.query_params["location_id"])
        if not {"patient_id", "provider_id", "start_time"} <= told.keys() or len(told.get("note", "")) > 128:
            raise Wrong(400)
        self._check(told)
        if self._kept("locations", where)["map_by_operatory"] and "operatory_id" not in told:
            raise Wrong(400)
        if "end_time" not in told and "appointment_type_id" not in told:
            raise Wrong(400)
        self._last += 1
        stamp = _said(self._stamp())
        row = {**BLANK, "id": self._last, "location_id": where, **told, "created_at": stamp, "updated_at": stamp}
        row.setdefault("end_time", self._by_type(told))
        self.rows[self._last] = row
        self._enqueue(self._last, None)
        return JSONResponse(_envelope({"appt": row}), 201)

    def _update(self, request: Request, body: Row) -> Response:
        row, told = self._row(request), dict(body["appt"])
        self.patched.append(body["appt"])
        if not told.keys() <= PATCHED or {**row, **told}["end_time"] <= {**row, **told}["start_time"]:
            raise Wrong(400)
        self._check(told)
        if told.get("confirmed") is False:
            del told["confirmed"]
        stamp = _said(self._stamp())
        row.update(told, updated_at=stamp)
        if told.get("cancelled"):
            row["cancelled_at"] = stamp
        self._enqueue(row["id"], told)
        return JSONResponse(_envelope({"appt": row}))

    def _check(self, told: Row) -> None:
        places = {"patient_id": "patients", "provider_id": "providers", "operatory_id": "operatories",
                  "appointment_type_id": "appointment_types"}  # fmt: skip
        if any(told[name] not in self.kept[many] for name, many in places.items() if name in told):
            raise Wrong(400)
        times = [datetime.fromisoformat(told[name]) for name in ("start_time", "end_time") if name in told]
        if any(at.tzinfo is None for at in times):
            raise Wrong(400)
        told |= {name: _said(datetime.fromisoformat(told[name])) for name in ("start_time", "end_time") if name in told}

    def _by_type(self, told: Row) -> str:
        kind = self.kept["appointment_types"].get(told.get("appointment_type_id", 0), {"minutes": 0})
        return _said(datetime.fromisoformat(told["start_time"]) + timedelta(minutes=kind["minutes"]))

    # -- free time -----------------------------------------------------------------------------------------------------

    def _slots(self, request: Request, _: Row) -> Response:
        asked = request.query_params
        providers = [int(id) for id in asked.getlist("pids[]")] or [*self.kept["providers"]]
        if not ("pids[]" in asked or "appointment_type_id" in asked) or int(asked["days"]) > 14:
            raise Wrong(400)
        minutes = int(asked.get("slot_length", 15))
        if "appointment_type_id" in asked:
            if int(asked["appointment_type_id"]) not in self.kept["appointment_types"]:
                raise Wrong(404)
            minutes = self.kept["appointment_types"][int(asked["appointment_type_id"])]["minutes"]
        first = date.fromisoformat(asked["start_date"])
        days = [first + timedelta(days=n) for n in range(int(asked["days"]))]
        each = asked.get("overlapping_operatory_slots") == "true"
        found = [
            {"lid": int(lid), "pid": pid, "slots": [*self._free(days, int(lid), pid, timedelta(minutes=minutes), each)]}
            for lid in asked.getlist("lids[]")
            for pid in providers
            if pid in self.kept["providers"]
        ]
        return JSONResponse(_envelope(found))

    def _free(self, days: list[date], lid: int, pid: int, length: timedelta, each: bool) -> Iterator[Row]:
        rooms = [id for id, room in self.kept["operatories"].items() if room["location_id"] == lid]
        for day in days:
            start, closes = (self._at(day, hour) for hour in (self.opens, self.closes))
            while start + length <= closes:
                free = [room for room in rooms or [None] if self._is_free(start, start + length, pid, room)]
                for room in free if each else free[:1]:
                    if start > self.now():
                        yield self._slot(start, start + length, pid, room)
                start += length

    def _at(self, day: date, hour: int) -> datetime:
        return datetime(day.year, day.month, day.day, hour, tzinfo=self.zone).astimezone(UTC)

    def _slot(self, start: datetime, end: datetime, pid: int, room: int | None) -> Row:
        local = {"time": start.astimezone(self.zone), "end_time": end.astimezone(self.zone)}
        told: Row = {name: at.isoformat(timespec="milliseconds") for name, at in local.items()}
        return {**told, "provider_id": pid, **({} if room is None else {"operatory_id": room})}

    def _is_free(self, start: datetime, end: datetime, pid: int, room: int | None) -> bool:
        def holds(row: Row) -> bool:
            begins, ends = (datetime.fromisoformat(row[name]) for name in ("start_time", "end_time"))
            same = row["provider_id"] == pid or (room is not None and row["operatory_id"] == room)
            return same and not row["cancelled"] and begins < end and start < ends

        return not any(holds(row) for row in self.rows.values())


STAMPS = {"updated_at", "created_at", "last_sync_time"}


def _said(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _envelope(data: Any, *, ok: bool = True) -> Row:
    return {"code": ok, "description": "Test prose.", "error": [] if ok else ["Test prose."], "data": data}


def _page(request: Request, rows: list[Row]) -> Response:
    size = int(request.query_params.get("per_page", 5))
    if not 1 <= size <= 1000:
        raise Wrong(400)
    after = request.query_params.get("end_cursor")
    last = int(base64.b64decode(after)) if after else 0
    left = sorted((row for row in rows if row["id"] > last), key=lambda row: int(row["id"]))
    shown = left[:size]
    cursors = [base64.b64encode(str(row["id"]).encode()).decode() for row in shown] or [None]
    told = {"has_previous_page": bool(last), "has_next_page": len(left) > size}
    told |= {"start_cursor": cursors[0], "end_cursor": cursors[-1]}
    return JSONResponse(_envelope(shown) | {"page_info": told})
