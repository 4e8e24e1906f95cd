"""Spans for OpenTelemetry, made by hand: of each request, of each command, and of each request to an EMR.

They are off unless the configuration names a collector, and cost nothing then; the packages for them are an extra
(`otel`). No span holds what could name a patient: no address, no id but a command's own, no text of anybody's. A
client's `traceparent` is gone on with, but no `tracestate`, which may say anything; an EMR is told the trace only where
its account says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any, Protocol

import httpx

from gateway import __version__
from gateway.vendor.flight import TOKEN_REQUEST, current_flight

EXTRA = "opentelemetry.exporter.otlp.proto.http"
_PARENT = "traceparent"
_EXPORT_S, _ENDING_S = 5.0, 10.0


class Span(Protocol):
    def set_attribute(self, key: str, value: str | int) -> None: ...

    def update_name(self, name: str) -> None: ...


class _NoSpan:
    def set_attribute(self, key: str, value: str | int) -> None:
        pass

    def update_name(self, name: str) -> None:
        pass


_NOTHING: AbstractContextManager[Span] = nullcontext(_NoSpan())


class _Tracer:
    """What is used of OpenTelemetry; made only where its packages are."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - an extra
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._tracer = provider.get_tracer("emr-gateway", __version__)
        self._kinds, self._words = trace.SpanKind, TraceContextTextMapPropagator()

    @contextmanager
    def span(self, name: str, kind: str, parent: str | None = None) -> Iterator[Span]:
        """`parent`: the `traceparent` that it came with; else it belongs to the one around it."""
        told = {
            # What an exception says may be a patient's.
            "record_exception": False,
            "set_status_on_exception": False,
        }
        context = None if parent is None else self._words.extract({_PARENT: parent})
        with self._tracer.start_as_current_span(name, context, kind=self._kinds[kind], **told) as found:
            try:
                yield found
            except BaseException as error:
                found.set_attribute("error.type", type(error).__name__)
                raise

    def parent(self) -> dict[str, str]:
        """The header for whoever goes on with it."""
        found: dict[str, str] = {}
        self._words.inject(found)
        return {_PARENT: found[_PARENT]} if _PARENT in found else {}


_tracer: _Tracer | None = None


def is_installed() -> bool:
    try:
        return find_spec(EXTRA) is not None
    except ModuleNotFoundError:
        return False


@contextmanager
def by(provider: Any) -> Iterator[None]:
    """Within it spans are made by this provider of OpenTelemetry's."""
    global _tracer  # noqa: PLW0603 - one for the process, as logging is
    before, _tracer = _tracer, _Tracer(provider)
    try:
        yield
    finally:
        _tracer = before


@asynccontextmanager
async def sent_to(endpoint: str, share: float) -> AsyncIterator[None]:
    """Within it spans are sent to a collector (OTLP over HTTP); nowhere, where `endpoint` is empty."""
    if not endpoint:
        yield
        return
    provider = _provider(endpoint, share)
    try:
        with by(provider):
            yield
    finally:
        await asyncio.wait({asyncio.create_task(asyncio.to_thread(provider.shutdown))}, timeout=_ENDING_S)


def _provider(endpoint: str, share: float) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415

    about = Resource.create({"service.name": "emr-gateway", "service.version": __version__})
    provider = TracerProvider(resource=about, sampler=ParentBased(TraceIdRatioBased(share)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=_EXPORT_S)))
    return provider


# -- what is traced ---------------------------------------------------------------------------------------------------


def request(method: str, headers: Iterable[tuple[bytes, bytes]]) -> AbstractContextManager[Span]:
    """A request of a client, which may have a trace already."""
    if _tracer is None:
        return _NOTHING
    given = [value.decode("latin-1") for name, value in headers if name == _PARENT.encode()]
    return _tracer.span(method, "SERVER", given[0] if len(given) == 1 else None)


def answered(span: Span, method: str, route: str | None, status: int) -> None:
    span.update_name(f"{method} {route or 'none'}")
    span.set_attribute("http.request.method", method)
    span.set_attribute("http.route", route or "none")
    span.set_attribute("http.response.status_code", status)


def command(id: str, operation: str) -> AbstractContextManager[Span]:
    """From a command's first question to its end, or to where repair takes over."""
    if _tracer is None:
        return _NOTHING
    return _told(
        _tracer.span(f"command {operation}", "INTERNAL"), {"gateway.operation": operation, "gateway.command": id}
    )


def around(inner: httpx.AsyncBaseTransport, plugin: str, *, passed_on: bool) -> httpx.AsyncBaseTransport:
    """The way to an EMR, each request on it a span; the way itself, where nothing is traced.

    `passed_on`: the EMR is told the trace.
    """
    return inner if _tracer is None else _Traced(inner, plugin, _tracer, passed_on=passed_on)


@contextmanager
def _told(made: AbstractContextManager[Span], attributes: Mapping[str, str]) -> Iterator[Span]:
    with made as span:
        for name, value in attributes.items():
            span.set_attribute(name, value)
        yield span


class _Traced(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport, plugin: str, tracer: _Tracer, *, passed_on: bool) -> None:
        self._inner, self._plugin, self._tracer, self._passed_on = inner, plugin, tracer, passed_on

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        flight = current_flight()
        if TOKEN_REQUEST in request.extensions or flight is None:
            return await self._inner.handle_async_request(request)
        kind = "write" if flight.is_write else "read"
        about = {"gateway.plugin": self._plugin, "gateway.kind": kind, "http.request.method": request.method}
        with _told(self._tracer.span(f"{self._plugin} {kind}", "CLIENT"), about) as span:
            if self._passed_on:
                request.headers.update(self._tracer.parent())
            response = await self._inner.handle_async_request(request)
            span.set_attribute("http.response.status_code", response.status_code)
            return response
