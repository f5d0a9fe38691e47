"""Traces with OpenTelemetry (extra ``otel``): a span of the call, and a span of the delivery that links to it.

Uses the API alone: without an SDK that the application has set up nothing is recorded. The call's context travels in
the journal beside its event (W3C ``traceparent``), and only if its span is recorded. A delivery is a span of a batch,
and a child of no call: it links to the calls of its events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .observer import Observer

__all__ = ["MAX_LINKS", "TracingObserver"]

#: Links of a delivery's span: what an SDK keeps by default.
MAX_LINKS: Final = 128

#: By the beginning of a channel's name, its class: the span's name must not depend on the channel.
_CLASSES: Final = (
    ("private-encrypted-", "private-encrypted"),
    ("private-", "private"),
    ("presence-", "presence"),
    ("cache-", "cache"),
    ("#server-to-user-", "user"),
)

_TRACEPARENT: Final = "traceparent"
_propagator: Final = TraceContextTextMapPropagator()


class TracingObserver(Observer):
    """Makes the spans."""

    traces_calls = True

    def __init__(self, tracer: trace.Tracer | None = None) -> None:
        self._given = tracer

    @property
    def _tracer(self) -> trace.Tracer:
        # Asked for each time: the application may set its SDK up after the first event.
        return self._given or trace.get_tracer("sockudo_publisher")

    @contextmanager
    def publishing(self, app: str, channels: Sequence[str], message_id: str) -> Iterator[str]:
        """The span of a call; yields its context for the journal, ``""`` if the span is not recorded."""
        attributes: dict[str, Any] = {
            "messaging.system": "sockudo",
            "messaging.operation.type": "send",
            "messaging.destination.name": channels[0] if len(channels) == 1 else ",".join(channels),
            "messaging.message.id": message_id,
            "sockudo.app": app,
        }
        with self._tracer.start_as_current_span(
            f"publish {_class_of(channels[0])}", kind=SpanKind.PRODUCER, attributes=attributes, record_exception=False
        ) as span:
            known = span.get_span_context()
            yield _traceparent() if known.is_valid and known.trace_flags.sampled else ""

    @contextmanager
    def delivering(self, app: str, count: int, traces: Callable[[], Sequence[str]]) -> Iterator[None]:
        """The span of a request; its context goes to Sockudo with it."""
        attributes: dict[str, Any] = {
            "messaging.system": "sockudo",
            "messaging.operation.type": "send",
            "messaging.batch.message_count": count,
            "sockudo.app": app,
        }
        # A root span: the drain that runs this belongs to no call.
        with self._tracer.start_as_current_span(
            "deliver batch",
            context=contexts.Context(),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            links=_links(traces()),
            record_exception=False,
        ):
            # The request is this span: an instrumentation of requests would make a second one of it.
            token = contexts.attach(contexts.set_value(_SUPPRESS_HTTP, True))
            try:
                yield
            finally:
                contexts.detach(token)

    def post(self, app: str, outcome: str, seconds: float, count: int) -> None:  # noqa: ARG002
        """Record what the answer proves on the span of the request."""
        span = trace.get_current_span()
        span.set_attribute("sockudo.outcome", outcome)
        if outcome != "accepted":
            span.set_status(Status(StatusCode.ERROR, outcome))

    def request_headers(self) -> Mapping[str, str]:
        """``traceparent`` of the current span, for a request to Sockudo; empty without one."""
        text = _traceparent()
        return {_TRACEPARENT: text} if text else {}


#: The key by which the stock instrumentations of HTTP clients leave a request out.
_SUPPRESS_HTTP: Final = getattr(contexts, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation")


def _class_of(channel: str) -> str:
    return next((name for start, name in _CLASSES if channel.startswith(start)), "public")


def _traceparent() -> str:
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(_TRACEPARENT, "")


def _links(traces: Sequence[str]) -> list[Link]:
    """A link per call; a call with several events in the batch has one. What is no context is left out."""
    found: list[Link] = []
    for text in dict.fromkeys(traces):
        known = trace.get_current_span(_propagator.extract({_TRACEPARENT: text}, contexts.Context())).get_span_context()
        if known.is_valid:
            found.append(Link(known))
        if len(found) == MAX_LINKS:
            break
    return found
