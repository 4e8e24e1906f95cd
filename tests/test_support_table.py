"""The support tables say, cell by cell, what `GET /api/emrs` answers for an account of each edition."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from gateway.__main__ import main
from gateway.api import AccountInfo
from gateway.app import running
from gateway.configuration.settings import load
from gateway.domain.capabilities import Capabilities
from gateway.domain.editions import Edition
from gateway.port import Emr, Vendor
from gateway.registry import Registry
from gateway.terminal.support_table import BEGIN, END, complete, digest
from gateway.wire import render_accounts
from tests.editions import CREDENTIALS, SETTINGS, key_of, nobody, reaching, write_config
from tests.plugins.fhir.fake import STATEMENT

ROOT = Path(__file__).parents[1]
DOCUMENTS = {"digest": ROOT / "README.md", "complete": ROOT / "docs" / "emrs" / "README.md"}
SUPPORT = {"●": "native", "◐": "emulated", "○": "unsupported", "": None}
ORDER = ["unsupported", "emulated", "native"]

Json = dict[str, Any]
Named = tuple[str, str]
"""A plugin and one of its editions."""
Cell = tuple[str, ...]


def told(
    folder: Path, editions: Collection[Named], answer: Callable[[httpx.Request], httpx.Response]
) -> dict[Named, Json]:
    """What the whole gateway answers to `GET /api/emrs` of an account of each edition."""

    async def asked() -> list[Json]:
        async with running(load({}, config=write_config(folder, editions))) as app:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test") as http:
                response = await http.get("/api/emrs", headers=CREDENTIALS)
        assert response.status_code == 200, response.text
        return list(response.json())

    with reaching(answer):
        accounts = {account["key"]: account for account in asyncio.run(asked())}
    return {(plugin, edition): accounts[key_of(plugin, edition)] for plugin, edition in editions}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[Named, Json]:
    """By plugin and edition, of accounts whose EMRs say nothing that would narrow them."""
    return told(tmp_path_factory.mktemp("editions"), SETTINGS, nobody)


def supports(account: Json) -> dict[Cell, str]:
    """(operation, field) → support; an operation without fields has one that has no name."""
    groups = {
        name: value if isinstance(value, dict) else {"": value} for name, value in account["capabilities"].items()
    }
    return {
        (operation, field): support
        for operation, fields in groups.items()
        for field, support in fields.items()
        if support in ORDER and operation != "facts"
    }


# -- reading what people read -----------------------------------------------------------------------------------------


def table(text: str) -> list[list[str]]:
    """The lines of the one table in it, split into cells."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines if {cell.strip() for cell in line} != {"---"}]


def generated(form: str) -> str:
    """What stands between the marks of a document."""
    return DOCUMENTS[form].read_text().partition(BEGIN)[2].partition(END)[0].partition("\n")[2]


def names(text: str) -> list[str]:
    return re.findall("`([^`]+)`", text)


def columns(head: list[str]) -> list[str]:
    return [title.replace(" ", "_") for title in head]


def ways(text: str, account: Json) -> None:
    """`live (confirm: document): a server` says the same as `tested`."""
    read = re.fullmatch(r"(\w+)(?: \(([^)]*)\))?(?:: (.*))?", text)
    assert read, text
    others = dict(part.split(": ") for part in (read[2] or "").split(", ") if part)
    operations = account["tested"].keys() - {"against"}
    supported = {operation for operation in operations if account["tested"][operation] is not None}
    said = {operation: others.get(operation.replace("_", " "), read[1]) for operation in supported}
    assert said == {operation: account["tested"][operation] for operation in supported}
    assert (read[3] or "") == account["tested"]["against"]


# -- the proof --------------------------------------------------------------------------------------------------------


def test_there_is_an_account_of_every_edition_of_every_plugin(answers):
    introduced = Registry.load().vendors.items()
    assert set(SETTINGS) == {(key, edition.name) for key, vendor in introduced for edition in vendor.comes_in}
    assert {edition: (a["plugin"], a["edition"]) for edition, a in answers.items()} == {e: e for e in SETTINGS}


@pytest.mark.parametrize("form", DOCUMENTS)
def test_the_documents_hold_what_the_command_prints(form, capsys):
    command = ["emrs", "--table"] + ([] if form == "digest" else [form])
    assert f"{BEGIN}(python -m gateway {' '.join(command)}) -->" in DOCUMENTS[form].read_text()
    assert main(command) == 0
    printed = capsys.readouterr().out.strip()
    assert generated(form).strip() == printed, f"paste what `python -m gateway {' '.join(command)}` prints"


def test_the_digest_is_what_a_client_is_told(answers):
    head, fields, *rows = table(generated("digest"))
    seen = []
    for row in rows:
        (plugin,) = names(row[0])
        for edition in names(row[1]):
            account = answers[plugin, edition]
            seen.append((plugin, edition))
            cells = {
                (operation, field): SUPPORT[sign]
                for operation, signs, named in list(zip(columns(head), row, fields, strict=True))[2:-1]
                for field, sign in zip(names(named) or [""], signs, strict=True)
            }
            assert cells == supports(account)
            ways(row[-1], account)
    assert sorted(seen) == sorted(answers)


def test_the_complete_tables_are_all_that_a_client_is_told(answers):
    seen = []
    for section in re.split("^## ", generated("complete"), flags=re.MULTILINE)[1:]:
        plugin = names(section.partition("\n")[0])[-1]
        listed = dict(re.findall(r"^- `([^`]+)`: .*\. Tested (.*)\.$", section, re.MULTILINE))
        head, *rows = table(section)
        for column, (edition,) in enumerate(map(names, head[1:]), 1):
            seen.append((plugin, edition))
            check(answers[plugin, edition], [(row[0], row[column]) for row in rows])
            ways(listed.pop(edition), answers[plugin, edition])
        assert listed == {}
    assert sorted(seen) == sorted(answers)


def check(account: Json, lines: list[tuple[str, str]]) -> None:
    """A column of a complete table, line by line."""
    group, cells, facts, tested = "", dict[Cell, str | None](), dict[str, str](), dict[str, str | None]()
    for name, cell in lines:
        if name.startswith("**"):
            group = name.strip("*").replace(" ", "_")
            sign, way = re.fullmatch(r"([●◐○]?) ?(\w*)", cell).groups()
            cells |= {(group, ""): SUPPORT[sign]} if sign else {}
            tested[group] = way or None
        elif group == "facts":
            facts[name.strip("`")] = cell
        else:
            cells[group, name.strip("`")] = SUPPORT[cell]
    assert cells == supports(account)
    told_facts = account["capabilities"]["facts"]
    # An account that was never probed has proven nothing yet: the table says the most.
    assert told_facts.pop("bundle_max") <= int(facts.pop("bundle_max"))
    assert facts == {name: fact(value) for name, value in told_facts.items()}
    told = {operation: way for operation, way in tested.items() if operation not in ("guards", "facts")}
    assert told == {name: way for name, way in account["tested"].items() if name != "against"}


def fact(value: Any) -> str:
    told = ", ".join(value) if isinstance(value, list) else str(value)
    return {"True": "yes", "False": "no", "None": "–", "": "–"}.get(told, told)


# -- what was tested in another way -----------------------------------------------------------------------------------

CAN = Capabilities(reassign="in_place", cancel=True, confirm="flag")
MIXED = Edition(
    title="Mixed",
    capabilities=CAN,
    tested="live",
    against="Server 1",
    otherwise={"confirm": "document", "create": "own"},
)


def test_what_was_not_tested_as_the_rest_is_said_to_a_client_and_in_the_tables():
    vendor = Vendor(key="acme", name="Acme", settings=BaseModel, emr=Emr, capabilities=CAN, editions=(MIXED,))
    shown = render_accounts([AccountInfo(key="a", plugin="acme", name="A", edition=MIXED, capabilities=CAN)])
    (account,) = json.loads(shown.body)
    assert account["tested"] == {
        "against": "Server 1",
        "update": "live",
        "cancel": "live",
        "bulk_update": "live",
        "bulk_cancel": "live",
        "reads": "live",
        "confirm": "document",
        "create": None,
        "continuous_reschedule": None,
    }
    assert table(digest([vendor]))[-1][-1] == "live (confirm: document): Server 1"
    ways(table(digest([vendor]))[-1][-1], account)
    _, *rows = table(complete([vendor]))
    check(account, [(name, cell) for name, cell in rows])
    assert ["**confirm**", "● document"] in rows


def test_editions_share_a_row_only_where_they_are_alike_in_everything():
    def rows(*editions: Edition) -> list[str]:
        vendor = Vendor(key="acme", name="Acme", settings=BaseModel, emr=Emr, capabilities=CAN, editions=editions)
        return [row[1] for row in table(digest([vendor]))[2:]]

    same, other = replace(MIXED, name="same"), replace(MIXED, name="other", against="Server 2")
    less = replace(MIXED, name="less", capabilities=replace(CAN, cancel=False))
    assert rows(MIXED, other, same, less) == ["`standard`, `same`", "`other`: Mixed", "`less`: Mixed"]


# -- less than the most -----------------------------------------------------------------------------------------------


def reading_only(request: httpx.Request) -> httpx.Response:
    """A FHIR server whose appointments can be read, listed and changed, and that books none and has no slots."""
    if not request.url.path.endswith("/metadata"):
        return httpx.Response(200, json={"resourceType": "Bundle", "type": "searchset"})
    allowed = [{"code": code} for code in ("read", "search-type", "patch")]
    resources = [
        {"type": "Appointment", "interaction": allowed},
        {"type": "Slot", "interaction": [{"code": "read"}]},
    ]
    return httpx.Response(200, json={**STATEMENT, "rest": [{"mode": "server", "resource": resources}]})


def test_an_account_that_was_found_to_do_less_shows_less_than_the_table(tmp_path, answers):
    most = supports(answers["fhir", "standard"])
    ((_, found),) = told(tmp_path, [("fhir", "standard")], reading_only).items()
    shown = supports(found)
    assert shown.keys() == most.keys()
    less = {cell for cell in most if ORDER.index(shown[cell]) < ORDER.index(most[cell])}
    assert less == {
        ("create", "booking"),
        ("create", "comment"),
        ("reads", "timeslots"),
        *(("continuous_reschedule", field) for field in ("start_end", "resource_id", "comment", "more", "fewer")),
    }
    assert all(ORDER.index(shown[cell]) <= ORDER.index(most[cell]) for cell in most)
    assert found["edition"] == "standard"
    assert (found["tested"]["create"], found["tested"]["update"]) == (None, "live")
    assert found["capabilities"]["facts"]["slot_check"] == "after_write"
