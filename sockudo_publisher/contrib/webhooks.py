"""Receive webhooks: the signature is checked, then each event goes to the application's handlers.

Knows no framework. Sockudo sends each webhook at least once and repeats it for five minutes after 5xx: a handler that
raises is answered with 500, so that its event comes again, and with it the other events of that body.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from ..client.api.webhook import Headers, Webhook, WebhookEvent
from ..client.sockudo import Sockudo
from ..errors import InvalidWebhook, ValidationError
from ..redaction import package_logger, printable
from .calls import CallAsync, CallSync, call_from_async, call_from_sync, in_loop, in_thread
from .permissions import Answer

__all__ = [
    "MAX_WEBHOOK_BYTES",
    "WebhookHandler",
    "WebhookHandlers",
    "handlers_of",
    "receive_webhook",
    "receive_webhook_async",
]

logger = package_logger("sockudo_publisher.contrib.webhooks")

#: Bytes of a webhook's body: the server sends at most 100 events of 10 KB in one.
MAX_WEBHOOK_BYTES = 4 * 1024 * 1024

#: ``handler(event)``, synchronous or a coroutine function. Its answer is ignored.
WebhookHandler: TypeAlias = Callable[[WebhookEvent], Any]

_Handler = TypeVar("_Handler", bound=WebhookHandler)


class WebhookHandlers:
    """Handlers by the name of an event.

    .. code-block:: python

        webhooks = WebhookHandlers()

        @webhooks.on("channel_occupied", "channel_vacated")
        async def note(event: WebhookEvent) -> None: ...

    Safe for threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handlers: tuple[tuple[str, WebhookHandler], ...] = ()

    def on(self, *names: str) -> Callable[[_Handler], _Handler]:
        """Decorator: call this with each event of these names; ``"*"``: with every event. Returns it unchanged.

        Raises ``ValidationError`` without a name.
        """
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ValidationError('webhooks: no name, expected @webhooks.on("member_added")')

        def decorate(handler: _Handler) -> _Handler:
            if not callable(handler):
                raise ValidationError(f"webhooks: a {type(handler).__name__}, expected a function")
            with self._lock:
                self._handlers += tuple((name, handler) for name in names)
            return handler

        return decorate

    def find(self, name: str) -> tuple[WebhookHandler, ...]:
        """The handlers of an event, in the order in which they came, each once."""
        return tuple(dict.fromkeys(handler for wanted, handler in self._handlers if wanted in (name, "*")))


def handlers_of(source: WebhookHandlers | WebhookHandler) -> WebhookHandlers:
    """The handlers themselves, or one function for every event. Raises ``ValidationError``."""
    if isinstance(source, WebhookHandlers):
        return source
    handlers = WebhookHandlers()
    handlers.on("*")(source)
    return handlers


def receive_webhook(
    client: Sockudo,
    handlers: WebhookHandlers,
    headers: Headers,
    body: bytes,
    *,
    credentials: Sequence[tuple[str, str]] = (),
    max_age_s: float | None = None,
    call_async: CallAsync = in_loop,
) -> Answer:
    """Check a webhook and call the handlers, from synchronous code.

    ``headers``, ``body``, ``credentials``, ``max_age_s``: as for :meth:`Sockudo.webhook`. The answer: 200; 401 for a
    key or signature that does not hold; 400 for a signed body that cannot be read; 413 for more than 4 MiB; 500 if a
    handler raised, after all were called.
    """
    refused, webhook = _read(client, headers, body, credentials, max_age_s)
    if webhook is None:
        return refused
    failed = False
    for event in webhook.events:
        for handler in handlers.find(event.name):
            try:
                call_from_sync(handler, event, call_async=call_async)
            except Exception as error:  # noqa: BLE001 -- the event comes again
                failed = _log_failure(event, error)
    return _FAILED if failed else Answer(200, {})


async def receive_webhook_async(
    client: Sockudo,
    handlers: WebhookHandlers,
    headers: Headers,
    body: bytes,
    *,
    credentials: Sequence[tuple[str, str]] = (),
    max_age_s: float | None = None,
    call_sync: CallSync = in_thread,
) -> Answer:
    """As :func:`receive_webhook`, from a coroutine; synchronous handlers run by ``call_sync``, in threads."""
    refused, webhook = _read(client, headers, body, credentials, max_age_s)
    if webhook is None:
        return refused
    failed = False
    for event in webhook.events:
        for handler in handlers.find(event.name):
            try:
                await call_from_async(handler, event, call_sync=call_sync)
            except Exception as error:  # noqa: BLE001 -- the event comes again
                failed = _log_failure(event, error)
    return _FAILED if failed else Answer(200, {})


_FAILED = Answer(500, {"error": "a handler failed"})


def _read(
    client: Sockudo,
    headers: Headers,
    body: bytes,
    credentials: Sequence[tuple[str, str]],
    max_age_s: float | None,
) -> tuple[Answer, Webhook | None]:
    if len(body) > MAX_WEBHOOK_BYTES:
        return Answer(413, {"error": f"webhook: limit {MAX_WEBHOOK_BYTES} bytes"}), None
    try:
        return _FAILED, client.webhook(headers, body, credentials=credentials, max_age_s=max_age_s)
    except InvalidWebhook as error:
        message = str(error)
    logger.warning("webhook refused: %s", message)
    return Answer(status_of_refusal(message), {"error": message}), None


def status_of_refusal(message: str) -> int:
    """401 for what is wrong with the headers, 400 for what is wrong with a body whose signature holds."""
    return 401 if message.startswith(("X-Pusher-", "headers")) else 400


def _log_failure(event: WebhookEvent, error: Exception) -> bool:
    logger.error(
        "webhook handler failed error=%s event=%s channel=%s",
        *(type(error).__name__, printable(event.name), event.channel),
        exc_info=error,
    )
    return True
