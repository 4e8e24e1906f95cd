"""Figures that the trials leave behind (`record_property`), added up and told at the end, whichever worker had them."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from tests.histories.figures import listed, table

OWN = ("struck: ", "histories", "replays", "mutants")
COLUMNS = ("commands", "done", "undone", "refused", "reported", "calls struck", "settled")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for kind in ("passed", "failed"):
        for report in terminalreporter.stats.get(kind, ()):
            for title, counts in getattr(report, "user_properties", ()):
                if title.startswith(OWN):
                    sums[title].update(counts)
    struck = {title: counts for title, counts in sums.items() if title.startswith("struck: ")}
    for title in sums.keys() - struck.keys():
        terminalreporter.section(title)
        terminalreporter.write_line("\n".join(listed(sums[title])))
    if struck:
        terminalreporter.section("every EMR call may be struck")
        rows = [
            [title.removeprefix("struck: "), *(counts[c] for c in COLUMNS)] for title, counts in sorted(struck.items())
        ]
        terminalreporter.write_line("\n".join(table(("rate, fault", *COLUMNS), rows)))
