"""All routes, and the application that serves them."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Lifespan, Receive, Scope, Send

from gateway import pages
from gateway.api import Gateway
from gateway.domain.model import Kind
from gateway.openapi import document
from gateway.routes.endpoints import Endpoints
from gateway.routes.entrance import Entrance, refusals
from gateway.routes.patience import Endpoint, while_waited_for
from gateway.routes.public import Count, Public, metrics

DEFAULT_URL = "http://127.0.0.1:8080"


class Methods:
    """The endpoints of one path by method; GET is HEAD too, every other method is 405."""

    def __init__(self, **endpoints: Endpoint) -> None:
        self._endpoints = dict(endpoints)
        if "GET" in endpoints:
            self._endpoints["HEAD"] = endpoints["GET"]
        self.allowed = tuple(sorted(self._endpoints))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get(scope["method"])
        if endpoint is None:
            raise HTTPException(405, headers={"allow": ", ".join(self.allowed)})
        request = Request(scope, receive, send)
        response = await endpoint(request)
        await response(scope, receive, send)


def build(
    gateway: Gateway,
    *,
    public_url: str = DEFAULT_URL,
    registry: CollectorRegistry | None = None,
    max_items: int = 100,
    lifespan: Lifespan[Any] | None = None,
) -> Starlette:
    """The HTTP application. `public_url`: where clients reach it, for the pages that errors point to.

    `registry` is what `/metrics` shows; without one there is no `/metrics` (it may be bound elsewhere: `metrics_app`).
    """
    url = public_url.rstrip("/")
    app = Starlette(
        routes=create_routes(gateway, url, registry, max_items),
        middleware=[Middleware(Entrance, public_url=url, heard=gateway.heard)],
        exception_handlers=refusals(url),
        lifespan=lifespan,
    )
    # An id never ends in a slash by accident: a path with one more slash is another path.
    app.router.redirect_slashes = False
    return app


def metrics_app(registry: CollectorRegistry, count: Count, *, public_url: str = DEFAULT_URL) -> Starlette:
    """`/metrics` alone, to be bound to an address of its own. `count` is called before it is told."""
    return Starlette(
        routes=[Route("/metrics", Methods(GET=partial(metrics, registry, count)))],
        middleware=[Middleware(Entrance, public_url=public_url)],
        exception_handlers=refusals(public_url),
    )


def create_routes(gateway: Gateway, public_url: str, registry: CollectorRegistry | None, max_items: int) -> list[Route]:
    public = Public(gateway, *_description(public_url, max_items, registry is not None))
    routes = {
        "/healthz": Methods(GET=public.healthz),
        "/readyz": Methods(GET=public.readyz),
        "/openapi.json": Methods(GET=public.openapi),
        "/docs": Methods(GET=public.docs),
        "/errors": Methods(GET=public.errors),
        "/errors/{code}": Methods(GET=public.error),
    }
    if registry is not None:
        routes["/metrics"] = Methods(GET=partial(metrics, registry, gateway.count))
    return [Route(path, methods) for path, methods in (routes | _guarded(gateway, public_url, max_items)).items()]


@lru_cache(maxsize=8)
def _description(public_url: str, max_items: int, metrics: bool) -> tuple[dict[str, Any], str]:
    """The description of the API and its page, made once: that takes longer than all else of a start."""
    described = document(public_url, max_items, metrics=metrics)
    return described, pages.docs(described)


def _guarded(gateway: Gateway, public_url: str, max_items: int) -> dict[str, Methods]:
    api = Endpoints(gateway, public_url, max_items)

    def read(endpoint: Endpoint) -> Endpoint:
        return api.admitted(while_waited_for(endpoint))

    of_an_emr = {
        "/appointments": Methods(
            GET=read(api.appointments), PATCH=api.admitted(api.patch_many), POST=api.admitted(api.book)
        ),
        "/appointments/{appointment_id}": Methods(GET=read(api.appointment), PATCH=api.admitted(api.patch_one)),
        "/timeslots": Methods(GET=read(api.timeslots)),
        **{f"/{kind}": Methods(GET=read(partial(api.directory, kind=kind))) for kind in Kind},
    }
    return {
        "/api/emrs": Methods(GET=api.admitted(api.emrs)),
        "/api/commands": Methods(GET=api.admitted(api.commands)),
        "/api/commands/{command_id}": Methods(GET=api.admitted(api.command)),
        **{f"/api/emrs/{{emr}}{path}": methods for path, methods in of_an_emr.items()},
        **{f"/api/emrs/{{emr}}/care-units/{{care_unit_id}}{path}": m for path, m in of_an_emr.items()},
    }
