import re

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator
from prometheus_client import CollectorRegistry
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from starlette.routing import Route

from gateway.openapi import document
from gateway.pages.texts import kinds
from gateway.routes import build
from tests.stub_gateway import StubGateway, client_of

DOCUMENT = document("https://gateway.example", 7)
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item]
JSONS = {"application/json", "application/fhir+json"}
ONE_STANDARD = {p for p, _ in OPERATIONS if not p.startswith("/api/emrs/")}
NEEDED = {"start": "2031-03-03T09:00:00Z", "end": "2031-03-04T09:00:00Z", "state": "unsettled"}


def resolved(part: dict) -> dict:
    if "$ref" not in part:
        return part
    found = DOCUMENT
    for step in part["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def check(value: object, schema: dict) -> None:
    resource = Resource.from_contents(DOCUMENT, default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:api", resource)
    absolute = {"$ref": f"urn:api{schema['$ref']}"} if "$ref" in schema else schema
    if absolute.get("type") == "array":
        absolute = {"type": "array", "items": {"$ref": f"urn:api{schema['items']['$ref']}"}}
    Draft202012Validator(absolute, registry=registry, format_checker=FormatChecker()).validate(value)


def test_the_description_is_valid():
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert DOCUMENT["openapi"].startswith("3.1")


def test_it_tells_of_every_route_and_method_and_of_no_other():
    routes = build(StubGateway(), registry=CollectorRegistry()).routes
    served = {
        (route.path, method.lower())
        for route in routes
        if isinstance(route, Route)
        for method in route.app.allowed
        if method != "HEAD"
    }
    assert served == set(OPERATIONS)


def test_operation_ids_are_unique_words():
    ids = [DOCUMENT["paths"][path][method]["operationId"] for path, method in OPERATIONS]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[a-z][A-Za-z]+", id) for id in ids)


def test_both_credentials_are_wanted_everywhere_but_in_public():
    assert DOCUMENT["security"] == [{"clientId": [], "clientSecret": []}]
    public = {path for path, method in OPERATIONS if DOCUMENT["paths"][path][method].get("security") == []}
    assert public == {path for path, _ in OPERATIONS if not path.startswith("/api")}


def test_every_kind_of_error_has_an_answer_and_an_example_in_form():
    responses = DOCUMENT["components"]["responses"]
    for kind in kinds():
        media = responses[f"Error{kind.status}"]["content"]["application/problem+json"]
        example = media["examples"][kind.code]["value"]
        assert (example["code"], example["status"]) == (kind.code, kind.status)
        check(example, media["schema"])


def test_every_example_fits_its_schema():
    for path, method in OPERATIONS:
        operation = DOCUMENT["paths"][path][method]
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for part in [*bodies, *map(resolved, operation["responses"].values())]:
            for media in part.get("content", {}).values():
                examples = [e["value"] for e in media.get("examples", {}).values()]
                for example in examples + ([media["example"]] if "example" in media else []):
                    check(example, media["schema"])


def test_the_limit_of_ids_is_the_configured_one():
    ids = DOCUMENT["components"]["schemas"]["PatchMany"]["properties"]["ids"]
    assert (ids["minItems"], ids["maxItems"], ids["uniqueItems"]) == (1, 7, True)


def test_unknown_fields_are_described_as_refused():
    for name in ("PatchOne", "PatchMany", "Booking", "Confirmation"):
        assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is False


def test_every_parameter_and_header_is_used():
    text = str(DOCUMENT["paths"]) + str(DOCUMENT["components"]["responses"])
    for kind in ("parameters", "headers", "schemas"):
        everywhere = text + str(DOCUMENT["components"]["schemas"])
        assert [n for n in DOCUMENT["components"][kind] if f"'#/components/{kind}/{n}'" not in everywhere] == []


def filled(path: str) -> str:
    ids = {"emr": "clinic", "command_id": "command-1", "code": "BUSY"}
    return re.sub(r"{(\w+)}", lambda m: ids.get(m[1], "x"), path)


@pytest.mark.parametrize("standard", ["leyr", "fhir"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
async def test_answers_are_as_described(path, method, standard):
    operation = DOCUMENT["paths"][path][method]
    body = operation.get("requestBody")
    example = next(iter(body["content"]["application/json"]["examples"].values()))["value"] if body else None
    async with client_of(StubGateway()) as client:
        client.headers["x-leyr-standard"] = standard
        response = await client.request(method.upper(), filled(path), json=example)
        refused = await client.request(method.upper(), filled(path), headers={"x-leyr-client-secret": "x"})
    if body is None:
        described = resolved(operation["responses"][str(response.status_code)])
        kind = response.headers["content-type"].partition(";")[0]
        if kind in JSONS:
            check(response.json(), described["content"][kind]["schema"])
        told = {kind} if kind not in JSONS or path in ONE_STANDARD else JSONS
        assert set(described["content"]) == told
    else:
        assert response.status_code == 200
    if path.startswith("/api"):
        described = resolved(operation["responses"]["401"])
        kind = {"leyr": "application/problem+json", "fhir": "application/fhir+json"}[standard]
        assert set(described["content"]) == {"application/problem+json", "application/fhir+json"}
        assert refused.headers["content-type"] == kind
        check(refused.json(), described["content"][kind]["schema"])
        assert {name.lower() for name in described["headers"]} <= set(refused.headers)


@pytest.mark.parametrize(("path", "method"), [o for o in OPERATIONS if o[0].startswith("/api")])
async def test_exactly_the_described_query_is_taken(path, method):
    operation = DOCUMENT["paths"][path][method]
    described = {p["name"] for p in map(resolved, operation["parameters"]) if p["in"] == "query"}
    body = operation.get("requestBody")
    example = next(iter(body["content"]["application/json"]["examples"].values()))["value"] if body else None
    every = {p["name"] for p in DOCUMENT["components"]["parameters"].values() if p["in"] == "query"}
    defaults = {"standard": "leyr", "dry_run": "false"} | NEEDED
    async with client_of(StubGateway()) as client:
        for name in every:
            query = {name: defaults.get(name, "x")}
            response = await client.request(method.upper(), filled(path), params=query, json=example)
            assert (response.status_code == 200) is (name in described), (name, response.text)


async def test_it_is_served():
    async with client_of(StubGateway(), max_items=7) as client:
        assert (await client.get("/openapi.json")).json() == DOCUMENT
