"""A Django project of one module with tests of its own, run as `python -m tests.integration.testing.django_project`."""

# ruff: noqa: PT009, PT027, SIM117, E402 -- tests as a Django project writes them

from __future__ import annotations

import sys

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["sockudo_publisher.outbox.django"],
    SECRET_KEY="for tests",
    USE_TZ=True,
)
django.setup()

from django.db import transaction
from django.test import TestCase, TransactionTestCase, override_settings
from django.test.runner import DiscoverRunner

from sockudo_publisher import ConfigurationError, JournalUnavailable, publish
from sockudo_publisher.outbox.django import add, relay
from sockudo_publisher.testing import Published, capture_published


@capture_published()
class InTestCase(TestCase):
    """The transaction of a TestCase never commits."""

    def test_callbacks_are_captured(self, published: Published) -> None:
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            publish.delay_on_commit("orders", "shipped", {"id": 1}, key="k")
            add("outbox", "e", 2)
            published.assert_none()
        self.assertEqual(len(callbacks), 2)
        event = published.assert_one("orders", "shipped", {"id": 1})
        self.assertEqual((event.via, event.key, event.given), ("on_commit", "k", {"id": 1}))
        published.assert_one("outbox", via="outbox")

    def test_nothing_is_recorded_without_commit(self, published: Published) -> None:
        publish.delay_on_commit("orders", "shipped", 1)
        add("outbox", "e", 2)
        published.assert_none()

    def test_immediate(self, published: Published) -> None:
        published.immediate_on_commit = True
        publish.delay_on_commit("orders", "shipped", 1)
        publish.apply_async_on_commit(("orders", "later", 1), countdown=30)
        add("outbox", "e", 2)
        self.assertEqual([event.via for event in published.events], ["on_commit", "on_commit", "outbox"])
        self.assertEqual(published.named("later")[0].countdown, 30)

    def test_override_settings(self, published: Published) -> None:
        with override_settings(SOCKUDO={"APPS": {"eu": "http://k:s@127.0.0.1:9/apps/eu"}}):
            publish.delay("a", "e", 1, app="eu")
            with self.assertRaises(ConfigurationError):
                publish.delay("a", "e", 1, app="us")
        publish.delay("a", "e", 1, app="us")  # nothing is configured: every name has a dummy
        self.assertEqual([event.app for event in published.events], ["eu", "us"])


@capture_published()
class InTransactions(TransactionTestCase):
    def test_commit_rollback_and_savepoints(self, published: Published) -> None:
        with transaction.atomic():
            publish.delay_on_commit("kept", "e", 1)
            add("kept", "e", 2)
            try:
                with transaction.atomic():
                    publish.delay_on_commit("lost", "e", 3)
                    add("lost", "e", 4)
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass
            published.assert_none()
        self.assertEqual([(event.channel, event.data) for event in published.events], [("kept", 1), ("kept", 2)])
        self.assertEqual(relay().already_stored, 1)
        published.assert_count(2)

    def test_robust_errors_are_ordered(self, published: Published) -> None:
        with published.fail(JournalUnavailable) as failure, self.assertLogs("django.db.backends.base", "ERROR"):
            with transaction.atomic():
                publish.delay_on_commit("orders", "e", 1, robust=True)
        self.assertEqual(failure.raised, 1)
        published.assert_none()

    def test_commits_of_later_changes(self, published: Published) -> None:
        data = {"id": 1}
        with transaction.atomic():
            publish.delay_on_commit("orders", "e", data)
            publish.delay("other", "e", 2)
            data["id"] = 2
        published.assert_one("orders", data={"id": 1})


if __name__ == "__main__":
    sys.exit(bool(DiscoverRunner(verbosity=2, pattern="none").run_tests([__name__])))
