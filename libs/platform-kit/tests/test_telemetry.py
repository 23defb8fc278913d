"""The trace context goes on over HTTP, events and tasks, with spans and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asgi_call import call
from event_rig import Rig, an_event
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.responses import Response

from platform_kit import telemetry
from platform_kit.canonical import CanonicalLogMiddleware
from platform_kit.settings import ServiceSettings

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Tracing on, into memory."""
    exporter = InMemorySpanExporter()
    telemetry.trace_to(SimpleSpanProcessor(exporter), "test-service")
    yield exporter
    telemetry.stop_tracing()


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        PARENT[:-1],
        PARENT + "0",
        PARENT.replace("00-", "01-", 1),
        PARENT.replace("a", "A"),
        PARENT.replace("b7ad6b7169203331", "0" * 16),
        PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        PARENT.replace("-b7", "_b7"),
        PARENT.replace("c8", "cx"),
    ],
)
def test_a_malformed_context_is_not_continued(value: str | None) -> None:
    assert telemetry.valid_traceparent(value) is None


def test_a_context_that_we_begin_is_well_formed() -> None:
    made = telemetry.new_traceparent()
    assert telemetry.valid_traceparent(made) == made
    assert made != telemetry.new_traceparent()
    assert telemetry.valid_traceparent(PARENT) == PARENT


def test_without_an_endpoint_there_are_no_spans_and_the_context_goes_on() -> None:
    telemetry.configure_tracing(ServiceSettings(), "test-service")
    assert not telemetry.is_tracing()
    with telemetry.span("outer", traceparent=PARENT) as span:
        assert span is None
        with telemetry.span("inner"):
            assert telemetry.current_traceparent() == PARENT
    assert telemetry.current_traceparent() is None


def test_an_event_takes_the_context_that_it_is_made_in() -> None:
    with telemetry.span("request", traceparent=PARENT):
        assert an_event().traceparent == PARENT
    assert an_event().traceparent is None


async def test_a_request_is_a_server_span_below_its_callers_and_named_by_its_route(
    spans: InMemorySpanExporter,
) -> None:
    class Route:
        path = "/v1/things/{thing_id}"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = Route
        with telemetry.span("call", "client"):
            inner = telemetry.current_traceparent()
        await Response((inner or "").encode())(scope, receive, send)

    door = CanonicalLogMiddleware(app, service="s", version="1")
    answer = await call(door, "/v1/things/7", headers={"traceparent": PARENT})

    client, server = spans.get_finished_spans()
    assert server.name == "GET /v1/things/{thing_id}"
    assert _trace(server) == "0af7651916cd43dd8448eb211c80319c"
    assert server.parent is not None
    assert f"{server.parent.span_id:016x}" == "b7ad6b7169203331"
    assert client.parent is not None
    assert server.context is not None
    assert client.parent.span_id == server.context.span_id
    assert answer.body.decode()[3:35] == _trace(server)
    assert telemetry.current_traceparent() is None


def _trace(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


async def test_a_batch_of_events_is_a_span_linked_to_each_of_them(
    rig: Rig, spans: InMemorySpanExporter
) -> None:
    await rig.write(2, traceparent=PARENT)
    await rig.relay_all()
    await rig.consume_all(rig.consumer(), 2)

    consumed = [span for span in spans.get_finished_spans() if span.name == f"consume {rig.stream}"]
    assert [f"{link.context.trace_id:032x}" for span in consumed for link in span.links] == [PARENT[3:35]] * 2


def test_labels_of_requests_are_kept_and_not_made_anew() -> None:
    telemetry.observe_request("/kept", "GET", 200, 0.01)
    before = telemetry._request_children.cache_info().hits
    telemetry.observe_request("/kept", "GET", 200, 0.01)
    assert telemetry._request_children.cache_info().hits == before + 1
