"""What an account may be configured with, and what its server's statement leaves of the capabilities."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gateway.plugin import Kind
from plugins.fhir import Settings, emr_vendor
from plugins.fhir.declared import FULL, declared, narrowed
from tests.plugins.fhir.fake import STATEMENT

BASE = {"base_url": "https://fhir.example.org/r4"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "ftp://fhir.example.org"},
        {"base_url": "https://fhir.example.org/r4?x=1"},
        {"zone": "Europe/Nowhere"},
        {"auth": "basic", "user": "u"},
        {"auth": "bearer"},
        {"auth": "client_credentials", "client_id": "c", "client_secret": "s"},
        {"auth": "smart_backend", "client_id": "c", "scope": "system/*.rs"},
        {"auth": "authorization_code", "client_id": "c", "scope": "s", "token_url": "https://a.example/token"},
        {"auth": "smart_backend", "client_id": "c", "scope": "system/*.rs", "private_key": "no key"},
        {"resources": []},
        {"resources": ["Patient"]},
        {"resources": ["Location"]},
        {"longest_h": 0},
        {"slot_minutes": 0},
        {"holds": True},
        {"unknown": 1},
    ],
)
def test_an_account_that_can_not_work_is_refused_at_once(wrong):
    with pytest.raises(ValidationError):
        Settings.model_validate({**BASE, **wrong})


def test_secrets_do_not_show():
    settings = Settings.model_validate({**BASE, "auth": "bearer", "token": "sesame", "password": "open"})
    assert "sesame" not in repr(settings)
    assert "open" not in repr(settings)


def test_what_the_credentials_lack_is_named():
    with pytest.raises(ValidationError, match="client_credentials needs token_url and client_secret"):
        Settings.model_validate({**BASE, "auth": "client_credentials", "client_id": "c"})


def test_a_trailing_slash_makes_no_other_server():
    assert Settings.model_validate({"base_url": "https://fhir.example.org/r4/"}).base_url == BASE["base_url"]


def test_the_vendor_is_called_as_its_entry_point():
    assert emr_vendor().key == "fhir"


def test_a_full_statement_leaves_everything():
    assert narrowed(FULL, STATEMENT) == FULL


def test_a_statement_without_details_leaves_everything():
    assert narrowed(FULL, {"resourceType": "CapabilityStatement"}) == FULL


def test_a_server_without_json_patch_can_change_nothing():
    can = narrowed(FULL, {**STATEMENT, "patchFormat": ["application/fhir+json"]})
    assert (can.move, can.reassign, can.confirm) == ("none", "none", "none")
    assert {can.comment, can.cancel, can.discard, can.slot_records} == {False}
    assert can.create


def without(kind: str, interaction: str) -> dict[str, object]:
    resources = [
        {**one, "interaction": [i for i in one["interaction"] if (one["type"], i["code"]) != (kind, interaction)]}
        for one in STATEMENT["rest"][0]["resource"]
    ]
    return {**STATEMENT, "rest": [{"mode": "server", "resource": resources}]}


@pytest.mark.parametrize(
    ("kind", "interaction", "lost"),
    [
        ("Appointment", "patch", "cancel"),
        ("Appointment", "create", "create"),
        ("Appointment", "search-type", "lists"),
        ("Slot", "search-type", "own_time_shown"),
        ("Slot", "search-type", "slot_records"),
        ("Slot", "patch", "slot_records"),
    ],
)
def test_each_missing_interaction_costs_what_needs_it(kind, interaction, lost):
    assert not getattr(narrowed(FULL, without(kind, interaction)), lost)


@pytest.mark.parametrize(
    ("told", "edition"),
    [
        ({}, "standard"),
        ({"marks_slots": False}, "server-slots"),
        ({"dialect": "canvas"}, "canvas"),
        ({"dialect": "canvas", "marks_slots": False}, "canvas"),
    ],
)
def test_the_edition_is_the_dialect_and_who_marks_the_slots(told, edition):
    assert Settings.model_validate({**BASE, **told}).edition == edition
    assert emr_vendor().edition(edition) is not None


def test_settings_narrow_what_is_declared():
    settings = Settings.model_validate({**BASE, "care_units": "none", "marks_slots": False, "late_write_s": 1})
    can = declared(settings, {})
    assert Kind.CARE_UNIT not in can.directories
    assert (can.slot_records, can.late_write_s) == (False, 1.0)
