"""What is answered to a client that names what is another one's: every operation of the route table, every place in it
where something can be named, everything that the other has."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from gateway.openapi import document
from gateway.routes import Methods, build
from tests.e2e.conftest import at
from tests.security.two_houses import MARK, Houses, opened
from tests.stub_gateway import StubGateway

DOCUMENT = Path(__file__).parents[2] / "docs" / "authorisation.md"
BEGIN, END = "<!-- matrix:begin -->", "<!-- matrix:end -->"
API = document("http://gateway.test")

FITS = {
    "path/emr": "EMR account",
    "path/care_unit_id": "care unit",
    "path/appointment_id": "appointment",
    "path/command_id": "command",
    "query/appointment_id": "appointment",
    "query/idempotency_key": "idempotency key",
    "query/patient_id": "patient",
    "query/resource_id": "resource",
    "query/healthcare_service_id": "healthcare service",
    "header/Idempotency-Key": "idempotency key",
    "header/x-plan": "plan",
    "header/If-Match": "entity tag",
    "header/If-None-Match": "entity tag",
    "body/ids": "appointment",
    "body/resource_id": "resource",
    "body/patient_id": "patient",
    "body/healthcare_service_id": "healthcare service",
}
"""Every place where something can be named, with what belongs there. One that is missing here fails the test."""
NAMES_NOTHING = {
    *("query/standard", "query/dry_run", "query/start", "query/end", "query/state"),
    *("header/x-leyr-standard", "header/Prefer"),
    *("body/start", "body/end", "body/comment", "body/status", "body/confirmation"),
}
OWN = {
    "emr": "shared",
    "care_unit_id": "U1",
    "appointment_id": "B1004",
    "command_id": "0" * 32,
    "patient_id": "P2",
    "resource_id": "D2",
    "healthcare_service_id": "K1",
    "ids": ["B1004", "B1005"],
}


@dataclass(frozen=True)
class Cell:
    """One request of the first client's with one thing in it that is the second one's."""

    method: str
    path: str
    place: str
    what: str
    body: dict[str, Any] | None = None
    intent: str = ""

    @property
    def row(self) -> tuple[str, ...]:
        return self.method, self.path, self.intent, self.place, self.what


@dataclass
class Matrix:
    answers: dict[tuple[str, ...], set[str]] = field(default_factory=dict)
    cells: int = 0
    breaches: list[str] = field(default_factory=list)


# -- what is asked ----------------------------------------------------------------------------------------------------


def operations() -> Iterator[tuple[str, str]]:
    """By the route table, all that need credentials."""
    for route in build(StubGateway()).routes:
        assert isinstance(route, Route)
        if route.path.startswith("/api"):
            assert isinstance(route.endpoint, Methods)
            for method in route.endpoint.allowed:
                if method != "HEAD":
                    yield method, route.path


def cells(*, every: bool) -> Iterator[Cell]:
    """`every`: everything of the other's at every place; else what belongs there."""
    for method, path in operations():
        described = API["paths"][path][method.lower()]
        bodies: list[tuple[str, Any]] = list(_bodies(described)) or [("", None)]
        for place in _parameters(described):
            told = bodies if place.startswith("path/") else bodies[:1]
            yield from _at(place, [Cell(method, path, place, "", body, intent) for intent, body in told], every=every)
        for intent, body in bodies:
            for name in body or ():
                if f"body/{name}" not in NAMES_NOTHING:
                    cell = Cell(method, path, f"body/{name}", "", body, intent)
                    yield from _at(cell.place, [cell], every=every)


def _at(place: str, asked: Iterable[Cell], *, every: bool) -> Iterator[Cell]:
    for cell in asked:
        for what in KINDS if every else [FITS[place]]:
            yield replace(cell, what=what)


KINDS = tuple(dict.fromkeys((*FITS.values(), "booked appointment")))


def _parameters(described: Any) -> Iterator[str]:
    for told in described["parameters"]:
        one = API["components"]["parameters"][told["$ref"].rpartition("/")[2]] if "$ref" in told else told
        place = f"{one['in']}/{one['name']}"
        if place not in NAMES_NOTHING:
            yield place


def _bodies(described: Any) -> Iterator[tuple[str, Any]]:
    """The described examples, and what each is for."""
    content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    for example in content.get("examples", {}).values():
        body = example["value"]
        yield _intent(body), body
        if "start" in body and "resource_id" not in body:
            yield "update", {**body, "resource_id": "r-2"}


def _intent(body: Any) -> str:
    if "patient_id" in body:
        return "book"
    return "confirm" if "confirmation" in body else "cancel" if "status" in body else "update"


# -- what is answered -------------------------------------------------------------------------------------------------


async def filled(houses: Houses, *, every: bool) -> Matrix:
    matrix = Matrix()
    for number, cell in enumerate(cells(every=every)):
        if cell.what == "idempotency key":
            # What A has used once is A's own key from then on.
            await houses.uses_a_key(f"{MARK}key-{number}")
        answer = await _asked(houses, cell, number)
        matrix.cells += 1
        matrix.answers.setdefault(cell.row, set()).add(_said(answer))
        matrix.breaches += [f"{cell.row}: {why}" for why in _breach(houses, cell, answer)]
    return matrix


async def _asked(houses: Houses, cell: Cell, number: int) -> httpx.Response:
    where, _, name = cell.place.partition("/")
    theirs = houses.theirs[cell.what]
    places = {**OWN, **({name: theirs} if where == "path" else {})}
    url = re.sub(r"{(\w+)}", lambda m: str(places[m[1]]), cell.path)
    return await houses.alpha.http.request(
        cell.method,
        url,
        headers={**houses.alpha.headers, **({name: theirs} if where == "header" else {})},
        params={name: theirs} if where == "query" else None,
        json=None if cell.body is None else _body(cell.body, name if where == "body" else "", theirs, number),
    )


def _body(example: dict[str, Any], name: str, theirs: str, number: int) -> dict[str, Any]:
    times = {"start": at(12 + number % 20, 9).isoformat(), "end": at(12 + number % 20, 9, 30).isoformat()}
    body = {key: times.get(key, OWN.get(key, value)) for key, value in example.items()}
    if name:
        body[name] = [OWN["ids"][0], theirs] if name == "ids" else theirs
    return body


def _said(answer: httpx.Response) -> str:
    if answer.status_code == 304:
        return "304"
    told = answer.json()
    if answer.status_code >= 400:
        codes = dict.fromkeys(e["error_code"] for e in told["errors"])
        return " ".join((str(answer.status_code), f"`{told['code']}`", *(f"`{code}`" for code in codes)))
    return f"{answer.status_code} {'`[]`' if told == [] else 'its own'}"


def _breach(houses: Houses, cell: Cell, answer: httpx.Response) -> Iterator[str]:
    told = answer.text + json.dumps(dict(answer.headers))
    if MARK in told or any(theirs in told for theirs in houses.theirs.values()):
        yield "something of the other's was told"
    if houses.calls:
        yield f"the other's EMR was called: {houses.calls}"
        houses.calls.clear()
    if answer.status_code >= 500:
        yield f"it was answered {answer.status_code}"
    if cell.what == "idempotency key" and "idempotent-replayed" in answer.headers:
        yield "what the other was answered was answered again"


# -- how it is printed ------------------------------------------------------------------------------------------------


def table(matrix: Matrix) -> str:
    head = ["| method | path | where | the other's | is answered |", "| --- | --- | --- | --- | --- |"]
    rows: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for (method, path, intent, place, what), said in matrix.answers.items():
        by_answer = rows.setdefault((method, path, place, what), {})
        by_answer.setdefault(" or ".join(sorted(said)), []).append(intent)
    for (method, path, place, what), by_answer in rows.items():
        told = [
            f"{'/'.join(dict.fromkeys(i))}: {said}" if len(by_answer) > 1 else said for said, i in by_answer.items()
        ]
        head.append(f"| `{method}` | `{path}` | `{place}` | {what} | {'; '.join(told)} |")
    return "\n".join(head)


def printed() -> str:
    text = DOCUMENT.read_text("utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip()


def main() -> None:
    """Print the table into its document."""

    async def made() -> Matrix:
        with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            async with opened(Path(folder), patch) as houses:
                return await filled(houses, every=False)

    text, matrix = DOCUMENT.read_text("utf-8"), asyncio.run(made())
    head, tail = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    DOCUMENT.write_text(f"{head}\n{table(matrix)}\n{tail}", "utf-8")
    sys.stdout.write(f"{matrix.cells} cells, breaches: {matrix.breaches}\n")


if __name__ == "__main__":
    main()
