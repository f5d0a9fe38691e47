"""Publishing from Django: coroutines, `delay_on_commit` in them, tests with the recorder, commands."""

# ruff: noqa: PT009, PT027 -- tests as a Django project writes them

from __future__ import annotations

import contextlib
import io
import json
import os
from typing import Any
from unittest import mock

import redis
from asgiref.sync import sync_to_async
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction
from django.test import TestCase, TransactionTestCase

from sockudo_publisher import ValidationError, publish
from sockudo_publisher.contrib.django import add, parked, relay, release
from sockudo_publisher.contrib.django.models import OutboxRow
from sockudo_publisher.testing import Published, capture_published


@capture_published()
class Coroutines(TransactionTestCase):
    """Django's transactions are synchronous: the block runs by `sync_to_async`, and so does its commit."""

    async def test_on_commit(self, published: Published) -> None:
        @sync_to_async
        def ship(number: int, *, fails: bool) -> str:
            with transaction.atomic():
                message_id = publish.delay_on_commit("orders", "shipped", {"id": number})
                add("audit", "shipped", number)
                published.assert_none("orders" if fails or number else "nothing")
                if fails:
                    raise ZeroDivisionError
            return message_id

        with contextlib.suppress(ZeroDivisionError):
            await ship(1, fails=True)
        published.assert_none()
        message_id = await ship(2, fails=False)
        event = published.assert_one("orders", "shipped", {"id": 2})
        self.assertEqual((event.message_id, event.via), (message_id, "on_commit"))
        published.assert_one("audit", via="outbox")

    async def test_adelay(self, published: Published) -> None:
        await publish.adelay("orders", "shipped", 1)
        published.assert_one("orders", via="adelay")

    async def test_call_in_a_loop_is_refused_by_django(self, published: Published) -> None:
        """Outside `sync_to_async` there is no connection whose commit could be waited for."""
        from django.core.exceptions import SynchronousOnlyOperation

        with self.assertRaises(SynchronousOnlyOperation):
            publish.delay_on_commit("orders", "shipped", 1)
        published.assert_none()


class Recorded(TestCase):
    """A TestCase's transaction never commits: Django runs the callbacks, or the recorder looks at once."""

    def test_captured_callbacks(self) -> None:
        with capture_published() as published, self.captureOnCommitCallbacks(execute=True):
            publish.delay_on_commit("orders", "shipped", 1)
            published.assert_none()
        published.assert_one("orders", "shipped", 1)

    def test_at_once(self) -> None:
        with capture_published(immediate_on_commit=True) as published:
            publish.delay_on_commit("orders", "shipped", 1)
            add("orders", "paid", 2)
        self.assertEqual([event.name for event in published.events], ["shipped", "paid"])


class OnRealRedis(TransactionTestCase):
    def setUp(self) -> None:
        with redis.Redis.from_url(os.environ["PROJECT_REDIS_URL"]) as client:
            client.flushdb()

    def test_outbox_of_this_app(self) -> None:
        publish.delay("orders", "shipped", 0, key="taken")
        add("orders", "shipped", 1, key="taken")
        add("orders", "shipped", 2)
        self.assertEqual((relay().stored, len(parked()), release(), relay().parked), (1, 1, 1, 1))
        with self.assertRaises(ValidationError):
            add("no channel", "shipped", 3)
        with self.assertRaisesMessage(CommandError, "rows are parked"):
            call_command("sockudo_relay", once=True, stdout=io.StringIO(), stderr=io.StringIO())
        self.assertEqual(OutboxRow.objects.count(), 1)

    def test_commands_have_the_project_settings(self) -> None:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            call_command("sockudo", "dead", "list", "--json", "--app", "eu")
        self.assertEqual(json.loads(said.getvalue())["app"], "eu")
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(CommandError) as raised:
            call_command("sockudo", "dead", "show", "0-1-1")
        self.assertEqual(raised.exception.returncode, 1)
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(CommandError) as raised:
            call_command("sockudo", "no-such-command")
        self.assertEqual(raised.exception.returncode, 2)

    def test_status_counts_the_rows_of_the_outbox(self) -> None:
        """Parked rows make the exit code 1; a database that fails hides nothing of the journal."""
        publish.delay("orders", "shipped", 0, key="taken")
        add("orders", "shipped", 1, key="taken")
        add("orders", "shipped", 2)
        relay()
        add("audit", "shipped", 3, app="eu")
        code, told = status()
        rows = {one["app"]: (one["waiting"], one["parked"]) for one in told["outbox"]["rows"]}
        self.assertEqual((code, told["ok"], told["outbox"]["problems"]), (1, False, ["outbox"]))
        self.assertEqual(rows, {"default": (0, 1), "eu": (1, 0)})
        self.assertEqual(status("--fail-on", "dead")[0], 0)
        self.assertEqual(status("--fail-on", "oldest=0")[0], 1)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(CommandError):
            call_command("sockudo", "status")
        self.assertIn("outbox default: 0 rows wait, 1 parked", said.getvalue())
        OutboxRow.objects.all().delete()
        self.assertEqual(status()[0], 0)
        with mock.patch.object(OutboxRow.objects, "using", side_effect=OperationalError("a row's text")):
            code, told = status()
        self.assertEqual((code, told["outbox"]["rows"], told["outbox"]["failure"]), (0, None, "OperationalError"))
        self.assertEqual(sum(lane["depth"] for app in told["apps"] for lane in app["lanes"]), 2)

    async def test_stored_after_the_commit_from_a_coroutine(self) -> None:
        @sync_to_async
        def ship() -> int:
            with transaction.atomic():
                publish.delay_on_commit("orders", "shipped", 1)
                return depth()

        self.assertEqual((await ship(), await sync_to_async(depth)()), (0, 1))


def status(*arguments: str) -> tuple[int, dict[str, Any]]:
    said = io.StringIO()
    code = 0
    with contextlib.redirect_stdout(said):
        try:
            call_command("sockudo", "status", "--json", *arguments)
        except CommandError as error:
            code = error.returncode
    return code, json.loads(said.getvalue())


def depth() -> int:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        call_command("sockudo", "status", "--json")
    [line] = said.getvalue().splitlines()
    return sum(lane["depth"] for app in json.loads(line)["apps"] for lane in app["lanes"])
