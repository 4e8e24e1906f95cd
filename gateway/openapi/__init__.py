"""The API description, OpenAPI 3.1, made of the models that are really in use."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.domain.errors import GatewayError
from gateway.openapi import fhir
from gateway.openapi.operations import OF_A_CLIENT, Operation, of_an_emr
from gateway.openapi.parts import ABOUT, EXAMPLE_INSTANCE, EXAMPLES, HEADERS, PARAMETERS
from gateway.pages.texts import CODES, kinds
from gateway.wire import answers, requests
from gateway.wire.problems import PROBLEM

Json = dict[str, Any]
Mode = Literal["validation", "serialization"]

_REQUESTS: tuple[type[BaseModel], ...] = (requests.PatchOne, requests.PatchMany, requests.Booking)
_ANSWERS: tuple[type[BaseModel], ...] = (
    answers.Appointment,
    answers.ChangedAppointment,
    answers.Slot,
    answers.Entry,
    answers.Account,
    answers.Command,
    answers.ErrorAnswer,
    answers.Health,
    answers.Readiness,
)


def document(public_url: str, max_items: int = 100, *, metrics: bool = True) -> Json:
    """The description of the API as it is served under `public_url`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "EMR appointment gateway",
            "version": _version(),
            "description": ABOUT["api"],
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "security": [{"clientId": [], "clientSecret": []}],
        "tags": [{"name": name} for name in ("client", "emr", "care unit", "public")],
        "paths": _paths(public_url) | _public_paths(metrics),
        "components": {
            "schemas": _schemas(max_items),
            "parameters": PARAMETERS,
            "headers": HEADERS,
            "responses": _error_responses(public_url),
            "securitySchemes": {
                "clientId": {"type": "apiKey", "in": "header", "name": "x-leyr-client-id"},
                "clientSecret": {"type": "apiKey", "in": "header", "name": "x-leyr-client-secret"},
            },
        },
    }


def _version() -> str:
    try:
        return version("emr-gateway")
    except PackageNotFoundError:
        return "0"


def _schemas(max_items: int) -> Json:
    modes: list[tuple[type[BaseModel], Mode]] = [(model, "validation") for model in _REQUESTS]
    modes += [(model, "serialization") for model in _ANSWERS]
    _, found = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    schemas: Json = found["$defs"]
    schemas["PatchMany"]["properties"]["ids"]["maxItems"] = max_items
    return schemas | fhir.SCHEMAS


# -- paths ----------------------------------------------------------------------------------------------------------


def _paths(public_url: str) -> Json:
    paths: Json = {}
    for operation in OF_A_CLIENT:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, "client", (), public_url)
    for prefix, tag, ids, suffix in (
        ("/api/emrs/{emr}", "emr", ("emr",), ""),
        ("/api/emrs/{emr}/care-units/{care_unit_id}", "care unit", ("emr", "careUnitId"), "OfCareUnit"),
    ):
        for operation in of_an_emr():
            told = _operation(operation, tag, ids, public_url)
            told["operationId"] += suffix
            paths.setdefault(prefix + operation.path, {})[operation.method] = told
    return paths


def _operation(operation: Operation, tag: str, ids: tuple[str, ...], public_url: str) -> Json:
    told: Json = {
        "operationId": operation.id,
        "tags": [tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [_ref("parameters", name) for name in (*ids, *operation.parameters)],
        "responses": _responses(operation, public_url),
    }
    if operation.body is not None:
        told["requestBody"] = _request_body(operation.body)
    return told


def _request_body(model: str) -> Json:
    examples = next(m for m in _REQUESTS if m.__name__ == model).model_json_schema()["examples"]
    media = {
        "schema": _ref("schemas", model),
        "examples": {f"example{n}": {"value": value} for n, value in enumerate(examples, 1)},
    }
    return {"required": True, "content": {"application/json": media}}


def _responses(operation: Operation, public_url: str) -> Json:
    schema = _ref("schemas", operation.answer)
    example = EXAMPLES.get(operation.answer)
    media: Json = {"schema": {"type": "array", "items": schema} if operation.many else schema}
    if example is not None:
        media["example"] = [example] if operation.many else example
    responses: Json = {
        str(operation.status): {
            "description": "Created." if operation.status == 201 else "Done.",
            "headers": _headers(_success_headers(operation)),
            "content": {"application/json": media, **fhir.media(operation, public_url)},
        }
    }
    if operation.body is not None:
        responses["202"] = _accepted()
    if "ifNoneMatch" in operation.parameters:
        responses["304"] = {"description": "Unchanged.", "headers": _headers(("requestId", "etag"))}
    return responses | {str(status): _ref("responses", f"Error{status}") for status in operation.errors}


def _success_headers(operation: Operation) -> list[str]:
    names = ["requestId"]
    if operation.body is not None:
        names += ["commandId", "emrCalls", "dryRun", "plan", "replayed"]
    if operation.answer == "Appointment" and not operation.many:
        names.append("etag")
    return names


def _accepted() -> Json:
    return {
        "description": "Not settled within the wait; the command goes on.",
        "headers": _headers(("requestId", "commandId", "location", "retryAfter")),
        "content": {"application/json": {"schema": _ref("schemas", "Command")}},
    }


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def _headers(names: Iterable[str]) -> Json:
    wire = {
        "requestId": "x-request-id",
        "commandId": "x-command-id",
        "emrCalls": "x-emr-calls",
        "etag": "ETag",
        "dryRun": "x-dry-run",
        "plan": "x-plan",
        "replayed": "idempotent-replayed",
        "retryAfter": "Retry-After",
        "location": "Location",
        "allow": "Allow",
        "authenticate": "WWW-Authenticate",
    }
    return {wire[name]: _ref("headers", name) for name in names}


# -- errors ---------------------------------------------------------------------------------------------------------


def _error_responses(public_url: str) -> Json:
    by_status: dict[int, list[type[GatewayError]]] = {}
    for kind in kinds():
        by_status.setdefault(kind.status, []).append(kind)
    return {f"Error{status}": _error(found, public_url) for status, found in sorted(by_status.items())}


def _error(found: list[type[GatewayError]], public_url: str) -> Json:
    more = {401: ["authenticate"], 405: ["allow"], 429: ["retryAfter"], 503: ["retryAfter"]}
    examples = {kind.code: {"value": _example(kind, public_url)} for kind in found}
    return {
        "description": " ".join(f"`{kind.code}`: {CODES[kind.code].meaning}" for kind in found),
        "headers": _headers(["requestId", *more.get(found[0].status, [])]),
        "content": {
            PROBLEM: {"schema": _ref("schemas", "ErrorAnswer"), "examples": examples},
            **fhir.error_media(found, public_url),
        },
    }


def _example(kind: type[GatewayError], public_url: str) -> Json:
    return {
        "code": kind.code,
        "type": f"{public_url}/errors/{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.title,
        "instance": EXAMPLE_INSTANCE,
        "errors": [],
    }


# -- what needs no credentials --------------------------------------------------------------------------------------


def _public_paths(metrics: bool) -> Json:
    health = {"schema": _ref("schemas", "Health"), "example": EXAMPLES["Health"]}
    ready = {"schema": _ref("schemas", "Readiness"), "example": EXAMPLES["Readiness"]}
    page = {"text/html": {"schema": {"type": "string"}}}
    down = {"description": "The store is down: no command can be taken.", "content": {"application/json": ready}}
    code = {
        "name": "code",
        "in": "path",
        "required": True,
        "description": "A `code` or an `error_code`.",
        "schema": {"type": "string"},
        "example": "NO_TIMESLOTS_AVAILABLE",
    }
    paths = {
        "/healthz": _public("health", "The process is alive.", {"application/json": health}),
        "/readyz": _public("ready", "Commands can be taken.", {"application/json": ready}, {"503": down}),
        "/openapi.json": _public("openapi", "This description.", {"application/json": {"schema": {"type": "object"}}}),
        "/docs": _public("docs", "This description as a page.", page),
        "/errors": _public("listErrorCodes", "All error codes.", page),
        "/errors/{code}": _public(
            "getErrorCode", "What an error code means.", page, {"404": _ref("responses", "Error404")}, [code]
        ),
    }
    if metrics:
        paths["/metrics"] = _public(
            "metrics", "Metrics in Prometheus' text format.", {"text/plain": {"schema": {"type": "string"}}}
        )
    return paths


def _public(
    id: str, summary: str, content: Json, errors: Json | None = None, parameters: list[Json] | None = None
) -> Json:
    operation = {
        "operationId": id,
        "tags": ["public"],
        "summary": summary,
        "security": [],
        "parameters": parameters or [],
        "responses": {
            "200": {"description": summary, "headers": _headers(("requestId",)), "content": content},
            **(errors or {}),
        },
    }
    return {"get": operation}
