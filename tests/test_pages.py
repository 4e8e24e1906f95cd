import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

import gateway
from gateway import pages
from gateway.domain.errors import GatewayError
from gateway.openapi import document
from gateway.pages.texts import CODES, ERROR_CODES, kinds
from tests.stub_gateway import StubGateway, client_of

CONTRACT_CODES = {
    "BAD_REQUEST", "UNAUTHORIZED", "NOT_FOUND", "CONFLICT", "EMR_REFUSED", "REQUEST_IN_PROGRESS", "METHOD_NOT_ALLOWED",
    "PRECONDITION_FAILED", "PLAN_CHANGED", "PAYLOAD_TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE", "IDEMPOTENCY_KEY_REUSED",
    "RATE_LIMITED", "UNKNOWN_ERROR", "EMR_ERROR", "EMR_DEVIATION", "PARTIALLY_APPLIED", "OUTCOME_UNKNOWN",
    "EMR_UNAVAILABLE", "BUSY", "EMR_TIMEOUT",
}  # fmt: skip
CONTRACT_ERROR_CODES = {
    "BAD_INPUT", "MISSING_REQUIRED_FIELD", "INVALID_APPOINTMENT_ID", "INVALID_RESOURCE_ID", "INVALID_PATIENT_ID",
    "INVALID_HEALTHCARE_SERVICE_ID", "INVALID_CARE_UNIT_ID", "NO_TIMESLOTS_AVAILABLE", "AMBIGUOUS_TIMESLOTS",
    "MIXED_APPOINTMENTS", "INVALID_COMMENT_LENGTH", "MAX_ITEMS_EXCEEDED", "INVALID_CONFIRMATION_CODE", "NOT_SUPPORTED",
    "INVALID_APPOINTMENT_STATUS", "CONFIRMATION_EXPIRED", "CHANGED_MEANWHILE", "EMR_CREDENTIALS",
}  # fmt: skip
VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """Reads a page: are its tags balanced, and where does it point?"""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.tags: set[str] = set()
        self.words = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value)
            if name == "id":
                self.ids.add(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def test_the_texts_are_of_exactly_the_contracts_codes():
    assert set(CODES) == CONTRACT_CODES
    assert set(ERROR_CODES) == CONTRACT_ERROR_CODES


def test_every_kind_of_error_has_a_text():
    assert {kind.code for kind in kinds()} == set(CODES)
    assert GatewayError in set(kinds())


def test_every_error_code_in_the_source_has_a_page():
    sources = [path.read_text() for path in Path(gateway.__file__).parent.rglob("*.py")]
    used = {code for text in sources for code in re.findall(r'Problem\(\s*"([A-Z_]+)"', text)}
    assert used
    assert {code for code in used if pages.error(code) is None} == set()


@pytest.mark.parametrize("code", sorted(CONTRACT_CODES | CONTRACT_ERROR_CODES))
async def test_every_code_has_a_page_that_says_what_it_means_and_what_to_do(code):
    async with client_of(StubGateway()) as client:
        client.headers = httpx.Headers()
        response = await client.get(f"/errors/{code}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = Page(response.text)
    text = CODES.get(code) or ERROR_CODES[code]
    assert text.meaning in page.words
    assert text.remedy in page.words
    for kind in kinds():
        assert (f"status {kind.status}, “{kind.title}”" in page.words) is (kind.code == code)


async def test_the_index_and_the_docs_are_whole_pages_that_load_nothing_and_lead_somewhere():
    async with client_of(StubGateway()) as client:
        for path in ("/errors", "/docs", "/errors/BUSY"):
            response = await client.get(path)
            assert response.headers["content-security-policy"].startswith("default-src 'none'")
            page = Page(response.text)
            assert not page.tags & {"script", "link", "img", "iframe"}
            assert "url(" not in response.text
            assert "@import" not in response.text
            for link in page.links:
                if link.startswith("#"):
                    assert link[1:] in page.ids
                else:
                    assert (await client.get(link)).status_code == 200, link


async def test_the_index_leads_to_every_code():
    page = Page(pages.error_index())
    assert {link.rsplit("/", 1)[-1] for link in page.links} == CONTRACT_CODES | CONTRACT_ERROR_CODES


def test_the_docs_show_every_operation_parameter_and_schema():
    told = document("https://gateway.example")
    page = Page(pages.docs(told))
    for path, item in told["paths"].items():
        assert path in page.words
        assert {operation["operationId"] for operation in item.values()} <= page.ids
    assert {f"schema-{name}" for name in told["components"]["schemas"]} <= page.ids
    for parameter in told["components"]["parameters"].values():
        assert parameter["name"] in page.words


def test_a_page_shows_markup_as_text():
    assert "<b>" not in pages.docs(
        {"info": {"title": "<b>", "description": "`<b>`"}, "paths": {}, "components": {"schemas": {}}}
    )
