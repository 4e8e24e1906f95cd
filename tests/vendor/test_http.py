"""What an account's requests become: how often they are sent, what their outcome is called, what is counted."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import respx
from pydantic import BaseModel, SecretStr

from gateway.port import EmrError, MaybeDone, NotSent, Refused, Throttled
from gateway.vendor import http as vendor_http
from gateway.vendor.auth import Bearer
from gateway.vendor.http import TOKEN_REQUEST, Door, Meter, VendorHttp, meter
from gateway.vendor.transport import AiohttpTransport, InProcessTransport, TooLarge
from tests.loopback import loopback

BASE = "https://emr.example/api"
Handler = Callable[[httpx.Request], Any]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have waited before each new try."""
    seconds: list[float] = []

    async def note(wait: float) -> None:
        seconds.append(wait)

    monkeypatch.setattr(vendor_http, "_sleep", note)
    return seconds


class Vendor:
    """Answers from a list: a status, a response, or an exception; the last one for ever. Notes what it got."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.got: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, json={}) if isinstance(answer, int) else answer


def http(handler: Handler, *, concurrency: int = 8, **options: Any) -> VendorHttp:
    return Door(httpx.MockTransport(handler), concurrency=concurrency).http(base_url=BASE, **options)


def as_json(response: httpx.Response) -> Any:
    return response.json()


async def read(vendor: VendorHttp) -> Any:
    return await vendor.read("Appointment/1", as_json)


async def write(vendor: VendorHttp) -> Any:
    return await vendor.write("PUT", "Appointment/1", as_json, json={})


BOTH = pytest.mark.parametrize("ask", [read, write])


# -- answers -----------------------------------------------------------------------------------------------------------


async def test_what_is_asked_for_goes_out_and_the_parsed_answer_comes_back():
    vendor = Vendor(httpx.Response(201, json={"id": "a1"}))
    client = http(vendor, auth=Bearer(SecretStr("word")), headers={"X-Api": "2"})
    made = await client.write(
        "POST", "Appointment", lambda r: r.json()["id"], params={"a": 1}, json={"x": "å"}, headers={"X-Key": "k"}
    )
    (request,) = vendor.got
    assert made == "a1"
    assert (request.method, str(request.url)) == ("POST", f"{BASE}/Appointment?a=1")
    assert request.headers["Authorization"] == "Bearer word"
    assert (request.headers["X-Api"], request.headers["X-Key"]) == ("2", "k")
    assert request.content == '{"x":"å"}'.encode()


async def test_forms_and_raw_content_are_sent_as_such():
    vendor = Vendor(200)
    client = http(vendor)
    await client.write("POST", "a", as_json, data={"x": "1"})
    await client.write("POST", "a", as_json, content="<a/>", headers={"Content-Type": "text/xml"})
    await client.read("a", as_json, method="POST", json={"find": 1})
    assert [r.content for r in vendor.got] == [b"x=1", b"<a/>", b'{"find":1}']


REFUSED = {
    400: "invalid", 401: "credentials", 403: "credentials", 404: "not_found", 405: "invalid", 406: "invalid",
    409: "rule", 410: "not_found", 412: "stale", 413: "invalid", 415: "invalid", 422: "invalid", 424: "invalid",
}  # fmt: skip


@BOTH
@pytest.mark.parametrize(("status", "reason"), REFUSED.items())
async def test_a_no_is_refused_once_and_for_its_reason(ask: Any, status: int, reason: str):
    vendor = Vendor(status)
    with pytest.raises(Refused) as caught:
        await ask(http(vendor))
    assert caught.value.reason == reason
    assert len(vendor.got) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308, 402, 408, 418, 451, 500, 501, 502, 503, 504, 599])
async def test_a_write_with_any_other_answer_may_have_been_done_and_is_not_repeated(status: int):
    vendor = Vendor(httpx.Response(status, headers={"Location": f"{BASE}/elsewhere"}))
    with pytest.raises(MaybeDone) as caught:
        await write(http(vendor))
    assert not caught.value.timed_out
    assert len(vendor.got) == 1


@pytest.mark.parametrize(("status", "times"), [(500, 3), (503, 3), (408, 3), (307, 1)])
async def test_a_failed_read_is_asked_for_again_but_no_redirect_is_followed(status: int, times: int):
    vendor = Vendor(httpx.Response(status, headers={"Location": f"{BASE}/elsewhere"}))
    with pytest.raises(MaybeDone):
        await read(http(vendor))
    assert [r.url.path for r in vendor.got] == ["/api/Appointment/1"] * times


async def test_a_read_that_works_the_second_time_has_worked(waits: list[float]):
    vendor = Vendor(500, httpx.ReadError("x"), httpx.Response(200, json={"id": "1"}))
    assert await read(http(vendor)) == {"id": "1"}
    assert len(waits) == 2
    assert all(0.05 <= wait <= 0.3 for wait in waits)


# -- no answer ---------------------------------------------------------------------------------------------------------

UNSENT = [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")]
LOST = [httpx.ReadError("x"), httpx.WriteError("x"), httpx.RemoteProtocolError("x"), httpx.CloseError("x")]
LATE = [httpx.ReadTimeout("x"), httpx.WriteTimeout("x")]


def name(error: object) -> str:
    return type(error).__name__


@pytest.mark.parametrize("error", UNSENT, ids=name)
async def test_what_was_not_sent_is_tried_again_a_write_once_a_read_twice(error: Exception):
    for ask, times in ((write, 2), (read, 3)):
        vendor = Vendor(error)
        with pytest.raises(NotSent):
            await ask(http(vendor))
        assert len(vendor.got) == times


@pytest.mark.parametrize("error", [*LOST, *LATE], ids=name)
async def test_a_write_whose_answer_is_lost_is_never_sent_again(error: Exception):
    vendor = Vendor(error)
    with pytest.raises(MaybeDone) as caught:
        await write(http(vendor))
    assert caught.value.timed_out is (error in LATE)
    assert len(vendor.got) == 1


async def test_a_write_that_was_not_sent_and_then_lost_is_maybe_done():
    vendor = Vendor(httpx.ConnectError("x"), httpx.ReadError("x"))
    with pytest.raises(MaybeDone):
        await write(http(vendor))
    assert len(vendor.got) == 2


@BOTH
@pytest.mark.parametrize("error", [httpx.LocalProtocolError("x"), httpx.UnsupportedProtocol("x")], ids=name)
async def test_what_cannot_be_sent_as_it_is_is_invalid(ask: Any, error: Exception):
    vendor = Vendor(error)
    with pytest.raises(Refused) as caught:
        await ask(http(vendor))
    assert caught.value.reason == "invalid"


async def test_one_try_is_bounded_as_a_whole_and_a_read_that_timed_out_is_not_repeated():
    tries = 0

    async def hang(request: httpx.Request) -> httpx.Response:
        nonlocal tries
        tries += 1
        await asyncio.Event().wait()
        raise AssertionError

    for ask in (read, write):
        with pytest.raises(MaybeDone) as caught:
            await ask(http(hang, timeout_s=0.02))
        assert caught.value.timed_out
    assert tries == 2


async def test_a_read_is_not_tried_again_when_the_time_of_one_is_gone(monkeypatch: pytest.MonkeyPatch):
    time = 0.0
    monkeypatch.setattr(vendor_http, "monotonic", lambda: time)

    def slow(request: httpx.Request) -> httpx.Response:
        nonlocal time
        time += 11
        return httpx.Response(503)

    with meter() as counted, pytest.raises(MaybeDone):
        await read(http(slow, timeout_s=20))
    assert counted.calls == 2


@BOTH
async def test_a_closed_door_sends_nothing(ask: Any):
    vendor = Vendor(200)
    door = Door(httpx.MockTransport(vendor))
    client = door.http(base_url=BASE)
    await door.aclose()
    with pytest.raises(NotSent):
        await ask(client)
    assert not vendor.got


async def test_a_cancelled_request_is_cancelled_and_gives_its_place_back():
    asked = asyncio.Event()
    hanging = True

    async def hang(request: httpx.Request) -> httpx.Response:
        asked.set()
        if hanging:
            await asyncio.Event().wait()
        return httpx.Response(200, json={})

    client = http(hang, concurrency=1)
    task = asyncio.create_task(write(client))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hanging = False
    assert await write(client) == {}


# -- later -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [423, 429])
@pytest.mark.parametrize(
    ("ask", "after", "times"),
    [
        (write, "1", 3), (write, "19", 3), (write, "21", 1), (write, None, 3),
        (read, "2", 3), (read, "19", 3), (read, "21", 1), (read, "0", 3), (read, None, 3),
    ],
)  # fmt: skip
async def test_later_is_waited_for_as_long_as_somebody_waits(
    ask: Any, after: str | None, times: int, status: int, waits: list[float]
):
    vendor = Vendor(httpx.Response(status, headers={"Retry-After": after} if after else {}))
    with pytest.raises(Throttled) as caught:
        await ask(http(vendor))
    assert caught.value.retry_after == (float(after) if after else None)
    assert len(vendor.got) == times
    assert len(waits) == times - 1
    assert all(wait >= float(after or 0.5) for wait in waits)


async def test_a_write_that_was_told_later_is_done_later():
    vendor = Vendor(httpx.Response(429, headers={"Retry-After": "1"}), httpx.Response(200, json={"id": "1"}))
    assert await write(http(vendor)) == {"id": "1"}


async def test_a_write_that_was_told_later_and_then_lost_is_maybe_done():
    vendor = Vendor(429, httpx.ReadError("x"), 200)
    with pytest.raises(MaybeDone):
        await write(http(vendor))
    assert len(vendor.got) == 2


# -- the plugin's own words --------------------------------------------------------------------------------------------


class Person(BaseModel):
    name: str


def stop(response: httpx.Response) -> Any:
    return next(iter(()))


SENSELESS: dict[str, Callable[[httpx.Response], Any]] = {
    "KeyError": lambda r: r.json()["nothing"],
    "IndexError": lambda r: r.text[9],
    "TypeError": lambda r: r.json() + 1,
    "AttributeError": lambda r: r.json().nothing,
    "ValueError": lambda r: int("Signe Testdotter"),
    "ValidationError": lambda r: Person.model_validate(r.json()),
    "StopIteration": stop,
    "ZeroDivisionError": lambda r: 1 // 0,
}


@BOTH
@pytest.mark.parametrize("kind", SENSELESS)
async def test_an_answer_without_sense_is_maybe_done_and_not_asked_for_again(ask: Any, kind: str):
    vendor = Vendor(200)
    client, parse = http(vendor), SENSELESS[kind]
    asking = client.read("a", parse) if ask is read else client.write("POST", "a", parse)
    with pytest.raises(MaybeDone) as caught:
        await asking
    assert kind in str(caught.value)
    assert "Signe" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert len(vendor.got) == 1


async def test_a_body_that_is_no_json_or_nests_without_end_makes_no_sense():
    for body in (b"<html>", b"\xff\xfe", b"[" * 200_000):
        with pytest.raises(MaybeDone):
            await write(http(Vendor(httpx.Response(200, content=body))))


async def test_a_parser_may_find_a_no_under_a_200():
    def parse(response: httpx.Response) -> None:
        raise Refused("taken", emr_code="E17")

    with pytest.raises(Refused) as caught:
        await http(Vendor(200)).write("POST", "a", parse)
    assert (caught.value.reason, caught.value.emr_code) == ("taken", "E17")


async def test_the_plugin_is_asked_first_about_every_answer_but_a_2xx():
    asked: list[int] = []

    def problem(response: httpx.Response) -> EmrError | None:
        asked.append(response.status_code)
        return Refused("taken", emr_code=response.json()["code"]) if response.status_code == 409 else None

    client = http(
        Vendor(httpx.Response(409, json={"code": "E1"}), 404, httpx.Response(409, text="<html>"), 200), problem=problem
    )
    for reason in ("taken", "not_found", "rule"):
        with pytest.raises(Refused) as caught:
            await write(client)
        assert caught.value.reason == reason
    await write(client)
    assert asked == [409, 404, 409]


# -- places ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "https://elsewhere.example/api/a", "http://emr.example/api/a", "https://emr.example:8443/api/a",
        "//elsewhere.example/a", "https://emr.example.elsewhere.example/", "https://emr.example@elsewhere.example/",
        "Appointment/..", "Appointment/../Patient/1", "Appointment/%2e%2e/Patient/1", "Appointment/a%2F..%2Fb",
        "Appointment/1#2", "./a", "http://[", "a\nb",
    ],
)  # fmt: skip
async def test_a_link_to_another_place_is_refused_before_anything_is_sent(path: str):
    vendor = Vendor(200)
    with pytest.raises(Refused) as caught:
        await http(vendor).read(path, as_json)
    assert caught.value.reason == "invalid"
    assert not vendor.got


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("Appointment/1", "/api/Appointment/1"),
        ("/Appointment/1", "/api/Appointment/1"),
        ("https://emr.example/api/Appointment?page=2&q=a..b", "/api/Appointment?page=2&q=a..b"),
        ("https://EMR.example:443/other?page=2", "/other?page=2"),
        ("Appointment/a%2Fb%3Fc", "/api/Appointment/a%2Fb%3Fc"),
        ("Appointment/a..b", "/api/Appointment/a..b"),
    ],
)
async def test_paths_and_links_of_the_same_origin_are_followed(path: str, target: str):
    vendor = Vendor(200)
    await http(vendor).read(path, as_json)
    assert vendor.got[0].url.raw_path.decode() == target


@pytest.mark.parametrize("parts", [{"headers": {"X-Name": "Signe \ud800"}}, {"json": {"Signe": {1, 2}}}], ids=str)
async def test_a_value_that_fits_into_no_request_is_invalid_and_not_quoted(parts: Any):
    vendor = Vendor(200)
    with pytest.raises(Refused) as caught:
        await http(vendor).write("POST", "a", as_json, **parts)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "Signe" not in str(caught.value)
    assert not vendor.got


# -- pace and count ----------------------------------------------------------------------------------------------------


async def test_an_account_sends_no_more_at_a_time_than_it_may():
    running, most = 0, 0

    async def slow(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return httpx.Response(200, json={})

    door = Door(httpx.MockTransport(slow), concurrency=3)
    clients = [door.http(base_url=BASE), door.http(base_url=BASE)]
    await asyncio.gather(*(read(clients[n % 2]) for n in range(20)))
    assert most == 3


async def test_queueing_too_long_is_not_sent():
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    door = Door(httpx.MockTransport(hang), concurrency=1)
    first = asyncio.create_task(write(door.http(base_url=BASE)))
    await asyncio.sleep(0)
    with pytest.raises(NotSent):
        await write(door.http(base_url=BASE, timeout_s=0.02))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_requests_are_counted_also_those_of_tasks_inside_and_failed_ones():
    own = Meter()
    vendor = Vendor(200, 200, 500, 200, httpx.ReadError("x"), httpx.ConnectError("x"), 200)
    client = Door(httpx.MockTransport(vendor), meter=own).http(base_url=BASE)
    with meter() as outer:
        await asyncio.gather(read(client), read(client))
        with meter() as inner:
            await read(client)
        with pytest.raises(MaybeDone):
            await write(client)
        await write(client)  # the first try finds no connection, so it is no call
    assert (outer.calls, outer.reads, outer.writes) == (4, 2, 2)
    assert (inner.calls, inner.reads, inner.writes) == (2, 2, 0)
    assert (own.calls, own.reads, own.writes) == (6, 4, 2)
    assert all(started <= ended for started, ended, _ in own.spans)
    assert [is_write for _, _, is_write in outer.spans] == [False, False, True, True]
    await read(client)
    assert outer.calls == 4


@pytest.mark.parametrize(
    ("spans", "rounds"),
    [
        ([], 0),
        ([(0, 1)], 1),
        ([(0, 2), (1, 3)], 1),
        ([(0, 1), (1, 2)], 2),
        ([(1, 4), (0, 5), (5, 6), (2, 3)], 2),
    ],
)
def test_a_round_is_what_overlaps(spans: list[tuple[float, float]], rounds: int):
    counting = Meter()
    for started, ended in spans:
        counting.add(started, ended, is_write=False)
    assert counting.rounds == rounds


# -- another auth flow than ours ---------------------------------------------------------------------------------------


class Foreign(httpx.Auth):
    """What a plugin might bring along: fetches a token first, marked or not."""

    requires_response_body = True

    def __init__(self, mark: dict[str, Any]) -> None:
        self.mark = mark

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        answer = yield httpx.Request("POST", f"{BASE}/token", extensions=self.mark)  # type: ignore[misc]
        answer.raise_for_status()
        request.headers["Authorization"] = answer.json()["token"]
        yield request


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (400, Refused), (401, Refused), (403, Refused), (429, Throttled), (404, NotSent), (500, NotSent),
        (httpx.ReadTimeout("x"), NotSent), (httpx.RemoteProtocolError("x"), NotSent), (200, NotSent),
    ],
    ids=str,
)  # fmt: skip
async def test_a_write_whose_token_was_not_to_be_had_was_not_sent(answer: Any, kind: type[EmrError]):
    vendor = Vendor(answer)
    with meter() as counted, pytest.raises(kind) as caught:
        await write(http(vendor, auth=Foreign({TOKEN_REQUEST: True})))
    assert {r.url.path for r in vendor.got} == {"/api/token"}
    assert counted.calls == 0
    assert getattr(caught.value, "reason", "credentials") == "credentials"


async def test_an_unmarked_request_for_a_token_is_taken_for_a_call_rather_than_risk_a_second_write():
    with pytest.raises(MaybeDone):
        await write(http(Vendor(httpx.ReadTimeout("x")), auth=Foreign({})))


# -- the whole way -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "POST"])
@pytest.mark.parametrize("fault", ["after the head", "after the body", "reset", "in the headers", "in the body"])
async def test_a_write_that_is_dropped_is_maybe_done_and_arrived_once(fault: str, method: str, kept: bool):
    async with loopback() as server, AiohttpTransport() as transport:
        client = Door(transport).http(base_url=server.url)
        if kept:
            await client.read("", as_json)
        before = server.requests
        server.faults[before] = fault
        with pytest.raises(MaybeDone):
            await client.write(method, "Appointment/1", as_json, json={})
        assert server.requests == before + 1


async def test_a_read_that_is_dropped_is_asked_for_again():
    async with loopback() as server, AiohttpTransport() as transport:
        server.faults[0] = "after the body"
        assert await Door(transport).http(base_url=server.url).read("a", as_json) == {}
        assert server.requests == 2


async def test_a_write_to_nobody_is_not_sent():
    async with loopback() as server:
        pass
    async with AiohttpTransport() as transport:
        with pytest.raises(NotSent):
            await write(Door(transport).http(base_url=server.url))


async def test_closing_one_account_leaves_the_shared_transport_open():
    async with loopback() as server, AiohttpTransport() as transport:
        one, two = Door(transport), Door(transport)
        first, second = one.http(base_url=server.url), two.http(base_url=server.url)
        await first.read("a", as_json)
        await one.aclose()
        assert await second.read("a", as_json) == {}
        assert server.connections == 1


async def test_an_account_takes_no_cookies():
    vendor = Vendor(httpx.Response(200, json={}, headers={"Set-Cookie": "session=somebody; Path=/"}))
    client = http(vendor)
    await read(client)
    await read(client)
    assert all("cookie" not in request.headers for request in vendor.got)


async def test_an_app_in_this_process_is_reached_by_the_same_door():
    async def drop(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(MaybeDone):
        await write(Door(InProcessTransport(drop)).http(base_url="http://emr"))


async def test_respx_stands_in_for_a_vendor():
    async with respx.MockRouter(base_url=BASE) as router:
        route = router.put("/Appointment/1").respond(200, json={"id": "1"})
        client = Door(httpx.MockTransport(router.async_handler)).http(base_url=BASE)
        assert await write(client) == {"id": "1"}
        assert route.call_count == 1


async def test_a_mocked_vendor_that_is_asked_for_something_unexpected_is_heard():
    router = respx.MockRouter(base_url=BASE, assert_all_called=False)
    router.put("/Appointment/2")
    with pytest.raises(AssertionError):
        await write(http(router.async_handler))


async def test_no_url_is_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    async with loopback() as server, AiohttpTransport() as transport:
        await Door(transport).http(base_url=server.url).read("Patient", as_json, params={"name": "Signe Testdotter"})
    assert not [record for record in caplog.records if "Signe" in record.getMessage()]
    assert logging.getLogger("httpx").level == logging.WARNING


@BOTH
async def test_an_answer_that_is_too_large_is_not_asked_for_again(ask: Any):
    vendor = Vendor(TooLarge("it is"))
    with pytest.raises(MaybeDone, match="too large"):
        await ask(http(vendor))
    assert len(vendor.got) == 1
