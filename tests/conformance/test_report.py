"""Are the counts true? What the report says is held against what pytest itself wrote of the same run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import execnet
import pytest

from gateway import __version__
from gateway.testing import commands, conformance, matrix, plainly
from gateway.testing.conformance_report import CASES, Report, Suite
from tests.plugins.cliniko.conftest import Practice
from tests.plugins.cliniko.test_contract import world_of

ROOT = Path(__file__).parents[2]
MODULE = "tests.conformance.suites"
Told = dict[str, Any]


ENDS = (
    "TestTrue::test_a_cancellation_says_why",
    "TestLiar::test_a_cancellation_says_why",
    "TestLiar::test_an_unknown_id_is_nobodys",
    "TestLiar::test_a_slot_record_is_taken_and_given_back",
    "TestLiar::test_a_write_that_breaks_says_what_may_have_become_of_it[401]",
    "TestSkipper::test_a_cancellation_says_why",
    "TestSkipper::test_an_unknown_id_is_nobodys",
    "TestSkipper::test_every_claim_is_proven",
    "TestNowhere::test_an_unknown_id_is_nobodys",
)
"""A case for each end that there is."""
WHOLE = ("-n", "2", "TestTrue", "TestTrueBroken", *ENDS[1:])


def run(folder: Path, asked: Sequence[str]) -> tuple[Told, str, ET.Element]:
    """The report as JSON and as Markdown, and pytest's own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "gateway.testing.conformance"]
    files = [f"--conformance={folder / 'told' / 'r.md'}", f"--junitxml={folder / 'r.xml'}"]
    nodes = [f"tests/conformance/suites.py::{one}" if one.startswith("Test") else one for one in asked]
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    ended = subprocess.run(
        [*command, *files, *nodes], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    told = folder / "told"
    return (
        json.loads((told / "r.md.json").read_text()),
        (told / "r.md").read_text(),
        ET.parse(folder / "r.xml").getroot(),
    )


def accounts_of(told: Told) -> dict[str, Told]:
    return {account["suite"].removeprefix(f"{MODULE}."): account for account in told["accounts"]}


def test_the_report_is_what_became_of_the_run(tmp_path):
    """One test, because one run is slow enough."""
    ran = run(tmp_path, ENDS)
    accounts = accounts_of(ran[0])
    it_counts_what_pytest_counts(ran, accounts)
    each_case_is_what_became_of_it(accounts)
    it_says_of_what_it_is_and_that_a_fake_is_not_the_vendor(ran, accounts)
    nothing_that_a_failure_says_is_published(ran)
    assert not any(account["conforms"] for account in accounts.values()), "none of them was run as a whole"
    assert all(account["faults"] is None for account in accounts.values())
    assert "The fault matrix was not run." in ran[1]


@pytest.mark.drill
def test_the_report_of_a_whole_run_is_put_together_of_what_its_workers_did(tmp_path):
    ran = run(tmp_path, WHOLE)
    accounts = accounts_of(ran[0])
    it_counts_what_pytest_counts(ran, accounts)
    each_case_is_what_became_of_it(accounts)
    a_plugin_that_does_what_it_claims_conforms_and_no_other_does(accounts)
    what_was_broken_on_purpose_is_told(ran, accounts)


def it_counts_what_pytest_counts(run, accounts):
    theirs: dict[str, Counter[str]] = {}
    for case in run[2].iter("testcase"):
        ended = {child.tag for child in case} & {"failure", "error", "skipped"}
        theirs.setdefault(case.attrib["classname"].rpartition(".")[2], Counter())[
            ended.pop() if ended else "passed"
        ] += 1
    theirs.pop("TestTrueBroken", None)
    assert set(theirs) == set(accounts)
    for name, counted in theirs.items():
        counts = Counter(accounts[name]["counts"])
        xfailed = 1 if name == "TestSkipper" else 0
        assert counts["passed"] == counted["passed"], name
        assert counts["failed"] == counted["failure"] + counted["error"] + xfailed, name
        assert counts["not claimed"] + counts["skipped"] == counted["skipped"] - xfailed, name


def a_plugin_that_does_what_it_claims_conforms_and_no_other_does(accounts):
    assert {name: account["conforms"] for name, account in accounts.items()} == {
        "TestTrue": True,
        "TestLiar": False,
        "TestSkipper": False,
        "TestNowhere": False,
    }
    assert accounts["TestTrue"]["counts"]["passed"] > 50
    assert accounts["TestTrue"]["counts"]["not run"] == accounts["TestTrue"]["counts"]["skipped"] == 0
    assert {case.partition("[")[0] for case in accounts["TestTrue"]["cases"]} == set(CASES)


def each_case_is_what_became_of_it(accounts):
    liar, skipper = accounts["TestLiar"]["cases"], accounts["TestSkipper"]["cases"]
    broken = "test_a_write_that_breaks_says_what_may_have_become_of_it"
    assert liar["test_a_cancellation_says_why"] == {"outcome": "failed", "why": ""}
    assert liar["test_an_unknown_id_is_nobodys"]["outcome"] == "passed"
    assert liar["test_a_slot_record_is_taken_and_given_back"] == {"outcome": "not claimed", "why": "slot_records"}
    assert liar["test_every_claim_is_proven"]["outcome"] == "not run"
    assert liar[broken] == {"outcome": "not run", "why": "1 of its 11 forms were"}
    assert skipper["test_a_cancellation_says_why"] == {"outcome": "skipped", "why": "| not today"}
    assert skipper["test_an_unknown_id_is_nobodys"]["outcome"] == "failed"
    assert skipper["test_every_claim_is_proven"]["outcome"] == "failed"


def it_says_of_what_it_is_and_that_a_fake_is_not_the_vendor(run, accounts):
    told, markdown, _ = run
    true = accounts["TestTrue"]
    assert (told["gateway"], told["plugin_api"]) == (__version__, 1)
    assert (true["plugin"], true["package"], true["edition"]) == ("cliniko", f"emr-gateway {__version__}", "standard")
    assert (true["tested"], true["capabilities"]["move"]) == ("document", "in_place")
    assert told["made_at"] in markdown
    assert "**a fake is not the vendor**" in markdown
    assert f"**{true['verdict']}**" in markdown
    assert (told["run"], "`TESTS_FAILED`" in markdown) == ("TESTS_FAILED", True)
    counts = " | ".join(str(count) for count in true["counts"].values())
    assert f"| Cliniko | standard | TestTrue | {'yes' if true['conforms'] else 'no'} | {counts} |" in markdown
    assert "| ? | ? | TestNowhere | no | 0 | 0 | 1 |" in markdown
    assert "| a cancellation says why | skipped (\\| not today) |" in markdown


def what_was_broken_on_purpose_is_told(run, accounts):
    faults = accounts["TestTrue"]["faults"]
    assert (faults["breaches"], sum(faults["ends"].values())) == (0, faults["cells"])
    assert faults["cells"] > 100
    assert f"{faults['cells']} cells" in run[1]
    assert accounts["TestNowhere"]["faults"] is None


def nothing_that_a_failure_says_is_published(run):
    assert "secret of the practice" not in run[1] + json.dumps(run[0])


def test_a_case_that_fails_in_any_of_its_phases_has_failed():
    suite = Suite("x")
    suite.note("test_x", "test_x", "passed", "")
    suite.note("test_x", "test_x", "failed", "")
    suite.note("test_x", "test_x", "passed", "")
    assert suite.cases == {"test_x": ("failed", "")}


async def test_what_a_tally_tells_goes_to_another_process():
    opens = plainly(lambda: world_of(Practice()))
    tally = await commands.of_commands(opens, (await commands.cells(opens))[:2])
    assert tally.ends
    name, told = matrix.figures(tally)
    assert execnet.loads(execnet.dumps((name, told))) == (name, told)


def test_a_run_without_a_contract_says_so(tmp_path):
    Report().write(tmp_path / "r.md")
    assert "No contract was run." in (tmp_path / "r.md").read_text()
    assert Report().summary() == ["No contract was run."]


def test_where_it_can_not_be_written_is_said_before_the_run(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "r.md"):
        with pytest.raises(pytest.UsageError, match="can't be written"):
            conformance._prepare(path)
