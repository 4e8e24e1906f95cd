"""athenaOne's REST API as far as appointments go, written from what its documents and clients say: one practice.

Every slot is a record, and an appointment is the slot that it was booked into. A slot that is given up becomes a new
record with a new id, unless its reason says that it stays closed. Where the documents are silent it does what is worst
for a caller: refusals are told by prose alone, and the answers to writes show less than the lists. It knows nothing of
the gateway.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Row = dict[str, Any]
Form = dict[str, str]

DIRECTORIES = {"departments": "departmentid", "providers": "providerid", "appointmenttypes": "appointmenttypeid"}
OPEN, BOOKED, CANCELLED = "o", "f", "x"
SHORT = (
    *("date", "appointmentid", "starttime", "departmentid", "appointmentstatus", "patientid", "duration"),
    *("appointmenttypeid", "appointmenttype", "providerid", "patientappointmenttypename", "chargeentrynotrequired"),
    "rescheduledappointmentid",
)
"""What is shown of one appointment; the lists show more."""
OF_SLOTS = ("date", "starttime", "duration", "appointmenttype", "patientappointmenttypename")
WRITES = {
    "book": {"patientid", "appointmenttypeid", "reasonid", "departmentid", "bookingnote", "nopatientcase",
             "ignoreschedulablepermission", "donotsendconfirmationemail", "urgentyn"},
    "reschedule": {"newappointmentid", "patientid", "appointmentcancelreasonid", "reasonid", "reschedulereason",
                   "nopatientcase", "ignoreschedulablepermission"},
    "cancel": {"patientid", "appointmentcancelreasonid", "cancellationreason", "nopatientcase",
               "ignoreschedulablepermission"},
    "confirm": {"appointmentconfirmationid"},
    "note": {"notetext", "displayonschedule"},
    "open": {"appointmentdate", "appointmenttime", "departmentid", "providerid", "appointmenttypeid", "reasonid"},
}  # fmt: skip
"""The fields of each form."""


class Wrong(Exception):
    """An answer that is none."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class FakeAthena:
    """`practice` is the number in every address."""

    def __init__(self, practice: str = "195900", *, first_id: int = 1_000_000) -> None:
        self.practice, self.client, self.secret = practice, "invented-client", "invented secret+/"
        self.rows: dict[str, Row] = {}
        self.notes: dict[str, list[Row]] = {}
        self.directories: dict[str, dict[str, Row]] = {name: {} for name in DIRECTORIES}
        self.patients: set[str] = set()
        self.reasons: dict[str, Row] = {}
        self.confirmations = {"1", "2"}
        self.calls: list[tuple[str, str]] = []
        self.forms: list[Form] = []
        self.tokens = 0
        self.default_reason = "1"
        self.before_write: Callable[[], Any] | None = None
        """What somebody else does just before the next write, once."""
        self.takes_instead: str | None = None
        """A slot that it takes in place of the one that it was told, once."""
        self.refuses: tuple[str, str] | None = None
        """A method and the end of a path: whatever is written there."""
        self.before_refusal: Callable[[], Any] | None = None
        self._last, self._ticks = first_id, 0
        self.app = Starlette(routes=[Route("/oauth2/v1/token", self._token, methods=["POST"]), *self._routes()])

    def _routes(self) -> Iterable[Route]:
        base = f"/v1/{self.practice}"
        one = f"{base}/appointments/{{id}}"
        for name in DIRECTORIES:
            yield Route(f"{base}/{name}", self._served(self._list(name)))
            yield Route(f"{base}/{name}/{{id}}", self._served(self._entry(name)))
        yield Route(f"{base}/appointments/booked", self._served(self._booked))
        yield Route(f"{base}/appointments/open", self._served(self._free), methods=["GET"])
        yield Route(f"{base}/appointments/open", self._served(self._make_open, "open"), methods=["POST"])
        yield Route(one, self._served(self._one), methods=["GET"])
        yield Route(one, self._served(self._book, "book"), methods=["PUT"])
        yield Route(one, self._served(self._delete_open), methods=["DELETE"])
        yield Route(f"{one}/reschedule", self._served(self._reschedule, "reschedule"), methods=["PUT"])
        yield Route(f"{one}/cancel", self._served(self._cancel, "cancel"), methods=["PUT"])
        yield Route(f"{one}/confirmationstatus", self._served(self._confirm, "confirm"), methods=["PUT"])
        yield Route(f"{one}/notes", self._served(self._shown_notes), methods=["GET"])
        yield Route(f"{one}/notes", self._served(self._add_note, "note"), methods=["POST"])
        yield Route(f"{one}/notes/{{note}}", self._served(self._set_note, "note"), methods=["PUT"])
        yield Route(f"{one}/notes/{{note}}", self._served(self._drop_note, "note"), methods=["DELETE"])

    # -- what tests see and do -----------------------------------------------------------------------------------

    def put(self, name: str, /, **values: Any) -> str:
        """An entry of a directory; → its id."""
        id = self._next()
        shown = id if name == "departments" else int(id)
        self.directories[name][id] = {DIRECTORIES[name]: shown, **values}
        return id

    def reason(self, id: str, *, slot: bool = True, noshow: bool = False) -> str:
        self.reasons[id] = {"slotavailable": slot, "noshow": noshow}
        return id

    def slot(self, day: str, time: str, department: str, provider: str, kind: str, **more: Any) -> str:
        """An open slot, as the staff's template makes it: MM/DD/YYYY and HH:MM by the department's clock."""
        type_ = self.directories["appointmenttypes"][kind]
        id = self._next()
        self.rows[id] = {
            "appointmentid": id, "date": day, "starttime": time, "departmentid": department, "providerid": provider,
            "duration": type_["duration"], "appointmenttypeid": kind, "templateappointmenttypeid": kind,
            "appointmenttype": type_["name"], "patientappointmenttypename": type_["name"],
            "appointmentstatus": OPEN, "chargeentrynotrequired": False, "frozen": False, "lastmodified": self._stamp(),
            **more,
        }  # fmt: skip
        self.notes[id] = []
        return id

    def book(self, id: str, patient: str, **more: Any) -> str:
        """The staff books somebody into a slot."""
        self.touch(id, appointmentstatus=BOOKED, patientid=patient, **more)
        return id

    def touch(self, id: str, **values: Any) -> None:
        self.rows[id].update(values, lastmodified=self._stamp())

    def note(self, id: str, text: str) -> None:
        self.notes[id].append({"noteid": self._next(), "notetext": text, "displayonschedule": False, "deleted": False})

    def open_slots(self) -> list[Row]:
        return [row for row in self.rows.values() if row["appointmentstatus"] == OPEN]

    def written(self) -> list[tuple[str, str]]:
        return [call for call in self.calls if call[0] != "GET"]

    def _next(self) -> str:
        self._last += 1
        return str(self._last)

    def _stamp(self) -> str:
        """To the second, as everywhere in it; no two writes in one."""
        self._ticks += 1
        return (datetime(2027, 1, 4, 8) + timedelta(seconds=self._ticks)).strftime("%m/%d/%Y %H:%M:%S")

    # -- HTTP ----------------------------------------------------------------------------------------------------------

    async def _token(self, request: Request) -> Response:
        pair = base64.b64encode(f"{self.client}:invented+secret%2B%2F".encode()).decode()
        form = dict(parse_qsl((await request.body()).decode()))
        if request.headers.get("authorization") != f"Basic {pair}" or form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "invalid_client"}, 401)
        assert form["scope"] == "athena/service/Athenanet.MDP.*"
        self.tokens += 1
        return JSONResponse({"access_token": f"token-{self.tokens}", "expires_in": 3600, "token_type": "Bearer"})

    def _served(self, answer: Callable[[Request, Form], Any], form: str | None = None) -> Any:
        async def served(request: Request) -> Response:
            if request.headers.get("authorization") not in {f"Bearer token-{n + 1}" for n in range(self.tokens)}:
                return PlainTextResponse("Test prose.", 401)
            path = request.url.path.removeprefix(f"/v1/{self.practice}")
            self.calls.append((request.method, path))
            told = await self._form(request, WRITES[form]) if form else {}
            if request.method != "GET" and self.before_write is not None:
                staff, self.before_write = self.before_write, None
                staff()
            try:
                self._allowed(request.method, path)
                return JSONResponse(answer(request, told))
            except Wrong as wrong:
                said = {"error": "Test prose.", "detailedmessage": "More test prose."}
                return JSONResponse(said, wrong.status)

        return served

    def _allowed(self, method: str, path: str) -> None:
        if self.refuses is None or method != self.refuses[0] or not path.endswith(self.refuses[1]):
            return
        staff, self.before_refusal = self.before_refusal, None
        if staff is not None:
            staff()
        raise Wrong(400)

    async def _form(self, request: Request, fields: set[str]) -> Form:
        body = (await request.body()).decode()
        if body:
            assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        told = dict(parse_qsl(body, keep_blank_values=True, strict_parsing=bool(body)))
        assert set(told) <= fields, set(told) - fields
        self.forms.append(told)
        return told

    def _page(self, request: Request, name: str, rows: list[Row]) -> Row:
        offset, limit = (int(request.query_params.get(key, most)) for key, most in (("offset", 0), ("limit", 1000)))
        shown = {name: rows[offset : offset + limit], "totalcount": len(rows)}
        if offset + limit < len(rows):
            shown["next"] = f"/v1/{self.practice}/{name}?limit={limit}&offset={offset + limit}"
        return shown

    # -- directories -----------------------------------------------------------------------------------------------

    def _list(self, name: str) -> Callable[[Request, Form], Row]:
        return lambda request, _: self._page(request, name, list(self.directories[name].values()))

    def _entry(self, name: str) -> Callable[[Request, Form], list[Row]]:
        return lambda request, _: [_known(self.directories[name], request.path_params["id"])]

    # -- reads -----------------------------------------------------------------------------------------------------

    def _one(self, request: Request, _: Form) -> list[Row]:
        row = _known(self.rows, request.path_params["id"])
        return [{name: row[name] for name in SHORT if name in row}]

    def _booked(self, request: Request, _: Form) -> Row:
        asked = request.query_params
        first, last = _day(asked["startdate"]), _day(asked["enddate"])
        rows = [self._shown(row) for row in self.rows.values() if first <= _day(row["date"]) <= last]
        rows = [row for row in rows if row["appointmentstatus"] != OPEN]
        if asked.get("showcancelled") != "true":
            rows = [row for row in rows if row["appointmentstatus"] != CANCELLED]
        for name in ("departmentid", "providerid", "patientid"):
            if name in asked:
                rows = [row for row in rows if row[name] in asked[name].split(",")]
        return self._page(request, "appointments", rows)

    def _shown(self, row: Row) -> Row:
        """The notes of one that was cancelled are hidden, and a list does not show them."""
        shown = {name: value for name, value in row.items() if name != "frozen"}
        notes = [note for note in self.notes[row["appointmentid"]] if not note["deleted"]]
        if row["appointmentstatus"] != CANCELLED and notes:
            shown["appointmentnotes"] = [
                {"id": int(n["noteid"]), "text": n["notetext"], "displayonschedule": n["displayonschedule"]}
                for n in notes
            ]
        return shown

    def _free(self, request: Request, _: Form) -> Row:
        """Nothing without a type or a reason; ids are numbers here, and nowhere else."""
        asked = request.query_params
        first, last = _day(asked["startdate"]), _day(asked["enddate"])
        departments = asked["departmentid"].split(",")
        kind, reason = asked.get("appointmenttypeid"), asked.get("reasonid")
        rows = [row for row in self.open_slots() if first <= _day(row["date"]) <= last and not row["frozen"]]
        rows = [row for row in rows if row["departmentid"] in departments]
        rows = [row for row in rows if row["providerid"] in asked.get("providerid", row["providerid"]).split(",")]
        rows = [row for row in rows if self._takes(row, kind)] if kind else rows if reason == "-1" else []
        return self._page(request, "appointments", [_as_slot(row) for row in rows])

    def _takes(self, row: Row, kind: str) -> bool:
        return kind == row["appointmenttypeid"] or self._type(row).get("generic") is True

    def _type(self, row: Row) -> Row:
        return self.directories["appointmenttypes"][row["appointmenttypeid"]]

    # -- writes ----------------------------------------------------------------------------------------------------

    def _make_open(self, _: Request, form: Form) -> Row:
        _given(form, "appointmentdate", "appointmenttime", "departmentid", "providerid", "appointmenttypeid")
        _day(form["appointmentdate"])
        place = (form["departmentid"], form["providerid"], form["appointmenttypeid"])
        times = form["appointmenttime"].split(",")
        return {"appointmentids": {self.slot(form["appointmentdate"], time, *place): time for time in times}}

    def _delete_open(self, request: Request, _: Form) -> Row:
        if _known(self.rows, request.path_params["id"])["appointmentstatus"] != OPEN:
            raise Wrong(400)
        del self.rows[request.path_params["id"]]
        return {"success": True}

    def _book(self, request: Request, form: Form) -> list[Row]:
        _given(form, "patientid")
        if not {"appointmenttypeid", "reasonid"} & set(form):
            raise Wrong(400)
        return self._placed(request.path_params["id"], form["patientid"], form.get("appointmenttypeid"))

    def _placed(self, id: str, patient: str, kind: str | None, **more: Any) -> list[Row]:
        id, self.takes_instead = self.takes_instead or id, None
        slot = _known(self.rows, id)
        if slot["appointmentstatus"] != OPEN or slot["frozen"] or patient not in self.patients:
            raise Wrong(400)
        if kind is not None:
            type_ = _known(self.directories["appointmenttypes"], kind)
            more |= {"appointmenttypeid": kind, "appointmenttype": type_["name"], "duration": type_["duration"]}
        user = {"scheduledby": "API-1", "lastmodifiedby": "API-1"}
        self.book(id, patient, **user, **more)
        return [{name: self.rows[id][name] for name in SHORT if name in self.rows[id]}]

    def _reschedule(self, request: Request, form: Form) -> list[Row]:
        _given(form, "newappointmentid", "patientid")
        old = self._standing(request, form)
        new = form["newappointmentid"] if self.takes_instead is None else self.takes_instead
        shown = self._placed(new, form["patientid"], old["appointmenttypeid"])
        self.notes[new], self.notes[old["appointmentid"]] = self.notes[old["appointmentid"]], []
        if "appointmentconfirmationid" in old:
            self.touch(new, appointmentconfirmationid=old["appointmentconfirmationid"])
        self._give_up(old, form.get("appointmentcancelreasonid"), rescheduledappointmentid=new)
        return shown

    def _cancel(self, request: Request, form: Form) -> list[Row]:
        _given(form, "patientid")
        self._give_up(self._standing(request, form), form.get("appointmentcancelreasonid"))
        for note in self.notes[request.path_params["id"]]:
            note["deleted"] = True
        return [{"appointmentid": request.path_params["id"], "status": CANCELLED}]

    def _standing(self, request: Request, form: Form) -> Row:
        row = _known(self.rows, request.path_params["id"])
        if row["appointmentstatus"] != BOOKED or row["patientid"] != form["patientid"]:
            raise Wrong(400)
        return row

    def _give_up(self, row: Row, reason: str | None, **more: Any) -> None:
        id = reason or self.default_reason
        why = _known(self.reasons, id)
        told = {"cancelreasonid": id, "cancelreasonnoshow": why["noshow"],
                "cancelreasonslotavailable": why["slotavailable"]}  # fmt: skip
        self.touch(row["appointmentid"], appointmentstatus=CANCELLED, **told, **more)
        if why["slotavailable"]:
            place = (row["departmentid"], row["providerid"], row["templateappointmenttypeid"])
            self.slot(row["date"], row["starttime"], *place)

    def _confirm(self, request: Request, form: Form) -> Row:
        row = _known(self.rows, request.path_params["id"])
        if row["appointmentstatus"] != BOOKED or form.get("appointmentconfirmationid") not in self.confirmations:
            raise Wrong(400)
        self.touch(row["appointmentid"], appointmentconfirmationid=form["appointmentconfirmationid"])
        return {"success": True}

    # -- notes -----------------------------------------------------------------------------------------------------

    def _shown_notes(self, request: Request, _: Form) -> Row:
        _known(self.rows, request.path_params["id"])
        hidden = request.query_params.get("showdeleted") == "true"
        notes = [note for note in self.notes[request.path_params["id"]] if hidden or not note["deleted"]]
        shown = [{key: value for key, value in note.items() if key != "deleted"} for note in notes]
        return {"notes": shown, "totalcount": len(shown)}

    def _add_note(self, request: Request, form: Form) -> Row:
        row = _known(self.rows, request.path_params["id"])
        if row["appointmentstatus"] == CANCELLED or not form.get("notetext"):
            raise Wrong(400)
        self.note(row["appointmentid"], form["notetext"])
        return {"success": "true"}

    def _set_note(self, request: Request, form: Form) -> Row:
        note = self._note(request)
        if not form.get("notetext"):
            raise Wrong(400)
        note["notetext"] = form["notetext"]
        return {"success": "true"}

    def _drop_note(self, request: Request, _: Form) -> Row:
        self._note(request)["deleted"] = True
        return {"success": "true"}

    def _note(self, request: Request) -> Row:
        notes = self.notes.get(request.path_params["id"], [])
        found = [note for note in notes if note["noteid"] == request.path_params["note"] and not note["deleted"]]
        if not found:
            raise Wrong(404)
        return found[0]


def _known(rows: dict[str, Row], id: str) -> Row:
    if id not in rows:
        raise Wrong(404)
    return rows[id]


def _given(form: Form, *names: str) -> None:
    if any(not form.get(name) for name in names):
        raise Wrong(400)


def _day(text: str) -> date:
    return datetime.strptime(text, "%m/%d/%Y").date()


def _as_slot(row: Row) -> Row:
    ids = ("appointmentid", "departmentid", "providerid", "appointmenttypeid")
    return {**{name: int(row[name]) for name in ids}, **{name: row[name] for name in OF_SLOTS}, "reasonid": ["-1"]}
