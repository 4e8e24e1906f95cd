"""A signal stops the server, and nothing that is under way is cut off."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from contextlib import closing, suppress

import httpx
import pytest

from gateway import serving
from gateway.logs import JsonLines


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_request_that_is_under_way_end_and_what_stands_around_it_be_closed(number):
    told: list[str] = []

    async def app(scope, receive, send):
        os.kill(os.getpid(), number)
        while not server.should_exit:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        told.append("served")

    async def ask(port: int) -> None:
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{port}/")
        told.append(f"answered {answer.status_code}")

    with closing(serving.bound("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        asking: list[asyncio.Task[None]] = []
        server = serving.Server(
            app, drain_s=30, announce=lambda: asking.append(asyncio.get_running_loop().create_task(ask(port)))
        )

        async def work(stop: serving.Stop) -> None:
            try:
                await stop.serve((server, listening))
                await asyncio.gather(*asking)
            finally:
                await asyncio.sleep(0)
                told.append("closed")

        serving.run(work)
    assert told == ["served", "answered 204", "closed"]


def test_a_signal_before_there_is_a_server_ends_the_start_and_closes_what_was_opened():
    told: list[str] = []

    async def work(stop: serving.Stop) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(30)
        finally:
            told.append("closed")

    serving.run(work)
    assert told == ["closed"]


@pytest.mark.parametrize(
    ("reads_again", "began", "still", "ignored", "expected"),
    [
        (False, False, False, False, []),
        (True, False, False, False, ["read again", "went on"]),
        (True, True, True, False, ["read again", "went on"]),
        (True, True, False, False, []),
        (True, True, False, True, ["went on"]),
        (True, False, False, True, ["read again", "went on"]),
    ],
)
def test_hanging_up_is_to_read_again_unless_it_is_the_terminal_that_is_gone(
    monkeypatch, reads_again, began, still, ignored, expected
):
    told: list[str] = []
    monkeypatch.setattr("gateway.serving._in_terminal", lambda: began)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)

    async def work(stop: serving.Stop) -> None:
        if reads_again:
            stop.hung_up = lambda: told.append("read again")
        monkeypatch.setattr("gateway.serving._in_terminal", lambda: still)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)
        told.append("went on")

    try:
        serving.run(work)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert told == expected


# -- doors ------------------------------------------------------------------------------------------------------------


class Doors:
    """What is behind them is busy until it is handed over, or until a test says so."""

    def __init__(self) -> None:
        self.busy = True
        self.told: list[str] = []

    def close(self) -> None:
        self.told.append("closed")

    async def hand_over(self) -> None:
        self.told.append("handed over")


def ended(doors: Doors, scenario, *, drain_s: float) -> list[str]:
    """What happened, in order, while `scenario(url)` was played on a server with these doors."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    with closing(serving.bound("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        playing: list[asyncio.Task[None]] = []
        announce = lambda: playing.append(asyncio.get_running_loop().create_task(scenario(url)))  # noqa: E731
        server = serving.Server(app, drain_s=1, announce=announce)

        async def work(stop: serving.Stop) -> None:
            await stop.serve((server, listening), doors=doors, drain_s=drain_s)
            await asyncio.gather(*playing)
            doors.told.append("ended")

        serving.run(work)
    return doors.told


async def closed(doors: Doors) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    while not doors.told:  # noqa: ASYNC110  a signal handler tells nobody that it was there
        await asyncio.sleep(0.001)


def test_closed_doors_are_still_there_and_say_goodbye_until_nothing_is_under_way():
    doors = Doors()

    async def scenario(url: str) -> None:
        async with httpx.AsyncClient() as http:
            assert "connection" not in (await http.get(url)).headers
            await closed(doors)
            for _ in range(2):
                answer = await http.get(url)
                assert (answer.status_code, answer.headers["connection"]) == (204, "close")
            doors.told.append("answered")
        doors.busy = False

    assert ended(doors, scenario, drain_s=60) == ["closed", "answered", "handed over", "ended"]


def test_who_comes_when_the_doors_are_closed_does_not_keep_them_from_being_locked():
    doors = Doors()

    async def scenario(url: str) -> None:
        async def again_and_again() -> None:
            async with httpx.AsyncClient(timeout=60) as http:
                while "handed over" not in doors.told:
                    with suppress(httpx.TransportError):
                        await http.get(url)

        await closed(doors)
        coming = [asyncio.create_task(again_and_again()) for _ in range(4)]
        await asyncio.sleep(0.1)
        doors.busy = False
        await asyncio.gather(*coming)

    assert ended(doors, scenario, drain_s=60) == ["closed", "handed over", "ended"]


def test_what_does_not_end_in_its_time_is_handed_over():
    doors = Doors()

    async def scenario(_: str) -> None:
        await closed(doors)

    assert ended(doors, scenario, drain_s=0.05) == ["closed", "handed over", "ended"]


def test_a_second_signal_waits_for_nothing():
    doors = Doors()

    async def scenario(_: str) -> None:
        await closed(doors)
        os.kill(os.getpid(), signal.SIGINT)

    assert ended(doors, scenario, drain_s=3600) == ["closed", "handed over", "ended"]


def test_a_bug_in_handing_over_is_shown_and_does_not_keep_the_process_alive():
    doors = Doors()

    async def fails() -> None:
        raise ZeroDivisionError

    async def scenario(_: str) -> None:
        await closed(doors)

    doors.hand_over = fails
    with pytest.raises(ZeroDivisionError):
        ended(doors, scenario, drain_s=0)


def test_an_address_that_is_not_ours_is_refused_with_a_sentence():
    with pytest.raises(serving.PortTaken, match="set PORT"):
        serving.bound("192.0.2.1", 0)
    with pytest.raises(serving.PortTaken, match="is no address of this machine"):
        serving.bound("gateway.invalid", 0)


def logged(record: logging.LogRecord) -> dict[str, str]:
    return json.loads(JsonLines().format(record))


def test_a_log_line_tells_where_an_error_arose_and_nothing_that_it_says():
    try:
        raise ValueError("Test Testsson")
    except ValueError as error:
        raised = (type(error), error, error.__traceback__)
    text = "Task exception was never retrieved\nfuture: <Task exception=ValueError('Test Testsson')>"
    line = logged(logging.LogRecord("asyncio", logging.ERROR, __file__, 1, text, (), raised))
    assert (line["level"], line["logger"], line["error"]) == ("error", "asyncio", "ValueError")
    assert line["message"] == "Task exception was never retrieved"
    assert "test_serving.py" in line["at"]
    assert "Testsson" not in json.dumps(line)


def test_a_log_line_is_one_line():
    line = JsonLines().format(logging.LogRecord("gateway", logging.INFO, __file__, 1, 'a "%s"', ("b\nc",), None))
    assert "\n" not in line
    assert json.loads(line)["message"] == 'a "b'
