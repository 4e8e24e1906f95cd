"""API2:2023 Broken Authentication: nobody without both credentials, whatever is asked for and however."""

from __future__ import annotations

import pytest

from tests.security import matrix

pytestmark = pytest.mark.security
GOOD = {"x-leyr-client-id": "one", "x-leyr-client-secret": "one-secret"}
BAD = [
    {},
    {"x-leyr-client-id": "one"},
    {"x-leyr-client-secret": "one-secret"},
    {**GOOD, "x-leyr-client-secret": "two-secret"},
    {**GOOD, "x-leyr-client-secret": "one-secret "[:-2]},
    {**GOOD, "x-leyr-client-id": "ONE"},
    {**GOOD, "x-leyr-client-secret": "plain:one-secret"},
    {**GOOD, "x-leyr-client-secret": ""},
    {"authorization": "Bearer one-secret", "cookie": "x-leyr-client-id=one"},
]


@pytest.mark.parametrize(("method", "path"), list(matrix.operations()))
async def test_no_operation_is_open_to_anybody(http, method, path):
    path = path.format(emr="in-place", care_unit_id="U1", appointment_id="B1001", command_id="x")
    for headers in BAD:
        answer = await http.request(method, path, headers=headers, json={"comment": "x"})
        assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"]


async def test_credentials_that_are_given_twice_are_none_and_those_of_an_address_are_none(http):
    twice = [*GOOD.items(), ("x-leyr-client-secret", "one-secret")]
    assert (await http.get("/api/emrs", headers=twice)).status_code == 401
    query = {"x-leyr-client-id": "one", "x-leyr-client-secret": "one-secret"}
    assert (await http.get("/api/emrs", params=query)).status_code == 401


async def test_a_refusal_says_the_same_of_an_unknown_client_and_of_a_wrong_secret(http):
    answers = []
    for headers in ({**GOOD, "x-leyr-client-id": "nobody"}, {**GOOD, "x-leyr-client-secret": "wrong"}):
        answer = await http.get("/api/emrs", headers=headers)
        kept = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
        answers.append(({**answer.json(), "instance": ""}, kept))
    assert answers[0] == answers[1]


async def test_guesses_do_not_keep_out_who_knows(http):
    for n in range(120):
        wrong = {**GOOD, "x-leyr-client-secret": f"guess {n}"}
        assert (await http.get("/api/emrs", headers=wrong)).status_code == 401
    assert (await http.get("/api/emrs", headers=GOOD)).status_code == 200
