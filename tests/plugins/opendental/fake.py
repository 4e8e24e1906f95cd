"""Open Dental as far as appointments go, written from its documents (API pages of 2025): one office.

It refuses no double booking, says naive local time, shows a note's line breaks as spaces, and answers a break or a
confirmation with nothing. Where the documents are silent it does what is worst for a caller: what it explains by 400
says nothing, and a write's answer shows another stamp than a read. It knows nothing of the gateway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Row = dict[str, Any]

KEYS = {
    "appointments": "AptNum", "operatories": "OperatoryNum", "providers": "ProvNum", "clinics": "ClinicNum",
    "appointmenttypes": "AppointmentTypeNum", "patients": "PatNum",
}  # fmt: skip
REFERS = {"PatNum": "patients", "Op": "operatories", "ProvNum": "providers", "ProvHyg": "providers",
          "ClinicNum": "clinics", "AppointmentTypeNum": "appointmenttypes"}  # fmt: skip
STATUSES = {"Scheduled", "Complete", "UnschedList", "Broken", "Planned", "PtNote", "PtNoteCompleted"}
DEFINITIONS = {19: "Not Called", 20: "Unconfirmed", 21: "Appointment Confirmed", 22: "Arrived"}
WRITABLE = {"AptStatus", "Pattern", "PatternSecondary", "Confirmed", "Op", "Note", "ProvNum", "ProvHyg", "AptDateTime",
            "ClinicNum", "IsHygiene", "AppointmentTypeNum"}  # fmt: skip
HOLDING = {"Scheduled", "Complete"}
NEVER = "0001-01-01 00:00:00"
FORM = "%Y-%m-%d %H:%M:%S"
MOST = 100
LONGEST = 108
FIVE = timedelta(minutes=5)


class Wrong(Exception):
    """An answer that is none. What it explains is prose, for people."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class FakeOpenDental:
    """`opens`, `closes`: the hours of everybody, by the office's clock, every day."""

    def __init__(self, zone: str, *, keys: str = "devkey/custkey", url: str = "http://opendental.test/api/v1") -> None:
        self.zone, self.keys, self.url = ZoneInfo(zone), keys, url
        self.opens, self.closes = timedelta(hours=8), timedelta(hours=17)
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.rows: dict[str, dict[int, Row]] = {name: {} for name in KEYS}
        self.calls: list[tuple[str, str]] = []
        self.says_object = True
        """An update is answered with the appointment; by older documents with nothing."""
        self.breaks = True
        """Appointments can be broken."""
        self.before_write: Callable[[], Any] | None = None
        """What somebody else does just before the next write, once."""
        self.after_write: Callable[[], Response] | None = None
        """What becomes of the answer to the next write, once."""
        self._last, self._ticks = 5000, 0
        one = "/api/v1/appointments/{id:int}"
        self.app = Starlette(
            routes=[
                Route("/api/v1/appointments", self._served(self._appointments), methods=["GET"]),
                Route("/api/v1/appointments", self._served(self._create), methods=["POST"]),
                Route("/api/v1/appointments/Slots", self._served(self._slots)),
                Route(one, self._served(self._read), methods=["GET"]),
                Route(one, self._served(self._update), methods=["PUT"]),
                Route(f"{one}/Break", self._served(self._break), methods=["PUT"]),
                Route(f"{one}/Confirm", self._served(self._confirm), methods=["PUT"]),
                Route("/api/v1/patients/Simple", self._listing("patients")),
                Route("/api/v1/patients/{id:int}", self._served(self._patient)),
                *(Route(f"/api/v1/{n}", self._listing(n)) for n in ("operatories", "providers", "clinics")),
                Route("/api/v1/appointmenttypes", self._listing("appointmenttypes")),
            ]
        )

    # -- what tests see and do -----------------------------------------------------------------------------------

    def put(self, name: str, /, **values: Any) -> int:
        """A row as the office's staff make it; → its number."""
        self._last += 1
        self.rows[name][self._last] = {KEYS[name]: self._last, **values}
        return self._last

    def book(self, start: str, pattern: str = "//XX//", **values: Any) -> int:
        blank = {
            "AptStatus": "Scheduled", "Pattern": pattern, "PatternSecondary": "/" * len(pattern), "Confirmed": 19,
            "Op": 0, "Note": "", "ProvNum": 0, "ProvHyg": 0, "AptDateTime": start, "ClinicNum": 0,
            "IsHygiene": "false", "AppointmentTypeNum": 0, "Priority": "Normal", "DateTStamp": self._stamp(),
        }  # fmt: skip
        return self.put("appointments", **{**blank, **values})

    def touch(self, id: int, **values: Any) -> None:
        self.rows["appointments"][id].update(values, DateTStamp=self._stamp())

    def row(self, id: int | str) -> Row:
        return self.rows["appointments"][int(id)]

    def written(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]

    def _stamp(self) -> str:
        """To the second; no two writes in one, so that a version tells them apart."""
        self._ticks += 1
        return self._wall(self.now() + timedelta(seconds=self._ticks)).strftime(FORM)

    def _wall(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone).replace(tzinfo=None, microsecond=0)

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def _served(self, act: Callable[[Request, Row], Response]) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            self.calls.append((request.method, request.url.path.removeprefix("/api/v1")))
            try:
                self._admit(request)
                content = await request.body()
                return self._act(act, request, json.loads(content) if content else {})
            except Wrong as wrong:
                return PlainTextResponse("Test prose.", wrong.status)

        return serve

    def _act(self, act: Callable[[Request, Row], Response], request: Request, body: Row) -> Response:
        if request.method == "GET":
            return act(request, body)
        comes_first, self.before_write = self.before_write, None
        if comes_first is not None:
            comes_first()
        answer, instead, self.after_write = act(request, body), self.after_write, None
        return answer if instead is None else instead()

    def _admit(self, request: Request) -> None:
        if request.headers.get("authorization") != f"ODFHIR {self.keys}":
            raise Wrong(401)
        if request.headers.get("content-type") != "application/json":
            raise Wrong(400)

    def _listing(self, name: str) -> Any:
        return self._served(lambda request, _: self._page(request, list(self.rows[name].values())))

    def _page(self, request: Request, rows: list[Row]) -> Response:
        offset, limit = (int(request.query_params.get(name, of)) for name, of in (("Offset", 0), ("Limit", MOST)))
        return JSONResponse(rows[offset : offset + min(limit, MOST)])

    def _patient(self, request: Request, _: Row) -> Response:
        found = self.rows["patients"].get(request.path_params["id"])
        if found is None:
            raise Wrong(404)
        return JSONResponse(found)

    def _view(self, row: Row, **more: Any) -> Row:
        """As it is answered with: the serializer puts spaces for line breaks."""
        named = {"confirmed": DEFINITIONS[row["Confirmed"]], "serverDateTime": self._wall(self.now()).strftime(FORM)}
        return {**row, **named, "Note": re.sub(r"\r\n|\r|\n", " ", row["Note"]), **more}

    # -- appointments ------------------------------------------------------------------------------------------------

    def _read(self, request: Request, _: Row) -> Response:
        return JSONResponse(self._view(self._row(request)))

    def _appointments(self, request: Request, _: Row) -> Response:
        rows = [self._view(row) for row in self.rows["appointments"].values() if _passes(row, request.query_params)]
        return self._page(request, rows)

    def _create(self, request: Request, body: Row) -> Response:
        if not {"PatNum", "Op", "AptDateTime"} <= set(body):
            raise Wrong(400)
        values = self._checked(body, WRITABLE | {"PatNum"})
        chair = self.rows["operatories"][values["Op"]]
        values.setdefault("ProvNum", chair["ProvDentist"])
        values.setdefault("ClinicNum", chair["ClinicNum"])
        made = self.book(values.pop("AptDateTime"), values.pop("Pattern", "/XX/"), **values)
        told = {name: value for name, value in self._view(self.row(made)).items() if name != "serverDateTime"}
        location = {"Location": f"{self.url}/appointments/{made}"}
        return JSONResponse({**told, "DateTStamp": NEVER}, 201, headers=location)

    def _update(self, request: Request, body: Row) -> Response:
        row = self._row(request)
        values = self._checked(body, WRITABLE)
        after = {**row, **values}
        if len(after["Pattern"]) != len(after["PatternSecondary"]):
            raise Wrong(400)
        self.touch(row["AptNum"], **values)
        return JSONResponse(self._view(row, DateTStamp=NEVER)) if self.says_object else Response()

    def _break(self, request: Request, body: Row) -> Response:
        row = self._row(request)
        to, kind = body.get("sendToUnscheduledList"), body.get("breakType", "Missed")
        is_said = to in ("true", "false") and kind in ("Missed", "Cancelled")
        if not (is_said and self.breaks) or row["AptStatus"] != "Scheduled":
            raise Wrong(400)
        self.touch(row["AptNum"], AptStatus="UnschedList" if to == "true" else "Broken")
        return Response()

    def _confirm(self, request: Request, body: Row) -> Response:
        row = self._row(request)
        if set(body) != {"defNum"} or body["defNum"] not in DEFINITIONS:
            raise Wrong(400)
        self.touch(row["AptNum"], Confirmed=body["defNum"])
        return Response()

    def _row(self, request: Request) -> Row:
        row = self.rows["appointments"].get(request.path_params["id"])
        if row is None:
            raise Wrong(404)
        return row

    def _checked(self, body: Row, allowed: set[str]) -> Row:
        if set(body) - allowed or body.get("AptStatus", "Scheduled") not in STATUSES:
            raise Wrong(400)
        for name, table in REFERS.items():
            if body.get(name, 0) and body[name] not in self.rows[table]:
                raise Wrong(404)
        values = {n: v[:LONGEST] if n.startswith("Pattern") else v for n, v in body.items()}
        for pattern in (values.get("Pattern", "X"), values.get("PatternSecondary", "X")):
            if not re.fullmatch("[X/]+", pattern):
                raise Wrong(400)
        if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", values.get("AptDateTime", NEVER)):
            raise Wrong(400)
        return values

    # -- free time -----------------------------------------------------------------------------------------------------

    def _slots(self, request: Request, _: Row) -> Response:
        asked = request.query_params
        first, last = (date.fromisoformat(asked[name]) for name in ("dateStart", "dateEnd"))
        who, where = int(asked["ProvNum"]), int(asked["OpNum"])
        if first < self._wall(self.now()).date():
            raise Wrong(400)
        days = (first + timedelta(days=n) for n in range((last - first).days + 1))
        found = [open for day in days for open in self._open(day, who, where)]
        return self._page(
            request,
            [
                {"DateTimeStart": str(begin), "DateTimeEnd": str(end), "ProvNum": who, "OpNum": where}
                for begin, end in found
            ],
        )

    def _open(self, day: date, who: int, where: int) -> Iterator[tuple[datetime, datetime]]:
        """What is free in the chair and in all others that the provider works in."""
        midnight = datetime(day.year, day.month, day.day)
        begin, end = midnight + self.opens, midnight + self.closes
        for taken_from, taken_to in sorted(self._taken(who, where)):
            if begin < taken_from < end:
                yield begin, taken_from
            if taken_from < end and taken_to > begin:
                begin = taken_to
        if begin < end:
            yield begin, end

    def _taken(self, who: int, where: int) -> Iterator[tuple[datetime, datetime]]:
        for row in self.rows["appointments"].values():
            there = row["Op"] == where or (row["Op"] and who in (row["ProvNum"], row["ProvHyg"]))
            if there and row["AptStatus"] in HOLDING:
                start = datetime.strptime(row["AptDateTime"], FORM)
                yield start, start + len(row["Pattern"]) * FIVE


def _passes(row: Row, asked: Any) -> bool:
    day = row["AptDateTime"][:10]
    numbers = ("PatNum", "Op", "ClinicNum", "AppointmentTypeNum")
    fine = all(str(row[name]) == asked[name] for name in numbers if name in asked)
    in_time = asked.get("dateStart", day) <= day <= asked.get("dateEnd", day)
    return fine and in_time and asked.get("AptStatus", row["AptStatus"]) == row["AptStatus"]
