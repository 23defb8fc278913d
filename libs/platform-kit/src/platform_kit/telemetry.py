"""Every metric name of the platform's plumbing in one place, and tracing that costs nothing while it is off.

Metrics of a domain (payments by status, decisions by kind) belong to their service. Labels are bounded: route
templates, never paths; names of clients, tasks and streams, never ids.

The W3C trace context goes on over HTTP headers, the `traceparent` of an event and the headers of a task,
whether or not spans are exported: the same trace id stands in the log lines of every process that a payment
touched.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from platform_kit.settings import ServiceSettings

Kind = Literal["server", "client", "producer", "consumer", "internal"]

# Bounds around the goals: p50 25 ms, p99 80 ms, risk deadline 100 ms, channel timeout 30 s.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.08, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ITEMS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

http_requests_total = Counter("http_requests_total", "Requests answered.", ["route", "method", "status"])
http_request_seconds = Histogram(
    "http_request_seconds", "Time to answer.", ["route", "method"], buckets=_SECONDS
)
http_client_seconds = Histogram(
    "http_client_seconds",
    "Calls of other services by outcome: a status class, not_sent or no_answer.",
    ["client", "outcome"],
    buckets=_SECONDS,
)
breaker_state = Gauge("breaker_state", "0 closed, 1 half open, 2 open.", ["client"])

committer_flush_items = Histogram(
    "committer_flush_items", "Items in one flush.", ["committer"], buckets=_ITEMS
)
committer_flush_seconds = Histogram(
    "committer_flush_seconds", "Time of one flush, commit included.", ["committer"], buckets=_SECONDS
)
committer_queue = Gauge("committer_queue", "Items waiting after the last flush.", ["committer"])

outbox_unpublished = Gauge("outbox_unpublished", "Events that have a position and are not on the stream yet.")
outbox_position = Gauge("outbox_position", "Highest position given.")
outbox_published_total = Counter("outbox_published_total", "Events put on the stream, repeats included.")
stream_lag = Gauge("stream_lag", "Positions between the head and the cursor.", ["stream", "consumer"])
stream_events_total = Counter(
    "stream_events_total", "Events applied or set aside.", ["stream", "consumer", "outcome"]
)
stream_gap_repaired_total = Counter(
    "stream_gap_repaired_total", "Events that came from the events API.", ["stream", "consumer"]
)
stream_stopped = Gauge("stream_stopped", "1 while the poison cap holds the consumer.", ["stream", "consumer"])
task_seconds = Histogram(
    "task_seconds", "Background tasks.", ["task", "outcome"], buckets=(*_SECONDS, 120, 600)
)
rate_limited_total = Counter("rate_limited_total", "Requests refused with 429.", ["limit"])
rate_limits_alone = Gauge("rate_limits_alone", "1 while Redis is away and this process limits alone.")
requests_shed_total = Counter(
    "requests_shed_total", "Requests refused with 503 because the process was behind.", ["priority"]
)
concurrency_limit = Gauge("concurrency_limit", "How many requests this process lets in at once.")

# `labels()` takes a lock and joins strings; the few combinations that exist are kept.
_request_children = lru_cache(maxsize=4096)(
    lambda route, method, status: (
        http_requests_total.labels(route, method, str(status)).inc,
        http_request_seconds.labels(route, method).observe,
    )
)
_flush_children = lru_cache(maxsize=64)(
    lambda name: (
        committer_flush_items.labels(name).observe,
        committer_flush_seconds.labels(name).observe,
        committer_queue.labels(name).set,
    )
)
_client_child = lru_cache(maxsize=1024)(
    lambda client, outcome: http_client_seconds.labels(client, outcome).observe
)


def observe_request(route: str, method: str, status: int, seconds: float) -> None:
    """One answered request. `route` is a template such as /v1/payments/{payment_id}."""
    count, observe = _request_children(route, method, status)
    count()
    observe(seconds)


def observe_client(client: str, outcome: str, seconds: float) -> None:
    """One call of another service; `outcome` is 2xx, 4xx, 5xx, not_sent or no_answer."""
    _client_child(client, outcome)(seconds)


def observe_flush(committer: str, items: int, seconds: float, queued: int) -> None:
    """One flush of a committer and what it left waiting."""
    observe_items, observe_seconds, set_queue = _flush_children(committer)
    observe_items(items)
    observe_seconds(seconds)
    set_queue(queued)


_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
_tracer: Tracer | None = None
_HEX: Final = frozenset("0123456789abcdef")


def is_tracing() -> bool:
    """Whether spans are exported."""
    return _tracer is not None


def valid_traceparent(value: str | None) -> str | None:
    """`value` when it is a version 00 traceparent (W3C Trace Context 1), else None."""
    if value is None or len(value) != 55 or value[:3] != "00-" or value[35] != "-" or value[52] != "-":
        return None
    trace, span, flags = value[3:35], value[36:52], value[53:]
    if not _HEX.issuperset(trace + span + flags) or trace == "0" * 32 or span == "0" * 16:
        return None
    return value


def new_traceparent() -> str:
    """A root that is not sampled; it ties log lines together, nothing is exported for it."""
    return f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-00"


def current_traceparent() -> str | None:
    """The context to hand on: the open span's when tracing is on, else what came in."""
    if _tracer is not None:
        from opentelemetry import trace

        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    return _traceparent.get()


def enter_traceparent(value: str | None) -> Token[str | None]:
    """Make `value` the current context; hand the token to `leave_traceparent`."""
    return _traceparent.set(value)


def leave_traceparent(token: Token[str | None]) -> None:
    _traceparent.reset(token)


@contextmanager
def span(
    name: str,
    kind: Kind = "internal",
    *,
    traceparent: str | None = None,
    links: Sequence[str] = (),
    **attributes: Any,
) -> Iterator[Any]:
    """A span while tracing is on (it yields the OpenTelemetry span), else only the context (it yields None).

    `traceparent` is the remote parent; without it the current context is. `links` are contexts of a batch.
    """
    if _tracer is None:
        if traceparent is None:
            yield None
            return
        token = _traceparent.set(traceparent)
        try:
            yield None
        finally:
            _traceparent.reset(token)
        return
    with _open_span(_tracer, name, kind, traceparent or _traceparent.get(), links, attributes) as opened:
        yield opened


@contextmanager
def _open_span(
    tracer: Tracer,
    name: str,
    kind: Kind,
    parent: str | None,
    links: Sequence[str],
    attributes: dict[str, Any],
) -> Iterator[Any]:
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    def remote(value: str) -> Any:
        return TraceContextTextMapPropagator().extract({"traceparent": value})

    has_local_parent = trace.get_current_span().get_span_context().is_valid
    context = remote(parent) if parent is not None and not has_local_parent else None
    linked = [trace.Link(trace.get_current_span(remote(one)).get_span_context()) for one in links]
    kinds = trace.SpanKind
    with tracer.start_as_current_span(
        name, context=context, kind=kinds[kind.upper()], links=linked, attributes=attributes
    ) as opened:
        yield opened


def configure_tracing(settings: ServiceSettings, service: str) -> None:
    """Export spans to `otlp_endpoint` (OTLP over HTTP), or switch tracing off when there is none."""
    global _tracer
    if not settings.otlp_endpoint:
        _tracer = None
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    endpoint = settings.otlp_endpoint.rstrip("/")
    exporter = OTLPSpanExporter(
        endpoint=endpoint if endpoint.endswith("/v1/traces") else f"{endpoint}/v1/traces"
    )
    trace_to(BatchSpanProcessor(exporter), service, settings.app_version)


def trace_to(processor: Any, service: str, version: str = "dev") -> None:
    """Send spans to an OpenTelemetry span processor of the caller's (tests use the in-memory exporter)."""
    global _tracer
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": version}))
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("platform_kit")


def stop_tracing() -> None:
    """Switch tracing off (tests)."""
    global _tracer
    _tracer = None
