"""The gateway against its own description, for long: ten thousand requests, all answered as it promises."""

from __future__ import annotations

import os
import re

import pytest

from tests.e2e.test_schemathesis import conducted

BOUND = bool(os.environ.get("BOUND"))
FEW, MANY = 8, 260
PARTS = ("all",) if BOUND else ("one half", "the other half")
"""Each draws its own requests; together more than ten thousand."""


@pytest.mark.security
@pytest.mark.parametrize("part", PARTS)
def test_ten_thousand_requests_get_no_answer_that_the_description_does_not_promise(tmp_path, part, record_property):
    told = conducted(tmp_path, FEW if BOUND else MANY, "examples,coverage,fuzzing,stateful", timeout_s=900)
    found = re.search(r"Test cases:\s+(\d+) generated, (?:(\d+) found \d+ unique failures?, )?(\d+) passed", told)
    assert found, told[-3000:]
    generated, failed, _ = (int(number or 0) for number in found.groups())
    record_property("security: described requests tried", generated)
    record_property("security: described requests answered otherwise", failed)
    assert failed == 0
    assert BOUND or generated >= 5_000
