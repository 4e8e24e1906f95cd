"""API5:2023 Broken Function Level Authorization: a client's port has nothing for operators, and no other methods."""

from __future__ import annotations

import stat

import pytest

from gateway.attention import control
from tests.security import matrix

pytestmark = pytest.mark.security
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND")


@pytest.mark.parametrize("path", sorted({path for _, path in matrix.operations()}))
async def test_only_the_described_methods_of_a_path_are_there(api, path):
    allowed = {method for method, other in matrix.operations() if other == path}
    place = path.format(emr="in-place", care_unit_id="U1", appointment_id="B1001", command_id="x")
    for method in set(METHODS) - allowed - ({"HEAD"} if "GET" in allowed else set()):
        answer = await api.http.request(method, place, headers=api.headers)
        assert answer.status_code == 405, (method, path)
        assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == allowed


@pytest.mark.parametrize("override", ["x-http-method-override", "x-http-method", "x-method-override"])
async def test_a_method_can_not_be_another_one(api, override):
    answer = await api.http.get("/api/emrs", headers={**api.headers, override: "DELETE"})
    assert answer.status_code == 200


async def test_what_operators_do_has_no_address(api):
    socket = [route.path for route in control.app(None, None).routes]
    assert socket
    for path in (
        *socket,
        "/admin",
        "/control",
        "/reload",
        "/status",
        "/audit",
        "/backup",
        "/debug",
        "/commands",
        "/_control",
    ):
        for method in ("GET", "POST"):
            answer = await api.http.request(method, path.format(id="x"), headers=api.headers)
            assert answer.status_code == 404, path


def test_the_operators_socket_is_its_owner_s_alone(tmp_path):
    with control.bound(tmp_path) as listening:
        assert listening is not None
        assert stat.S_IMODE((tmp_path / control.NAME).stat().st_mode) == 0o600
