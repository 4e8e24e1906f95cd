"""What no honest client sends, byte by byte, to a gateway of its own process: refused or cut off, never a failure of
ours, and who is honest is answered meanwhile."""

from __future__ import annotations

import itertools
import json
import re
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.processes import process
from tests.live.processes import free_port

CREDENTIALS = b"x-leyr-client-id: demo\r\nx-leyr-client-secret: demo-secret\r\n"
ONE = b"/api/emrs/sandbox/appointments/B1004"
JSON = b"content-type: application/json\r\n"

PATHS = [
    b"/api/emrs/sandbox/appointments/" + id
    for id in (
        *(
            b"%2e%2e",
            b"%2e%2e%2f%2e%2e%2fcommands",
            b"..%2f..%2fcommands",
            b"..",
            b"../../commands",
            b"./B1004",
            b"%2f",
            b"%5c",
        ),
        *(
            b"%00",
            b"B1004%00",
            b"B1004%0d%0aX-Evil:%201",
            b"B1004%0a",
            b"%c0%ae%c0%ae%c0%af",
            b"%ff%fe",
            b"%ed%a0%80",
            b"%e2%80%ae",
        ),
        *(
            b"%F4%90%80%80",
            b"%",
            b"%zz",
            b"%25%30%30",
            b"%252e%252e",
            b"B1004;a=b",
            b"B1004#x",
            b"B1004?x",
            b"%3f",
            b"%23",
            b"'",
        ),
        *(
            b"' OR 1=1--",
            b"%27%20OR%201=1--",
            b"{{7*7}}",
            b"$%7bjndi:ldap://x%7d",
            b"<script>",
            b"%3Cscript%3E",
            b"a" * 60_000,
        ),
        *(
            b"%61" * 500,
            b"\xc3\xa9",
            b"\xff",
            b"\x00",
            b"\x7f",
            b"http://127.0.0.1:1/",
            b"%68ttp:%2f%2f127.0.0.1:1",
            b"@127.0.0.1:1",
        ),
    )
]
MORE_PATHS = [
    *(
        b"//api/emrs",
        b"/api//emrs",
        b"/api/emrs/",
        b"/API/EMRS",
        b"/api/emrs%2f",
        b"/api%2femrs",
        b"/api/./emrs",
        b"/api/x/../emrs",
    ),
    *(
        b"*",
        b"http://evil.invalid/api/emrs",
        b"/api/emrs?%00",
        b"/api/emrs?standard=leyr&standard=fhir",
        b"/api/emrs?" + b"a=b&" * 5000,
    ),
    *(
        b"/api/emrs/sandbox/care-units/%2e%2e/appointments",
        b"/errors/%2e%2e%2fgateway.toml",
        b"/errors/<script>alert(1)</script>",
    ),
    *(
        b"/api/commands/%2e%2e",
        b"/api/commands?idempotency_key=%0d%0a",
        b"/api/commands?appointment_id=%00",
        b"/docs/..%2f..%2fetc%2fpasswd",
    ),
]
FIELDS = [
    b"x-request-id: a\rX-Evil: 1",
    b"x-request-id: " + b"a" * 60_000,
    b"x-request-id: \xc3\xa9\xff",
    b"x-leyr-standard: fhir\x00",
    b"idempotency-key: a\tb",
    b"idempotency-key: \xff\xfe",
    b"idempotency-key: a\r\nidempotency-key: b",
    b"if-match: " + b'"' * 1001,
    b"if-match: " + b'W/"x",' * 9000,
    b"prefer: " + b"wait=" * 10_000,
    b"prefer: wait=99999999999999999999999",
    b"prefer: wait=-1, respond-async; x=" + b"\\" * 500,
    b"expect: 100-continue\r\nexpect: 200-ok",
    b"upgrade: websocket\r\nconnection: upgrade",
    b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__",
    b"transfer-encoding: gzip, chunked",
    b"transfer-encoding: chunked\r\ntransfer-encoding: identity",
    b"content-encoding: gzip",
    b"content-length: 5\r\ncontent-length: 6",
    b"content-length: +5",
    b"content-length: 0x5",
    b"content-length: -1",
    b"content-length: 99999999999999999999",
    b"content-length: 5\r\ntransfer-encoding: chunked",
    b"content-type: application/json; charset=utf-7",
    b"content-type: application/json\r\ncontent-type: text/xml",
    b"content-type: multipart/form-data; boundary=" + b"x" * 5000,
    b"x-forwarded-for: 1.2.3.4\x00, ::1%25",
    b"x-forwarded-proto: javascript",
    b"host: evil.invalid\r\nhost: other.invalid",
    b"range: bytes=0-0,-1",
    b" folded: x\r\n y",
    b"no colon",
    b": empty",
    b"a b: c",
]
BODIES = [
    b"",
    b"[" * 100_000,
    b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"comment": ' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    b'{"comment": "a", "comment": "b"}',
    b'{"comment": "a", "\\u0063omment": "b"}',
    b'{"comment": "\\ud800"}',
    b'{"comment": "\\u0000"}',
    b'{"comment": "\\u001b[31m\\r\\nX-Evil: 1"}',
    b'{"comment": NaN}',
    b'{"comment": 1e999}',
    b'{"comment": ' + b"9" * 900_000 + b"}",
    b'{"comment": -0}',
    b'{"comment": "' + b"a" * 1_048_000 + b'"}',
    b'{"comment": "' + b"a" * 1_100_000 + b'"}',
    b'{"__proto__": {"a": 1}, "constructor": 1}',
    b'{"start": "2031-02-30T00:00:00Z", "end": "9999-99-99T99:99:99+99:99"}',
    b'{"start": "2031-03-03T09:00:00Z", "end": "2031-03-03T09:00:00-00:00"}',
    b'{"ids": ["B1004"], "ids": ["B1005"]}',
    b'{"confirmation": {"code": {"$gt": ""}}}',
    b'{"resource_id": "\\u202eD1"}',
    b'{"resource_id": ["D1"]}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b'{"comment": "\xc0\xaf"}',
    b"null",
    b"{} {}",
    b"{},",
    b"// x\n{}",
    b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
    b"a=b&c=d",
    b"--x\r\ncontent-disposition: form-data\r\n\r\n",
    *(
        json.dumps({"ids": ids}).encode()
        for ids in (["a"] * 101, [["a"]], [None], ["a", "a"], "a", {"0": "a"}, [], ["\x00"])
    ),
]
RAW = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /api/emrs\r\n\r\n",
    b"GET /api/emrs HTTP/9.9\r\n\r\n",
    b"GET  /api/emrs  HTTP/1.1\r\n\r\n",
    b"\r\n\r\n\r\n",
    b"\x00" * 1000,
    b"GET /api/emrs HTTP/1.1\nhost: x\n\n",
    b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"TRACE /api/emrs HTTP/1.1\r\nhost: x\r\n" + CREDENTIALS + b"\r\n",
    b"DEBUG /api/emrs HTTP/1.1\r\nhost: x\r\n\r\n",
    b"get /api/emrs HTTP/1.1\r\nhost: x\r\n\r\n",
    b"PATCH " + ONE + b" HTTP/1.0\r\n" + CREDENTIALS + b"\r\n",
    # One request hidden in another one's body.
    b"PATCH " + ONE + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5c\r\nGET /api/emrs HTTP/1.1\r\n" + CREDENTIALS + b"\r\n\r\n0\r\n\r\n",
    b"PATCH "
    + ONE
    + b" HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
    + CREDENTIALS
    + b"\r\n1;\nx\r\nx\r\n0\r\n\r\n",
    b"PATCH "
    + ONE
    + b" HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n"
    + CREDENTIALS
    + b"\r\nzz\r\nx\r\n0\r\n\r\n",
    b"PATCH " + ONE + b" HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n" + CREDENTIALS + b"\r\n0\r\n\r\n",
]


def requests() -> Iterator[bytes]:
    for path, method in itertools.product((*PATHS, *MORE_PATHS), (b"GET", b"PATCH")):
        yield _request(method, path, b"", b'{"comment": 7}')
    for field, method in itertools.product(FIELDS, (b"GET", b"PATCH", b"POST")):
        yield _request(method, ONE, field + b"\r\n", b'{"comment": 7}')
    for body, place in itertools.product(
        BODIES, ((b"PATCH", ONE), (b"PATCH", ONE[:30]), (b"POST", ONE[:30]), (b"GET", ONE))
    ):
        yield _request(*place, b"", body)
    yield from RAW


def _request(method: bytes, path: bytes, fields: bytes, body: bytes) -> bytes:
    length = (
        b"" if b"content-length" in fields or b"transfer-encoding" in fields else b"content-length: %d\r\n" % len(body)
    )
    kind = b"" if b"content-type" in fields else JSON
    head = (
        method + b" " + path + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + CREDENTIALS + kind + fields + length
    )
    return head + b"\r\n" + body


def answered(port: int, raw: bytes) -> bytes:
    """All that comes until the connection ends, or nothing more does."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        told = b""
        try:
            peer.sendall(raw)
            peer.shutdown(socket.SHUT_WR)
            while part := peer.recv(65536):
                told += part
        except OSError:
            pass
        return told


def wrong(raw: bytes, told: bytes) -> Iterator[str]:
    asked = raw[:90]
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 ([2-5]\d\d)", told)]
    head = told.partition(b"\r\n\r\n")[0].lower()
    if any(status >= 500 for status in statuses):
        yield f"{asked!r}: {statuses}"
    if 429 in statuses:
        yield f"{asked!r}: was not looked at"
    if b"x-evil" in head:
        yield f"{asked!r}: wrote into the answer's head"
    if len(statuses) > 1:
        yield f"{asked!r}: was taken for several requests: {statuses}"


@pytest.mark.security
def test_nothing_that_a_client_sends_is_a_failure_of_ours(tmp_path, record_property):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    all = list(requests())
    failures: list[str] = []
    with process(
        tmp_path, "gateway", (f"{url}/readyz", 200), "serve", "--demo", PORT=str(port), STATE_DIR=str(tmp_path / "s")
    ):
        honest = httpx.Client(base_url=url, headers={"x-leyr-client-id": "demo", "x-leyr-client-secret": "demo-secret"})
        with honest:
            before = honest.get(f"{ONE.decode()}").json()
            for raw in all:
                failures += wrong(raw, answered(port, raw))
            assert honest.get("/api/emrs").status_code == 200
            assert honest.get(ONE.decode()).json() == before
    record_property("security: bad inputs tried", len(all))
    record_property("security: bad inputs answered 5xx, or worse", len(failures))
    assert failures == []
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()
