"""Endpoints of a few lines: who asks, of which EMR, what for; what becomes of it is the gateway's to say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from gateway import clock
from gateway.api import Circumstances, Gateway, Principal
from gateway.domain.commands import Command, Intent
from gateway.domain.errors import NotFound, Problem
from gateway.domain.model import Kind
from gateway.ledger import Answer
from gateway.routes import conditions
from gateway.routes.body import read_body
from gateway.routes.entrance import respond
from gateway.routes.patience import Endpoint
from gateway.wire import Standard, parse, render, speaking
from gateway.wire.reading import bad_input
from gateway.wire.values import Unreadable, opaque_id

READ_QUERY = ("standard",)
WRITE_QUERY = ("standard", "dry_run")
LIST_QUERY = ("standard", "start", "end", "patient_id", "resource_id")
TIMESLOTS_QUERY = ("standard", "start", "end", "resource_id", "healthcare_service_id")
COMMANDS_QUERY = ("standard", "idempotency_key", "appointment_id", "state")

_COMMAND_ID = re.compile("[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and of which of their EMRs."""

    principal: Principal
    emr: str
    care_unit_id: str | None


class Endpoints:
    """All that needs credentials."""

    def __init__(self, gateway: Gateway, public_url: str, max_items: int) -> None:
        self._gateway = gateway
        self._public_url = public_url
        self._max_items = max_items

    # -- writes ----------------------------------------------------------------------------------------------------

    async def patch_one(self, request: Request) -> Response:
        caller = self._caller(request)
        id = _appointment_id(request)
        circumstances = _circumstances(request)
        if_match = conditions.if_match(request)
        intent = parse.patch_one(await read_body(request), id)
        return await self._write(request, caller, intent, circumstances, if_match)

    async def patch_many(self, request: Request) -> Response:
        caller = self._caller(request)
        circumstances = _circumstances(request)
        conditions.no_if_match(request)
        intent = parse.patch_many(await read_body(request), self._max_items)
        return await self._write(request, caller, intent, circumstances, single=False)

    async def book(self, request: Request) -> Response:
        caller = self._caller(request)
        circumstances = _circumstances(request)
        conditions.no_if_match(request)
        intent = parse.booking(await read_body(request))
        return await self._write(request, caller, intent, circumstances)

    async def _write(
        self,
        request: Request,
        caller: Caller,
        intent: Intent,
        circumstances: Circumstances,
        if_match: tuple[str, ...] | None = None,
        *,
        single: bool = True,
    ) -> Response:
        command = Command(intent, single, caller.care_unit_id, if_match, self._max_items)
        same = parse.fingerprint(request.method, caller.emr, circumstances.standard, intent, single=single)
        asked = replace(circumstances, fingerprint=same)
        reply = await self._gateway.write(caller.principal, caller.emr, command, asked)
        return respond(Answer(reply.status, reply.body, reply.headers))

    # -- reads -----------------------------------------------------------------------------------------------------

    async def appointment(self, request: Request) -> Response:
        caller = self._caller(request)
        id = _appointment_id(request)
        told = self._told(request, caller, conditions.query(request, READ_QUERY))
        found = await self._gateway.appointment(caller.principal, caller.emr, id, caller.care_unit_id)
        answer = told.outcome(found, self._gateway.etag)
        etag = dict(answer.headers).get("etag")
        if etag is not None and conditions.unchanged(request, etag):
            return Response(status_code=304, headers={"etag": etag})
        return respond(answer)

    async def appointments(self, request: Request) -> Response:
        caller = self._caller(request)
        query = conditions.query(request, LIST_QUERY)
        told = self._told(request, caller, query)
        found = await self._gateway.appointments(
            caller.principal,
            caller.emr,
            span=conditions.time_range(query, clock.now()),
            patient_id=conditions.id_filter(query, "patient_id", "INVALID_PATIENT_ID"),
            resource_id=conditions.id_filter(query, "resource_id", "INVALID_RESOURCE_ID"),
            care_unit_id=caller.care_unit_id,
        )
        return respond(told.outcome(found, self._gateway.etag))

    async def timeslots(self, request: Request) -> Response:
        caller = self._caller(request)
        query = conditions.query(request, TIMESLOTS_QUERY)
        told = self._told(request, caller, query)
        service = conditions.id_filter(query, "healthcare_service_id", "INVALID_HEALTHCARE_SERVICE_ID")
        found = await self._gateway.timeslots(
            caller.principal,
            caller.emr,
            span=conditions.time_range(query, clock.now()),
            resource_id=conditions.id_filter(query, "resource_id", "INVALID_RESOURCE_ID"),
            healthcare_service_id=service,
            care_unit_id=caller.care_unit_id,
        )
        return respond(told.slots(found))

    async def directory(self, request: Request, kind: Kind) -> Response:
        caller = self._caller(request)
        told = self._told(request, caller, conditions.query(request, READ_QUERY))
        found = await self._gateway.directory(caller.principal, caller.emr, kind, caller.care_unit_id)
        return respond(told.entries(kind, found))

    async def emrs(self, request: Request) -> Response:
        principal = _principal(request)
        conditions.standard(request, conditions.query(request, READ_QUERY))
        return respond(render.render_accounts(self._gateway.accounts(principal)))

    async def command(self, request: Request) -> Response:
        principal = _principal(request)
        conditions.standard(request, conditions.query(request, READ_QUERY))
        id = request.path_params["command_id"]
        if not _COMMAND_ID.fullmatch(id):
            raise NotFound("There is no such command.")
        return respond(render.render_command(await self._gateway.command(principal, id)))

    async def commands(self, request: Request) -> Response:
        principal = _principal(request)
        query = conditions.query(request, COMMANDS_QUERY)
        conditions.standard(request, query)
        if len(query.keys() - {"standard"}) > 1:
            raise bad_input("Must be one filter at most.", "query")
        if query.get("state", "unsettled") != "unsettled":
            raise bad_input("Must be `unsettled`.", "query/state")
        found = await self._gateway.commands(
            principal,
            key=conditions.key_filter(query),
            appointment=conditions.id_filter(query, "appointment_id", "INVALID_APPOINTMENT_ID"),
            unsettled="state" in query,
        )
        return respond(render.render_commands(found))

    def _told(self, request: Request, caller: Caller, query: Mapping[str, str]) -> Standard:
        """How the answer about the caller's EMR is told."""
        return speaking(conditions.standard(request, query), self._public_url, caller.emr)

    # -- who asks --------------------------------------------------------------------------------------------------

    def admitted(self, endpoint: Endpoint) -> Endpoint:
        """Nobody comes to an endpoint but by this: who asks is known then, and may ask for one more."""

        async def answering(request: Request) -> Response:
            id, secret = _once(request, "x-leyr-client-id"), _once(request, "x-leyr-client-secret")
            source = request.client.host if request.client else ""
            principal = await self._gateway.authenticate(id, secret, source)
            with self._gateway.admit(principal):
                request.state.principal = principal
                return await endpoint(request)

        return answering

    def _caller(self, request: Request) -> Caller:
        principal = _principal(request)
        emr = _segment(request, "emr")
        if emr is None or all(account.key != emr for account in self._gateway.accounts(principal)):
            raise NotFound("There is no such EMR.")
        return Caller(principal, emr, _care_unit_id(request))


def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


def _once(request: Request, name: str) -> str | None:
    """A credential that is given twice is none."""
    given = request.headers.getlist(name)
    return given[0] if len(given) == 1 else None


def _segment(request: Request, name: str) -> str | None:
    """A segment of the path, unescaped; `None` where it is not UTF-8, so that nothing can be called that."""
    try:
        return unquote(request.path_params[name], errors="strict")
    except UnicodeDecodeError:
        return None


def _path_id(request: Request, name: str, error_code: str, word: str) -> str:
    text = _segment(request, name)
    try:
        return opaque_id(text or "")
    except Unreadable:
        raise NotFound(problems=[Problem(error_code, f"There is no such {word}.", name)]) from None


def _appointment_id(request: Request) -> str:
    return _path_id(request, "appointment_id", "INVALID_APPOINTMENT_ID", "appointment")


def _care_unit_id(request: Request) -> str | None:
    if "care_unit_id" not in request.path_params:
        return None
    return _path_id(request, "care_unit_id", "INVALID_CARE_UNIT_ID", "care unit")


def _circumstances(request: Request) -> Circumstances:
    query = conditions.query(request, WRITE_QUERY)
    dry_run = conditions.dry_run(query)
    key = conditions.printable(request, "idempotency-key")
    plan = conditions.printable(request, "x-plan")
    return Circumstances(
        request_id=request.state.request_id,
        standard=conditions.standard(request, query),
        idempotency_key=None if dry_run else key,
        dry_run=dry_run,
        expected_plan=None if dry_run else plan,
        wait_s=conditions.wait_s(request),
    )
