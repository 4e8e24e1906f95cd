"""What gets into a line of the log, and what does not, whoever writes it."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys

import pytest

from gateway.logs import JsonLines

NAME = "Test Testsson"
PATIENCE_S = 60


def line(logger: str, text: str, *args, error: BaseException | None = None, **extra) -> dict[str, str]:
    raised = None
    if error is not None:
        try:
            raise error
        except type(error):
            raised = sys.exc_info()
    record = logging.LogRecord(logger, logging.ERROR, __file__, 1, text, args, raised)
    vars(record).update(extra)
    written = JsonLines().format(record)
    assert "\n" not in written
    return json.loads(written)


def test_a_line_of_ours_is_told_whole_and_in_order():
    told = line("gateway.commands", "command %s: %s is %s", "1f", "update", "done")
    assert list(told) == ["time", "level", "logger", "message"]
    assert (told["level"], told["logger"]) == ("error", "gateway.commands")
    assert told["message"] == "command 1f: update is done"


def test_where_an_error_arose_is_told_and_nothing_that_it_says():
    told = line("gateway.x", "it failed", error=ValueError(NAME))
    assert (told["error"], "test_logs.py" in told["at"]) == ("ValueError", True)
    assert NAME not in json.dumps(told)


def test_what_nobody_has_allowed_gets_nowhere():
    assert NAME not in json.dumps(line("gateway.x", "said", patient=NAME, stack_info=NAME))


@pytest.mark.parametrize(
    ("logger", "text", "args", "message"),
    [
        ("uvicorn.error", "Started server process [%d]", (7,), "Started server process"),
        ("uvicorn.error", "Invalid HTTP request received.", (), "Invalid HTTP request received."),
        ("asyncio", f"Exception in callback f('{NAME}')\nhandle: {NAME}", (), "Exception in callback f"),
        ("asyncio", f"Task exception was never retrieved\n{NAME}", (), "Task exception was never retrieved"),
        ("aiohttp.client", "Can't read %s", (NAME,), "Can"),
        ("gatewayish", "%s", (NAME,), "%s"),
        ("other", "too few %s %s", (NAME,), None),
    ],
)
def test_a_library_is_told_without_what_it_put_into_its_words(logger, text, args, message):
    if message is None:
        with pytest.raises(TypeError):
            line(logger, text, *args)
    else:
        assert line(logger, text, *args)["message"] == message


CRASHES = {
    "the process": "raise ValueError(NAME)",
    "a thread": "t = threading.Thread(target=lambda: {}[NAME]); t.start(); t.join()",
    "a finalizer": "type('T', (), {'__del__': lambda self: {}[NAME]})()",
    "a task": "asyncio.run(lost())",
    "a callback": "asyncio.run(called())",
    "a line": "logging.getLogger('gateway.x').error('%s %s', NAME)",
}


@pytest.mark.parametrize("what", CRASHES)
def test_a_crash_of_our_own_is_one_line_without_what_it_says(what):
    script = f"""
import asyncio, gc, logging, threading
from gateway import logs
NAME = {NAME!r}
async def lost():
    async def fails(): raise LookupError(NAME)
    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()
async def called():
    asyncio.get_running_loop().call_soon(lambda name: {{}}[name], NAME)
    await asyncio.sleep(0)
logs.configure()
{CRASHES[what]}
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_S)
    assert NAME not in done.stdout + done.stderr
    lines = [json.loads(said) for said in done.stderr.splitlines()]
    assert done.returncode == (what == "the process")
    if what != "a line":
        assert [told["error"] in ("ValueError", "KeyError", "LookupError") for told in lines] == [True]


async def test_the_lines_of_a_loop_can_be_read(caplog):
    loop = asyncio.get_running_loop()
    with caplog.at_level(logging.ERROR):
        loop.call_exception_handler({"message": "oh", "exception": ValueError(NAME)})
    assert json.loads(JsonLines().format(caplog.records[-1]))["error"] == "ValueError"
