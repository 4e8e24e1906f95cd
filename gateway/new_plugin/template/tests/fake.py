"""Acme as far as appointments go: one practice. It knows nothing of the gateway, as the vendor's own server would not.

Written from the vendor's documents, before the plugin; where they are silent, it does what is worst for a caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Row = dict[str, Any]

DIRECTORIES = {"sites": "si", "clinicians": "cl", "visit-types": "vt", "patients": "pa"}
NAMED = {"clinician": "clinicians", "visit_type": "visit-types", "site": "sites", "patient": "patients"}
WRITABLE = {*NAMED, "starts", "ends", "note", "reference"}
PAGE = 50
SLOT = timedelta(minutes=30)


class Wrong(Exception):
    """An answer that is none."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class FakeAcme:
    """`opens`, `closes`: the hours of all clinicians, in UTC, every day."""

    def __init__(self, key: str = "invented-key", *, opens: int = 8, closes: int = 16) -> None:
        self.key, self.opens, self.closes = key, opens, closes
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in ("visits", *DIRECTORIES)}
        self.calls: list[tuple[str, str]] = []
        self._last = 1000
        routes = [
            Route("/visits", self._served(self._list_visits), methods=["GET"]),
            Route("/visits", self._served(self._book), methods=["POST"]),
            Route("/visits/{id}", self._served(self._change), methods=["PATCH"]),
            Route("/visits/{id}", self._served(self._delete), methods=["DELETE"]),
            Route("/visits/{id}/void", self._served(self._void), methods=["POST"]),
            Route("/openings", self._served(self._openings)),
            *(Route(f"/{name}/{{id}}", self._served(self._shows(name))) for name in self.rows),
            *(Route(f"/{name}", self._served(self._lists(name))) for name in DIRECTORIES),
        ]
        self.app = Starlette(routes=routes)

    # -- what tests see and do -----------------------------------------------------------------------------------

    def put(self, kind: str, name: str) -> str:
        """An entry of a directory; → its id."""
        id = self._next(DIRECTORIES[kind])
        self.rows[kind][id] = {"id": id, "name": name}
        return id

    def book(self, **values: Any) -> Row:
        """As the staff does it."""
        blank = {"id": self._next("v"), "state": "planned", "note": "", "reference": None, "revision": 1}
        blank |= {**dict.fromkeys(NAMED), "site": next(iter(self.rows["sites"]), None)}
        row = {**blank, **values}
        self.rows["visits"][row["id"]] = row
        return row

    def touch(self, row: Row, **values: Any) -> Row:
        row.update(values, revision=row["revision"] + 1)
        return row

    def _next(self, prefix: str) -> str:
        self._last += 1
        return f"{prefix}-{self._last}"

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def _served(self, act: Callable[[Request, Row], Response]) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            self.calls.append((request.method, request.url.path))
            content = await request.body()
            try:
                self._admit(request)
                return act(request, json.loads(content) if content else {})
            except Wrong as wrong:
                return JSONResponse({"error": wrong.code, "message": "Test prose."}, wrong.status)

        return serve

    def _admit(self, request: Request) -> None:
        if request.headers.get("x-api-key") != self.key:
            raise Wrong(401, "no_access")

    def _shows(self, name: str) -> Callable[[Request, Row], Response]:
        return lambda request, _: JSONResponse(self._row(name, request))

    def _lists(self, name: str) -> Callable[[Request, Row], Response]:
        return lambda request, _: self._page(request, list(self.rows[name].values()))

    def _page(self, request: Request, rows: list[Row]) -> Response:
        begin = int(request.query_params.get("cursor", "0"))
        end = begin + PAGE
        more = str(end) if end < len(rows) else None
        return JSONResponse({"items": rows[begin:end], "next": more, "total": len(rows)})

    def _row(self, name: str, request: Request) -> Row:
        row = self.rows[name].get(request.path_params["id"])
        if row is None:
            raise Wrong(404, "unknown")
        return row

    # -- visits ------------------------------------------------------------------------------------------------------

    def _list_visits(self, request: Request, _: Row) -> Response:
        asked = dict(request.query_params)
        begin, end = asked.pop("from", ""), asked.pop("to", "~")
        asked.pop("cursor", None)
        rows = [row for row in self.rows["visits"].values() if begin < row["ends"] and row["starts"] < end]
        return self._page(request, [row for row in rows if all(row[name] == value for name, value in asked.items())])

    def _book(self, _: Request, body: Row) -> Response:
        if not {"starts", "ends", "patient", "clinician"} <= set(body):
            raise Wrong(422, "incomplete")
        self._check(body, body)
        return JSONResponse(self.book(**body), 201)

    def _change(self, request: Request, body: Row) -> Response:
        row = self._open(request)
        self._check(body, {**row, **body})
        return JSONResponse(self.touch(row, **body))

    def _void(self, request: Request, body: Row) -> Response:
        return JSONResponse(self.touch(self._open(request), state="void", **body))

    def _delete(self, request: Request, _: Row) -> Response:
        del self.rows["visits"][self._open(request)["id"]]
        return Response(status_code=204)

    def _open(self, request: Request) -> Row:
        """One that can be written over, as the caller knows it."""
        row = self._row("visits", request)
        if request.headers.get("if-match", str(row["revision"])) != str(row["revision"]):
            raise Wrong(412, "stale")
        if row["state"] != "planned":
            raise Wrong(409, "closed")
        return row

    def _check(self, body: Row, whole: Row) -> None:
        unknown = [name for name, kind in NAMED.items() if name in body and body[name] not in self.rows[kind]]
        if set(body) - WRITABLE or unknown or whole["ends"] <= whole["starts"]:
            raise Wrong(422, "invalid")
        if {"starts", "ends", "clinician"} & set(body) and any(self._beside(whole)):
            raise Wrong(409, "time_taken")

    def _beside(self, row: Row) -> Iterator[Row]:
        for other in self.rows["visits"].values():
            same = other["clinician"] == row["clinician"] and other["id"] != row.get("id")
            if same and other["state"] != "void" and other["starts"] < row["ends"] and row["starts"] < other["ends"]:
                yield other

    # -- free time -----------------------------------------------------------------------------------------------------

    def _openings(self, request: Request, _: Row) -> Response:
        asked = request.query_params
        if "clinician" not in asked:
            raise Wrong(422, "incomplete")
        begin, end, clinician = read(asked["from"]), read(asked["to"]), asked["clinician"]
        slots = [
            {"starts": said(at), "ends": said(at + SLOT), "clinician": clinician} for at in self._starts(begin, end)
        ]
        return JSONResponse({"openings": [slot for slot in slots if not any(self._beside(slot))]})

    def _starts(self, begin: datetime, end: datetime) -> Iterator[datetime]:
        at = begin.replace(hour=0, minute=0, second=0)
        while at < end:
            if self.opens <= at.hour < self.closes and at + SLOT > begin:
                yield at
            at += SLOT


def said(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
