"""Traces, with the SDK's exporter in memory, and the stock instrumentations of Celery, Redis and requests beside."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from sockudo_publisher import configure, publish, publish_many
from sockudo_publisher.journal.keys import lane_keys
from sockudo_publisher.telemetry.choose import choose_observer
from sockudo_publisher.telemetry.otel import MAX_LINKS, TracingObserver
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.workerapp import run_drain
from tests.support.stack import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


class Spans:
    """What an application's SDK exports."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("application")

    def __call__(self, name: str | None = None) -> list[ReadableSpan]:
        return [span for span in self.exporter.get_finished_spans() if name in (None, span.name)]


@pytest.fixture
def spans(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """Traced settings, the SDK, and the instrumentations: as an application has them."""
    spans = Spans()
    monkeypatch.setattr(trace, "get_tracer", lambda name, *_, **__: spans.provider.get_tracer(name))
    instrumentors = [RedisInstrumentor(), CeleryInstrumentor(), RequestsInstrumentor()]
    for one in instrumentors:
        one.instrument(tracer_provider=spans.provider)
    configure(telemetry="otel", lanes=1)
    yield spans
    configure()
    for one in instrumentors:
        one.uninstrument()


def meta(stack: Stack) -> list[dict[str, object]]:
    """The meta of each waiting entry."""
    return [json.loads(fields[b"m"]) for _, fields in stack.redis.xrange(lane_keys("default", 0).stream)]


def test_event_is_found_from_its_request(stack: Stack, spans: Spans) -> None:
    """One request, one event, its delivery: through the link, and with nothing counted twice."""
    channel = stack.channel("private-orders")
    with spans.tracer.start_as_current_span("POST /ship") as request:
        result = publish.delay(channel, "shipped", {"id": 1})
    run_drain.run("default", 0)

    [call] = spans("publish private")
    [delivery] = spans("deliver batch")
    assert call.kind is SpanKind.PRODUCER
    assert call.parent is not None
    assert call.parent.span_id == request.get_span_context().span_id
    assert call.attributes is not None
    assert call.attributes["messaging.system"] == "sockudo"
    assert call.attributes["messaging.destination.name"] == channel
    assert call.attributes["messaging.message.id"] == result.id
    assert delivery.kind is SpanKind.CLIENT
    assert delivery.parent is None, "a delivery is no part of any call"
    assert [link.context.span_id for link in delivery.links] == [call.context.span_id]
    assert [link.context.trace_id for link in delivery.links] == [request.get_span_context().trace_id]
    assert delivery.attributes is not None
    assert delivery.attributes["messaging.batch.message_count"] == 1
    assert delivery.attributes["sockudo.outcome"] == "accepted"
    assert {span.name for span in spans()} == {"POST /ship", "publish private", "deliver batch"}


def test_doorbell_is_in_no_trace(stack: Stack, spans: Spans) -> None:
    """Its message carries no context: a worker's instrumentation cannot make it a child of the call."""
    with spans.tracer.start_as_current_span("POST /ship") as request:
        publish.delay(stack.channel(), "n", 1)
    messages = stack.redis.lrange("sockudo", 0, -1)
    assert messages
    for message in messages:
        assert b"traceparent" not in message
        assert f"{request.get_span_context().trace_id:032x}".encode() not in message
    assert all("drain" not in span.name for span in spans())


def test_context_is_stored_only_where_there_is_one(stack: Stack, spans: Spans) -> None:
    configure(lanes=1)
    publish.delay(stack.channel(), "n", 1)
    publish.delay(stack.channel(), "n", 2, key="k")
    configure(telemetry="otel", lanes=1)
    publish_many([(stack.channel(), "n", 3)])
    assert [set(one) for one in meta(stack)] == [{"n", "c"}] * 3
    publish.delay(stack.channel(), "n", 4)
    publish.delay(stack.channel(), "n", 5, key="k5")
    asyncio.run(publish.adelay(stack.channel(), "n", 6))
    publish.delay(stack.channels(2), "n", 7)
    assert [set(one) for one in meta(stack)][3:] == [{"n", "c", "r"}] * 4
    run_drain.run("default", 0)
    [delivery] = spans("deliver batch")
    assert {link.context.span_id for link in delivery.links} == {
        span.context.span_id for span in spans("publish public")
    }
    assert len(delivery.links) == 4


def test_call_that_is_not_sampled_leaves_nothing(stack: Stack, spans: Spans) -> None:
    unsampled = SpanContext(trace_id=1, span_id=2, is_remote=True, trace_flags=TraceFlags(0))
    with trace.use_span(NonRecordingSpan(unsampled)):
        publish.delay(stack.channel(), "n", 1)
    assert [set(one) for one in meta(stack)] == [{"n", "c"}]


def test_links_of_a_batch_are_bounded(stack: Stack, spans: Spans) -> None:
    for number in range(MAX_LINKS + 20):
        publish.delay(stack.channel(), "n", number)
    run_drain.run("default", 0)
    [delivery] = spans("deliver batch")
    assert len(delivery.links) == MAX_LINKS
    assert delivery.attributes is not None
    assert delivery.attributes["messaging.batch.message_count"] == MAX_LINKS + 20


def test_error_of_a_call_is_on_its_span(stack: Stack, spans: Spans) -> None:
    from sockudo_publisher import JournalUnavailable
    from sockudo_publisher.dev.embedded.ports import free_port

    configure(telemetry="otel", redis_url=f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(JournalUnavailable):
        publish.delay(stack.channel(), "n", {"secret": "s3cr3t"})
    [call] = spans("publish public")
    assert not call.status.is_ok
    assert "s3cr3t" not in call.to_json()


def test_sockudo_gets_the_context_of_the_delivery(stack: Stack, spans: Spans) -> None:
    """In a header of the request; a server that refuses makes the span an error."""
    headers: list[dict[str, str]] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://key:secret@127.0.0.1:{server.server_address[1]}/apps/app"
        configure(telemetry="otel", lanes=1, url=url)
        publish.delay(stack.channel(), "n", 1)
        run_drain.run("default", 0)
        server.shutdown()
    [delivery] = spans("deliver batch")
    context = delivery.context
    assert headers[0]["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
    assert delivery.attributes is not None
    assert delivery.attributes["sockudo.outcome"] == "misconfigured"
    assert not delivery.status.is_ok


def test_what_is_no_context_is_left_out(stack: Stack, spans: Spans) -> None:
    """Another writer's meta is not trusted: the event is delivered, without a link."""
    publish.delay(stack.channel(), "n", 1)
    stream = lane_keys("default", 0).stream
    [(entry_id, fields)] = stack.redis.xrange(stream)
    stack.redis.delete(stream)
    odd = json.loads(fields[b"m"]) | {"r": ["x" * 300]}
    stack.redis.xadd(stream, {**fields, b"m": json.dumps(odd)}, id=entry_id)
    run_drain.run("default", 0)
    [delivery] = spans("deliver batch")
    assert delivery.links == ()


def test_without_an_sdk_nothing_is_stored(stack: Stack) -> None:
    configure(telemetry="otel", lanes=1)
    try:
        assert isinstance(app_named().observer, TracingObserver)
        publish.delay(stack.channel(), "n", 1)
        assert [set(one) for one in meta(stack)] == [{"n", "c"}]
    finally:
        configure()


def test_both_count_and_trace(stack: Stack, spans: Spans) -> None:
    configure(telemetry=("otel", "prometheus"), lanes=1)
    assert choose_observer(("otel", "prometheus")) is app_named().observer
    with spans.tracer.start_as_current_span("POST /ship"):
        publish.delay(stack.channel(), "n", 1)
    run_drain.run("default", 0)
    assert len(spans("deliver batch")[0].links) == 1
