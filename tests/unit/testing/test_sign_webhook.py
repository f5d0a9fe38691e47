"""`sign_webhook`: what the client's own check accepts, and what it refuses."""

from __future__ import annotations

import pytest

from sockudo_publisher import InvalidWebhook, Sockudo, ValidationError, WebhookEvent
from sockudo_publisher.testing import sign_webhook

pytestmark = pytest.mark.unit


def test_the_client_accepts_it() -> None:
    client = Sockudo("a", "key", "secret")
    events = [
        {"name": "channel_occupied", "channel": "orders"},
        WebhookEvent("client_event", channel="private-a", event="client-e", data="{}", socket_id="1.2"),
    ]
    headers, body = sign_webhook(events, key="key", secret="secret")
    webhook = client.webhook(headers, body, max_age_s=60)
    assert [event.name for event in webhook.events] == ["channel_occupied", "client_event"]
    assert webhook.events[1].socket_id == "1.2"
    with pytest.raises(InvalidWebhook):
        client.webhook(headers, body + b" ")
    old = sign_webhook(events[0], key="key", secret="secret", time_ms=1)
    with pytest.raises(InvalidWebhook, match="time_ms"):
        client.webhook(*old, max_age_s=60)


def test_the_app_of_the_settings_signs_by_default(published) -> None:
    assert Sockudo.from_env().webhook(*sign_webhook([{"name": "cache_miss", "channel": "c"}])).events


@pytest.mark.parametrize(
    ("events", "options", "text"),
    [
        ([{"channel": "a"}], {}, r"events\[0\]: expected a WebhookEvent"),
        ([{"name": "e", "data": {1, 2}}], {}, "events: not JSON"),
        ([{"name": "e"}], {"secret": None}, "one of them"),
    ],
)
def test_bad_input_is_named(events: list, options: dict, text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        sign_webhook(events, **{"key": "k", "secret": "s", **options})
