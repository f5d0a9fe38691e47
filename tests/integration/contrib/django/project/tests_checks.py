"""System checks: what each finds, its id and its hint; no value of a setting is shown."""

# ruff: noqa: PT009 -- tests as a Django project writes them

from __future__ import annotations

import os
from typing import Any

import redis
from django.conf import settings
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.test import SimpleTestCase, TransactionTestCase, override_settings

from sockudo_publisher.contrib.django import channel
from sockudo_publisher.contrib.permissions import default_registry

GOOD = settings.SOCKUDO


def find_messages(*, deploy: bool = False, databases: list[str] | None = None, **changed: Any) -> dict[str, str]:
    """Id -> text and hint of our checks, with a changed setting."""
    with override_settings(SOCKUDO={**GOOD, **changed}):
        messages = run_checks(tags=["sockudo"], include_deployment_checks=deploy, databases=databases or [])
    for message in messages:
        assert message.hint, message
    return {message.id: f"{message.msg} {message.hint}" for message in messages}


class Settings(SimpleTestCase):
    def test_good_ones(self) -> None:
        self.assertEqual(find_messages(), {})

    def test_wrong_ones(self) -> None:
        cases: dict[str, tuple[dict[str, Any], str, str]] = {
            "missing": ({"URL": None, "APPS": None}, "E001", "not set"),
            "malformed url": ({"URL": "http://of-mine"}, "E001", "SOCKUDO['URL']"),
            "malformed redis": ({"REDIS_URL": "http://of-mine@x"}, "E001", "SOCKUDO['REDIS_URL']"),
            "number": ({"LANES": "of-mine"}, "E001", "SOCKUDO['LANES']"),
            "name": ({"LANE": 3}, "E001", "did you mean 'LANES'?"),
            "own name": ({"WEBHOOK_CACHES": "x"}, "E001", "did you mean 'WEBHOOK_CACHE'?"),
            "key": ({"ENCRYPTION_MASTER_KEY_BASE64": "of-mine"}, "E001", "ENCRYPTION_MASTER_KEY_BASE64"),
            "default twice": ({"APPS": {"default": "http://k:of-mine@h/apps/a"}}, "E001", "'default'"),
            "one name twice": (
                {"APPS": '{"a": "http://k:of-mine@h/apps/a", "a": "x"}'},
                "E001",
                "two apps have one name",
            ),
            "cache": ({"WEBHOOK_CACHE": "nowhere"}, "E002", "WEBHOOK_CACHE"),
            "credentials": ({"WEBHOOK_CREDENTIALS": ["of-mine"]}, "E002", "WEBHOOK_CREDENTIALS"),
            "empty secret": ({"WEBHOOK_CREDENTIALS": [("k", "")]}, "E002", "WEBHOOK_CREDENTIALS"),
            "age": ({"WEBHOOK_MAX_AGE": 0}, "E002", "WEBHOOK_MAX_AGE"),
            "function": ({"USER_DATA": "shop.nowhere"}, "E002", "USER_DATA"),
            "notify": ({"OUTBOX_NOTIFY": "yes"}, "E002", "OUTBOX_NOTIFY"),
        }
        for name, (changed, code, text) in cases.items():
            with self.subTest(name):
                messages = find_messages(**changed)
                self.assertIn(text, messages.get(f"sockudo.{code}", f"only {messages}"))
                self.assertNotIn("of-mine", str(messages))

    def test_no_dict(self) -> None:
        with override_settings(SOCKUDO=["of-mine"]):
            [message] = run_checks(tags=["sockudo"], databases=[])
        self.assertEqual((message.id, message.msg), ("sockudo.E001", "SOCKUDO: expected a dict, got list"))

    def test_command_fails(self) -> None:
        with override_settings(SOCKUDO={}), self.assertRaisesMessage(SystemCheckError, "sockudo.E001"):
            call_command("check")

    def test_two_apps_with_one_secret(self) -> None:
        messages = find_messages(APPS={"eu": "http://key:secret@127.0.0.1:9/apps/eu"})
        self.assertIn("one secret", messages["sockudo.W003"])


class Permissions(SimpleTestCase):
    def setUp(self) -> None:
        self.before = tuple(default_registry)
        self.addCleanup(self.restore)

    def restore(self) -> None:
        default_registry.clear()
        for one in self.before:
            default_registry.add(one.pattern, one.function)

    def test_encrypted_pattern_without_a_key(self) -> None:
        messages = find_messages(ENCRYPTION_MASTER_KEY_BASE64=None)
        self.assertIn("private-encrypted-orders.{order_id}", messages["sockudo.E004"])

    def test_overlapping_patterns(self) -> None:
        channel("private-orders.{id}")(lambda user, id: True)
        self.assertIn("match the same channels", find_messages()["sockudo.E003"])

    def test_channels_that_the_server_does_not_protect(self) -> None:
        channel("private-cache-{id}")(lambda user, id: True)
        self.assertIn("private-cache-", find_messages()["sockudo.W004"])
        channel("presence-cache-{id}")(lambda user, id: True)
        self.assertIn("presence-cache-", find_messages()["sockudo.E005"])


class Table(TransactionTestCase):
    def test_table_that_is_not_there(self) -> None:
        self.assertEqual(find_messages(databases=["default"]), {})
        with connection.schema_editor() as editor:
            editor.execute("ALTER TABLE sockudo_outbox RENAME TO elsewhere")
        try:
            self.assertIn("migrate sockudo_outbox", find_messages(databases=["default"])["sockudo.W002"])
            self.assertEqual(find_messages(), {}, "no database is asked unless the caller names it")
        finally:
            with connection.schema_editor() as editor:
                editor.execute("ALTER TABLE elsewhere RENAME TO sockudo_outbox")


class Deployed(SimpleTestCase):
    def test_redis_that_keeps_nothing(self) -> None:
        url = os.environ["PROJECT_REDIS_URL"]
        with redis.Redis.from_url(url) as client:
            client.config_set("appendonly", "no")
            client.config_set("maxmemory-policy", "allkeys-lru")
            try:
                messages = find_messages(deploy=True, REDIS_URL=url)
                client.config_set("maxmemory-policy", "noeviction")
                client.config_set("appendonly", "yes")
                better = find_messages(deploy=True, REDIS_URL=url)
            finally:
                client.config_set("maxmemory-policy", "noeviction")
                client.config_set("appendonly", "no")
        self.assertIn("append-only file", messages["sockudo.W011"])
        self.assertIn("noeviction", messages.get("sockudo.E012") or messages["sockudo.W012"])
        self.assertEqual(set(better) - {"sockudo.W013"}, set())

    def test_redis_that_is_not_reached(self) -> None:
        messages = find_messages(deploy=True, REDIS_URL="redis://:of-mine@127.0.0.1:9/0")
        self.assertEqual(set(messages), {"sockudo.W010", "sockudo.W013"})
        self.assertNotIn("of-mine", str(messages))

    def test_cache_of_one_process(self) -> None:
        url = os.environ["PROJECT_REDIS_URL"]
        self.assertIn("WEBHOOK_CACHE", find_messages(deploy=True, REDIS_URL=url)["sockudo.W013"])
        shared = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}}
        with override_settings(CACHES=shared):
            self.assertNotIn("sockudo.W013", find_messages(deploy=True, REDIS_URL=url))
