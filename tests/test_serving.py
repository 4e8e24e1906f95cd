"""A signal stops the server, and nothing that is under way is cut off."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from contextlib import closing

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
