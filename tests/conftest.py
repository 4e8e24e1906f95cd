"""For all tests: nothing depends on how fast the machine is, and what was tried in great numbers is told at the end."""

from __future__ import annotations

import sys
from collections import Counter
from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# httpx's ASGI transport asks for it at every request, and Python looks in vain in every folder of its path each time.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]


SECURITY = "security: "
"""Tests count what they tried, and what came of it, with `record_property("security: NAME", number)`."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    told = [told for report in reports if report.when == "call" for told in report.user_properties]
    _section(terminalreporter, "fault matrix", sorted(str(said) for name, said in told if name == "fault matrix"))
    counted: Counter[str] = Counter()
    for name, number in told:
        if name.startswith(SECURITY):
            counted[name.removeprefix(SECURITY)] += int(str(number))
    _section(terminalreporter, "security", [f"{name:48} {number:>7}" for name, number in sorted(counted.items())])


def _section(terminalreporter: pytest.TerminalReporter, title: str, lines: list[str]) -> None:
    if lines:
        terminalreporter.section(title)
    for line in lines:
        terminalreporter.write_line(line)
