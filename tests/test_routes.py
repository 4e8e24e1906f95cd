import json
import logging
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from uuid import UUID

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter
from starlette.routing import Route

from gateway.api import Configured
from gateway.domain.commands import Book, Cancel, Confirm, Reschedule, Update
from gateway.domain.errors import Busy, EmrRefused, Problem
from gateway.domain.model import Kind, Span
from gateway.ledger import LedgerDown
from gateway.routes import build, metrics_app
from tests.stub_gateway import CREDENTIALS, EMR, MANY, ONE, StubGateway, client_of

NINE, TEN = "2031-03-03T09:00:00+01:00", "2031-03-03T10:00:00+01:00"
HOUR = Span(datetime(2031, 3, 3, 8, tzinfo=UTC), datetime(2031, 3, 3, 9, tzinfo=UTC))
COMMENT = b'{"comment": "c"}'
MINE = "5f0c2b7a-3a0e-4f53-9a55-0c6f2d1e8b47"
CANARY = "Kanarie-Fågelsson"
BOOKING = {"start": NINE, "end": TEN, "patient_id": "p", "resource_id": "r", "healthcare_service_id": "s"}


@pytest.fixture
def gateway():
    return StubGateway()


@pytest.fixture
async def client(gateway):
    async with client_of(gateway) as client:
        yield client


def problem(response: httpx.Response, status: int, code: str, *errors: tuple[str, str | None]) -> dict:
    """Assert that the answer is this problem, whole and in form."""
    told = response.json()
    assert (response.status_code, told["code"]) == (status, code), told
    assert [(e["error_code"], e["path"]) for e in told["errors"]] == list(errors)
    assert set(told) == {"code", "type", "title", "status", "detail", "instance", "errors"}
    assert response.headers["content-type"] == "application/problem+json"
    assert (told["status"], told["type"]) == (status, f"https://gateway.example/errors/{code}")
    assert str(UUID(told["instance"])) == told["instance"]
    assert response.headers["x-request-id"]
    return told


def bad(response: httpx.Response, path: str | None, error_code: str = "BAD_INPUT") -> None:
    problem(response, 400, "BAD_REQUEST", (error_code, path))


# -- writes reach the gateway as commands ---------------------------------------------------------------------------


async def test_the_documented_curl_works_as_it_stands(client, gateway):
    headers = {"content-type": "application/x-www-form-urlencoded", "x-leyr-standard": "leyr"}
    text = f'{{\n"start": "{NINE}",\n"end": "{TEN}",\n"resource_id": "r-2",\n"comment": "c"\n}}'
    response = await client.patch(ONE, content=text, headers=headers)
    assert response.status_code == 200
    command = gateway.asked[0]["command"]
    assert command.intent == Update(("a-1",), HOUR, "r-2", "c")
    assert (command.single, command.care_unit_id, command.if_match) == (True, None, None)


@pytest.mark.parametrize(
    ("method", "path", "body", "intent"),
    [
        ("PATCH", ONE, {"status": "cancelled"}, Cancel(("a-1",))),
        ("PATCH", ONE, {"confirmation": {"code": "1"}}, Confirm("a-1", "1")),
        ("PATCH", MANY, {"ids": ["a", "b"], "start": NINE, "end": TEN}, Reschedule(("a", "b"), HOUR)),
        ("PATCH", MANY, {"ids": ["a"], "status": "cancelled"}, Cancel(("a",))),
        ("POST", MANY, BOOKING, Book(HOUR, "p", "r", "s")),
    ],
)
@pytest.mark.parametrize("unit", [None, "c 1"])
async def test_every_write_has_a_short_and_a_care_unit_form_and_they_are_one_request(
    client, gateway, method, path, body, intent, unit
):
    short = await client.request(method, path, json=body)
    long = await client.request(method, path.replace(EMR, f"{EMR}/care-units/{quote(unit or 'x')}"), json=body)
    assert (short.status_code, long.status_code) == (200, 200)
    first, second = gateway.asked
    assert first["command"].intent == second["command"].intent == intent
    assert (first["command"].care_unit_id, second["command"].care_unit_id) == (None, unit or "x")
    assert first["command"].single is (path == ONE or method == "POST")
    assert first["circumstances"].fingerprint == second["circumstances"].fingerprint != ""


async def test_the_reply_is_sent_as_it_is_with_the_requests_id(client):
    response = await client.patch(ONE, content=COMMENT, headers={"x-request-id": MINE})
    assert response.content == b'{"written":true}'
    assert response.headers["content-type"] == "application/json"
    assert (response.headers["x-command-id"], response.headers["x-emr-calls"]) == ("command-1", "2")
    assert response.headers["x-request-id"] == MINE
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("id", [MINE.upper(), "0af7651916cd43dd" * 2, "b7ad6b7169203331", "01ARZ3NDEKTSV4RRFFQ69G5FAV"])
async def test_a_request_id_that_a_machine_has_made_is_the_clients_own(client, gateway, id):
    response = await client.patch(ONE, content=COMMENT, headers={"x-request-id": id})
    assert response.headers["x-request-id"] == gateway.asked[0]["circumstances"].request_id == id


@pytest.mark.parametrize(
    "id",
    [
        *(
            "",
            "has space",
            "å",
            "<b>",
            "tab\there",
            "f" * 65,
            "f" * 15,
            f"{MINE}\x00",
            f"{MINE} ",
            f"{MINE}-1",
            "request-1",
        ),
        *("19811218-9876", "198112189876", "1981121898761234", "9434765919", "anna.svensson", "Anna_Svensson-1981"),
    ],
)
async def test_a_request_id_that_could_say_who_somebody_is_is_replaced_and_nowhere_told(client, gateway, id, caplog):
    with caplog.at_level(logging.INFO, "gateway"):
        response = await client.patch(ONE, content=COMMENT, headers={"x-request-id": id.encode()})
        await client.get("/nowhere", headers={"x-request-id": id.encode()})
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "request=" in logged
    assert not id or f"request={id}" not in logged
    assert str(UUID(response.headers["x-request-id"])) == response.headers["x-request-id"]
    assert gateway.asked[0]["circumstances"].request_id == response.headers["x-request-id"]


async def test_a_write_brings_its_circumstances(client, gateway):
    headers = {
        "Idempotency-Key": "k 1",
        "x-plan": "digest",
        "Prefer": "foo, respond-async, wait=7; x=1",
        "If-Match": '"a,b", W/"c"',
    }
    await client.patch(f"{ONE}?dry_run=false&standard=leyr", content=COMMENT, headers=headers)
    asked = gateway.asked[0]["circumstances"]
    assert (asked.idempotency_key, asked.expected_plan, asked.wait_s) == ("k 1", "digest", 7.0)
    assert (asked.dry_run, asked.standard) == (False, "leyr")
    assert gateway.asked[0]["command"].if_match == ('"a,b"', 'W/"c"')


async def test_a_dry_run_has_neither_key_nor_expected_plan(client, gateway):
    headers = {"Idempotency-Key": "k", "x-plan": "digest"}
    await client.patch(f"{ONE}?dry_run=true", content=COMMENT, headers=headers)
    asked = gateway.asked[0]["circumstances"]
    assert (asked.dry_run, asked.idempotency_key, asked.expected_plan) == (True, None, None)


async def test_the_query_that_changes_nothing_does_not_change_the_fingerprint(client, gateway):
    await client.patch(ONE, content=COMMENT)
    await client.patch(
        f"{ONE}?dry_run=false", content=b'{"comment":"c","start":null}', headers={"x-leyr-standard": "leyr"}
    )
    await client.patch(f"{EMR}/appointments/emr_id:a-1", content=COMMENT)
    assert len({asked["circumstances"].fingerprint for asked in gateway.asked}) == 1


# -- paths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "id", ["a/b", "a b", "a+b", "åäö", "a%2Fb", "urn:x:1", "?&#", "..", ".", "%", '"', "\U0001f600", "a\\b", ";v=1"]
)
async def test_an_id_in_the_path_is_taken_byte_for_byte(client, gateway, id):
    encoded = "".join(f"%{byte:02X}" for byte in id.encode())
    assert (await client.get(f"{EMR}/care-units/{encoded}/appointments/{encoded}")).status_code == 200
    assert (gateway.asked[0]["id"], gateway.asked[0]["care_unit_id"]) == (id, id)


async def test_an_emrs_key_may_hold_anything(client, gateway):
    assert (await client.get("/api/emrs/%C3%A5%20b%2Fc/resources")).status_code == 200
    assert gateway.asked[0]["emr"] == "å b/c"


async def test_needless_escapes_are_the_same_path(client):
    assert (await client.get("/%61pi/emrs/clinic/%61ppointments/a-1")).status_code == 200


@pytest.mark.parametrize("id", ["%FF", "%0A", "%00", "emr_id:", "x" * 513])
async def test_what_can_be_no_id_is_not_found(client, id):
    response = await client.patch(f"{EMR}/appointments/{id}", content=COMMENT)
    problem(response, 404, "NOT_FOUND", ("INVALID_APPOINTMENT_ID", "appointment_id"))
    response = await client.get(f"{EMR}/care-units/{id}/resources")
    problem(response, 404, "NOT_FOUND", ("INVALID_CARE_UNIT_ID", "care_unit_id"))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/emrs/",
        "/api/emrs/clinic",
        f"{ONE}/",
        f"{MANY}/",
        f"{EMR}//appointments",
        f"{EMR}/appointments/a/b",
        f"{EMR}/schedules",
        f"{EMR}/care-units/c/care-units/d/appointments",
        "/api/commands/",
        "/errors/NO_SUCH_CODE",
        "/favicon.ico",
    ],
)
async def test_an_unknown_path_is_a_problem(client, path):
    for method in ("GET", "PATCH"):
        response = await client.request(method, path)
        assert response.status_code in (404, 405)
        problem(response, response.status_code, response.json()["code"])
    problem(await client.get(path), 404, "NOT_FOUND")


def all_paths() -> list[tuple[str, tuple[str, ...]]]:
    app = build(StubGateway(), registry=CollectorRegistry())
    return [(route.path, route.app.allowed) for route in app.routes if isinstance(route, Route)]


@pytest.mark.parametrize(("path", "allowed"), all_paths())
async def test_every_other_method_is_a_problem_that_says_which_are_allowed(client, path, allowed):
    path = re.sub(r"{\w+}", "x", path)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - set(allowed):
        response = await client.request(method, path, headers={"x-leyr-client-secret": "wrong"})
        problem(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == ", ".join(allowed)


@pytest.mark.parametrize("path", [ONE, MANY, f"{EMR}/timeslots", "/api/emrs", "/healthz", "/docs", "/metrics"])
async def test_head_is_get_without_a_body(client, path):
    got, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(got.content))
    assert head.headers.get("etag") == got.headers.get("etag")


# -- who asks -------------------------------------------------------------------------------------------------------

GUARDED = [path for path, _ in all_paths() if path.startswith("/api")]


@pytest.mark.parametrize("path", GUARDED)
async def test_every_api_path_wants_credentials_before_anything_else(client, gateway, path):
    path = re.sub(r"{\w+}", "x", path)
    told = []
    for wrong in ({"x-leyr-client-id": "nobody"}, {"x-leyr-client-secret": "wrong"}, {"x-leyr-client-secret": ""}):
        response = await client.get(f"{path}?nonsense=1", headers=wrong)
        told.append({**problem(response, 401, "UNAUTHORIZED"), "instance": ""})
    assert told[0] == told[1] == told[2]
    assert gateway.asked == []


async def test_missing_and_doubled_credentials_are_none(gateway):
    async with client_of(gateway) as client:
        client.headers = httpx.Headers()
        problem(await client.get("/api/emrs"), 401, "UNAUTHORIZED")
        twice = [*CREDENTIALS.items(), ("x-leyr-client-secret", "demo-secret")]
        problem(await client.get("/api/emrs", headers=twice), 401, "UNAUTHORIZED")
        assert (await client.get("/api/emrs", headers=CREDENTIALS)).status_code == 200


async def test_checks_come_in_order(client, gateway):
    """Path, credentials, EMR, conditions, type of the body, the body."""
    body, odd = b"not json", {"content-type": "text/plain"}
    wrong = {"x-leyr-client-secret": "wrong"}
    problem(await client.patch("/api/nowhere", content=body, headers=odd | wrong), 404, "NOT_FOUND")
    problem(await client.patch("/api/emrs/no/appointments", content=body, headers=odd | wrong), 401, "UNAUTHORIZED")
    problem(await client.patch("/api/emrs/no/appointments?x=1", content=body, headers=odd), 404, "NOT_FOUND")
    bad(await client.patch(f"{MANY}?x=1", content=body, headers=odd), "query[0]")
    problem(await client.patch(MANY, content=body, headers=odd), 415, "UNSUPPORTED_MEDIA_TYPE")
    bad(await client.patch(MANY, content=body), "body")
    assert gateway.asked == []


# -- conditions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("x=1", "query[0]"),
        (f"standard=leyr&{quote(CANARY)}=1", "query[1]"),
        ("standard=leyr&standard=leyr", "query/standard"),
        ("standard=", "query/standard"),
        ("standard=LEYR", "query/standard"),
        ("dry_run=1", "query/dry_run"),
        ("dry_run=True", "query/dry_run"),
        ("dry_run=", "query/dry_run"),
        ("dry_run", "query/dry_run"),
        ("dry_run=true&dry_run=true", "query/dry_run"),
        ("dry_run=%FF", "query"),
        ("&".join(["dry_run=true"] * 70), "query"),
        ("start=2031-03-03T09:00:00Z", "query[0]"),
    ],
)
async def test_a_writes_query_is_known_single_and_exact(client, gateway, query, path):
    bad(await client.patch(f"{ONE}?{query}", content=COMMENT), path)
    assert gateway.asked == []


async def test_the_standard_may_be_said_twice_but_not_differently(client):
    assert (await client.get(f"{ONE}?standard=leyr", headers={"x-leyr-standard": "leyr"})).status_code == 200
    assert (await client.get(f"{ONE}?standard=fhir", headers={"x-leyr-standard": "fhir"})).status_code == 200
    bad(await client.get(f"{ONE}?standard=fhir", headers={"x-leyr-standard": "leyr"}), "header/x-leyr-standard")
    bad(await client.get(ONE, headers={"x-leyr-standard": "hl7"}), "header/x-leyr-standard")
    doubled = [("x-leyr-standard", "leyr"), ("x-leyr-standard", "leyr")]
    bad(await client.get(ONE, headers=doubled), "header/x-leyr-standard")


@pytest.mark.parametrize("name", ["idempotency-key", "x-plan"])
@pytest.mark.parametrize("value", ["", "å", "x" * 256, "a\tb", "\x7f"])
async def test_keys_and_plans_are_1_to_255_printable_characters(client, gateway, name, value):
    for method, path in (("PATCH", ONE), ("PATCH", MANY), ("POST", MANY)):
        response = await client.request(method, path, content=COMMENT, headers={name: value.encode()})
        bad(response, f"header/{name}")
    bad(await client.patch(ONE, content=COMMENT, headers=[(name, "a"), (name, "b")]), f"header/{name}")
    assert gateway.asked == []


async def test_the_longest_key_is_taken(client, gateway):
    key = "~" + "!" * 254
    await client.patch(ONE, content=COMMENT, headers={"idempotency-key": key})
    assert gateway.asked[0]["circumstances"].idempotency_key == key


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("*", ("*",)),
        ('"a"', ('"a"',)),
        ('""', ('""',)),
        ('"a" , ,"b,\'c\'"', ('"a"', "\"b,'c'\"")),
        ('W/"a"', ('W/"a"',)),
    ],
)
async def test_if_match_is_a_list_of_entity_tags(client, gateway, value, tags):
    await client.patch(ONE, content=COMMENT, headers={"if-match": value})
    assert gateway.asked[0]["command"].if_match == tags


async def test_if_match_may_come_in_several_lines(client, gateway):
    await client.patch(ONE, content=COMMENT, headers=[("if-match", '"a"'), ("if-match", '"b"')])
    assert gateway.asked[0]["command"].if_match == ('"a"', '"b"')


@pytest.mark.parametrize("value", ["", "a", '"a', 'w/"a"', '"a" "b"', '*, "a"', '"a b"'])
async def test_a_malformed_if_match_is_refused(client, gateway, value):
    bad(await client.patch(ONE, content=COMMENT, headers={"if-match": value}), "header/if-match")
    assert gateway.asked == []


async def test_if_match_is_for_one_appointment(client, gateway):
    bad(await client.patch(MANY, json={"ids": ["a"], "comment": "c"}, headers={"if-match": "*"}), "header/if-match")
    bad(await client.post(MANY, json=BOOKING, headers={"if-match": '"a"'}), "header/if-match")
    assert gateway.asked == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", 50.0),
        ("respond-async", 0.0),
        ("Respond-Async ", 0.0),
        ("wait=10", 10.0),
        ('respond-async, Wait="3"', 3.0),
        ("wait = 4 ; a=b, respond-async", 4.0),
        ("wait=999999999", 50.0),
        ("wait=5, wait=6", 5.0),
        ("wait=-1", 50.0),
        ("wait=x", 50.0),
        ("wait", 50.0),
        ('foo="a, respond-async", handling=lenient', 50.0),
        ('return=minimal; foo="wait=1"', 50.0),
        ('"' * 900, 50.0),
        ('"\\' * 30_000, 50.0),
    ],
)
async def test_preferences_are_understood_or_ignored(client, gateway, value, seconds):
    await client.patch(ONE, content=COMMENT, headers={"prefer": value})
    assert gateway.asked[0]["circumstances"].wait_s == seconds


# -- bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/merge-patch+json",
        "application/vnd.x.v1+json; v=1",
        "application/x-www-form-urlencoded; charset=utf8",
    ],
)
async def test_json_is_taken_under_these_types(client, gateway, kind):
    response = await client.patch(ONE, content=COMMENT, headers={} if kind is None else {"content-type": kind})
    assert response.status_code == 200
    assert gateway.asked[0]["command"].intent == Update(("a-1",), comment="c")


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "text/json"},
        {"content-type": "application/xml"},
        {"content-type": "application/+json"},
        {"content-type": "application/jsonp"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json; charset=utf-8; charset=utf-16"},
        {"content-type": "json"},
        {"content-encoding": "gzip"},
    ],
)
async def test_other_types_are_unsupported(client, gateway, headers):
    problem(await client.patch(ONE, content=COMMENT, headers=headers), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert gateway.asked == []


async def test_two_content_types_are_unsupported(client):
    headers = [("content-type", "application/json"), ("content-type", "application/json")]
    problem(await client.patch(ONE, content=COMMENT, headers=headers), 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_has_at_most_a_mebibyte(client, gateway):
    frame = len(b'{"comment":""}')
    fits = b'{"comment":"' + b"x" * (1024 * 1024 - frame) + b'"}'
    assert (await client.patch(ONE, content=fits)).status_code == 200
    problem(await client.patch(ONE, content=fits + b" "), 413, "PAYLOAD_TOO_LARGE")
    assert len(gateway.asked) == 1


async def test_a_body_without_a_length_is_read_no_further_than_a_mebibyte(client, gateway):
    read = 0

    async def endless():
        nonlocal read
        while True:
            read += 1
            yield b"x" * 65536

    problem(await client.patch(ONE, content=endless()), 413, "PAYLOAD_TOO_LARGE")
    assert read <= 18
    assert gateway.asked == []


@pytest.mark.parametrize("length", [str(1024 * 1024 + 1), "9" * 30])
async def test_a_body_that_says_it_is_too_long_is_not_read(client, length):
    response = await client.patch(ONE, content=b"", headers={"content-length": length})
    problem(response, 413, "PAYLOAD_TOO_LARGE")


async def test_an_empty_body_is_refused(client):
    for method, path in (("PATCH", ONE), ("PATCH", MANY), ("POST", MANY)):
        bad(await client.request(method, path), "body")


async def test_a_refused_body_names_each_place(client):
    body = {"ids": ["a", ""], "start": "soon", CANARY: CANARY}
    response = await client.patch(MANY, json=body)
    places = [("BAD_INPUT", "body/start"), ("INVALID_APPOINTMENT_ID", "ids/1"), ("BAD_INPUT", "body/field[2]")]
    problem(response, 400, "BAD_REQUEST", *places)
    assert CANARY not in response.text


async def test_the_number_of_appointments_is_configurable(gateway):
    async with client_of(gateway, max_items=2) as client:
        response = await client.patch(MANY, json={"ids": ["a", "b", "c"], "comment": "c"})
        bad(response, "body/ids", "MAX_ITEMS_EXCEEDED")
        assert (await client.patch(MANY, json={"ids": ["a", "b"], "comment": "c"})).status_code == 200
    assert gateway.asked[0]["command"].max_items == 2


# -- reads ----------------------------------------------------------------------------------------------------------


async def test_one_appointment_is_read_with_its_etag(client, gateway):
    response = await client.get(f"{EMR}/appointments/emr_id:a-9")
    assert response.json()["id"] == "a-9"
    assert response.headers["etag"].startswith('"')
    assert gateway.asked == [{"emr": "clinic", "id": "a-9", "care_unit_id": None}]


@pytest.mark.parametrize("form", ["{0}", "W/{0}", '"x", {0}', "*"])
async def test_an_unchanged_appointment_is_304(client, form):
    etag = (await client.get(ONE)).headers["etag"]
    response = await client.get(ONE, headers={"if-none-match": form.format(etag)})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
    for other in ('"other"', etag.strip('"'), ""):
        assert (await client.get(ONE, headers={"if-none-match": other})).status_code == 200


async def test_appointments_are_listed_as_a_bare_array(client, gateway):
    query = {"start": NINE, "end": TEN, "patient_id": "se_personal_number:0", "resource_id": "emr_id:r"}
    response = await client.get(f"{EMR}/care-units/c-1/appointments", params=query)
    assert [told["id"] for told in response.json()] == ["a-1"]
    assert gateway.asked == [
        {"emr": "clinic", "span": HOUR, "patient_id": "se_personal_number:0", "resource_id": "r", "care_unit_id": "c-1"}
    ]


async def test_an_offset_whose_plus_was_not_escaped_is_understood(client, gateway):
    await client.get(f"{MANY}?start={NINE}&end={TEN}")
    assert gateway.asked[0]["span"] == HOUR


async def test_timeslots_are_listed(client, gateway):
    query = {"start": NINE, "end": TEN, "resource_id": "r", "healthcare_service_id": "s"}
    response = await client.get(f"{EMR}/timeslots", params=query)
    assert response.json() == [
        {
            "start": "2031-03-03T09:00:00+01:00",
            "end": "2031-03-03T09:30:00+01:00",
            "resource_id": "r-1",
            "healthcare_service_id": "s-1",
            "care_unit_id": "c-1",
        }
    ]
    assert gateway.asked == [{"emr": "clinic", "span": HOUR, "resource_id": "r", "service": "s", "unit": None}]


@pytest.mark.parametrize("path", [MANY, f"{EMR}/timeslots"])
async def test_a_range_that_is_left_out_is_today_and_92_days_on(client, gateway, path):
    before = datetime.now(UTC).date()
    await client.get(path)
    span = gateway.asked[0]["span"]
    assert span.start.date() in (before, datetime.now(UTC).date())
    assert span.start.time() == datetime.min.time()
    assert span.end - span.start == timedelta(days=92)


async def test_a_range_may_be_given_by_one_end(client, gateway):
    await client.get(f"{MANY}?start=2031-01-01T00:00:00Z")
    assert gateway.asked[-1]["span"].length == timedelta(days=92)
    await client.get(f"{MANY}?end=1999-01-01T00:00:00Z")
    assert gateway.asked[-1]["span"].end == datetime(1999, 1, 1, tzinfo=UTC)
    assert gateway.asked[-1]["span"].length == timedelta(days=92)
    soon = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    await client.get(MANY, params={"end": soon})
    assert timedelta(days=9) < gateway.asked[-1]["span"].length < timedelta(days=12)


@pytest.mark.parametrize(
    ("query", "path", "error_code"),
    [
        ({"start": "2031-03-03"}, "query/start", "BAD_INPUT"),
        ({"start": ""}, "query/start", "BAD_INPUT"),
        ({"end": "2031-03-03T09:00:00"}, "query/end", "BAD_INPUT"),
        ({"start": TEN, "end": NINE}, "query/end", "BAD_INPUT"),
        ({"start": "2031-01-01T00:00:00Z", "end": "2031-04-03T00:00:01Z"}, "query/end", "BAD_INPUT"),
        ({"resource_id": ""}, "query/resource_id", "INVALID_RESOURCE_ID"),
        ({"patientId": "p"}, "query[0]", "BAD_INPUT"),
        ({"dry_run": "true"}, "query[0]", "BAD_INPUT"),
    ],
)
async def test_a_lists_query_is_refused_by_its_place(client, gateway, query, path, error_code):
    bad(await client.get(MANY, params=query), path, error_code)
    assert gateway.asked == []


@pytest.mark.parametrize("kind", list(Kind))
async def test_directories_are_bare_arrays(client, gateway, kind):
    response = await client.get(f"{EMR}/{kind}")
    assert response.json() == [{"id": "r-1", "name": "Room 1", "care_unit_id": "c-1"}]
    await client.get(f"{EMR}/care-units/c-1/{kind}")
    assert [(a["kind"], a["care_unit_id"]) for a in gateway.asked] == [(kind, None), (kind, "c-1")]


async def test_the_emrs_of_the_caller_are_listed_with_what_they_can_do(client):
    told = (await client.get("/api/emrs")).json()
    assert [(t["key"], t["plugin"], t["name"]) for t in told] == [
        ("clinic", "sandbox", "Sandbox"),
        ("å b/c", "sandbox", "Sandbox"),
    ]
    assert told[0]["edition"] == "odd"
    assert (told[0]["tested"]["against"], told[0]["tested"]["reads"], told[0]["tested"]["update"]) == (
        "itself",
        "own",
        None,
    )
    assert told[0]["capabilities"]["update"] == {
        "start_end": "unsupported",
        "resource_id": "unsupported",
        "comment": "unsupported",
    }


async def test_a_command_is_told(client):
    assert (await client.get("/api/commands/command-1")).json()["state"] == "done"
    for unknown in ("command-2", "%20", "x" * 65):
        problem(await client.get(f"/api/commands/{unknown}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ({}, (None, None, False)),
        ({"idempotency_key": "k 1"}, ("k 1", None, False)),
        ({"appointment_id": "emr_id:a"}, (None, "a", False)),
        ({"state": "unsettled"}, (None, None, True)),
    ],
)
async def test_commands_are_found_by_one_filter(client, gateway, query, asked):
    response = await client.get("/api/commands", params=query)
    assert [told["id"] for told in response.json()] == ["command-1"]
    assert gateway.asked == [{"key": asked[0], "appointment": asked[1], "unsettled": asked[2]}]


async def test_commands_take_no_two_filters_and_no_other_state(client, gateway):
    bad(await client.get("/api/commands?idempotency_key=k&state=unsettled"), "query")
    bad(await client.get("/api/commands?state=done"), "query/state")
    bad(await client.get("/api/commands?idempotency_key=%C3%A5"), "query/idempotency_key")
    bad(await client.get("/api/commands?appointment_id="), "query/appointment_id", "INVALID_APPOINTMENT_ID")
    assert gateway.asked == []


# -- failures -------------------------------------------------------------------------------------------------------


async def test_what_the_gateway_refuses_is_told_in_form(client, gateway):
    gateway.fails = EmrRefused(problems=[Problem("BAD_INPUT", "Too late.", "ids/0", "E9")])
    problem(await client.patch(ONE, content=COMMENT), 409, "EMR_REFUSED", ("BAD_INPUT", "ids/0"))
    gateway.fails = Busy(retry_after=3)
    response = await client.get(ONE)
    problem(response, 503, "BUSY")
    assert response.headers["retry-after"] == "3"


async def test_a_store_that_is_down_is_busy_with_a_time_to_come_back(client, gateway):
    gateway.fails = LedgerDown("disk of " + CANARY)
    response = await client.get("/api/commands")
    problem(response, 503, "BUSY")
    assert response.headers["retry-after"]
    assert CANARY not in response.text


@pytest.mark.parametrize("failure", [RuntimeError(CANARY), RecursionError(CANARY), KeyError(CANARY), OSError(CANARY)])
async def test_our_own_faults_show_and_log_nothing_of_the_inside(client, gateway, failure, caplog):
    gateway.fails = failure
    with caplog.at_level(logging.DEBUG, "gateway"):
        response = await client.patch(ONE, content=COMMENT)
    told = problem(response, 500, "UNKNOWN_ERROR")
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert CANARY not in response.text + logged + str(response.headers)
    assert told["instance"] in logged
    assert type(failure).__name__ in logged
    assert type(failure).__name__ not in response.text
    assert all(record.exc_info is None for record in caplog.records)


async def test_every_problem_is_in_the_log_under_its_instance(client, caplog):
    with caplog.at_level(logging.INFO, "gateway"):
        response = await client.get(f"{EMR}/appointments/{quote(CANARY)}%0A", headers={"x-request-id": MINE})
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert response.json()["instance"] in logged
    assert MINE in logged
    assert "Kanarie" not in logged


async def test_a_client_that_hangs_up_while_sending_gets_no_answer_and_starts_nothing(gateway):
    app, sent = build(gateway), []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    headers = [(name.encode(), value.encode()) for name, value in CREDENTIALS.items()]
    scope = {
        "type": "http",
        "method": "PATCH",
        "path": ONE,
        "raw_path": ONE.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }
    await app(scope, receive, send)
    assert (sent, gateway.asked) == ([], [])


async def test_a_server_that_gives_no_raw_path_is_served_too(gateway):
    app, sent = build(gateway), []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": f"{EMR}/appointments/å 1",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in CREDENTIALS.items()],
    }
    await app(scope, None, send)
    assert sent[0]["status"] == 200
    assert gateway.asked[0]["id"] == "å 1"


async def test_the_lifespan_is_passed_through():
    seen = []

    class Lifespan:
        def __init__(self, app):
            pass

        async def __aenter__(self):
            seen.append("up")

        async def __aexit__(self, *_):
            seen.append("down")

    app = build(StubGateway(), lifespan=Lifespan)
    async with app.router.lifespan_context(app):
        assert seen == ["up"]
    assert seen == ["up", "down"]


# -- what needs no credentials --------------------------------------------------------------------------------------


async def test_health_is_told_to_anybody(gateway):
    async with client_of(gateway) as client:
        client.headers = httpx.Headers()
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ok", "configuration": None}
        for down in (False, LedgerDown("gone")):
            gateway.up = down
            response = await client.get("/readyz")
            assert (response.status_code, response.json()) == (503, {"status": "unavailable", "configuration": None})
            assert (await client.get("/healthz")).status_code == 200


async def test_readiness_tells_which_configuration_runs_and_not_why_another_one_does_not(gateway):
    since = datetime(2031, 3, 1, 8, tzinfo=UTC)
    gateway.configured = Configured(digest="one", since=since, on_disk="two", refused=("client app: emrs.north: no",))
    async with client_of(gateway) as client:
        told = (await client.get("/readyz", headers={})).json()
    assert told["configuration"] == {"digest": "one", "since": "2031-03-01T08:00:00+00:00", "differs_on_disk": True}
    assert "north" not in str(told)


async def test_metrics_are_those_of_the_registry(client):
    response = await client.get("/metrics")
    assert "tried_total 1.0" in response.text
    assert response.headers["content-type"].startswith("text/plain")


async def test_metrics_can_be_bound_elsewhere(gateway):
    async with client_of(gateway, registry=None) as client:
        problem(await client.get("/metrics"), 404, "NOT_FOUND")
        assert "/metrics" not in (await client.get("/openapi.json")).json()["paths"]
    registry = CollectorRegistry()
    Counter("elsewhere", "Counts.", registry=registry).inc()
    transport = httpx.ASGITransport(metrics_app(registry, gateway.count))
    async with httpx.AsyncClient(transport=transport, base_url="http://metrics.example") as client:
        assert "elsewhere_total 1.0" in (await client.get("/metrics")).text
        assert gateway.counted == 1
        assert (await client.get("/api/emrs")).status_code == 404


# -- nothing breaks it, nothing is repeated -------------------------------------------------------------------------

FUZZED = build(StubGateway())
FUZZ = settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
SCRAPS = st.sampled_from(
    [
        CANARY,
        NINE,
        "cancelled",
        "%",
        "%00",
        "..",
        "//",
        '"',
        "\x00",
        "\n",
        "\ud800",
        "{",
        "emr_id:",
        "å",
        "*",
        "true",
        ",",
    ]
)
TEXTS = st.lists(SCRAPS | st.text(max_size=4), max_size=5).map("".join)
HEADERS = st.sampled_from(
    ["idempotency-key", "if-match", "if-none-match", "prefer", "x-plan", "x-leyr-standard", "content-type", "x-other"]
)
PATHS = st.sampled_from([ONE, MANY, f"{EMR}/timeslots", f"{EMR}/patients", "/api/commands", "/api/emrs", "/errors/x"])
NAMES = st.sampled_from(["start", "end", "standard", "dry_run", "patient_id", "resource_id", "state", "appointment_id"])
BODIES = st.one_of(
    st.binary(max_size=40),
    TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.dictionaries(
        st.sampled_from(["start", "end", "ids", "comment", "status", "confirmation", CANARY]),
        st.none() | TEXTS | st.lists(TEXTS, max_size=3) | st.dictionaries(st.sampled_from(["code", CANARY]), TEXTS),
        max_size=4,
    ).map(lambda fields: json.dumps(fields).encode()),
)


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def sendable_header(text: str) -> bytes:
    return re.sub(rb"[\r\n\x00]", b"", raw(text))


async def ask(
    method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, bytes]:
    """Straight through ASGI, so that no client tidies up what is sent."""
    sent: list[dict] = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    credentials = [(name.encode(), value.encode()) for name, value in CREDENTIALS.items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": raw(path),
        "root_path": "",
        "query_string": query,
        "headers": [*credentials, *headers],
    }
    await FUZZED(scope, receive, send)
    answered = b"".join(m.get("body", b"") for m in sent) + repr(sent[0]["headers"]).encode()
    return sent[0]["status"], answered


@FUZZ
@given(
    method=st.sampled_from(["GET", "HEAD", "PATCH", "POST", "PUT"]),
    path=st.one_of(PATHS, st.builds(lambda a, b: a + "/" + b, PATHS, TEXTS)),
    query=st.lists(st.tuples(NAMES | TEXTS, TEXTS), max_size=3),
    headers=st.lists(st.tuples(HEADERS, TEXTS), max_size=3),
    body=BODIES,
    escape=st.booleans(),
)
async def test_no_request_breaks_the_gateway_nor_finds_itself_repeated(method, path, query, headers, body, escape):
    sent_query = b"&".join(raw(n) + b"=" + (quote(raw(v)).encode() if escape else raw(v)) for n, v in query)
    sent_headers = [(name.encode(), sendable_header(value)) for name, value in headers]
    status, answered = await ask(method, path, sent_query, sent_headers, body)
    assert status < 500
    if status >= 400:
        for form in (CANARY.encode(), quote(CANARY).encode(), json.dumps(CANARY).strip('"').encode()):
            assert form not in answered
