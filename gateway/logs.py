"""Logs as one JSON object a line. What an exception says never gets in: it may hold what a patient's record holds.

Our own lines are written with care. Those of libraries are not ours to write: they are told as far as they are words,
without what was put into them, for that may be anything (asyncio tells the arguments of a callback that failed).
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from gateway.frames import frames

_TOLD = ("time", "level", "logger", "message", "error", "at")
"""All that a line may hold, in this order: what is not here gets nowhere, whoever puts it in."""
_OURS = re.compile(r"(?:gateway|plugins)(?:\.|$)")
_WORDS = re.compile(r"[\w .,;%-]*")
log = logging.getLogger("gateway")


def _when(_: Any, __: str, line: EventDict) -> EventDict:
    made: logging.LogRecord = line["_record"]
    line["time"] = datetime.fromtimestamp(made.created, UTC).isoformat(timespec="milliseconds")
    return line


def _message(_: Any, __: str, line: EventDict) -> EventDict:
    record: logging.LogRecord = line["_record"]
    # Further lines are where libraries repeat the exception's text.
    text = str(line["event"]).partition("\n")[0]
    words = _WORDS.match(str(record.msg).partition("\n")[0])
    line["message"] = text if _OURS.match(record.name) else words and words[0].strip()
    return line


def _where(_: Any, __: str, line: EventDict) -> EventDict:
    error = (line.get("exc_info") or (None, None, None))[1]
    if error is not None:
        line.update(error=type(error).__name__, at=frames(error))
    return line


def _only_what_may_be_told(_: Any, __: str, line: EventDict) -> EventDict:
    return {name: line[name] for name in _TOLD if name in line}


_LEVEL_AND_NAME: tuple[Processor, ...] = (structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name)
_LINE: tuple[Processor, ...] = (_when, _message, _where, _only_what_may_be_told)


class JsonLines(structlog.stdlib.ProcessorFormatter):
    """Time (UTC), level, logger, message; for an error also its type and the place where it arose."""

    def __init__(self) -> None:
        render = structlog.processors.JSONRenderer(ensure_ascii=False)
        super().__init__(processors=[*_LINE, render], foreign_pre_chain=_LEVEL_AND_NAME)


def configure() -> None:
    """Everything that is logged in this process goes to standard error; and what kills it is told in the same way."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # A line that can't be made would be told with all that should have gone into it.
    logging.raiseExceptions = False
    # At INFO httpx writes whole addresses, which hold ids and names.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    sys.excepthook = _crashed
    threading.excepthook = lambda told: _crashed(told.exc_type, told.exc_value, told.exc_traceback)
    sys.unraisablehook = lambda told: _crashed(told.exc_type, told.exc_value, told.exc_traceback)


def _crashed(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        log.critical("nobody expected this", exc_info=(kind, error or kind(), trace))
