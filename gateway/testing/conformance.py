"""A pytest plugin: `pytest -p gateway.testing.conformance --conformance=report.md` writes what a run can publish.

The cases of the contract are noted where they run (in any process) and put together where they are reported.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from gateway.testing import conformance_report
from gateway.testing.claims import NOT_CLAIMED
from gateway.testing.conformance_report import Facts, Outcome, Report
from gateway.testing.contract import EmrContract
from gateway.testing.matrix import FIGURES
from gateway.testing.world import World

CASE = "conformance: case"
"""The property of a test's report that says which case it is, of which suite, and of which account."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--conformance", type=Path, metavar="FILE", help="write a conformance report, and FILE.json")


def pytest_configure(config: pytest.Config) -> None:
    path: Path | None = config.getoption("conformance")
    if path is not None and not hasattr(config, "workerinput"):
        _prepare(path)
        config.pluginmanager.register(_Written(path), "conformance of this run")


def _prepare(path: Path) -> None:
    """Said now and not after the run. Raises UsageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise pytest.UsageError(f"--conformance: {path} can't be written ({error.strerror})") from None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if isinstance(item, pytest.Function) and item.cls is not None and issubclass(item.cls, EmrContract):
        item.user_properties[:] = [told for told in item.user_properties if told[0] != CASE]
        item.user_properties.append((CASE, _noted(item, item.cls)))
    return (yield)


def _noted(item: pytest.Function, suite: type) -> dict[str, Any]:
    world = item.funcargs.get("world")
    return {
        "suite": f"{suite.__module__}.{suite.__qualname__}",
        "case": item.name,
        "name": item.originalname,
        "facts": conformance_report.facts(world) if isinstance(world, World) else None,
    }


class _Written:
    """What the reports of a run tell, until it is at its end."""

    def __init__(self, path: Path) -> None:
        self._path, self._report = path, Report()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, told in report.user_properties:
            if name == CASE:
                assert isinstance(told, dict)
                self._note(report, told)
            if name == FIGURES and report.when == "call":
                assert isinstance(told, dict)
                self._report.faults.append(told)

    def _note(self, report: pytest.TestReport, told: dict[str, Any]) -> None:
        suite = self._report.suite(told["suite"])
        facts: Facts | None = told["facts"]
        suite.facts = suite.facts or facts
        if hasattr(EmrContract, told["name"]):
            suite.note(told["name"], told["case"], *_outcome(report))

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self._report.ended = (
            pytest.ExitCode(exitstatus).name if exitstatus in list(pytest.ExitCode) else str(exitstatus)
        )
        self._report.write(self._path)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("conformance")
        for line in self._report.summary():
            terminalreporter.write_line(line)
        terminalreporter.write_line(str(self._path))


def _outcome(report: pytest.TestReport) -> tuple[Outcome | None, str]:
    """How a phase of it ended, and why where it was skipped; what a failure says is not for publication."""
    if report.failed or hasattr(report, "wasxfail"):
        return "failed", ""
    if not report.skipped:
        return ("passed" if report.when == "call" else None), ""
    why = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else "").removeprefix("Skipped: ")
    if why.startswith(NOT_CLAIMED):
        return "not claimed", why.removeprefix(NOT_CLAIMED)
    return "skipped", why
