"""A vendor's own OpenAPI document as the judge of what a plugin sends and of what its fake answers.

The documents are the vendors' works and no part of this project. They are looked for in the folder that EMR_SPECS
names, or in `shared/specs` beside the project. Judged more strictly than OpenAPI does: a field or a query parameter
that the document does not name is a mistake. Of refusals, documents tell little: only what is declared is judged.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from gateway.testing import World
from gateway.testing.cases.failing import reads, writes
from gateway.testing.practice import Practice

ROOT = Path(__file__).parents[2]
WHOLE = "urn:document"
FORM = "application/x-www-form-urlencoded"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C reads a vendor's megabyte in half a second; in Python it takes ten."""
METHODS = ("get", "put", "post", "delete", "patch")

Tree = Mapping[str, Any]


# -- documents --------------------------------------------------------------------------------------------------------


def folder() -> Path | None:
    told = os.environ.get("EMR_SPECS")
    places = [Path(told)] if told else [up / "shared" / "specs" for up in (ROOT.parent, ROOT.parent.parent)]
    return next((place for place in places if place.is_dir()), None)


def path_of(name: str) -> Path | None:
    place = folder()
    return place / name if place is not None and (place / name).is_file() else None


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(path_of(name) is None, reason=f"the vendor's document {name} is not here (EMR_SPECS)")


@cache
def document(name: str) -> Document:
    path = path_of(name)
    assert path is not None
    text = path.read_text()
    return Document(yaml.load(text, Loader=LOADER) if path.suffix in (".yml", ".yaml") else json.loads(text))


class Document:
    """`OpenAPI` 3.0 or 3.1."""

    def __init__(self, tree: Tree) -> None:
        self._tree = _modern(tree)
        resource = Resource.from_contents(self._tree, default_specification=DRAFT202012)
        self._registry = Registry().with_resource(WHOLE, resource)
        servers = tree.get("servers") or [{"url": ""}]
        self._base = urlsplit(servers[0]["url"]).path.rstrip("/")
        self._judges: dict[int, Draft202012Validator] = {}
        self._partials: dict[int, Tree] = {}
        """Both by the identity of a schema, all of which live as long as the document."""

    def operation(self, request: httpx.Request) -> tuple[str, Tree] | None:
        """`METHOD /template`, and what the document says of it. Of several templates the one with the fewest holes."""
        path = request.url.raw_path.decode().partition("?")[0].removeprefix(self._base)
        fitting = [t for t in self._tree["paths"] if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", t), path)]
        for template in sorted(fitting, key=lambda t: t.count("{")):
            item, method = self._tree["paths"][template], request.method.lower()
            if method in item:
                whole = {
                    **item[method],
                    "all_parameters": [*item.get("parameters", []), *item[method].get("parameters", [])],
                }
                return f"{request.method} {template}", whole
        return None

    def mistakes(self, request: httpx.Request, response: httpx.Response) -> list[str]:
        """Sentences on what is not as the document says, without any values."""
        found = self.operation(request)
        if found is None:
            return [f"{request.method} of a path that the document does not have"]
        name, operation = found
        told = [*self._of_query(request, operation), *self._of_body(request, operation)]
        told += [f"answer {response.status_code}: {what}" for what in self._of_answer(response, operation)]
        return [f"{name}: {what}" for what in told]

    # -- what was sent -------------------------------------------------------------------------------------------

    def _of_query(self, request: httpx.Request, operation: Tree) -> Iterator[str]:
        parameters = map(self._followed, operation["all_parameters"])
        declared = {p["name"]: p for p in parameters if p["in"] == "query"}
        given: dict[str, list[str]] = {}
        for key, value in parse_qsl(request.url.query.decode(), keep_blank_values=True):
            given.setdefault(key, []).append(value)
        yield from (f"query {n} is not declared" for n in given if n not in declared)
        yield from (f"query {n} is missing" for n, p in declared.items() if p.get("required") and n not in given)
        for key in given.keys() & declared.keys():
            schema = self._followed(declared[key].get("schema", {}))
            yield from self._judged(f"query {key}", _read(given[key], schema), schema)

    def _of_body(self, request: httpx.Request, operation: Tree) -> Iterator[str]:
        declared = self._followed(operation.get("requestBody", {})).get("content", {})
        kind = request.headers.get("content-type", "").partition(";")[0]
        if not request.content:
            if self._followed(operation.get("requestBody", {})).get("required"):
                yield "the body is missing"
        elif kind not in declared:
            yield f"a body of type {kind or 'none'}"
        else:
            schema = self._followed(declared[kind]["schema"])
            sent = _form(request.content, schema) if kind == FORM else json.loads(request.content)
            if request.method == "PATCH" and "required" in schema:
                # It is what is to be changed, whatever the same schema requires elsewhere.
                schema = self._partial(schema)
            yield from self._judged("body", sent, schema)

    def _partial(self, schema: Tree) -> Tree:
        whole = {name: value for name, value in schema.items() if name != "required"}
        return self._partials.setdefault(id(schema), whole)

    # -- what was answered ---------------------------------------------------------------------------------------

    def _of_answer(self, response: httpx.Response, operation: Tree) -> Iterator[str]:
        status = str(response.status_code)
        known = operation["responses"]
        declared = known.get(status, known.get(f"{status[0]}XX"))
        if declared is None:
            if response.is_success:
                yield "is not declared"
            return
        content = self._followed(declared).get("content", {})
        schemas = [media["schema"] for kind, media in content.items() if "json" in kind and "schema" in media]
        if schemas:
            yield from self._judged("body", response.json(), schemas[0])
        elif response.is_success and response.content:
            yield "has a body where none is declared"

    # -- judging -------------------------------------------------------------------------------------------------

    def _followed(self, node: Tree) -> Tree:
        while "$ref" in node:
            at: Any = self._tree
            for part in node["$ref"].removeprefix(f"{WHOLE}#/").split("/"):
                at = at[unquote(part).replace("~1", "/").replace("~0", "~")]
            node = at
        return node

    def _judged(self, what: str, value: Any, schema: Tree) -> Iterator[str]:
        judge = self._judges.get(id(schema))
        if judge is None:
            judge = Draft202012Validator(schema, registry=self._registry, format_checker=FormatChecker())
            self._judges[id(schema)] = judge
        for error in judge.iter_errors(value):
            deepest = max([error, *(error.context or [])], key=lambda e: len(e.absolute_path))
            place = "/".join(str(step) for step in deepest.absolute_path)
            extra = f" ({deepest.message})" if deepest.validator == "additionalProperties" else ""
            yield f"{what}{f' at {place}' if place else ''} breaks {deepest.validator}{extra}"


def _modern(node: Any, *, part: bool = False) -> Any:
    """OpenAPI 3.0's own words as JSON Schema has them, and objects closed: `part` of a whole that is said in parts."""
    if isinstance(node, list):
        return [_modern(one, part=part) for one in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"].replace("#/", f"{WHOLE}#/", 1)}
    parts = ("allOf", "anyOf", "oneOf")
    new = {key: _modern(value, part=key in parts) for key, value in node.items() if key != "nullable"}
    for edge in ("Minimum", "Maximum"):
        if new.get(f"exclusive{edge}") is True:
            new[f"exclusive{edge}"] = new.pop(edge.lower())
        elif new.get(f"exclusive{edge}") is False:
            del new[f"exclusive{edge}"]
    is_object = isinstance(new.get("properties"), dict) and not part and not any(key in new for key in parts)
    if is_object and new.get("type", "object") == "object":
        new.setdefault("additionalProperties", False)
    return {"anyOf": [new, {"type": "null"}]} if node.get("nullable") is True else new


def _read(values: list[str], schema: Tree) -> Any:
    """A text of a query as what its schema says that it is."""
    kind = schema.get("type")
    if kind == "array":
        return [_read([value], schema.get("items", {})) for value in values]
    value = values[-1]
    if kind in ("integer", "number") and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return json.loads(value)
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def _form(content: bytes, schema: Tree) -> dict[str, Any]:
    given: dict[str, list[str]] = {}
    for key, value in parse_qsl(content.decode(), keep_blank_values=True):
        given.setdefault(key, []).append(value)
    known = schema.get("properties", {})
    return {key: _read(values, known.get(key, {})) for key, values in given.items()}


# -- a way that is watched --------------------------------------------------------------------------------------------


class Judged(httpx.AsyncBaseTransport):
    """Passes everything on, and notes what is not as the document says. `ignoring`: paths that are in no document, such
    as a token endpoint's."""

    def __init__(self, inner: httpx.AsyncBaseTransport, judge: Document, *, ignoring: tuple[str, ...] = ()) -> None:
        self._inner, self._judge, self._ignoring = inner, judge, ignoring
        self.seen: Counter[str] = Counter()
        """How often each operation was asked for, as `METHOD /template`."""
        self.mistakes: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        response = await self._inner.handle_async_request(request)
        await response.aread()
        if request.url.path not in self._ignoring:
            found = self._judge.operation(request)
            self.seen[found[0] if found else f"{request.method} ?"] += 1
            self.mistakes += self._judge.mistakes(request, response)
        return response


async def every_exchange(world: World) -> None:
    """Each method of the port once at least, with what the account declares of it."""
    at = Practice(world)
    made = await at.book()
    for _, call in reads(at, made):
        await call(world.emr)
    if at.can.move == "in_place":
        made = await at.carry_out(await at.changing(made, span=at.openings[2]))
    if at.can.reassign == "in_place":
        made = await at.carry_out(await at.changing(made, on=1))
    if at.can.cancel:
        await at.cancelled(made)
    async for _, call, _ in writes(at):
        await call(world.emr)


@contextmanager
def judging(world: World, name: str, *, ignoring: tuple[str, ...] = (), gaps: str = "(?!)") -> Iterator[World]:
    """The same world, in which nothing may be otherwise than the document says, where that is here. `gaps`: of the
    mistakes, those that are the document's own."""
    if path_of(name) is None:
        yield world
        return
    judged = Judged(world.transport, document(name), ignoring=ignoring)
    yield replace(world, transport=judged)
    left = {mistake for mistake in judged.mistakes if not re.fullmatch(gaps, mistake)}
    assert not left, "\n".join(sorted(left))
