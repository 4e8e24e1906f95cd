"""What an edition promises is the most that an account shows, and what is called live was shown by a real server."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given

from gateway.domain.capabilities import Capabilities, Support
from gateway.domain.editions import Edition, Operation, beyond
from gateway.registry import Registry
from gateway.testing import EmrContract
from gateway.wire import abilities, cells
from tests.live.claimed import SERVERS, SHOWN
from tests.test_abilities import accounts

LIVE = Path(__file__).parent / "live"
ORDER = [Support.UNSUPPORTED, Support.EMULATED, Support.NATIVE]
LIVE_EDITIONS = {
    (key, edition.name): edition
    for key, vendor in Registry.load().vendors.items()
    for edition in vendor.comes_in
    if "live" in (edition.tested, *edition.otherwise.values())
}


# -- live -------------------------------------------------------------------------------------------------------------


def against_servers(plugin: str) -> set[str]:
    """The names of the tests of a plugin in tests/live; with those of the contract, where it is inherited there."""
    found: set[str] = set()
    for path in LIVE.glob(f"test_{plugin}_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.ClassDef) and [ast.unparse(base) for base in node.bases] == ["EmrContract"]:
                found |= set(dir(EmrContract))
    return {name for name in found if name.startswith("test_")}


def called_live(edition: Edition) -> set[str]:
    """`operation.field` of all that it supports and calls tested live."""
    told = cells(abilities(edition.capabilities))
    return {
        f"{operation}.{field}".rstrip(".")
        for operation in get_args(Operation)
        for field, support in told[operation].items()
        if edition.how(operation) == "live" and support is not Support.UNSUPPORTED
    }


def test_what_is_shown_is_called_live_and_nothing_else_is():
    assert {edition: set(shown) for edition, shown in SHOWN.items()} == {
        key: called_live(edition) for key, edition in LIVE_EDITIONS.items()
    }


@pytest.mark.parametrize(("plugin", "edition"), SHOWN)
def test_each_test_that_shows_something_is_there(plugin, edition):
    assert set(SHOWN[plugin, edition].values()) <= against_servers(plugin)


@pytest.mark.parametrize("edition", LIVE_EDITIONS.values(), ids=lambda edition: edition.title)
def test_the_servers_are_those_that_are_installed(edition):
    named = [server for server in SERVERS if server in edition.against]
    assert named
    left = edition.against
    for server in named:
        left = left.replace(server, "")
        file, line = SERVERS[server]
        assert line in (LIVE / file).read_text()
    assert not any(character.isdigit() for character in left)


# -- the most ---------------------------------------------------------------------------------------------------------


def met(one: Capabilities, other: Capabilities) -> Capabilities:
    """What both can do, of one EMR."""
    lesser = {"none": 0, "before": 1}
    flags = (
        *("lists", "own_time_shown", "moves_awaiting", "books_comment"),
        *("create", "discard", "cancel", "comment", "version_check"),
    )
    kinds = ("free_time", "move", "reassign", "confirm", "cancel_comment")
    words = {kind: min(getattr(one, kind), getattr(other, kind), key=lambda w: lesser.get(w, 2)) for kind in kinds}
    return replace(
        one,
        directories=one.directories & other.directories,
        **{flag: getattr(one, flag) and getattr(other, flag) for flag in flags},
        **words,
        slot_records=one.slot_records and words["free_time"] == "slots",
    )


@given(accounts(), accounts())
def test_what_is_within_an_edition_shows_no_more_than_its_table(most, other):
    can = met(most, other)
    assert not list(beyond(can, most))
    shown, table = cells(abilities(can)), cells(abilities(most))
    for operation, fields in shown.items():
        for field, support in fields.items():
            assert ORDER.index(support) <= ORDER.index(table[operation][field]), (operation, field)


@pytest.mark.parametrize(
    "more",
    [
        *(
            {flag: True}
            for flag in ("lists", "create", "discard", "cancel", "comment", "version_check", "slot_records")
        ),
        *({"own_time_shown": True}, {"moves_awaiting": True}),
        *({"move": "new_id"}, {"reassign": "in_place"}, {"free_time": "windows"}, {"confirm": "flag"}),
        *({"cancel_comment": "before"}, {"cancel_comment": "with"}),
    ],
    ids=str,
)
def test_each_ability_is_more_than_none(more):
    assert list(beyond(Capabilities(**more), Capabilities())) == list(more)
    assert not list(beyond(Capabilities(), Capabilities(**more)))


def test_to_book_with_the_comment_is_more_than_to_write_it_afterwards():
    assert list(beyond(Capabilities(), Capabilities(books_comment=False))) == ["books_comment"]


def test_kinds_are_equals_but_for_the_comment_of_a_cancellation():
    assert not list(
        beyond(Capabilities(move="new_id", free_time="slots"), Capabilities(move="in_place", free_time="windows"))
    )
    assert list(beyond(Capabilities(cancel_comment="with"), Capabilities(cancel_comment="before"))) == [
        "cancel_comment"
    ]


def test_every_operation_of_the_answer_was_tested_in_some_way():
    assert set(get_args(Operation)) == cells(abilities(Capabilities())).keys() - {"guards"}
