"""For all tests: nothing depends on how fast the machine is, and what the fault matrix has tried is told at the end."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    lines = sorted(
        str(said) for r in reports for name, said in r.user_properties if name == "fault matrix" and r.when == "call"
    )
    if lines:
        terminalreporter.section("fault matrix")
    for line in lines:
        terminalreporter.write_line(line)
