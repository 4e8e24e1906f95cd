"""What a live run has shown, counted where it is shown, and told at its end: a line for each server."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

KIND = "shown"
DONE = (
    *("scenarios", "races", "staff interventions", "interventions of its own"),
    *("tokens that ended", "lost answers", "server kills", "gateway kills"),
)
FAULTS = ("lost", "doubled", "half", "touched")

_by_server: defaultdict[str, Counter[str]] = defaultdict(Counter)


class Shown:
    """Counts for the server of one test; kept in its report, in whichever process it runs."""

    def __init__(self, item: pytest.Item, server: str) -> None:
        self._item, self._server = item, server

    def add(self, what: str, count: int = 1) -> None:
        assert what in (*DONE, *FAULTS), what
        self._item.user_properties.append((KIND, (self._server, what, count)))


def heard(report: pytest.TestReport) -> None:
    """The last report of a test has all that was counted in it."""
    if report.when == "teardown":
        for kind, told in report.user_properties:
            if kind == KIND:
                server, what, count = told
                _by_server[server][what] += count


def lines() -> list[str]:
    return [_line(server, count) for server, count in sorted(_by_server.items())]


def _line(server: str, count: Counter[str]) -> str:
    done = [f"{count[word]} {word}" for word in DONE if count[word]]
    faults = [f"{word} {count[word]}" for word in FAULTS]
    return f"{server}: {', '.join(done)}; {', '.join(faults)}"
