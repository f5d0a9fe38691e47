"""The admin on a real journal: what it shows, who may do what, what stays hidden."""

# ruff: noqa: PT009 -- tests as a Django project writes them

from __future__ import annotations

import json
import os
import unittest

import redis
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client, TestCase
from django.urls import reverse

from sockudo_publisher import operations, publish
from sockudo_publisher.config.settings import get_settings
from sockudo_publisher.contrib.django import add, relay
from sockudo_publisher.contrib.django.models import OutboxRow
from sockudo_publisher.journal.keys import lane_keys

LETTERS = reverse("admin:sockudo_outbox_deadletter_changelist")
ROWS = reverse("admin:sockudo_outbox_outboxrow_changelist")
PAYLOAD = "the payload"


class WithStaff(TestCase):
    """A member of staff with the permissions that a test gives."""

    def setUp(self) -> None:
        with redis.Redis.from_url(os.environ["PROJECT_REDIS_URL"]) as client:
            client.flushdb()
        self.user = User.objects.create_user("ops", password="x", is_staff=True)
        self.client.force_login(self.user)

    def allow(self, *codenames: str) -> None:
        for codename in codenames:
            self.user.user_permissions.add(Permission.objects.get(codename=codename))


def bury(
    name: str,
    channel: str = "orders",
    reason: str = "refused",
    item: bytes | None = None,
    app: str = "default",
    lane: int = 0,
) -> str:
    """A dead letter as the scripts write it; its id."""
    event = {"name": name, "channel": channel, "data": json.dumps({"text": PAYLOAD}), "message_id": f"id-of-{name}"}
    fields = {"channel": channel, "reason": reason, "message": "the answer", "attempts": 1, "first_ms": 0, "expiry": 0}
    with redis.Redis.from_url(os.environ["PROJECT_REDIS_URL"]) as client:
        entry = client.xadd(lane_keys(app, lane).dead, {**fields, "item": item or json.dumps(event).encode()})
    return f"{lane}-{entry.decode()}"


def waiting(lane: int = 0, app: str = "default") -> int:
    with redis.Redis.from_url(os.environ["PROJECT_REDIS_URL"]) as client:
        return int(client.xlen(lane_keys(app, lane).stream))


def letters(app: str = "default") -> list[str]:
    return [one.name for one in operations.dead_list(get_settings(), app, 100)]


class LookAtLetters(WithStaff):
    def test_list_and_filters(self) -> None:
        self.allow("view_deadletter")
        bury("shipped")
        bury("paid", channel="payments", reason="uncertain")
        for query, shown in {
            "": {"shipped", "paid"},
            "reason=uncertain": {"paid"},
            "channel=ord": {"shipped"},
            "event=ship": {"shipped"},
            "reason=refused&channel=payments": set(),
            "app=eu": set(),
            "app=unknown": {"shipped", "paid"},
        }.items():
            with self.subTest(query):
                page = self.client.get(f"{LETTERS}?{query}").content.decode()
                self.assertEqual({name for name in ("shipped", "paid") if f"<td>{name}</td>" in page}, shown)
                self.assertNotIn(PAYLOAD, page)
                self.assertNotIn('<select name="action"', page)

    def test_payload_on_demand_and_logged(self) -> None:
        self.allow("view_deadletter")
        address = reverse("admin:sockudo_outbox_deadletter_change", args=[bury("shipped")])
        page = self.client.get(address)
        self.assertContains(page, "id-of-shipped")
        self.assertNotContains(page, PAYLOAD)
        self.assertNotContains(page, "Show the payload")
        self.assertEqual(self.client.post(address).status_code, 403)
        self.allow("view_deadletter_payload")
        self.assertContains(self.client.get(address), "Show the payload")
        self.assertContains(self.client.post(address), PAYLOAD)
        self.assertIn("Saw the payload", LogEntry.objects.get().change_message)

    def test_hostile_names_and_items_are_text(self) -> None:
        self.allow("view_deadletter", "view_deadletter_payload")
        script = "<script>alert(1)</script>"
        bury(script)
        torn = bury("x", item=b"\xff no event \x1b[31m" + script.encode())
        self.assertNotContains(self.client.get(LETTERS), script)
        answer = self.client.post(reverse("admin:sockudo_outbox_deadletter_change", args=[torn]))
        self.assertNotContains(answer, script)
        self.assertContains(answer, "no event \\x1b[31m")

    def test_unknown_letter_is_404(self) -> None:
        self.allow("view_deadletter")
        for id in ("0-1-1", "nonsense", "9" * 40):
            address = reverse("admin:sockudo_outbox_deadletter_change", args=[id])
            self.assertEqual(self.client.get(address).status_code, 404)

    def test_redis_away_is_a_message(self) -> None:
        self.allow("view_deadletter")
        with self.settings(SOCKUDO={**settings.SOCKUDO, "REDIS_URL": "redis://:of-mine@127.0.0.1:9/0"}):
            page = self.client.get(LETTERS)
        self.assertContains(page, "No dead letters")
        self.assertContains(page, "messagelist")
        self.assertNotContains(page, "of-mine")

    def test_permissions(self) -> None:
        id = bury("shipped")
        address = reverse("admin:sockudo_outbox_deadletter_change", args=[id])
        self.assertEqual({self.client.get(one).status_code for one in (LETTERS, address)}, {403})
        self.client.logout()
        self.assertEqual(self.client.get(LETTERS).status_code, 302)


class ActOnLetters(WithStaff):
    def act(self, action: str, *ids: str, **more: str):
        return self.client.post(LETTERS, {"action": action, "id": list(ids), "app": "default", **more}, follow=True)

    def test_replay(self) -> None:
        self.allow("view_deadletter", "replay_deadletter")
        first, conflict = bury("shipped"), bury("paid", reason="conflict")
        page = self.act("replay", first, conflict, "0-1-1")
        self.assertContains(page, "1 dead letter replayed.")
        self.assertContains(page, f"{conflict} (conflict) stays")
        self.assertContains(page, "no longer dead letters: 0-1-1")
        self.assertEqual((letters(), waiting()), (["paid"], 1))
        self.assertContains(self.act("replay_new_id", conflict), "1 dead letter replayed.")
        self.assertEqual((letters(), waiting()), ([], 2))
        self.assertEqual(
            sorted(LogEntry.objects.values_list("object_id", "change_message")),
            sorted([(first, "Replayed, app default"), (conflict, "Replayed, with a new message id, app default")]),
        )

    def test_purge_asks_first(self) -> None:
        self.allow("view_deadletter", "purge_deadletter")
        first, second = bury("shipped"), bury("paid")
        self.assertContains(self.act("purge", first), "Are you sure?")
        self.assertEqual(letters(), ["shipped", "paid"])
        self.assertContains(self.act("purge", first, confirmed="yes"), "1 dead letter purged.")
        self.assertEqual(letters(), ["paid"])
        self.assertEqual(LogEntry.objects.get().object_id, first)
        del second

    def test_other_app_is_untouched(self) -> None:
        self.allow("view_deadletter", "purge_deadletter", "replay_deadletter")
        bury("shipped")
        other = bury("there", app="eu")
        page = self.client.post(LETTERS, {"action": "replay", "id": other, "app": "eu"}, follow=True)
        self.assertContains(page, "1 dead letter replayed.")
        self.assertEqual((letters(), letters("eu"), waiting(app="eu")), (["shipped"], [], 1))

    def test_each_action_has_its_permission(self) -> None:
        id = bury("shipped")
        cases = {
            ("view_deadletter",): ("replay", "replay_new_id", "purge"),
            ("view_deadletter", "replay_deadletter"): ("purge",),
            ("view_deadletter", "purge_deadletter"): ("replay", "replay_new_id"),
            ("replay_deadletter", "purge_deadletter"): ("replay", "purge"),  # without the one to look
        }
        for allowed, refused in cases.items():
            self.user.user_permissions.clear()
            self.allow(*allowed)
            for action in refused:
                with self.subTest(f"{allowed} {action}"):
                    self.assertEqual(self.act(action, id, confirmed="yes").status_code, 403)
        self.assertEqual((letters(), LogEntry.objects.count()), (["shipped"], 0))

    def test_bad_requests_change_nothing(self) -> None:
        self.allow("view_deadletter", "replay_deadletter", "purge_deadletter")
        id = bury("shipped")
        for action, ids in {"": [id], "drop": [id], "replay": [], "purge": [], "replay_new_id": ["nonsense"]}.items():
            with self.subTest(action):
                self.assertEqual(self.act(action, *ids, confirmed="yes").status_code, 200)
        self.assertEqual(letters(), ["shipped"])
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(self.user)
        self.assertEqual(strict.post(LETTERS, {"action": "replay", "id": id}).status_code, 403)


class Rows(WithStaff):
    def setUp(self) -> None:
        super().setUp()
        publish.delay("orders", "shipped", 0, key="taken")
        add("orders", "shipped", {"text": PAYLOAD}, key="taken")
        self.assertEqual(relay().parked, 1)
        add("payments", "paid", 2)
        self.parked, self.waits = OutboxRow.objects.order_by("id")

    def test_list_and_filter(self) -> None:
        self.allow("view_outboxrow")
        for query, shown in {"": 2, "state=parked": 1, "state=waiting": 1, "q=taken": 1, "q=pay": 1}.items():
            page = self.client.get(f"{ROWS}?{query}")
            self.assertEqual(page.context["cl"].result_count, shown, query)
            self.assertNotContains(page, PAYLOAD)
        self.assertContains(self.client.get(ROWS), "parked: conflict")

    def test_release(self) -> None:
        choose = {"action": "release", "_selected_action": [self.parked.pk, self.waits.pk]}
        self.allow("view_outboxrow")
        self.client.post(ROWS, choose)
        self.assertEqual(OutboxRow.objects.filter(parked__isnull=False).count(), 1)
        self.allow("change_outboxrow")
        self.user = User.objects.get(pk=self.user.pk)
        self.client.force_login(self.user)
        self.assertContains(self.client.post(ROWS, choose, follow=True), "1 row released.")
        self.assertEqual(OutboxRow.objects.filter(parked__isnull=False).count(), 0)
        self.assertEqual(LogEntry.objects.get().object_id, str(self.parked.pk))

    def test_delete_needs_its_permission(self) -> None:
        choose = {"action": "delete_selected", "_selected_action": [self.parked.pk], "post": "yes"}
        self.allow("view_outboxrow")
        self.client.post(ROWS, choose)
        self.assertEqual(OutboxRow.objects.count(), 2)
        self.allow("delete_outboxrow")
        self.client.post(ROWS, choose)
        self.assertEqual(list(OutboxRow.objects.values_list("pk", flat=True)), [self.waits.pk])

    def test_payload_on_demand(self) -> None:
        self.allow("view_outboxrow")
        address = reverse("admin:sockudo_outbox_outboxrow_change", args=[self.parked.pk])
        page = self.client.get(address)
        self.assertContains(page, "parked: conflict")
        self.assertNotContains(page, PAYLOAD)
        self.assertEqual(self.client.post(address).status_code, 403)
        self.allow("view_deadletter_payload")
        self.assertContains(self.client.post(address, {"payload": "show"}), PAYLOAD)
        self.assertIn("Saw the payload", LogEntry.objects.get().change_message)

    def test_nothing_is_added_or_changed(self) -> None:
        self.allow("view_outboxrow", "change_outboxrow", "delete_outboxrow")
        self.assertEqual(self.client.get(reverse("admin:sockudo_outbox_outboxrow_add")).status_code, 403)
        address = reverse("admin:sockudo_outbox_outboxrow_change", args=[self.parked.pk])
        self.assertNotContains(self.client.get(address), "_save")


class Index(WithStaff):
    def test_shows_what_the_user_may_see(self) -> None:
        index = reverse("admin:index")
        self.assertNotContains(self.client.get(index), "Dead letters")
        self.allow("view_deadletter", "view_outboxrow")
        page = self.client.get(index)
        self.assertContains(page, "Dead letters")
        self.assertContains(page, "Sockudo")
        self.assertContains(self.client.get("/admin/sockudo_outbox/"), "Events")


@unittest.skipUnless(hasattr(operations, "scheduled"), "this version has no scheduled events in the journal")
class Scheduled(WithStaff):
    def setUp(self) -> None:
        super().setUp()
        self.address = reverse("admin:sockudo_outbox_scheduledevent_changelist")
        options = {"countdown": 3600}
        self.ids = [publish.apply_async((name, "later", {"text": PAYLOAD}), **options).id for name in ("a", "b")]

    def test_list_and_filter(self) -> None:
        self.allow("view_scheduledevent")
        for query, shown in {
            "": 2,
            "channel=a": 1,
            "event=now": 0,
            "due_before=2020-01-01T00:00": 0,
            "app=eu": 0,
        }.items():
            page = self.client.get(f"{self.address}?{query}")
            self.assertEqual(len(page.context["rows"]), shown, query)
            self.assertNotContains(page, PAYLOAD)
            self.assertNotContains(page, "Cancel the chosen")

    def test_cancel(self) -> None:
        self.allow("view_scheduledevent")
        chosen = {"id": [self.ids[0], "of-no-event"], "app": "default"}
        self.assertEqual(self.client.post(self.address, chosen).status_code, 403)
        self.assertEqual(len(operations.scheduled()), 2)
        self.allow("cancel_scheduledevent")
        page = self.client.post(self.address, chosen, follow=True)
        self.assertContains(page, "1 event cancelled.")
        self.assertContains(page, "Event of-no-event was stored meanwhile")
        self.assertEqual([one.id for one in operations.scheduled()], [self.ids[1]])
        self.assertEqual(LogEntry.objects.get().object_id, self.ids[0])

    def test_who_may_look(self) -> None:
        self.assertEqual(self.client.get(self.address).status_code, 403)
