"""Pages for people, rendered here: nothing is loaded from anywhere and no script runs."""

from __future__ import annotations

from functools import lru_cache
from html import escape

from gateway.pages.docs import docs
from gateway.pages.html import page, row, table
from gateway.pages.texts import CODES, ERROR_CODES, Text, kinds

__all__ = ["docs", "error", "error_index"]


def error(code: str) -> str | None:
    """The page about a `code` or an `error_code`; `None` where there is no such code."""
    text = CODES.get(code) or ERROR_CODES.get(code)
    return None if text is None else _error(code, text)


@lru_cache
def _error(code: str, text: Text) -> str:
    statuses = [f"{kind.status}, “{kind.title}”" for kind in kinds() if kind.code == code]
    where = (
        f"<code>code</code>, status {escape(statuses[0])}"
        if statuses
        else "<code>error_code</code> in <code>errors[]</code>"
    )
    return page(
        code,
        f"<p>{where}</p><h2>What it means</h2><p>{escape(text.meaning)}</p>"
        f"<h2>What to do</h2><p>{escape(text.remedy)}</p>"
        '<p><a href="/errors">All codes</a> · <a href="/docs">API</a></p>',
    )


def error_index() -> str:
    """The page that lists all codes."""
    status = {kind.code: str(kind.status) for kind in kinds()}
    codes = [row(_link(code), status[code], escape(text.meaning)) for code, text in CODES.items()]
    error_codes = [row(_link(code), escape(text.meaning)) for code, text in ERROR_CODES.items()]
    return page(
        "Error codes",
        "<p>An error's <code>code</code> says what it means for you, the <code>error_code</code>s in its "
        "<code>errors[]</code> say why.</p>"
        "<h2>code</h2>"
        + table(("code", "status", "meaning"), codes)
        + "<h2>error_code</h2>"
        + table(("error_code", "meaning"), error_codes),
    )


def _link(code: str) -> str:
    return f'<a href="/errors/{code}"><code>{code}</code></a>'
