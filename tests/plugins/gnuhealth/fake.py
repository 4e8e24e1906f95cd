"""A GNU Health server as far as appointments go: Tryton's JSON-RPC with its sessions, its errors under HTTP 200 and its
optimistic locking, read off the real one. It knows nothing of the gateway."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.plugins.gnuhealth.domain import matches

Row = dict[str, Any]

APPOINTMENT = "gnuhealth.appointment"
STATES = (None, "free", "confirmed", "checked_in", "done", "user_cancelled", "center_cancelled", "no_show")
DEFAULTS = {
    "name": None, "healthprof": None, "patient": None, "appointment_date": None, "appointment_date_end": None,
    "institution": None, "speciality": None, "state": "confirmed", "urgency": "a", "comments": None,
    "appointment_type": "outpatient", "visit_type": "new", "consultations": None, "insurance": None,
    "event": None, "checked_in_date": None,
}  # fmt: skip
WRONG_PASSWORDS = 5
PAGE = "<!doctype html><html lang=en><title>{0}</title><h1>{0}</h1><p>Test prose.</p>"


class RpcError(Exception):
    """What comes as `error` under HTTP 200."""


class Denied(Exception):
    """What comes as a page, with a status of its own."""


class FakeGnuHealth:
    """One database. `coarse`: it compares versions to the second, as on SQLite."""

    def __init__(self, *, database: str = "health", user: str = "frontdesk", password: str = "test-password") -> None:
        self.database, self.user, self.password = database, user, password
        self.user_id, self.coarse = 7, False
        self.now = datetime(2026, 11, 24, 10, tzinfo=UTC)
        self.tables: dict[str, dict[int, Row]] = {APPOINTMENT: {}}
        self.access = {"read": 1, "write": 1, "create": 1, "delete": 1}
        self.with_calendar: set[int] = set()
        """Professionals whose appointments are put into a calendar, too."""
        self.sessions: set[str] = set()
        self.logins = self.wrong = 0
        self.calls: list[tuple[str, list[Any]]] = []
        self.stumbles: Exception | None = None
        """Raised by the next call of a model, once."""
        self._ids = 1000
        self.app = Starlette(routes=[Route("/{database}/", self._answer, methods=["POST"])])

    # -- what the tests see and do -----------------------------------------------------------------------------

    def put(self, model: str, **values: Any) -> int:
        """A row as somebody else makes it; → its id."""
        self._ids += 1
        stamps = {"create_uid": 1, "create_date": self.now, "write_date": None}
        self.tables.setdefault(model, {})[self._ids] = {"id": self._ids, **stamps, **values}
        return self._ids

    def put_appointment(self, **values: Any) -> int:
        return self.put(APPOINTMENT, **{**DEFAULTS, "name": None, **values})

    def touch(self, id: int, **values: Any) -> None:
        """A write of the staff."""
        self.tables[APPOINTMENT][id].update(values, write_date=self.now)

    def rows(self, **wanted: Any) -> list[Row]:
        found = self.tables[APPOINTMENT].values()
        return [row for row in found if all(row[name] == value for name, value in wanted.items())]

    def written(self) -> list[tuple[str, list[Any]]]:
        return [(method, params) for method, params in self.calls if method.endswith((".write", ".create", ".delete"))]

    def expire(self) -> None:
        self.sessions.clear()

    # -- HTTP --------------------------------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Response:
        self.now += timedelta(milliseconds=1.5)
        if request.path_params["database"] != self.database:
            return self._page(404)
        body = json.loads(await request.body(), object_hook=_heard)
        if not isinstance(body, dict) or set(body) != {"id", "method", "params"}:
            return self._page(500)
        try:
            told = {"result": self._result(request, body["method"], body["params"])}
        except Denied as denied:
            return self._page(int(denied.args[0]), **denied.args[1])
        except RpcError as error:
            told = {"error": list(error.args)}
        content = json.dumps({"id": body["id"], **told}, default=_told, separators=(",", ":"))
        return Response(content, headers=self._headers(), media_type="application/json")

    def _page(self, status: int, **headers: str) -> Response:
        content = PAGE.format(status) if status != 401 else ""
        return Response(content, status, headers={**self._headers(), **headers}, media_type="text/html")

    def _headers(self) -> dict[str, str]:
        return {"Date": format_datetime(self.now.replace(microsecond=0), usegmt=True)}

    def _result(self, request: Request, method: str, params: list[Any]) -> Any:
        if method == "common.db.login":
            return self._login(*params)
        if request.headers.get("Authorization", "") not in self.sessions:
            raise Denied(401, {"WWW-Authenticate": 'Basic realm="Tryton"'})
        self.calls.append((method, params))
        if self.stumbles is not None:
            error, self.stumbles = self.stumbles, None
            raise error
        model, _, name = method.removeprefix("model.").rpartition(".")
        call: Callable[..., Any] | None = getattr(self, f"_{name}", None)
        if call is None or (name not in ("search_read", "get_access") and model != APPOINTMENT):
            raise Denied(403, {})
        return call(model, *params)

    def _login(self, user: str, parameters: Mapping[str, str]) -> list[Any]:
        self.logins += 1
        if self.wrong >= WRONG_PASSWORDS:
            raise Denied(429, {})
        if "password" not in parameters:
            raise RpcError("LoginException", ["password", f"Password for {user}", "password"])
        if (user, parameters["password"]) != (self.user, self.password):
            self.wrong += 1
            raise Denied(401, {})
        session = f"session-{self.logins}"
        self.sessions.add("Session " + base64.b64encode(f"{user}:{self.user_id}:{session}".encode()).decode())
        return [self.user_id, session]

    # -- models ------------------------------------------------------------------------------------------------

    def _get_access(self, _: str, models: list[str], context: Row) -> dict[str, dict[str, int]]:
        return {model: dict(self.access) for model in models}

    def _search_read(
        self, model: str, domain: list[Any], offset: int, limit: int | None, order: Any, fields: list[str], context: Row
    ) -> list[Row]:
        self._allowed("read")
        found = [row for row in self.tables.get(model, {}).values() if matches(domain, row)]
        for field, direction in reversed(order or []):
            found.sort(key=lambda row: row[field], reverse=direction == "DESC")
        page = found[offset:] if limit is None else found[offset : offset + limit]
        return [self._shown(model, row, fields) for row in page]

    def _shown(self, model: str, row: Row, fields: list[str]) -> Row:
        known = {**row, "_timestamp": self._timestamp(row)}
        unknown = set(fields) - set(known)
        if unknown:
            raise RpcError(repr(unknown.pop()), "")
        return {"id": row["id"], **{field: known[field] for field in fields}}

    def _create(self, model: str, values: list[Row], context: Row) -> list[int]:
        self._allowed("create")
        made = []
        for one in values:
            for needed in ("state", "healthprof"):
                if needed not in one:
                    raise RpcError(repr(needed), "")
            row = {**DEFAULTS, **one}
            if row["state"] == "confirmed":
                if row["healthprof"] in self.with_calendar and "comments" not in one:
                    raise RpcError("'comments'", "")
                row["name"] = row["name"] or self._number()
            self._check(row)
            made.append(self.put(APPOINTMENT, **row))
            self.tables[APPOINTMENT][made[-1]]["create_uid"] = self.user_id
        return made

    def _write(self, model: str, ids: list[int], values: Row, context: Row) -> None:
        self._allowed("write")
        for row in self._current(ids, context):
            changed = {**row, **values, "write_date": self.now}
            if values.get("state") == "confirmed" and not values.get("name"):
                changed["name"] = self._number()
            self._check(changed)
            self.tables[APPOINTMENT][row["id"]] = changed

    def _delete(self, model: str, ids: list[int], context: Row) -> None:
        self._allowed("delete")
        for row in self._current(ids, context):
            del self.tables[APPOINTMENT][row["id"]]

    # -- rules -------------------------------------------------------------------------------------------------

    def _allowed(self, what: str) -> None:
        if not self.access[what]:
            raise _user_error(f'You are not allowed to {what} "Test".')

    def _current(self, ids: list[int], context: Row) -> list[Row]:
        rows = self.tables[APPOINTMENT]
        for id in ids:
            if id not in rows:
                raise _user_error(f'You are trying to read records "{id}" of "Patient Appointments" that don\'t exist.')
            token = (context.get("_timestamp") or {}).get(f"{APPOINTMENT},{id}")
            if token is not None and token != self._timestamp(rows[id]):
                raise RpcError("ConcurrencyException", "Records were modified in the meanwhile")
        return [rows[id] for id in ids]

    def _timestamp(self, row: Row) -> str:
        stamp = (row["write_date"] or row["create_date"]).timestamp()
        return str(int(stamp)) if self.coarse else f"{stamp:.6f}"

    def _check(self, row: Row) -> None:
        start, end = row["appointment_date"], row["appointment_date_end"]
        if row["state"] not in STATES:
            raise _user_error('The value "nonsense" for field "State" is not one of the allowed options.')
        if row["state"] != "free" and row["patient"] is None:
            raise _user_error('A value is required for field "Patient".')
        if start is not None and end is not None and end < start:
            raise _user_error("SM-CALENDAR-0004: The Appointment END date is BEFORE the start date")

    def _number(self) -> str:
        self.numbers = getattr(self, "numbers", 0) + 1
        return f"APP 2026/{self.numbers}"


def _user_error(message: str) -> RpcError:
    return RpcError("UserError", [message, "", None])


def _heard(value: Row) -> Any:
    if value.get("__class__") != "datetime":
        return value
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return datetime(*(value[part] for part in parts), tzinfo=UTC)


def _told(value: datetime) -> Row:
    parts = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime", **{part: getattr(value, part) for part in parts}}
