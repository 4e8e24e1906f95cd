"""The judge by vendors' documents finds what it is there to find. The document here is an invented one."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.plugins.spec import Document, Judged

VISIT = {
    "type": "object",
    "required": ["id", "at"],
    "properties": {
        "id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "word": {"type": "string", "nullable": True},
        "kind": {"type": "string", "enum": ["a", "b"], "nullable": True},
        "length": {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        "next": {"$ref": "#/components/schemas/Visit"},
    },
}
JSON = {"application/json": {"schema": {"$ref": "#/components/schemas/Visit"}}}
TREE = {
    "openapi": "3.0.0",
    "servers": [{"url": "https://emr.test/v1"}],
    "components": {
        "schemas": {"Visit": VISIT},
        "parameters": {"Page": {"in": "query", "name": "page", "schema": {"type": "integer"}}},
    },
    "paths": {
        "/visits": {
            "get": {
                "parameters": [
                    {"$ref": "#/components/parameters/Page"},
                    {"in": "query", "name": "day", "required": True, "schema": {"type": "string", "format": "date"}},
                    {"in": "query", "name": "q[]", "schema": {"type": "array", "items": {"type": "string"}}},
                ],
                "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": VISIT}}}}},
            },
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {"type": "object", "properties": {"length": {"type": "integer"}}}
                        }
                    },
                },
                "responses": {"201": {"content": JSON}},
            },
        },
        "/visits/{id}": {
            "patch": {"requestBody": {"content": JSON}, "responses": {"200": {"content": JSON}, "204": {}}},
        },
        "/visits/new": {"patch": {"requestBody": {"content": JSON}, "responses": {"200": {"content": JSON}}}},
    },
}
DOCUMENT = Document(TREE)
GOOD = {"id": "1", "at": "2027-03-02T08:00:00Z"}


def told(method: str, path: str, status: int = 200, answer: Any = None, **sent: Any) -> list[str]:
    request = httpx.Request(method, f"https://emr.test/v1{path}", **sent)
    content = b"" if answer is None else json.dumps(answer).encode()
    return DOCUMENT.mistakes(request, httpx.Response(status, content=content, request=request))


@pytest.mark.parametrize(
    "exchange",
    [
        ("GET", "/visits?day=2027-03-02&page=2&q[]=a&q[]=b", 200, [GOOD, {**GOOD, "word": None, "kind": None}]),
        ("PATCH", "/visits/1", 200, {**GOOD, "next": {**GOOD, "length": 1}}),
        ("PATCH", "/visits/1", 204, None),
        ("PATCH", "/visits/1", 418, {"anything": 1}),
    ],
)
def test_what_is_as_the_document_says_is_no_mistake(exchange):
    sent = {"json": {"word": None}} if exchange[0] == "PATCH" else {}
    assert not told(*exchange, **sent)
    assert not told("POST", "/visits", 201, GOOD, data={"length": "5"})


@pytest.mark.parametrize(
    ("method", "path", "status", "answer", "sent", "about"),
    [
        ("GET", "/elsewhere", 200, [], {}, "of a path"),
        ("DELETE", "/visits/1", 204, None, {}, "of a path"),
        ("GET", "/visits", 200, [], {}, "query day is missing"),
        ("GET", "/visits?day=2027-03-02&extra=1", 200, [], {}, "query extra is not declared"),
        ("GET", "/visits?day=today", 200, [], {}, "query day breaks format"),
        ("GET", "/visits?day=2027-03-02&page=x", 200, [], {}, "query page breaks type"),
        ("GET", "/visits?day=2027-03-02", 202, None, {}, "is not declared"),
        ("GET", "/visits?day=2027-03-02", 200, [{"id": "1"}], {}, "at 0 breaks required"),
        ("GET", "/visits?day=2027-03-02", 200, [{**GOOD, "at": "noon"}], {}, "at 0/at breaks format"),
        ("GET", "/visits?day=2027-03-02", 200, [{**GOOD, "length": 0}], {}, "exclusiveMinimum"),
        ("GET", "/visits?day=2027-03-02", 200, [{**GOOD, "kind": "c"}], {}, "at 0/kind"),
        ("POST", "/visits", 201, GOOD, {}, "the body is missing"),
        ("POST", "/visits", 201, GOOD, {"json": {"length": 5}}, "a body of type application/json"),
        ("POST", "/visits", 201, GOOD, {"data": {"length": "long"}}, "at length breaks type"),
        ("POST", "/visits", 201, GOOD, {"data": {"width": "5"}}, "additionalProperties"),
        ("PATCH", "/visits/1", 200, GOOD, {"json": {"words": "x"}}, "additionalProperties"),
        ("PATCH", "/visits/1", 200, {**GOOD, "next": {"id": 1}}, {"json": {}}, "at next"),
        ("PATCH", "/visits/1", 204, GOOD, {"json": {}}, "has a body where none is declared"),
    ],
)
def test_what_is_not_is_a_mistake(method, path, status, answer, sent, about):
    found = told(method, path, status, answer, **sent)
    assert any(about in sentence for sentence in found), found


def test_the_fullest_path_is_meant():
    request = httpx.Request("PATCH", "https://emr.test/v1/visits/new")
    found = DOCUMENT.operation(request)
    assert found is not None
    assert found[0] == "PATCH /visits/new"


async def test_a_watched_way_passes_on_and_takes_note():
    inner = httpx.MockTransport(lambda request: httpx.Response(200, json=[], request=request))
    judged = Judged(inner, DOCUMENT, ignoring=("/v1/token",))
    async with httpx.AsyncClient(transport=judged, base_url="https://emr.test/v1") as http:
        assert (await http.get("/visits")).json() == []
        await http.post("/token")
        await http.get("/nowhere")
    assert judged.mistakes == ["GET /visits: query day is missing", "GET of a path that the document does not have"]
    assert judged.seen == {"GET /visits": 1, "GET ?": 1}
