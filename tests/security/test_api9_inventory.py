"""API9:2023 Improper Inventory Management: what is served is what is described, and nothing beside it."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from starlette.routing import Route

from gateway.routes import build
from tests.security.matrix import API
from tests.stub_gateway import StubGateway

pytestmark = pytest.mark.security


def test_the_route_table_is_the_description():
    served = set()
    for route in build(StubGateway(), registry=CollectorRegistry()).routes:
        assert isinstance(route, Route)
        served |= {(method.lower(), route.path) for method in route.endpoint.allowed if method != "HEAD"}
    described = {(method, path) for path, operations in API["paths"].items() for method in operations}
    undescribed = {("get", path) for path in ("/errors",)}
    assert served - described <= undescribed | {("get", "/docs"), ("get", "/openapi.json")}
    assert described <= served


@pytest.mark.parametrize(
    "path", ["/api", "/api/v1/emrs", "/v1/api/emrs", "/api/emrs/in-place", "/redoc", "/swagger", "/graphql", "/.env"]
)
async def test_there_is_no_other_door(api, path):
    assert (await api.http.get(path, headers=api.headers)).status_code == 404
