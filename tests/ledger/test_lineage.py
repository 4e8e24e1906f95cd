"""Chains of ids: held against a model that keeps each chain as a list."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keys import Keys
from gateway.ledger.lineage import Lineage
from gateway.ledger.schema import migrate


@pytest.fixture
def db():
    db = fresh()
    yield db
    db.close()


def fresh():
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db)
    return db


@pytest.fixture
def lineage():
    return Lineage(Keys(bytes(32)))


def record(lineage, db, *pairs, tenant="clinic"):
    for old, new in pairs:
        lineage.record(db, tenant, old, new, at=0)


def test_every_id_of_a_chain_leads_to_the_newest(lineage, db):
    record(lineage, db, "AB", "BC", "CD")
    assert [lineage.successor(db, "clinic", id) for id in "ABCD"] == ["D", "D", "D", None]
    assert [lineage.ancestors(db, "clinic", id) for id in "ABCD"] == [(), ("A",), ("A", "B"), ("A", "B", "C")]


def test_an_id_that_never_changed_has_neither(lineage, db):
    assert lineage.successor(db, "clinic", "A") is None
    assert lineage.ancestors(db, "clinic", "A") == ()


def test_tenants_do_not_share_ids(lineage, db):
    record(lineage, db, "AB", tenant="one")
    record(lineage, db, "AC", tenant="two")
    assert lineage.successor(db, "one", "A") == "B"
    assert lineage.successor(db, "two", "A") == "C"
    assert lineage.ancestors(db, "three", "B") == ()


def test_saying_it_again_changes_nothing_even_after_the_chain_went_on(lineage, db):
    record(lineage, db, "AB", "AB", "BC", "AB", "AC", "AA")
    assert lineage.successor(db, "clinic", "A") == "C"
    assert lineage.ancestors(db, "clinic", "C") == ("A", "B")


def test_an_undo_that_gives_a_new_id_goes_on_with_the_chain(lineage, db):
    record(lineage, db, "AB", "BC")
    assert lineage.successor(db, "clinic", "A") == "C"


def test_an_undo_that_gives_the_old_id_back_turns_the_chain(lineage, db):
    record(lineage, db, "AB", "BA")
    assert (lineage.successor(db, "clinic", "A"), lineage.successor(db, "clinic", "B")) == (None, "A")
    assert (lineage.ancestors(db, "clinic", "A"), lineage.ancestors(db, "clinic", "B")) == (("B",), ())
    record(lineage, db, "AB")
    assert (lineage.successor(db, "clinic", "A"), lineage.successor(db, "clinic", "B")) == ("B", None)


def test_an_id_from_the_middle_that_comes_back_is_the_newest(lineage, db):
    record(lineage, db, "AB", "BC", "CD", "DB")
    assert [lineage.successor(db, "clinic", id) for id in "ABCD"] == ["B", None, "B", "B"]
    assert lineage.ancestors(db, "clinic", "B") == ("A", "C", "D")


def test_what_happens_to_an_older_id_happens_to_what_it_is_now(lineage, db):
    record(lineage, db, "AB", "AC")
    assert [lineage.successor(db, "clinic", id) for id in "ABC"] == ["C", "C", None]


def test_an_id_that_is_given_to_another_appointment_does_not_lead_there_from_the_first(lineage, db):
    record(lineage, db, "AB", "BC", "XB")
    assert lineage.successor(db, "clinic", "A") == "C"
    assert lineage.ancestors(db, "clinic", "C") == ("A",)
    assert lineage.ancestors(db, "clinic", "B") == ("X",)


def test_ids_of_any_characters_come_back_byte_by_byte(lineage, db):
    record(lineage, db, ("å/ä ö", "\ud800"), ("\ud800", ""))
    assert lineage.ancestors(db, "clinic", "") == ("å/ä ö", "\ud800")


def model(pairs):
    """The same rules on lists: a chain each, oldest first."""
    chains = []
    for old, new in pairs:
        if old == new:
            continue
        chain = next((chain for chain in chains if old in chain), None)
        if chain is None:
            chains.append(chain := [old])
        if chain[-1] == new or new in chain[chain.index(old) + 1 :][:1]:
            continue
        for other in chains:
            if new in other:
                other.remove(new)
        chain.append(new)
    return chains


IDS = st.sampled_from("ABCDEF")


@given(st.lists(st.tuples(IDS, IDS), max_size=20))
def test_any_history_gives_what_the_model_gives(pairs):
    lineage, db = Lineage(Keys(bytes(32))), fresh()
    record(lineage, db, *pairs)
    chains = model(pairs)
    for id in "ABCDEF":
        chain = next((chain for chain in chains if id in chain), [id])
        assert lineage.successor(db, "clinic", id) == (chain[-1] if chain[-1] != id else None)
        assert lineage.ancestors(db, "clinic", id) == tuple(chain[: chain.index(id)])
    db.close()


@given(st.lists(st.tuples(IDS, IDS), max_size=20), IDS, IDS)
def test_the_newest_statement_about_a_current_id_always_holds(pairs, old, new):
    lineage, db = Lineage(Keys(bytes(32))), fresh()
    record(lineage, db, *pairs)
    if lineage.successor(db, "clinic", old) is None and old != new:
        record(lineage, db, (old, new))
        assert lineage.successor(db, "clinic", old) == new
        assert lineage.successor(db, "clinic", new) is None
        assert lineage.ancestors(db, "clinic", new)[-1] == old
    db.close()
