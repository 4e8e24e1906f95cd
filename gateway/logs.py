"""Logs as one JSON object a line. What an exception says never gets in: it may hold what a patient's record holds."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from gateway.frames import frames


class JsonLines(logging.Formatter):
    """Time (UTC), level, logger, message; for an error also its type and the place where it arose."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            # Further lines are where libraries repeat the exception's text.
            "message": record.getMessage().partition("\n")[0],
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line |= {"error": type(error).__name__, "at": frames(error)}
        return json.dumps(line, ensure_ascii=False)


def configure() -> None:
    """Everything that is logged in this process goes to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # At INFO httpx writes whole addresses, which hold ids and names.
    logging.getLogger("httpx").setLevel(logging.WARNING)
