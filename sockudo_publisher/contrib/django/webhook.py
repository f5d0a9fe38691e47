"""The receiver of webhooks: check the signature and the age, send each event as signals, once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from ...client.api.webhook import KEY_HEADER, Webhook, WebhookEvent, header_values
from ...client.http.credentials import Credentials
from ...config.settings import get_settings
from ...errors import InvalidWebhook
from ...redaction import package_logger, printable
from ...wiring.app import app_named
from .bodies import read_body, refuse
from .seen_events import EventClaim, SeenEvents, events_with_ids
from .setting import DjangoSetting, django_setting
from .signals import SIGNALS, webhook_event

__all__ = ["webhook"]

logger = package_logger("sockudo_publisher.contrib.django")


@csrf_exempt
@require_POST
# Each receiver has its own transactions: an event counts as handled when they are committed, not before.
@transaction.non_atomic_requests
def webhook(request: HttpRequest) -> HttpResponse:
    """Receive a webhook of any configured app. No CSRF token and no session: the signature says who sent it.

    200: every event was handled now or before. 401: the signature does not hold, or the webhook is too old. 413: the
    body is too large. 500: a receiver failed; 503: another request handles an event at this time: the server sends
    the webhook again after both.
    """
    body = read_body(request)
    if isinstance(body, HttpResponse):
        return body
    setting = django_setting()
    try:
        app, message = _verify(request, body, setting)
    except InvalidWebhook as error:
        logger.warning("webhook refused: %s", error)
        return refuse(401, str(error))
    return _handle(app, message, SeenEvents(setting.webhook_cache, 2 * setting.webhook_max_age_s))


def _verify(request: HttpRequest, body: bytes, setting: DjangoSetting) -> tuple[str, Webhook]:
    """The app that signed the webhook, and the webhook. Raises :class:`InvalidWebhook`."""
    refusal = InvalidWebhook("no app is configured")
    for app in _apps_to_try(request, setting):
        try:
            return app, app_named(app).client.webhook(
                request.headers,
                body,
                credentials=setting.webhook_credentials,
                max_age_s=setting.webhook_max_age_s,
            )
        except InvalidWebhook as error:
            refusal = error
    raise refusal


def _apps_to_try(request: HttpRequest, setting: DjangoSetting) -> Iterable[str]:
    """The apps of the key in the header; all apps, if it is a key of before a rotation or of no app."""
    (keys,) = header_values(request.headers, KEY_HEADER)
    urls = get_settings().app_urls()
    named = [name for name, url in urls.items() if Credentials.from_url(url).key in keys]
    if named and not any(key in keys for key, _ in setting.webhook_credentials):
        return named
    return [*named, *(name for name in urls if name not in named)]


def _handle(app: str, message: Webhook, seen: SeenEvents) -> HttpResponse:
    is_busy = has_failed = False
    for event_id, event in events_with_ids(app, message):
        claim = seen.claim(event_id)
        if claim is EventClaim.BUSY:
            is_busy = True
        if claim is not EventClaim.OURS:
            continue
        if _send(app, message, event):
            seen.settle(event_id)
        else:
            seen.give_back(event_id)
            has_failed = True
    if has_failed:
        return refuse(500, "a receiver failed")
    if is_busy:
        return refuse(503, "another request handles an event of this webhook")
    return HttpResponse(status=200)


def _send(app: str, message: Webhook, event: WebhookEvent) -> bool:
    """Send one event to all receivers. Returns whether none failed; each failure is logged."""
    is_done = True  # Django logs the error with its traceback (logger django.dispatch)
    values: dict[str, Any] = {"event": event, "webhook": message, "app": app}
    for signal in filter(None, (webhook_event, SIGNALS.get(event.name))):
        for receiver, answer in signal.send_robust(sender=WebhookEvent, **values):
            if isinstance(answer, Exception):
                is_done = False
                name = f"{getattr(receiver, '__module__', '?')}.{getattr(receiver, '__qualname__', '?')}"
                logger.error(
                    "webhook receiver failed receiver=%s app=%s event=%s channel=%s error=%s",
                    *(name, app, printable(event.name), printable(event.channel or ""), type(answer).__name__),
                )
    return is_done
