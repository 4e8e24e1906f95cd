"""Cliniko as far as appointments go, written from its documents (OpenAPI of 2024, older prose): one account.

It refuses no double booking, hides what was cancelled unless asked for it, and offers starts only. Where the documents
are silent it does what is worst for a caller: `end` is set anew by a start alone. It knows nothing of the gateway.
"""

from __future__ import annotations

import base64
import json
import operator
import re
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Row = dict[str, Any]

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne, ">": operator.gt, "<": operator.lt, "=": operator.eq,
}  # fmt: skip
HIDDEN = ("archived_at", "deleted_at", "cancelled_at")
WRITABLE = {"appointment_type_id", "business_id", "ends_at", "notes", "patient_id", "practitioner_id", "starts_at"}
LINKS = {"appointment_type": "appointment_types", "business": "businesses", "patient": "patients",
         "practitioner": "practitioners"}  # fmt: skip
REASONS = {10: "Feeling Better", 20: "Condition Worse", 30: "Sick", 31: "COVID-19 related", 40: "Away", 50: "Other",
           60: "Work"}  # fmt: skip


class Wrong(Exception):
    """An answer that is none."""

    def __init__(self, status: int, **body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class FakeCliniko:
    """`opens`, `closes`: the hours of all practitioners, by the clock of `zone`, every day."""

    def __init__(self, zone: str, *, key: str = "invented-key-au1", url: str = "http://cliniko.test/v1") -> None:
        self.zone, self.key, self.url = ZoneInfo(zone), key, url
        self.opens, self.closes, self.every = 8, 17, timedelta(minutes=30)
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.rows: dict[str, dict[str, Row]] = {
            name: {} for name in (*LINKS.values(), "individual_appointments", "unavailable_blocks")
        }
        self.calls: list[tuple[str, str]] = []
        self.before_write: Callable[[], Any] | None = None
        """What somebody else does just before the next write, once."""
        self._last = 70_000_000_000_000
        self._ticks = 0
        each = [Route(f"/v1/{name}", self._list(name)) for name in LINKS.values()]
        each += [Route(f"/v1/{name}/{{id}}", self._get(name)) for name in LINKS.values()]
        one = "/v1/individual_appointments/{id}"
        self.app = Starlette(
            routes=[
                *each,
                Route("/v1/individual_appointments", self._list("individual_appointments"), methods=["GET"]),
                Route("/v1/individual_appointments", self._served(self._create), methods=["POST"]),
                Route(one, self._get("individual_appointments"), methods=["GET"]),
                Route(one, self._served(self._update), methods=["PATCH"]),
                Route(f"{one}/archive", self._served(self._archive), methods=["POST"]),
                Route(f"{one}/cancel", self._served(self._cancel), methods=["PATCH"]),
                Route(f"{one}/conflicts", self._served(self._conflicts)),
                Route(
                    "/v1/businesses/{b}/practitioners/{p}/appointment_types/{t}/available_times",
                    self._served(self._available_times),
                ),
            ]
        )

    # -- what tests see and do -----------------------------------------------------------------------------------

    def put(self, name: str, /, **values: Any) -> str:
        """A row as the practice's staff make it; → its id."""
        self._last += 1
        stamp = self._stamp()
        row = {"id": str(self._last), "created_at": stamp, "updated_at": stamp, **values}
        if name != "practitioners":
            row["archived_at"] = None
        self.rows[name][row["id"]] = row
        return str(row["id"])

    def book(self, starts_at: str, ends_at: str, **values: Any) -> str:
        blank = dict.fromkeys(
            ("notes", "cancelled_at", "cancellation_note", "cancellation_reason", "deleted_at", "did_not_arrive")
        )
        times = {"starts_at": starts_at, "ends_at": ends_at}
        return self.put("individual_appointments", **{**blank, "patient_arrived": False, **times, **values})

    def touch(self, id: str, **values: Any) -> None:
        self.rows["individual_appointments"][id].update(values, updated_at=self._stamp())

    def shown(self, id: str) -> Row:
        """An appointment as it is answered with."""
        return self._view("individual_appointments", self.rows["individual_appointments"][id])

    def written(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]

    def _stamp(self) -> str:
        """To the second; no two writes in one, so that a version tells them apart."""
        self._ticks += 1
        return _said(self.now() + timedelta(seconds=self._ticks))

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def _served(self, act: Callable[[Request, Row], Response]) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            path = request.url.path.removeprefix("/v1")
            self.calls.append((request.method, path))
            try:
                self._admit(request)
                content = await request.body()
                if request.method != "GET" and self.before_write is not None:
                    comes_first, self.before_write = self.before_write, None
                    comes_first()
                return act(request, json.loads(content) if content else {})
            except Wrong as wrong:
                return JSONResponse(wrong.body, wrong.status)

        return serve

    def _admit(self, request: Request) -> None:
        expected = base64.b64encode(f"{self.key}:".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            raise Wrong(401, message="Test prose.")
        if not re.fullmatch(r".+ \(\S+@\S+\)", request.headers.get("user-agent", "")):
            raise Wrong(403, message="Test prose.")
        if request.headers.get("accept") != "application/json":
            raise Wrong(406, message="Test prose.")

    def _list(self, name: str) -> Any:
        def answer(request: Request, _: Row) -> Response:
            rows = [row for row in self.rows[name].values() if self._passes(row, request.query_params.getlist("q[]"))]
            field, _, direction = request.query_params.get("sort", "created_at:asc").partition(":")
            rows.sort(key=lambda row: row[field], reverse=direction == "desc")
            return self._page(request, name, [self._view(name, row) for row in rows])

        return self._served(answer)

    def _page(self, request: Request, name: str, rows: list[Row]) -> Response:
        page = int(request.query_params.get("page", 1))
        size = int(request.query_params.get("per_page", 50))
        if not 1 <= size <= 100:
            raise Wrong(422, message="Test prose.")
        shown, links = rows[(page - 1) * size : page * size], {"self": str(request.url)}
        if page * size < len(rows):
            links["next"] = str(request.url.include_query_params(page=page + 1))
        return JSONResponse({name: shown, "total_entries": len(rows), "links": links})

    def _get(self, name: str) -> Any:
        def answer(request: Request, _: Row) -> Response:
            row = self.rows[name].get(request.path_params["id"])
            if row is None or not self._passes(row, request.query_params.getlist("q[]")):
                raise Wrong(404, message="Test prose.")
            return JSONResponse(self._view(name, row))

        return self._served(answer)

    def _passes(self, row: Row, filters: Iterable[str]) -> bool:
        asked = [tuple(one.split(":", 1)) for one in filters]
        named = {field for field, _ in asked}
        if any(row.get(field) is not None for field in HIDDEN if field not in named):
            return False
        return all(_holds(row.get(field), wanted) for field, wanted in asked)

    def _view(self, name: str, row: Row) -> Row:
        path = f"{self.url}/{name}/{row['id']}"
        shown = {key: value for key, value in row.items() if not key.endswith("_id")}
        shown |= {"links": {"self": path}}
        if name != "individual_appointments":
            return shown
        reason = row["cancellation_reason"]
        shown["cancellation_reason_description"] = None if reason is None else REASONS[reason]
        shown["patient_name"] = "Test Person"
        linked = {one: {"links": {"self": f"{self.url}/{many}/{row[one + '_id']}"}} for one, many in LINKS.items()}
        return shown | linked | {"conflicts": {"links": {"self": f"{path}/conflicts"}}, "repeats": None}

    # -- appointments ------------------------------------------------------------------------------------------------

    def _create(self, request: Request, body: Row) -> Response:
        needed = {"appointment_type_id", "business_id", "patient_id", "practitioner_id", "starts_at"}
        values = self._checked(body, needed - set(body))
        values.setdefault("ends_at", self._by_type(values))
        made = self.book(**values)
        location = {"Location": f"{self.url}/individual_appointments/{made}"}
        return JSONResponse(self.shown(made), 201, headers=location)

    def _update(self, request: Request, body: Row) -> Response:
        row = self._row(request)
        values = self._checked(body, set())
        if "starts_at" in values and values.get("ends_at") is None:
            values["ends_at"] = self._by_type({**row, **values})
        if {**row, **values}["ends_at"] <= {**row, **values}["starts_at"]:
            raise Wrong(422, message="Validation Failed", errors={"ends_at": "test prose"})
        self.touch(row["id"], **values)
        return JSONResponse(self.shown(row["id"]))

    def _archive(self, request: Request, _: Row) -> Response:
        self.touch(self._row(request)["id"], archived_at=self._stamp())
        return Response(status_code=204)

    def _cancel(self, request: Request, body: Row) -> Response:
        row = self._row(request)
        if body.get("cancellation_reason") not in REASONS:
            raise Wrong(422, message="Validation Failed", errors={"cancellation_reason": "test prose"})
        note = {"cancellation_note": body["cancellation_note"]} if "cancellation_note" in body else {}
        stamp = row["cancelled_at"] or self._stamp()
        self.touch(row["id"], cancelled_at=stamp, cancellation_reason=body["cancellation_reason"], **note)
        return Response(status_code=204)

    def _conflicts(self, request: Request, _: Row) -> Response:
        row = self._row(request)
        return JSONResponse({"conflicts": {"exist": any(True for _ in self._beside(row))}})

    def _available_times(self, request: Request, _: Row) -> Response:
        try:
            first, last = (date.fromisoformat(request.query_params[name]) for name in ("from", "to"))
        except (KeyError, ValueError):
            raise Wrong(400, message="Test prose.") from None
        if last - first > timedelta(days=7) or first < self.now().astimezone(self.zone).date() or last < first:
            raise Wrong(400, message="Test prose.")
        b, p, t = (request.path_params[name] for name in ("b", "p", "t"))
        kind = self.rows["appointment_types"].get(t)
        if kind is None or b not in self.rows["businesses"] or p not in self.rows["practitioners"]:
            raise Wrong(404, message="Test prose.")
        length = timedelta(minutes=kind["duration_in_minutes"])
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        starts = [start for day in days for start in self._starts(day, length, p)]
        return self._page(request, "available_times", [{"appointment_start": _said(start)} for start in starts])

    # -- rules ---------------------------------------------------------------------------------------------------------

    def _starts(self, day: date, length: timedelta, practitioner: str) -> Iterable[datetime]:
        start = datetime(day.year, day.month, day.day, self.opens, tzinfo=self.zone).astimezone(UTC)
        closes = datetime(day.year, day.month, day.day, self.closes, tzinfo=self.zone).astimezone(UTC)
        while start + length <= closes:
            asked = {"id": "", "practitioner_id": practitioner, "starts_at": _said(start)}
            if start > self.now() and not any(True for _ in self._beside(asked | {"ends_at": _said(start + length)})):
                yield start
            start += self.every

    def _beside(self, row: Row) -> Iterable[Row]:
        """Whatever else holds the practitioner's time."""
        for name in ("individual_appointments", "unavailable_blocks"):
            for other in self.rows[name].values():
                stands = other["id"] != row["id"] and all(other.get(field) is None for field in HIDDEN)
                apart = other["ends_at"] <= row["starts_at"] or row["ends_at"] <= other["starts_at"]
                if stands and not apart and other["practitioner_id"] == row["practitioner_id"]:
                    yield other

    def _row(self, request: Request) -> Row:
        row = self.rows["individual_appointments"].get(request.path_params["id"])
        if row is None or row["archived_at"] is not None:
            raise Wrong(404, message="Test prose.")
        return row

    def _checked(self, body: Row, missing: set[str]) -> Row:
        wrong = set(body) - WRITABLE | missing
        wrong |= {
            f"{one}_id"
            for one, many in LINKS.items()
            if f"{one}_id" in body and body[f"{one}_id"] not in self.rows[many]
        }
        wrong |= {at for at in ("starts_at", "ends_at") if at in body and not _is_said(body[at])}
        if wrong:
            raise Wrong(422, message="Validation Failed", errors=dict.fromkeys(sorted(wrong), "test prose"))
        return dict(body)

    def _by_type(self, row: Row) -> str:
        minutes = self.rows["appointment_types"][row["appointment_type_id"]]["duration_in_minutes"]
        return _said(datetime.fromisoformat(row["starts_at"]) + timedelta(minutes=minutes))


def _said(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_said(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) is not None


def _holds(value: Any, wanted: str) -> bool:
    if wanted == "*":
        return True
    sign = next(sign for sign in OPERATORS if wanted.startswith(sign))
    return value is not None and OPERATORS[sign](value, wanted.removeprefix(sign))
