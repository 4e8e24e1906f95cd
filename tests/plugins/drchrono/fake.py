"""DrChrono as far as appointments go, written from its documents (OpenAPI "v4 - Hunt Valley" and older prose).

Times are the practice's own, without an offset; a PATCH is answered with nothing; a doctor's time is refused to another
appointment unless the caller bypasses that. Each refresh of a login brings another refresh token and ends what was good
before; one that comes again ends everything. Where the documents are silent it does what is worst for a caller: blocks
of a schedule refuse nothing, and are found by their first day. It knows nothing of the gateway.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

Row = dict[str, Any]

LISTED = ("appointment_profiles", "doctors", "offices", "patients_summary")
REFERENCES = {"doctor": "doctors", "office": "offices", "patient": "patients_summary",
              "profile": "appointment_profiles"}  # fmt: skip
REQUIRED = {"doctor", "exam_room", "office", "patient", "scheduled_time"}
WRITABLE = {*REFERENCES, "allow_overlapping", "duration", "exam_room", "notes", "reason", "scheduled_time", "status"}
STATUSES = {"", "Arrived", "Checked In", "Checked In Online", "In Room", "In Session", "Complete", "Confirmed",
            "Not Confirmed", "Rescheduled", "Cancelled", "No Show"}  # fmt: skip
MOST_DAYS = 190
DEFAULT_SIZE, MOST = 20, 250


class Wrong(Exception):
    """An answer that is none."""

    def __init__(self, status: int, **body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class FakeDrChrono:
    """One practice group. `now` is by its own clock, for stamps."""

    def __init__(self, zone: str, *, group: str = "4711", first_id: int = 1000) -> None:
        self.zone, self.group, self.url = ZoneInfo(zone), group, "http://drchrono.test"
        self.client, self.secret = f"client-{group}", "what DrChrono knows us by"
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in (*LISTED, "appointments", "schedule_blocks")}
        self.calls: list[tuple[str, str]] = []
        """Those that were let in."""
        self.before_write: Callable[[], Any] | None = None
        """What somebody else does just before the next write, once."""
        self.access: set[str] = set()
        self.refresh: str | None = None
        self.spent: set[str] = set()
        self.codes: dict[str, str] = {}
        """Codes that are good, with where they were sent to."""
        self.refreshed = 0
        self._last, self._ticks = first_id, 0
        one, all = "/api/appointments/{id}", "/api/appointments"
        self.app = Starlette(
            routes=[
                *(Route(f"/api/{name}", self._served(self._listing(name))) for name in LISTED),
                *(Route(f"/api/{name}/{{id}}", self._served(self._getting(name))) for name in LISTED),
                Route("/api/schedule_blocks", self._served(self._blocks)),
                Route(all, self._served(self._appointments), methods=["GET"]),
                Route(all, self._served(self._create), methods=["POST"]),
                Route(one, self._served(self._getting("appointments")), methods=["GET"]),
                Route(one, self._served(self._update), methods=["PATCH"]),
                Route(one, self._served(self._delete), methods=["DELETE"]),
                Route("/o/authorize/", self._authorize),
                Route("/o/token/", self._token, methods=["POST"]),
            ]
        )

    # -- what tests see and do -----------------------------------------------------------------------------------

    def put(self, name: str, /, **values: Any) -> str:
        """A row as the practice's staff make it; → its id."""
        self._last += 1
        self.rows[name][str(self._last)] = {"id": self._last, **values}
        return str(self._last)

    def book(self, id: str | None = None, /, **values: Any) -> str:
        """An appointment, past all rules; → its id."""
        stamp = self._stamp()
        blank = {
            "allow_overlapping": False, "appt_is_break": False, "color": "", "deleted_flag": False, "exam_room": 1,
            "is_virtual_base": False, "is_walk_in": False, "notes": "", "reason": "", "recurring_appointment": False,
            "status": "",
        }  # fmt: skip
        if id is None:
            self._last += 1
            id = str(self._last)
        self.rows["appointments"][id] = {"id": id, "created_at": stamp, "updated_at": stamp, **blank, **values}
        return id

    def touch(self, id: str, **values: Any) -> None:
        self.rows["appointments"][id].update(values, updated_at=self._stamp())

    def shown(self, id: str) -> Row:
        """An appointment as it is answered with."""
        return _view(self.rows["appointments"][id])

    def written(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]

    def let_in(self) -> str:
        """As if somebody had let the caller in; → the refresh token."""
        self.refresh = secrets.token_urlsafe(16)
        return self.refresh

    def give_access(self) -> str:
        """→ an access token."""
        self.access.add(token := secrets.token_urlsafe(16))
        return token

    def _stamp(self) -> str:
        """To the second; no two writes in one, so that a version tells them apart."""
        self._ticks += 1
        return (datetime.now(self.zone) + timedelta(seconds=self._ticks)).strftime("%Y-%m-%dT%H:%M:%S")

    # -- logins ------------------------------------------------------------------------------------------------------

    async def _authorize(self, request: Request) -> Response:
        """A user who says yes."""
        asked = request.query_params
        if (asked.get("response_type"), asked.get("client_id")) != ("code", self.client):
            return Response("Test prose.", 400)
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked["redirect_uri"]
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def _token(self, request: Request) -> Response:
        form = {name: value for name, (value,) in parse_qs((await request.body()).decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != (self.client, self.secret):
            return JSONResponse({"error": "invalid_client"}, 401)
        if not (self._redeems(form) if form.get("grant_type") == "authorization_code" else self._refreshes(form)):
            return JSONResponse({"error": "invalid_grant"}, 401)
        self.access.clear()
        told = {"access_token": self.give_access(), "refresh_token": self.let_in()}
        return JSONResponse({**told, "token_type": "Bearer", "expires_in": 172_800, "scope": "calendar:read"})

    def _redeems(self, form: Mapping[str, str]) -> bool:
        return self.codes.pop(form["code"], None) == form["redirect_uri"]

    def _refreshes(self, form: Mapping[str, str]) -> bool:
        old = form.get("refresh_token", "")
        if old in self.spent:
            self.refresh = None
            self.access.clear()
        if form.get("grant_type") != "refresh_token" or old != self.refresh:
            return False
        self.spent.add(old)
        self.refreshed += 1
        return True

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def _served(self, act: Callable[[Request, Row], Response]) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            content = await request.body()
            if request.method != "GET" and self.before_write is not None:
                comes_first, self.before_write = self.before_write, None
                comes_first()
            try:
                self._admit(request)
                self.calls.append((request.method, request.url.path.removeprefix("/api")))
                return act(request, json.loads(content) if content else {})
            except Wrong as wrong:
                return JSONResponse(wrong.body, wrong.status)

        return serve

    def _admit(self, request: Request) -> None:
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.access:
            raise Wrong(401, detail="Test prose.")

    def _listing(self, name: str) -> Callable[[Request, Row], Response]:
        return lambda request, _: self._page(request, list(self.rows[name].values()), "id", MOST)

    def _getting(self, name: str) -> Callable[[Request, Row], Response]:
        return lambda request, _: JSONResponse(_view(self._row(name, request)))

    def _row(self, name: str, request: Request) -> Row:
        row = self.rows[name].get(request.path_params["id"])
        if row is None or row.get("deleted_flag"):
            raise Wrong(404, detail="Test prose.")
        return row

    def _page(self, request: Request, rows: list[Row], by: str, size: int = DEFAULT_SIZE) -> Response:
        """Goes on behind the last row that it showed."""
        size = min(_whole(request, "page_size") or size, MOST)
        rows = sorted(rows, key=lambda row: _place(row, by))
        if "cursor" in request.query_params:
            last = json.loads(bytes.fromhex(request.query_params["cursor"]))
            rows = [row for row in rows if _place(row, by) > last]
        body: Row = {"data": [_view(row) for row in rows[:size]]}
        if size < len(rows):
            cursor = json.dumps(_place(rows[size - 1], by)).encode().hex()
            body["next"] = str(request.url.include_query_params(cursor=cursor))
        return JSONResponse(body)

    # -- appointments ------------------------------------------------------------------------------------------------

    def _appointments(self, request: Request, _: Row) -> Response:
        first, last = _days(request)
        wanted = {name: _whole(request, name) for name in ("doctor", "office", "patient")}
        rows = [
            row
            for row in self.rows["appointments"].values()
            if first <= row["scheduled_time"][:10] <= last
            and all(value in (None, row.get(name)) for name, value in wanted.items())
            and (not row["deleted_flag"] or request.query_params.get("show_archived") == "true")
        ]
        return self._page(request, rows, "scheduled_time")

    def _blocks(self, request: Request, _: Row) -> Response:
        first, last = _days(request)
        doctor = _whole(request, "doctor")
        rows = [
            row
            for row in self.rows["schedule_blocks"].values()
            if first <= row["start_time"][:10] <= last and doctor in (None, row["provider"])
        ]
        return self._page(request, rows, "start_time")

    def _create(self, request: Request, body: Row) -> Response:
        values = self._checked(body, REQUIRED - set(body))
        if "duration" not in values:
            if "profile" not in values:
                raise Wrong(400, duration=["test prose"])
            values["duration"] = self.rows["appointment_profiles"][str(values["profile"])]["duration"]
        self._room_for(values | {"id": ""})
        return JSONResponse(self.shown(self.book(**values)), 201)

    def _update(self, request: Request, body: Row) -> Response:
        row = self._row("appointments", request)
        values = self._checked(body, set())
        if {"scheduled_time", "duration", "doctor"} & set(values):
            self._room_for({**row, **values})
        self.touch(row["id"], **values)
        return Response(status_code=204)

    def _delete(self, request: Request, _: Row) -> Response:
        self.touch(self._row("appointments", request)["id"], deleted_flag=True)
        return Response(status_code=204)

    # -- rules ---------------------------------------------------------------------------------------------------------

    def _room_for(self, row: Row) -> None:
        if row.get("allow_overlapping"):
            return
        start, end = _ends(row)
        for other in self.rows["appointments"].values():
            stands = other["id"] != row["id"] and not other["deleted_flag"] and other["status"] != "Cancelled"
            begins, ends = _ends(other)
            if stands and other["doctor"] == row["doctor"] and begins < end and start < ends:
                raise Wrong(409, detail=f"Test prose about {other['id']}.")

    def _checked(self, body: Row, missing: set[str]) -> Row:
        wrong = set(body) - WRITABLE | missing
        wrong |= {
            name
            for name, many in REFERENCES.items()
            if name in body and (type(body[name]) is not int or str(body[name]) not in self.rows[many])
        }
        wrong |= {name for name in ("duration", "exam_room") if name in body and not _is_count(body[name])}
        wrong |= {"scheduled_time"} & set(body) if not _is_naive(body.get("scheduled_time")) else set()
        wrong |= {"status"} & set(body) if body.get("status") not in STATUSES else set()
        if wrong:
            raise Wrong(400, **{name: ["test prose"] for name in sorted(wrong)})
        return dict(body)


def _view(row: Row) -> Row:
    """Its documents know no null but a break's patient."""
    return {name: value for name, value in row.items() if value is not None or name == "patient"}


def _place(row: Row, by: str) -> list[Any]:
    return [row[by], int(re.sub(r"\D", "", str(row["id"])))]


def _ends(row: Row) -> tuple[datetime, datetime]:
    start = datetime.fromisoformat(row["scheduled_time"])
    return start, start + timedelta(minutes=row["duration"])


def _days(request: Request) -> tuple[str, str]:
    told = request.query_params.get("date_range")
    try:
        first, last = map(date.fromisoformat, (told or "").split("/"))
    except ValueError:
        raise Wrong(400, detail="Test prose.") from None
    if last < first or (last - first).days > MOST_DAYS:
        raise Wrong(400, detail="Test prose.")
    return str(first), str(last)


def _whole(request: Request, name: str) -> int | None:
    told = request.query_params.get(name)
    if told is None:
        return None
    if not re.fullmatch(r"[0-9]+", told):
        raise Wrong(400, **{name: ["test prose"]})
    return int(told)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_naive(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", value) is not None
