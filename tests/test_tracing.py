"""Spans: one for each request to an EMR, in the client's own trace, and nothing of a patient in any of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway import tracing
from gateway.app import mistakes_in, running
from gateway.configuration.settings import examine, load
from gateway.vendor.http import Door
from tests.config_files import write
from tests.e2e.conftest import Api, write_config

ROOT = Path(__file__).parents[1]
TRACE = "0af7651916cd43dd8448eb211c80319c"
GIVEN = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "vendor=Signe"}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with tracing.by(provider):
        yield exporter


async def test_a_command_is_one_trace_of_its_client_and_each_call_to_its_emr_a_span(config, spans):
    async with (
        running(load({}, config=config)) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway.test") as http,
    ):
        api = Api(http)
        (made,) = await api.booked(1)
        spans.clear()
        comment = "Signe Testdotter asked for it"
        answer = await api.call("PATCH", f"appointments/{made['id']}", {"comment": comment}, GIVEN)
        assert answer.status_code == 200
        told = spans.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in told} == {TRACE}
    calls = [span for span in told if span.kind.name == "CLIENT"]
    assert len(calls) == int(answer.headers["x-emr-calls"]) > 1
    (command,) = (span for span in told if span.name == "command update")
    assert command.attributes["gateway.command"] == answer.headers["x-command-id"]
    assert {span.parent.span_id for span in calls} == {command.context.span_id}
    (request,) = (span for span in told if span.kind.name == "SERVER")
    assert request.name == "PATCH /api/emrs/{emr}/appointments/{appointment_id}"
    assert request.attributes["http.response.status_code"] == 200
    assert f"{request.parent.span_id:016x}" == "b7ad6b7169203331"
    everything = " ".join(span.to_json() for span in told)
    for secret in (comment, "Signe", made["id"], made["patient_id"], "one-secret", "in-place-key"):
        assert f'"{secret}' not in everything, secret
    assert not any(span.events for span in told)


async def test_a_trace_that_makes_no_sense_begins_a_new_one(config, spans):
    async with (
        running(load({}, config=config)) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gateway.test") as http,
    ):
        spans.clear()
        await http.get("/healthz", headers={"traceparent": "00-not-a-trace"})
        (span,) = spans.get_finished_spans()
    assert span.parent is None


@pytest.mark.parametrize("passed_on", [True, False])
async def test_an_emr_is_told_the_trace_only_where_its_account_says_so(spans, passed_on):
    seen = []
    emr = httpx.MockTransport(lambda request: seen.append(request.headers) or httpx.Response(200, json={}))
    http = Door(tracing.around(emr, "acme", passed_on=passed_on)).http(base_url="http://emr.example")
    await http.read("/a?name=Signe", lambda answer: answer.json())
    (span,) = spans.get_finished_spans()
    given = seen[0].get("traceparent", "")
    own = f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"
    assert given[:-2] == (own if passed_on else "")
    assert "tracestate" not in seen[0]
    assert "Signe" not in span.to_json()


async def test_a_call_that_fails_says_its_kind_and_nothing_of_its_words(spans):
    def broken(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("Signe Testdotter")

    http = Door(tracing.around(httpx.MockTransport(broken), "acme", passed_on=False)).http(
        base_url="http://emr.example"
    )
    with pytest.raises(Exception, match=r"^(?!.*Signe)"):
        await http.write("POST", "/a", lambda answer: answer.json())
    (span,) = spans.get_finished_spans()
    assert span.attributes["error.type"] == "ReadError"
    assert "Signe" not in span.to_json()


def test_without_a_collector_the_way_to_an_emr_is_the_way_itself():
    way = httpx.MockTransport(lambda _: httpx.Response(200))
    assert tracing.around(way, "acme", passed_on=True) is way


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", got
        server.shutdown()
        thread.join()


async def test_what_is_left_is_sent_to_the_collector_at_the_end():
    with collector() as (endpoint, got):
        async with tracing.sent_to(endpoint, 1.0):
            with tracing.command("c1", "update"):
                pass
        (body,) = got
    (found,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert found.scope_spans[0].spans[0].name == "command update"
    about = {one.key: one.value.string_value for one in found.resource.attributes}
    assert about["service.name"] == "emr-gateway"


async def test_a_collector_that_is_not_there_keeps_nobody_from_ending():
    async with tracing.sent_to("http://127.0.0.1:9/v1/traces", 0.0):
        with tracing.command("c1", "update"):
            pass


def test_packages_that_are_missing_are_a_sentence_of_the_check(tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.tracing.EXTRA", "opentelemetry_that_is_not_there.exporter")
    settings, found = examine({}, config=write(tmp_path, '[tracing]\nendpoint = "http://127.0.0.1:4318/v1/traces"\n'))
    assert found == []
    (sentence,) = mistakes_in(settings)
    assert sentence.startswith("tracing.endpoint wants packages that are not installed")


def test_without_the_extra_everything_else_is_there_and_nothing_of_it_is_loaded():
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import gateway.__main__ as m; from gateway import tracing\n"
        "assert not tracing.is_installed()\n"
        "with tracing.command('a', 'b') as span: span.set_attribute('c', 'd')\n"
        "assert [n for n in sys.modules if n.startswith('opentelemetry')] == ['opentelemetry']\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
