"""An EMR that means harm: a bare server on loopback whose addresses are ways to do it (`/WAY/Appointment?…`)."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any

from tests.plugins.fhir import samples

MARK = "Kanariefågel"
"""In everything that it says."""
BIG = 1 << 30
ZEROS = bytes(1 << 20)


class Emr:
    """What it serves, and who has called at the other place (`elsewhere`), where no token of ours may ever arrive."""

    def __init__(self) -> None:
        self.port = self.elsewhere = 0
        self.led_astray: list[bytes] = []
        self.asked: dict[str, int] = {}
        self.trusted = 0
        """How many requests brought a token to where it belongs."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            way = head.split(b" ", 2)[1].split(b"/")[1].decode()
            # A link that leads to another place of this very host is followed.
            way = way if way in WAYS else "says-null"
            self.asked[way] = self.asked.get(way, 0) + 1
            self.trusted += b"\nauthorization: bearer " in head.lower()
            await WAYS[way](self, writer, head)
        writer.close()

    async def other(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.led_astray.append(await reader.read(65536))
        writer.close()

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    @property
    def there(self) -> str:
        return f"http://127.0.0.1:{self.elsewhere}"


@asynccontextmanager
async def hostile() -> AsyncIterator[Emr]:
    emr = Emr()
    _bomb()
    servers = [await asyncio.start_server(end, "127.0.0.1", 0) for end in (emr.served, emr.other)]
    emr.port, emr.elsewhere = (server.sockets[0].getsockname()[1] for server in servers)
    try:
        yield emr
    finally:
        emr.stop()
        for server in servers:
            server.close()


# -- how it is said ---------------------------------------------------------------------------------------------------

Way = Callable[[Emr, asyncio.StreamWriter, bytes], Awaitable[None]]
WAYS: dict[str, Way] = {}


def way(how: Way) -> Way:
    WAYS[how.__name__.strip("_").replace("_", "-")] = how
    return how


def says(name: str, *raw: bytes | str) -> None:
    """A way that is nothing but these bytes."""

    async def how(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
        for part in raw:
            writer.write(part if isinstance(part, bytes) else part.encode())
            await writer.drain()

    WAYS[name] = how


def ok(body: bytes, *fields: bytes) -> bytes:
    length = b"Content-Length: %d" % len(body)
    head = b"\r\n".join((b"HTTP/1.1 200 OK", b"Content-Type: application/fhir+json", length, *fields))
    return head + b"\r\nConnection: close\r\n\r\n" + body


def told(name: str, body: Any) -> None:
    """A way that is an answer of JSON, whatever was asked."""
    says(name, ok(body if isinstance(body, bytes) else json.dumps(body).encode()))


def bundle(*resources: Any, **more: Any) -> dict[str, Any]:
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries, **more}


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\n"


async def _for_ever(writer: asyncio.StreamWriter, part: bytes, pause: float = 0.0) -> None:
    while True:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)


# -- elsewhere --------------------------------------------------------------------------------------------------------


def redirects(status: int) -> None:
    async def how(emr: Emr, writer: asyncio.StreamWriter, _: bytes) -> None:
        writer.write(f"HTTP/1.1 {status} There\r\nLocation: {emr.there}/x\r\nContent-Length: 0\r\n\r\n".encode())

    WAYS[f"redirects-{status}"] = how


for _status in (301, 302, 303, 307, 308):
    redirects(_status)


@way
async def redirects_to_itself(_: Emr, writer: asyncio.StreamWriter, head: bytes) -> None:
    target = head.split(b" ", 2)[1]
    writer.write(b"HTTP/1.1 307 Here\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % target)


def next_page(name: str, link: str) -> None:
    async def how(emr: Emr, writer: asyncio.StreamWriter, _: bytes) -> None:
        url = link.format(there=emr.there, other=f"127.0.0.1:{emr.elsewhere}", own=f"127.0.0.1:{emr.port}")
        writer.write(ok(json.dumps(bundle(link=[{"relation": "next", "url": url}])).encode()))

    WAYS[f"next-page-{name}"] = how


next_page("elsewhere", "{there}/Appointment?page=2")
next_page("without-scheme", "//{other}/Appointment")
next_page("behind-userinfo", "http://{own}@{other}/Appointment")
next_page("behind-backslash", "http://{other}\\@{own}/Appointment")
next_page("of-another-name", "http://localhost:{other}/Appointment")
next_page("by-https", "https://{own}/x/Appointment")
next_page("as-a-file", "file:///etc/passwd")
next_page("as-words", "javascript:alert(1)")
next_page("broken", "http://[::1/")
next_page("with-a-line-break", "/Appointment\r\nX-Evil: 1")


@way
async def names_its_created_elsewhere(emr: Emr, writer: asyncio.StreamWriter, _: bytes) -> None:
    place = f"{emr.there}/Appointment/1".encode()
    writer.write(
        b"HTTP/1.1 201 Created\r\nLocation: %s\r\nContent-Location: %s\r\nContent-Length: 0\r\n\r\n" % ((place,) * 2)
    )


@way
async def asks_for_credentials_elsewhere(emr: Emr, writer: asyncio.StreamWriter, _: bytes) -> None:
    where = f'Bearer realm="{MARK}", authorization_uri="{emr.there}"'
    writer.write(f"HTTP/1.1 401 No\r\nWWW-Authenticate: {where}\r\nContent-Length: 0\r\n\r\n".encode())


# -- without end ------------------------------------------------------------------------------------------------------


@way
async def sends_a_gigabyte(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % BIG)
    for _n in range(1024):
        writer.write(b"[" * (1 << 20))
        await writer.drain()


@way
async def never_ends(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(CHUNKED + b"\r\n")
    await _for_ever(writer, b"100000\r\n" + b"1" * (1 << 20) + b"\r\n")


@way
async def drips(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(CHUNKED + b"\r\n")
    await _for_ever(writer, b"1\r\n \r\n", 0.2)


@way
async def drips_its_head(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await _for_ever(writer, b"X-A: b\r\n", 0.2)


@way
async def never_ends_its_head(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    numbers = itertools.count()
    while True:
        writer.write(b"".join(b"X-%d: %s\r\n" % (next(numbers), b"b" * 1000) for _ in range(100)))
        await writer.drain()


@way
async def never_ends_a_field(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-A: ")
    await _for_ever(writer, b"b" * 65536)


@way
async def never_ends_its_reason(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(b"HTTP/1.1 200 ")
    await _for_ever(writer, b"b" * 65536)


@way
async def never_ends_to_continue(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    await _for_ever(writer, b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)


@way
async def never_ends_its_trailers(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(CHUNKED + b"\r\n2\r\n{}\r\n0\r\n")
    await _for_ever(writer, b"X-A: %s\r\n" % (b"b" * 1000))


@way
async def never_answers(_: Emr, __: asyncio.StreamWriter, ___: bytes) -> None:
    await asyncio.sleep(300)


@way
async def never_ends_its_pages(emr: Emr, writer: asyncio.StreamWriter, head: bytes) -> None:
    page = emr.asked["never-ends-its-pages"]
    shown = [samples.appointment(f"a{page}-{n}") for n in range(200)]
    link = [{"relation": "next", "url": f"/never-ends-its-pages/Appointment?page={page}"}]
    writer.write(ok(json.dumps(bundle(*shown, link=link)).encode()))


@way
async def always_names_the_same_page(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    link = [{"relation": "next", "url": "/always-names-the-same-page/Appointment?page=2"}]
    writer.write(ok(json.dumps(bundle(samples.appointment(), link=link)).encode()))


# -- small outside, large inside --------------------------------------------------------------------------------------


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(packer.compress(ZEROS) for _ in range(1024)) + packer.flush()


@way
async def sends_a_bomb(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    writer.write(ok(_bomb(), b"Content-Encoding: gzip"))


@way
async def sends_a_bomb_in_a_bomb(_: Emr, writer: asyncio.StreamWriter, __: bytes) -> None:
    packed = gzip.compress(_bomb())
    writer.write(ok(packed, b"Content-Encoding: gzip, gzip"))


says("packs-badly", ok(gzip.compress(b"{}")[:-6], b"Content-Encoding: gzip"))
says("packs-in-nothing-known", ok(b"{}", b"Content-Encoding: x-evil"))
told("nests-deeply", b"[" * 1_000_000 + b"]" * 1_000_000)
told("nests-objects-deeply", b'{"a":' * 500_000 + b"1" + b"}" * 500_000)
told("lists-millions", b"[" + b"[]," * 3_000_000 + b"[]]")
told("counts-far", b'{"resourceType":"Bundle","total":' + b"9" * 4_000_000 + b"}")

# -- what is no answer ------------------------------------------------------------------------------------------------

for _name, _body in {
    "null": None,
    "list": [],
    "number": 7,
    "text": MARK,
    "empty": {},
    "other-type": {"resourceType": MARK},
    "entries-of-another-type": bundle(7, None, "x", [], {"resourceType": 7}, {"resourceType": "Appointment", "id": {}}),
    "entry-of-another-type": {"resourceType": "Bundle", "entry": "x"},
    "total-of-another-type": bundle(total=MARK),
    "total-below-zero": bundle(total=-1),
    "next-of-another-type": bundle(link=[{"relation": "next", "url": {"a": 1}}]),
    "links-of-another-type": bundle(link=7),
    "times-of-another-type": bundle(samples.appointment(start=7, end=[])),
    "times-of-no-day": bundle(samples.appointment(start="2031-02-30T25:61:00Z", end="2031-02-30T09:00:00Z")),
    "times-far-off": bundle(samples.appointment(start="0001-01-01T00:00:00+14:00", end="9999-12-31T23:59:59-12:00")),
    "participants-of-another-type": bundle(samples.appointment(participant=[7, None, {"actor": []}])),
    "status-of-another-type": bundle(samples.appointment(status={"a": 1})),
    "comment-of-another-type": bundle(samples.appointment(comment=[MARK])),
}.items():
    told(f"says-{_name}", _body)
told("says-nan", b'{"resourceType": "Bundle", "total": NaN}')
told("says-infinity", b'{"resourceType": "Bundle", "total": 1e999}')
told("says-no-utf-8", b'{"resourceType": "\xff\xfe"}')
told("says-utf-16", json.dumps(bundle()).encode("utf-16"))
told("says-twice", b'{"resourceType": "Bundle", "resourceType": "Patient", "entry": [], "entry": 7}')
told("says-half", b'{"resourceType": "Bundle", "entry": [')
says("says-html", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<h1>" + b"x" * 16)

_EVIL = f"\x00\x1b[31m\r\nX-Evil: 1\r\n\r\n{MARK}\u202e\ud800\u2028</script>"
EVIL_TEXTS = ("writes-control-characters-in-comments", "writes-control-characters-in-ids")
told(EVIL_TEXTS[0], bundle(samples.appointment(comment=_EVIL)))
told(EVIL_TEXTS[1], bundle(samples.appointment(_EVIL, meta={"versionId": _EVIL})))
told(
    "refuses-in-control-characters",
    {"resourceType": "OperationOutcome", "issue": [{"code": _EVIL, "severity": "error", "diagnostics": _EVIL}]},
)
says(
    "fails-in-control-characters",
    f"HTTP/1.1 422 {MARK}\r\nContent-Length: 9\r\nX-A: \x01\x02\r\n\r\n\x00\x01\x02\x03\x04\x05\x06\x07\x08",
)

# -- what is no HTTP --------------------------------------------------------------------------------------------------

says("is-silent", b"")
says("is-no-http", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100)
says("is-http-of-old", f"<h1>{MARK}</h1>")
says("is-cut-off", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
says("lies-about-its-length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}HTTP/1.1 200 OK\r\n\r\n")
says("tells-two-lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ")
says("tells-no-length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}")
says("tells-length-and-chunks", CHUNKED + b"Content-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
says("sends-an-endless-chunk", CHUNKED + b"\r\nFFFFFFFFFFFFFFFFF\r\n{}")
says("sends-a-chunk-of-nothing", CHUNKED + b"\r\n-1\r\n{}\r\n0\r\n\r\n")
says("has-a-status-of-its-own", b"HTTP/1.1 999 Own\r\nContent-Length: 2\r\n\r\n{}")
says("has-no-status", b"HTTP/1.1 abc\r\n\r\n")
says(
    "changes-the-protocol", b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x05hello"
)
says("wants-a-proxy-s-credentials", b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
says("breaks-a-field", b"HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nX B: c\r\nContent-Length: 2\r\n\r\n{}")
says("sets-cookies", ok(b"{}", b"Set-Cookie: a=b; Domain=.invalid", b"Set-Cookie: c=d; Path=/"))
says("asks-to-wait-for-ever", b"HTTP/1.1 429 No\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n")
says(
    "asks-to-wait-backwards",
    b"HTTP/1.1 503 No\r\nRetry-After: -5\r\nRateLimit-Reset: 1e309\r\nContent-Length: 0\r\n\r\n",
)
