"""API7:2023 Server Side Request Forgery: no value of a client's leads the gateway anywhere."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

pytestmark = pytest.mark.security


@pytest.fixture
async def elsewhere():
    """A server that nobody has any business with; → its address and who came."""
    came: list[bytes] = []

    async def served(reader, writer):
        came.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", came
    server.close()


async def test_nothing_that_a_client_says_is_an_address(api, elsewhere):
    host, came = elsewhere
    for url in (
        f"http://{host}/",
        f"//{host}/x",
        f"@{host}/",
        f"../../{host}",
        f"x@{host}",
        f"http:{host}",
        "file:///etc/passwd",
    ):
        id = quote(url, safe="")
        for path in (
            f"appointments/{id}",
            f"care-units/{id}/patients",
            f"timeslots?resource_id={id}",
            f"/api/emrs/{id}/patients",
        ):
            assert (await api.call("GET", path)).status_code in (200, 400, 404)
        for body in ({"resource_id": url}, {"comment": url}, {"callback": url}, {"$ref": url}):
            await api.call("PATCH", "appointments/B1004", body)
        for name in (
            "host",
            "x-forwarded-host",
            "x-forwarded-for",
            "forwarded",
            "referer",
            "origin",
            "x-original-url",
            "prefer",
        ):
            answer = await api.http.get("/api/emrs/in-place/patients", headers={**api.headers, name: url})
            assert answer.status_code in (200, 400)
            assert host not in answer.text + str(answer.headers)
    assert came == []
