"""Every way in which EMRs tell their limits, and nothing read into what tells none."""

import email.utils
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateway.clock import now
from gateway.vendor.limits import Told, Window, retry_after, told

NOON = datetime(2031, 3, 3, 12, tzinfo=UTC)
DATE = {"Date": "Mon, 03 Mar 2031 12:00:00 GMT"}
EPOCH = int(NOON.timestamp())


def answer(headers: dict[str, str], status: int = 429) -> httpx.Response:
    return httpx.Response(status, headers=DATE | headers)


MOMENTS = {
    "7": 7,
    " 1.5 ": 1.5,
    "0": 0,
    "Mon, 03 Mar 2031 12:01:00 GMT": 60,
    "Mon, 03 Mar 2031 13:01:00 +0100": 60,
    "Mon, 03 Mar 2031 11:00:00 GMT": 0,
    "2031-03-03T12:01:00Z": 60,
    "2031-03-03T13:01:00+01:00": 60,
    "2031-03-03T12:01:00": 60,
    str(EPOCH + 90): 90,
    str(EPOCH - 90): 0,
    str((EPOCH + 90) * 1000): 90,
    str((EPOCH + 90) * 1000 + 500): 90.5,
}


@pytest.mark.parametrize(("text", "seconds"), MOMENTS.items())
@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset", "X-Rate-Limit-Reset", "X-Daily-Quota-Reset"])
def test_a_moment_is_understood_in_every_form(header: str, text: str, seconds: float):
    assert retry_after(answer({header: text})) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "-5", "nan", "inf", "1e400", "Fri, 99 Nov 2026 10:00:00 GMT", "2031-13-01T00:00:00Z", "9" * 400],
)
@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
def test_a_senseless_moment_is_none(header: str, text: str):
    assert retry_after(answer({header: text})) is None


def test_a_date_is_by_the_clock_of_whom_it_is_from():
    late = now() - timedelta(hours=5)
    headers = {"Date": email.utils.format_datetime(late, usegmt=True)}
    wanted = {"Retry-After": email.utils.format_datetime(late + timedelta(seconds=60), usegmt=True)}
    assert retry_after(httpx.Response(429, headers=headers | wanted)) == 60
    ours = {"Retry-After": email.utils.format_datetime(now() + timedelta(hours=1), usegmt=True)}
    assert 3590 <= (retry_after(httpx.Response(429, headers=ours)) or 0) <= 3600


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "2", "X-RateLimit-Reset": "30"}, 2),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "30"}, 30),
        ({"X-RateLimit-Retry-After": "4"}, 4),
        ({"Retry-After-Ms": "1500"}, 1.5),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}, 30),
        # What is not used up is no reason to wait for it.
        ({"X-RateLimit-Remaining": "3", "X-RateLimit-Reset": "3000"}, None),
        ({"X-RateLimit-Remaining-Hour": "0", "X-RateLimit-Reset-Hour": "3000", "X-RateLimit-Reset": "5"}, 3000),
        ({"X-Password-Reset": "30"}, None),
        ({}, None),
    ],
)
def test_a_later_is_waited_for_as_long_as_is_said_or_until_what_is_used_up_comes_back(
    headers: dict[str, str], seconds: float | None
):
    assert retry_after(answer(headers)) == seconds


@pytest.mark.parametrize(
    ("headers", "window"),
    [
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": str(EPOCH + 60)}, Window(7, 60)),
        ({"RateLimit-Limit": "100", "RateLimit-Remaining": "50", "RateLimit-Reset": "50"}, Window(50, 50)),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2031-03-03T12:05:00+00:00"}, Window(0, 300)),
        ({"X-RateLimit-Remaining-Default": "9", "X-RateLimit-Reset-Default": "60"}, Window(9, 60)),
        ({"X-Daily-Quota-Remaining": "12", "X-Daily-Quota-Reset": "3600"}, Window(12, 3600)),
        ({"RateLimit": '"default";r=50;t=30'}, Window(50, 30)),
        ({"RateLimit": '"hour";r=50;t=3000, "minute";r=5;t=30'}, Window(5, 30)),
        ({"RateLimit": "limit=100, remaining=5, reset=30"}, Window(5, 30)),
        ({"X-RateLimit-Remaining": "1, 1000", "X-RateLimit-Reset": "1, 1419704"}, Window(1, 1)),
        # Of two that are used up, the longer one keeps us.
        ({"RateLimit": '"a";r=0;t=30, "b";r=0;t=300'}, Window(0, 300)),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "0"}, None),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(EPOCH - 1)}, None),
        ({"X-RateLimit-Remaining": "7"}, None),
        ({"X-RateLimit-Reset": "60"}, None),
        ({"X-RateLimit-Remaining": "some", "X-RateLimit-Reset": "60"}, None),
        ({"X-RateLimit-Remaining": "-1", "X-RateLimit-Reset": "60"}, None),
        ({"RateLimit": '"default";r=50'}, None),
        ({"RateLimit-Policy": '"default";q=100;w=60'}, None),
        ({}, None),
    ],
)
def test_what_is_left_is_told_by_any_answer(headers: dict[str, str], window: Window | None):
    assert told(answer(headers, 200)) == Told(None, window)


@pytest.mark.parametrize(("status", "later"), [(429, 9), (503, 9), (200, None), (202, None), (301, None), (404, None)])
def test_only_some_answers_ask_to_be_called_later(status: int, later: float | None):
    assert told(answer({"Retry-After": "9"}, status)).later_s == later
