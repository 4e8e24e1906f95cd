"""Types for the fields that plugins' settings have in common."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from gateway.plugin import BaseUrl, Url, Zone, of_form


class Settings(BaseModel):
    base_url: BaseUrl = "https://emr.example"
    token_url: Url | None = None
    zone: Zone = ZoneInfo("UTC")
    key: Annotated[SecretStr, of_form(r"[a-z]+", "a key of small letters only")] = SecretStr("key")


@pytest.mark.parametrize("told", ["https://emr.example/r4", "https://emr.example/r4/", "https://emr.example/r4//"])
def test_a_base_url_is_the_same_with_and_without_a_slash(told):
    assert Settings.model_validate({"base_url": told}).base_url == "https://emr.example/r4"


def test_another_url_stays_as_it_is():
    assert Settings.model_validate({"token_url": "http://emr.example/t/"}).token_url == "http://emr.example/t/"


def test_a_zone_is_known_by_its_name_and_is_itself():
    assert Settings.model_validate({"zone": "Europe/Stockholm"}).zone == ZoneInfo("Europe/Stockholm")
    assert Settings(zone=ZoneInfo("Asia/Tokyo")).zone == ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize("field", ["base_url", "token_url"])
@pytest.mark.parametrize(
    "wrong",
    ["emr.example", "ftp://emr.example", "https://emr.example?x", "https://emr.example#x", "https://a b", "", 7],
)
def test_what_is_no_url_is_refused(field, wrong):
    with pytest.raises(ValidationError):
        Settings.model_validate({field: wrong})


@pytest.mark.parametrize("wrong", ["Europe/Nowhere", "europe/stockholm", "../UTC", "/etc/localtime", "", 7, None, {}])
def test_what_is_no_zone_is_refused(wrong):
    with pytest.raises(ValidationError):
        Settings.model_validate({"zone": wrong})


def test_a_refusal_quotes_no_zone():
    with pytest.raises(ValidationError) as no:
        Settings.model_validate({"zone": "Canary/Word"})
    assert [error["msg"] for error in no.value.errors()] == ["Value error, not an IANA time zone"]


def test_a_secret_is_of_the_form_that_is_due():
    assert Settings.model_validate({"key": "canary"}).key == SecretStr("canary")


@pytest.mark.parametrize("wrong", ["", "Canary", "canary\n", "canary word"])
def test_a_secret_of_another_form_is_refused_and_not_quoted(wrong):
    with pytest.raises(ValidationError) as no:
        Settings.model_validate({"key": wrong})
    assert [error["msg"] for error in no.value.errors()] == ["Value error, a key of small letters only"]
