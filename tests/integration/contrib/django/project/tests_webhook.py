"""Webhooks become signals: once for each event, with the old key during a rotation, within an age."""

# ruff: noqa: PT009, PT027 -- tests as a Django project writes them

from __future__ import annotations

import json
import time
from unittest import mock

from django.core.cache import cache
from django.db import connection
from django.test import TestCase, TransactionTestCase, override_settings

from sockudo_publisher.client.api.webhook import WebhookEvent
from sockudo_publisher.contrib.django import signals
from sockudo_publisher.testing import sign_webhook

OCCUPIED = {"name": "channel_occupied", "channel": "orders"}
TYPED = {
    "name": "client_event",
    "channel": "private-chat",
    "event": "client-typed",
    "data": '{"n":1}',
    "socket_id": "1.2",
}
JOINED = {"name": "member_added", "channel": "presence-room", "user_id": "7"}


class WithReceivers(TestCase):
    def setUp(self) -> None:
        cache.clear()
        self.seen: list[tuple[str, str, str]] = []
        self.fails: set[str] = set()
        signals.webhook_event.connect(self.receive)
        self.addCleanup(signals.webhook_event.disconnect, self.receive)

    def receive(self, sender: object, event: WebhookEvent, webhook: object, app: str, **_: object) -> None:
        self.seen.append((app, event.name, event.channel))
        if event.name in self.fails:
            raise RuntimeError("the payload")

    def post(self, events: object, body: bytes | None = None, key="key", secret="secret", **options: object):
        headers, signed = sign_webhook(events, key=key, secret=secret, **options)
        body = signed if body is None else body
        # As docs/testing.md says.
        return self.client.post("/sockudo/webhook/", body, content_type="application/json", headers=headers)


class Events(WithReceivers):
    def test_each_kind_has_a_signal(self) -> None:
        got: list[tuple[str, WebhookEvent]] = []
        for name, signal in signals.SIGNALS.items():

            def receive(event: WebhookEvent, name: str = name, **_: object) -> None:
                got.append((name, event))

            signal.connect(receive, weak=False, dispatch_uid=name)
            self.addCleanup(signal.disconnect, dispatch_uid=name)
        events = [{"name": name, "channel": "c"} for name in signals.SIGNALS]
        self.assertEqual(self.post([*events, {"name": "of_a_newer_server", "channel": "c"}]).status_code, 200)
        self.assertEqual([name for name, _ in got], list(signals.SIGNALS))
        self.assertEqual([name for _, name, _ in self.seen], [*signals.SIGNALS, "of_a_newer_server"])

    def test_fields_of_the_events(self) -> None:
        got: list[WebhookEvent] = []
        signals.client_event.connect(lambda event, **_: got.append(event), weak=False, dispatch_uid="fields")
        self.addCleanup(signals.client_event.disconnect, dispatch_uid="fields")
        self.post([TYPED])
        self.assertEqual((got[0].event, got[0].data, got[0].socket_id), ("client-typed", '{"n":1}', "1.2"))

    def test_app_is_known_by_its_key(self) -> None:
        self.post([OCCUPIED], key="eu-key", secret="eu-secret")
        self.assertEqual(self.seen, [("eu", "channel_occupied", "orders")])


class Repeated(WithReceivers):
    def test_same_webhook_is_handled_once(self) -> None:
        now = int(time.time() * 1000)
        for _ in range(3):
            self.assertEqual(self.post([OCCUPIED, JOINED], time_ms=now).status_code, 200)
        self.assertEqual(len(self.seen), 2)
        self.post([OCCUPIED, JOINED], time_ms=now + 1)
        self.assertEqual(len(self.seen), 4)

    def test_equal_events_of_one_webhook_are_two(self) -> None:
        now = int(time.time() * 1000)
        self.post([TYPED, TYPED], time_ms=now)
        self.post([TYPED, TYPED], time_ms=now)
        self.assertEqual(len(self.seen), 2)

    def test_failed_event_alone_is_handled_again(self) -> None:
        now, self.fails = int(time.time() * 1000), {"member_added"}
        with self.assertLogs("sockudo_publisher.contrib.django", "ERROR") as logs:
            self.assertEqual(self.post([OCCUPIED, JOINED], time_ms=now).status_code, 500)
        self.assertIn("error=RuntimeError", logs.output[0])
        self.assertNotIn("the payload", logs.output[0])
        self.fails.clear()
        self.assertEqual(self.post([OCCUPIED, JOINED], time_ms=now).status_code, 200)
        self.assertEqual([name for _, name, _ in self.seen], ["channel_occupied", "member_added", "member_added"])

    def test_event_in_other_hands_is_asked_for_again(self) -> None:
        now = int(time.time() * 1000)
        answers: list[int] = []

        def meanwhile(**_: object) -> None:
            signals.channel_occupied.disconnect(dispatch_uid="meanwhile")
            answers.append(self.post([OCCUPIED], time_ms=now).status_code)

        signals.channel_occupied.connect(meanwhile, weak=False, dispatch_uid="meanwhile")
        self.assertEqual(self.post([OCCUPIED], time_ms=now).status_code, 200)
        self.assertEqual((answers, len(self.seen)), ([503], 1))

    def test_remembered_longer_than_it_is_accepted(self) -> None:
        from sockudo_publisher.contrib.django.seen_events import SeenEvents

        with mock.patch.object(SeenEvents, "__init__", return_value=None) as made, self.assertRaises(AttributeError):
            self.post([OCCUPIED])
        self.assertEqual(made.call_args.args, ("default", 1800.0))


class Transactions(TransactionTestCase):
    """With ATOMIC_REQUESTS a commit could fail after the event counts as handled."""

    def test_receivers_have_their_own(self) -> None:
        inside: list[bool] = []

        def receive(**_: object) -> None:
            inside.append(connection.in_atomic_block)

        signals.webhook_event.connect(receive)
        self.addCleanup(signals.webhook_event.disconnect, receive)
        headers, body = sign_webhook([OCCUPIED], key="key", secret="secret")
        cache.clear()
        with mock.patch.dict(connection.settings_dict, {"ATOMIC_REQUESTS": True}):
            answer = self.client.generic(
                "POST",
                "/sockudo/webhook/",
                body,
                HTTP_X_PUSHER_KEY="key",
                HTTP_X_PUSHER_SIGNATURE=headers["X-Pusher-Signature"],
            )
        self.assertEqual((answer.status_code, inside), (200, [False]))


class Refused(WithReceivers):
    def test_signature_key_and_age(self) -> None:
        now = int(time.time() * 1000)
        cases = {
            "another secret": self.post([OCCUPIED], secret="x"),
            "another key": self.post([OCCUPIED], key="x"),
            "another body": self.post([OCCUPIED], body=b'{"events":[]}'),
            "too old": self.post([OCCUPIED], time_ms=now - 901_000),
            "in the future": self.post([OCCUPIED], time_ms=now + 901_000),
            "no headers": self.client.post("/sockudo/webhook/", b"{}", content_type="application/json"),
            "the secret of another app": self.post([OCCUPIED], key="key", secret="eu-secret"),
        }
        for name, answer in cases.items():
            with self.subTest(name):
                self.assertEqual(answer.status_code, 401)
                self.assertIn("error", answer.json())
        self.assertEqual(self.seen, [])

    def test_old_credentials_during_a_rotation(self) -> None:
        self.assertEqual(self.post([OCCUPIED], key="old-key", secret="old-secret").status_code, 200)
        self.assertEqual(self.post([JOINED]).status_code, 200)
        self.assertEqual(self.post([OCCUPIED], key="old-key", secret="secret").status_code, 401)

    def test_age_of_the_setting(self) -> None:
        from django.conf import settings

        with override_settings(SOCKUDO={**settings.SOCKUDO, "WEBHOOK_MAX_AGE": 5}):
            self.assertEqual(self.post([OCCUPIED], time_ms=int(time.time() * 1000) - 6000).status_code, 401)

    def test_hostile_bodies(self) -> None:
        import hashlib
        import hmac

        bodies = (
            b"",
            b"\xff",
            b"[",
            b"[]",
            b"null",
            b"[" * 100_000,
            b'{"events":5}',
            b'{"events":[5]}',
            b"x" * 10_485_760,
        )
        for body in (*bodies, json.dumps({"time_ms": 2**70, "events": []}).encode(), b'{"time_ms":NaN}'):
            signature = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
            for kind in ("application/json", "multipart/form-data; boundary=x", "\x00"):
                answer = self.client.generic(
                    "POST",
                    "/sockudo/webhook/",
                    body,
                    content_type=kind,
                    HTTP_X_PUSHER_KEY="key",
                    HTTP_X_PUSHER_SIGNATURE=signature,
                )
                self.assertIn(answer.status_code, (401, 413), body[:30])
        self.assertEqual(self.seen, [])
