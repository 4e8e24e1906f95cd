"""Where an error happened, in words that hold no data: file names, lines and functions, never messages or values."""

from __future__ import annotations

import traceback
from pathlib import Path


def frames(error: BaseException) -> str:
    """The innermost six frames of the traceback, as `file:line function`, the latest last."""
    found = traceback.extract_tb(error.__traceback__)[-6:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in found)
