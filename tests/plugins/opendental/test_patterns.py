"""Lengths as patterns: a law for each way that one may change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plugins.opendental import LONGEST_UNITS, _resized

PATTERNS = st.text("X/", min_size=1, max_size=LONGEST_UNITS)
LENGTHS = st.integers(1, LONGEST_UNITS)


@given(PATTERNS, LENGTHS)
def test_a_pattern_gets_the_length_that_is_wanted_and_keeps_its_ends(pattern, count):
    now = _resized(pattern, count)
    assert len(now) == count
    assert now[0] == pattern[0]
    assert set(now) <= set(pattern)
    assert count == 1 or len(pattern) == 1 or now[-1] == pattern[-1]


@given(PATTERNS, LENGTHS)
def test_what_grew_shrinks_to_what_it_was(pattern, count):
    assert count < len(pattern) or _resized(_resized(pattern, count), len(pattern)) == pattern
