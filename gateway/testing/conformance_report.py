"""What is told of a conformance run, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from importlib.metadata import entry_points
from math import prod
from pathlib import Path
from typing import Any, Literal

from gateway import __version__, clock
from gateway.domain.capabilities import Capabilities
from gateway.hookspecs import ENTRY_POINTS
from gateway.port import PLUGIN_API
from gateway.testing.contract import EmrContract
from gateway.testing.world import World

Facts = dict[str, Any]
"""What is told of an account: plain values, as they go from process to process."""
Outcome = Literal["passed", "not claimed", "failed", "skipped", "not run"]
OUTCOMES: Sequence[Outcome] = ("passed", "not claimed", "failed", "skipped", "not run")
_RANK: Sequence[Outcome] = ("passed", "not claimed", "skipped", "failed")
"""A case has phases: what ranks last is how it ended."""
CASES = tuple(sorted(name for name in dir(EmrContract) if name.startswith("test_")))


def _times(name: str) -> int:
    """In how many forms a case of the contract is run."""
    marks = [mark for mark in getattr(getattr(EmrContract, name), "pytestmark", ()) if mark.name == "parametrize"]
    return prod(len(mark.args[1]) for mark in marks)


CAVEAT = (
    "This is what a plugin's own tests found when they ran the gateway's contract. Unless they ran it against the "
    "vendor's server, they ran it against a fake, and **a fake is not the vendor**: the report says that the plugin "
    "does what it claims if the EMR behaves as its fake does, and not that the EMR behaves so."
)


def facts(world: World) -> Facts:
    """Of an account that a case has; nothing of its settings."""
    vendor, can = world.vendor, world.emr.capabilities
    edition = vendor.edition(world.emr.edition)
    return {
        "plugin": vendor.key,
        "name": vendor.name,
        "package": _package(vendor.key),
        "edition": world.emr.edition,
        "title": edition.title if edition else "",
        "tested": edition.tested if edition else "",
        "against": edition.against if edition else "",
        "capabilities": {one.name: _plain(getattr(can, one.name)) for one in fields(Capabilities)},
    }


def _package(plugin: str) -> str:
    for point in entry_points(group=ENTRY_POINTS, name=plugin):
        if point.dist is not None:
            return f"{point.dist.name} {point.dist.version}"
    return "not installed"


def _plain(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, frozenset) else value


@dataclass(slots=True)
class Suite:
    """One suite that inherits the contract: one account of one edition."""

    name: str
    facts: Facts | None = None
    cases: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    """How each ended, and why where it did not run to its end."""
    _run: dict[str, set[str]] = field(default_factory=dict)

    def note(self, name: str, case: str, outcome: Outcome | None, why: str) -> None:
        if outcome is None:
            return
        self._run.setdefault(name, set()).add(case)
        known, _ = self.cases.get(case, ("passed", ""))
        if _RANK.index(outcome) >= _RANK.index(known):
            self.cases[case] = (outcome, why)

    def all(self) -> dict[str, tuple[Outcome, str]]:
        """With those that should have been run, and were not."""
        left: dict[str, tuple[Outcome, str]] = {}
        for name in CASES:
            run, times = len(self._run.get(name, ())), _times(name)
            if run < times:
                left[name] = ("not run", f"{run} of its {times} forms were" if run else "")
        return dict(sorted({**self.cases, **left}.items()))

    def counts(self) -> dict[Outcome, int]:
        counted = Counter(outcome for outcome, _ in self.all().values())
        return {outcome: counted[outcome] for outcome in OUTCOMES}

    @property
    def conforms(self) -> bool:
        """All that it claims was proven: `test_every_claim_is_proven` sees to what is skipped."""
        counts = self.counts()
        return self.facts is not None and not counts["failed"] and not counts["not run"]

    @property
    def verdict(self) -> str:
        told = ", ".join(
            f"{count} {outcome}" for outcome, count in self.counts().items() if count or outcome == "failed"
        )
        return f"{'conforms' if self.conforms else 'does not conform'}: {told}"


@dataclass(slots=True)
class Report:
    suites: dict[str, Suite] = field(default_factory=dict)
    faults: list[Facts] = field(default_factory=list)
    ended: str = "NO_TESTS_COLLECTED"
    """How pytest calls the end of the run, with all else that was in it."""

    def suite(self, name: str) -> Suite:
        return self.suites.setdefault(name, Suite(name))

    def summary(self) -> list[str]:
        return [f"{name}: {suite.verdict}" for name, suite in sorted(self.suites.items())] or ["No contract was run."]

    def write(self, path: Path) -> None:
        told = self.told()
        path.write_text("\n".join(markdown(told)) + "\n", encoding="utf-8")
        path.with_name(f"{path.name}.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")

    def told(self) -> Facts:
        """All of it, as plain values."""
        return {
            "made_at": clock.now().isoformat(timespec="seconds"),
            "gateway": __version__,
            "plugin_api": PLUGIN_API,
            "run": self.ended,
            "caveat": CAVEAT.replace("**", ""),
            "accounts": [self._account(suite) for _, suite in sorted(self.suites.items())],
        }

    def _account(self, suite: Suite) -> Facts:
        return {
            "suite": suite.name,
            **(suite.facts or {}),
            "conforms": suite.conforms,
            "verdict": suite.verdict,
            "counts": suite.counts(),
            "cases": {case: {"outcome": outcome, "why": why} for case, (outcome, why) in suite.all().items()},
            "faults": self._faults(suite),
        }

    def _faults(self, suite: Suite) -> Facts | None:
        """The fault matrix' figures for its edition; `None`: it was not run."""
        of = suite.facts or {}
        mine = [told for told in self.faults if all(told[name] == of.get(name) for name in ("plugin", "edition"))]
        if not mine:
            return None
        ends = sum((Counter(told["ends"]) for told in mine), Counter[str]())
        return {
            **{name: sum(told[name] for told in mine) for name in ("cells", "breaches", "left")},
            "ends": dict(ends),
        }


# -- Markdown ---------------------------------------------------------------------------------------------------------


def markdown(told: Facts) -> Iterator[str]:
    yield "# Conformance to the EMR appointment gateway's contract"
    yield f"\nMade at {told['made_at']} with gateway {told['gateway']}, plugin API {told['plugin_api']}.\n"
    yield CAVEAT
    yield f"\nHow pytest ended, with all that was in the run: `{told['run']}`."
    yield from _overview(told["accounts"]) if told["accounts"] else ["\nNo contract was run."]
    for account in told["accounts"]:
        yield from _account(account)


def _overview(accounts: Sequence[Facts]) -> Iterator[str]:
    yield f"\n| EMR | edition | suite | conforms | {' | '.join(OUTCOMES)} | breaches |"
    yield "| --- | --- | --- | --- |" + " --- |" * (len(OUTCOMES) + 1)
    for of in accounts:
        breaches = of["faults"]["breaches"] if of["faults"] else "-"
        told = [of.get("name", "?"), of.get("edition", "?"), of["suite"].rpartition(".")[2]]
        told += ["yes" if of["conforms"] else "no", *of["counts"].values(), breaches]
        yield f"| {' | '.join(map(str, told))} |"


def _account(of: Facts) -> Iterator[str]:
    known, suite = "capabilities" in of, of["suite"].rpartition(".")[2]
    yield f"\n## {suite}: " + (
        f"{of['name']} (`{of['plugin']}`), edition `{of['edition']}`\n" if known else "unknown\n"
    )
    yield f"**{of['verdict']}**\n"
    if known:
        yield f"- Package: {of['package']}"
        yield f"- The plugin says how this edition was tested: {of['tested']}{_dash(of['against'])}"
        yield f"- Suite: `{of['suite']}`"
        yield from _capabilities(of["capabilities"])
    yield from _broken(of["faults"])
    yield "\n### Cases\n\n| case | outcome |\n| --- | --- |"
    yield from (f"| {_cell(case)} | {_cell(one['outcome'] + _dash(one['why']))} |" for case, one in of["cases"].items())


def _capabilities(can: Facts) -> Iterator[str]:
    usual = {one.name: _plain(one.default) for one in fields(Capabilities)}
    yield "\n### What the account claims\n\nWhat is not here is at its default, which claims nothing.\n"
    for name, value in can.items():
        if value != usual[name]:
            yield f"- `{name}`: {', '.join(value) if isinstance(value, list) else value}"


def _broken(faults: Facts | None) -> Iterator[str]:
    yield "\n### Broken on purpose\n"
    if faults is None:
        yield "The fault matrix was not run."
    else:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(faults["ends"].items()))
        yield f"In all suites of the edition: {faults['cells']} cells ({ends})"
        yield f"of which {faults['breaches']} are breaches; {faults['left']} were left."


def _dash(text: str) -> str:
    return f" ({text})" if text else ""


def _cell(text: str) -> str:
    return text.removeprefix("test_").replace("_", " ").replace("|", "\\|").replace("\n", " ")
