"""Marked names, comments, codes, ids, keys and secrets go through every operation and every way in which one can fail;
then everything is searched that anybody but their client can see. Processes, as operators have them."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.clients.auth import client_hash
from gateway.keys import Keys
from tests.e2e.conftest import at, span
from tests.e2e.processes import ROOT
from tests.live.processes import free_port, stop, wait_until_ready
from tests.security.erased import held
from tests.security.marked import BUGS, ID, MARK
from tests.test_tracing import collector

FAULTS = ("", "!refuse", "!error", "!drop", "!lost", "!late", "!busy", "!other", *(f"!{bug}" for bug in BUGS))
CONFIG = """
[[clients]]
id = "one"
secret = "{one}"
[clients.emrs.in-place]
plugin = "sandbox"
settings = {{ base_url = "{base}", clinic = "one", api_key = "file:one", personality = "in-place" }}
[clients.emrs.new-id]
plugin = "sandbox"
settings = {{ base_url = "{base}", clinic = "one", api_key = "file:one", personality = "new-id" }}
[[clients]]
id = "two"
secret = "{two}"
[clients.emrs.in-place]
plugin = "sandbox"
settings = {{ base_url = "{base}", clinic = "two", api_key = "file:two", personality = "in-place" }}
"""

SECRETS = {"one": f"{MARK}-secret", "two": "two-secret"}
PATIENT = f"{ID}P4"
Sink = Callable[["House"], dict[str, bytes]]


@dataclass
class House:
    folder: Path
    url: str
    http: httpx.Client
    spans: list[bytes]
    """What was sent to the collector of traces."""
    told: list[tuple[str, bytes]] = field(default_factory=list)
    """What a client was answered that went wrong, and what another client was answered."""
    planted: set[str] = field(default_factory=set)
    fault: str = ""
    answered: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """By the fault that was asked for (none: ''), the statuses of all that was asked with it."""
    theirs: set[str] = field(default_factory=set)
    """Ids that an appointment of the patient's had."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def mark(self, what: str) -> str:
        """A canary of its own."""
        canary = f"{MARK}-{what}-{next(self._numbers)}"
        self.planted.add(canary)
        return canary

    def asks(self, method: str, path: str, **more: Any) -> httpx.Response:
        answer = self.http.request(method, path if path.startswith("/") else f"/api/emrs/in-place/{path}", **more)
        self.answered[self.fault].append(answer.status_code)
        if answer.status_code >= 400:
            self.told.append((f"{method} {path} {answer.status_code}", answer.content + str(answer.headers).encode()))
        return answer


@contextmanager
def running(stack: ExitStack, folder: Path, name: str, ready: tuple[str, int], *arguments: str, **environment: str):
    told = {n: os.environ[n] for n in ("PATH", "LANG", "TMPDIR") if n in os.environ} | environment
    log = stack.enter_context((folder / f"{name}.log").open("ab"))
    command = [sys.executable, "-m", "tests.security.marked", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=told, stdout=log, stderr=log, start_new_session=True)
    stack.callback(stop, process)
    wait_until_ready(ready[0], process, ready[1])
    yield process


@pytest.fixture
def house(tmp_path) -> Iterator[House]:
    emr, own = free_port(), free_port()
    base, url = f"http://127.0.0.1:{emr}", f"http://127.0.0.1:{own}"
    (tmp_path / "state").mkdir()
    keys = Keys.from_file(tmp_path / "state/gateway.key")
    hashed = {id: f"hmac:{client_hash(keys, id, secret)}" for id, secret in SECRETS.items()}
    (tmp_path / "clients.toml").write_text(CONFIG.format(base=base, **hashed))
    (tmp_path / "one").write_text(f"{MARK}-key")
    (tmp_path / "two").write_text("two-key")
    environment = {"GATEWAY_CONFIG": str(tmp_path / "gateway.toml"), "PORT": str(own), "OTEL_BSP_SCHEDULE_DELAY": "200"}
    credentials = {"x-leyr-client-id": "one", "x-leyr-client-secret": SECRETS["one"]}
    with ExitStack() as stack:
        collected, spans = stack.enter_context(collector())
        told = f'state_dir = "state"\nclients = "clients.toml"\n[tracing]\nendpoint = "{collected}"\n'
        (tmp_path / "gateway.toml").write_text(told)
        for name, ready, arguments, env in (
            ("emr", (base, 404), ("emr", str(emr), str(tmp_path / "emr")), {}),
            ("gateway", (f"{url}/readyz", 200), ("gateway", "serve"), environment),
        ):
            stack.enter_context(running(stack, tmp_path, name, ready, *arguments, **env))
        http = stack.enter_context(httpx.Client(base_url=url, headers=credentials, timeout=60))
        yield House(tmp_path, url, http, spans)


# -- planting ---------------------------------------------------------------------------------------------------------


def plant_in_operations(house: House, faults: tuple[str, ...]) -> None:
    """Each operation, with each fault: its comment asks for it."""
    days = itertools.count(5)
    for fault in faults:
        day, house.fault = next(days), fault
        slots = [span(at(day, 8 + n // 2, n % 2 * 30), at(day, 8 + (n + 1) // 2, (n + 1) % 2 * 30)) for n in range(8)]
        made = [_book(house, slot, "booked") for slot in slots[:4]]
        _book(house, slots[4], "booking", fault)
        comment = lambda what, fault=fault: f"{house.mark(what)} {fault}"  # noqa: E731
        key = {"idempotency-key": house.mark("idempotency-key")}
        house.asks("PATCH", f"appointments/{made[0]}?dry_run=true", json={"comment": comment("dry-run")})
        update, another = ({"comment": comment("update")} for _ in range(2))
        for body in (update, update, another):  # told again, and then refused
            house.asks("PATCH", f"appointments/{made[0]}", json=body, headers=key)
        house.asks("PATCH", f"appointments/{made[1]}", json={**slots[5], "comment": comment("move")})
        house.asks("PATCH", "appointments", json={"ids": made[:3], "comment": comment("bulk")})
        both = {"ids": made[2:4], **span(at(day, 11), at(day, 12)), "comment": comment("reschedule")}
        house.asks("PATCH", "appointments", json=both)
        house.asks("PATCH", f"appointments/{made[0]}", json={"status": "cancelled", "comment": comment("cancel")})
        ids = {"ids": made[1:3], "status": "cancelled", "comment": comment("bulk-cancel")}
        house.asks("PATCH", "appointments", json=ids)


def _book(house: House, slot: dict[str, str], what: str, fault: str = "", service: str = "K1") -> str:
    body = {
        **slot,
        "comment": f"{house.mark(what)} {fault}",
        "patient_id": f"{ID}P4",
        "resource_id": f"{ID}D1",
        "healthcare_service_id": ID + service,
    }
    answer = house.asks("POST", "appointments", json=body)
    return str(answer.json()["id"]) if answer.status_code == 201 else f"{ID}B1001"


def plant_in_new_ids(house: House) -> None:
    """An EMR that gives a moved appointment a new id."""
    emr, times = "/api/emrs/new-id/appointments", [span(at(4, hour), at(4, hour, 30)) for hour in (13, 14, 15)]
    body = {"patient_id": f"{ID}P4", "resource_id": f"{ID}D1", "healthcare_service_id": f"{ID}K1"}
    made = house.asks("POST", emr, json={**body, **times[0], "comment": house.mark("new-id")})
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    for moved in times[1:]:
        house.theirs.add(id)
        id = house.asks("PATCH", f"{emr}/{id}", json=moved).json()["id"]
    house.theirs.add(id)


def plant_in_codes(house: House) -> None:
    id = _book(house, span(at(4, 9), at(4, 9, 30)), "coded", service="K2")
    for code in (house.mark("code"), house.mark("code")):
        house.asks("PATCH", f"appointments/{id}", json={"confirmation": {"code": code}})


def plant_in_what_is_wrong(house: House) -> None:
    """Everywhere in a request, where it is refused."""
    m = house.mark
    times = span(at(12, 9), at(12, 9, 30))
    for path in (
        f"/api/emrs/{m('emr')}/appointments",
        f"/api/emrs/in-place/care-units/{m('care-unit')}/appointments",
        f"/api/commands/{m('command')}",
        f"/errors/{m('code')}",
        f"/{m('path')}",
        f"appointments/{m('appointment')}",
        f"appointments/se_personal_number:{m('appointment')}",
        f"appointments?{m('parameter')}=x",
        *(f"appointments?{n}={m(n)}" for n in ("start", "end", "patient_id", "resource_id", "standard")),
        *(f"timeslots?{n}={m(n)}" for n in ("resource_id", "healthcare_service_id")),
        *(f"/api/commands?{n}={m(n)}" for n in ("idempotency_key", "appointment_id", "state")),
    ):
        for standard in ("leyr", "fhir"):
            house.asks("GET", path, headers={"x-leyr-standard": standard})
    for body in (
        {m("field"): m("value")},
        {"comment": {m("field"): 1}},
        {"comment": m("control") + "\x00"},
        {"comment": m("long") * 1000},
        {"status": m("status")},
        {"start": m("start"), "end": m("end")},
        {**times, "resource_id": m("resource")},
        {"confirmation": {"code": m("code"), m("field"): 1}},
    ):
        house.asks("PATCH", f"appointments/{ID}B1004", json=body)
    house.asks("PATCH", "appointments", json={"ids": [m("appointment"), f"{ID}B1004", m("appointment")]})
    house.asks("PATCH", "appointments", json={"ids": [m("appointment")], "comment": m("comment")})
    booking = {**times, "patient_id": m("patient"), "resource_id": f"{ID}D1", "healthcare_service_id": f"{ID}K1"}
    house.asks("POST", "appointments", json=booking)
    house.asks("POST", "appointments", json={**booking, "patient_id": f"se_personal_number:{m('number')}"})
    for raw in (
        b"{" + m("json").encode(),
        m("json").encode("utf-16"),
        b'{"comment": "' + m("json").encode() + b'\xff"}',
    ):
        house.asks("PATCH", f"appointments/{ID}B1004", content=raw, headers={"content-type": "application/json"})
    for name in (
        *("if-match", "x-plan", "prefer", "content-type", "x-leyr-standard", "x-leyr-client-id", "cookie"),
        *("x-request-id", "traceparent", "tracestate", "user-agent", "referer", "x-forwarded-for"),
    ):
        house.asks("PATCH", f"appointments/{ID}B1004", json={"comment": m("comment")}, headers={name: m(name)})
    for id, secret in (("one", m("secret")), (m("client"), m("secret"))):
        house.asks("GET", "/api/emrs", headers={"x-leyr-client-id": id, "x-leyr-client-secret": secret})
    house.asks(m("METHOD").upper().replace("-", ""), "/api/emrs")


def see_as_another(house: House) -> None:
    other = {"x-leyr-client-id": "two", "x-leyr-client-secret": SECRETS["two"]}
    commands = house.http.get("/api/commands").json()
    for path in ("/api/commands", "/api/emrs", *(f"/api/commands/{c['id']}" for c in commands[:20])):
        house.told.append((f"the other client: {path}", house.http.get(path, headers=other).content))


# -- searching --------------------------------------------------------------------------------------------------------


def said(house: House, *arguments: str) -> bytes:
    environment = {**os.environ, "GATEWAY_CONFIG": str(house.folder / "gateway.toml")}
    command = [sys.executable, "-m", "gateway", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False)
    return done.stdout + done.stderr


def state(house: House) -> dict[str, bytes]:
    """Every file of the state directory, the database's log included."""
    files = [path for path in (house.folder / "state").rglob("*") if path.is_file()]
    assert any(path.name == "ledger.sqlite-wal" for path in files)
    return {f"state/{path.name}": path.read_bytes() for path in files}


def words(house: House) -> dict[str, bytes]:
    log = (house.folder / "gateway.log").read_bytes()
    assert log.count(b"\n") > 50
    return {"standard output and error": log}


def pages(house: House) -> dict[str, bytes]:
    return {path: house.http.get(path).content for path in ("/metrics", "/openapi.json", "/docs", "/readyz")}


def commands(house: House) -> dict[str, bytes]:
    asked = (
        *(("check",), ("check", "--connect"), ("commands", "list", "--all"), ("status",), ("credentials", "list")),
        *(("audit", "verify"), ("audit", "export"), ("audit", "export", "--format", "fhir")),
    )
    return {" ".join(arguments): said(house, *arguments) for arguments in asked}


def traces(house: House) -> dict[str, bytes]:
    sent = b"".join(house.spans)
    assert sent.count(b"gateway.command") > 50
    return {"traces": sent}


def copied(house: House) -> dict[str, bytes]:
    """A back-up, and what was said while it was made."""
    copy = house.folder / "copy"
    answer = said(house, "backup", str(copy))
    files = {f"copy/{path.name}": path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert "copy/ledger.sqlite" in files
    return {"backup": answer, **files}


def erased(house: House) -> dict[str, bytes]:
    """After one patient's traces were erased, as an operator does it: none of the bytes that held them is left."""
    settle_all(house)
    for emr in ("in-place", "new-id"):
        listed = house.http.get(f"/api/emrs/{emr}/appointments?patient_id={PATIENT}").json()
        assert {one["patient_id"] for one in listed} == {PATIENT}
        house.theirs.update(one["id"] for one in listed)
    before = held(house.folder / "state", house.folder / "unsealed", PATIENT, house.theirs)
    assert before.commands > 20
    assert before.renamed == 2
    assert len(before.theirs) > 100
    assert len(before.others) > 10
    assert before.left(state(house)), "nothing is searched for that is there"
    answers = {"erase": said(house, "erase", "--patient", PATIENT)}
    assert answers["erase"].startswith(b"Erased; commands: "), answers
    files = state(house)
    assert before.left(files) == []
    assert all(any(value in text for text in files.values()) for value in before.others)
    after = held(house.folder / "state", house.folder / "unsealed", PATIENT, house.theirs)
    assert (after.commands, after.renamed) == (0, 0)
    return {**answers, **{f"erased {name}": text for name, text in files.items()}}


def settle_all(house: House) -> None:
    """By hand, as the erasure wants it; repair has had its time."""
    for _ in range(100):
        told = said(house, "commands", "list", "--json")
        open_ = [one["id"] for one in json.loads(told) if one["state"] in ("repairing", "needs_attention")]
        if not json.loads(told):
            return
        for id in open_:
            said(house, "commands", "settle", id, "--as", "undone", "--note", f"{MARK} was told by telephone.")
        time.sleep(0.2)
    raise AssertionError(told)


SINKS: list[Sink] = [words, state, pages, commands, traces, copied, erased, words, commands]
"""To be searched for everything that is marked, ids included. Any other place that is written to belongs here, too. A
back-up keeps what is erased: it is made before that, and what tells of the erasure is asked again after it."""


def found(name: str, text: bytes, *marks: str) -> list[str]:
    low = text.lower()
    return [f"{mark} in {name}" for mark in marks if any(form in low for form in _forms(mark))]


def _forms(mark: str) -> set[bytes]:
    """The word, and what becomes of it when its bytes are written in other ways."""
    word = mark.encode()
    # Without what depends on the bytes before and behind.
    packed = {base64.b64encode(b"x" * shift + word)[4 if shift else 0 : -4].lower() for shift in range(3)}
    return {word.lower(), mark.encode("utf-16-le").lower(), word.hex().encode(), *packed}


@pytest.mark.security
def test_nothing_that_is_marked_is_found_anywhere_outside(house, record_property):
    faults = ("", "!refuse", "!lost", *FAULTS[8:]) if os.environ.get("BOUND") else FAULTS
    plant_in_operations(house, faults)
    # A canary that no EMR has ever been told shows nothing.
    assert [status for status in house.answered[""] if status >= 300] == [422], house.answered
    assert all(max(house.answered[fault]) >= 400 for fault in faults if fault not in ("", "!busy")), house.answered
    house.fault = "beside"
    plant_in_new_ids(house)
    plant_in_codes(house)
    plant_in_what_is_wrong(house)
    see_as_another(house)
    time.sleep(1)
    shown = [said(house, "commands", "show", c["id"]) for c in house.http.get("/api/commands").json()[:5]]
    places = [(name, text) for sink in SINKS for name, text in sink(house).items()]
    everywhere = [what for name, text in places for what in found(name, text, MARK, ID)]
    told = [what for name, text in house.told for what in found(name, text, MARK)]
    told += [what for text in shown for what in found("commands show", text, MARK)]
    record_property("security: canaries planted", len(house.planted))
    record_property("security: canaries found outside", len(everywhere) + len(told))
    record_property("security: places searched for canaries", len(places) + len(house.told) + len(shown))
    assert sorted({*everywhere, *told}) == []
    assert {bug for bug in BUGS if f"!{bug}" in faults} == set(BUGS)
    assert b"ZeroDivisionError" in dict(places)["standard output and error"]


def test_the_search_finds_a_word_however_it_is_written():
    for text in (
        b"xKANARIEx",
        "åKanarie".encode("utf-16-le"),
        b"Kanarie".hex().encode(),
        b"x S2FuYXJpZQ== y",
    ):
        assert found("there", text, MARK) == ["Kanarie in there"]
    for shift, name in itertools.product(range(6), (MARK, ID)):
        assert found("there", base64.b64encode(b"y" * shift + name.encode() + b"zzzz"), name) == [f"{name} in there"]
    assert found("there", b"nothing of the kind", MARK, ID) == []
