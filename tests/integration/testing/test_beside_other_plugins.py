"""Projects that use pytest-asyncio, pytest-django and pytest-xdist: the fixtures record and connect there too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.testing.test_plugin import SENTENCE, outcomes, run_pytest
from tests.support.cases import in_depth

pytestmark = pytest.mark.integration

INI = """
[pytest]
sockudo_block = true
addopts = --strict-markers --strict-config
filterwarnings = error
"""
ASYNC_TESTS = """
import asyncio
import pytest
from tests.support.cases import in_depth
from sockudo_publisher import AsyncSockudo, JournalUnavailable, RateLimited, apublish_many, configure, publish
from sockudo_publisher.testing import AsyncSubscriber, capture_published

@pytest.mark.asyncio
async def test_every_way_of_a_coroutine(published):
    await publish.adelay("a", "e", 1, key="k")
    await apublish_many([("b", "e", n) for n in range(3)])
    async with AsyncSockudo.from_env() as client:
        await client.trigger("c", "e", 1)
    ways = [(event.channel, event.via) for event in published.events]
    assert ways == [("a", "adelay"), *[("b", "publish_many")] * 3, ("c", "call")]

@pytest.mark.asyncio
@pytest.mark.parametrize("number", range(3))
async def test_each_loop_begins_empty(published, number):
    await asyncio.gather(*(publish.adelay("a", "e", n, key=f"k{n}") for n in range(number)))
    published.assert_count(number, "a")

@pytest.mark.asyncio
async def test_in_a_block():
    async with capture_published() as published:
        await publish.adelay("a", "e", 1)
    published.assert_one("a", via="adelay")

@pytest.mark.asyncio
@capture_published()
async def test_decorated(published):
    await publish.adelay("a", "e", 1)
    published.assert_one("a")

@pytest.mark.asyncio
async def test_ordered_failures(published):
    with published.fail(JournalUnavailable):
        with pytest.raises(JournalUnavailable):
            await publish.adelay("a", "e", 1)
    published.fail(RateLimited, times=1)
    async with AsyncSockudo.from_env() as client:
        with pytest.raises(RateLimited):
            await client.trigger("a", "e", 1)
    published.assert_none()

@pytest.mark.asyncio
async def test_member_of_a_presence_channel(sockudo_server):
    async with AsyncSubscriber(sockudo_server, "presence-room", user={"user_id": "7"}) as subscriber:
        async with AsyncSockudo.from_env() as client:
            assert (await client.users_info("presence-room"))["users"] == [{"id": "7"}]
            await client.trigger("presence-room", "e", 1)
        assert (await subscriber.wait_for("presence-room", "e"))[0].data == 1

@pytest.mark.asyncio
async def test_other_host(sockudo_server):
    configure(redis_url="redis://192.0.2.1:1/0", url=sockudo_server.url)
    await publish.adelay("a", "e", 1)

@pytest.mark.asyncio
async def test_blocked_bulk_job():
    await apublish_many([("a", "e", 1)])

@pytest.mark.asyncio
async def test_blocked():
    await publish.adelay("a", "e", 1)

@pytest.mark.asyncio
async def test_blocked_and_swallowed():
    try:
        async with AsyncSockudo("a", "k", "s") as client:
            await client.trigger("a", "e", 1)
    except BaseException:
        pass
"""

DJANGO_SETTINGS = """
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["sockudo_publisher.outbox.django"]
SECRET_KEY = "for tests"
USE_TZ = True
"""
DJANGO_TESTS = """
import pytest
from tests.support.cases import in_depth
from django.db import transaction
from django.test import TestCase
from sockudo_publisher import ConfigurationError, publish
from sockudo_publisher.outbox.django import add
from sockudo_publisher.testing import capture_published

def publish_both():
    publish.delay_on_commit("orders", "shipped", 1)
    add("outbox", "e", 2)

@pytest.mark.django_db
def test_callbacks_are_captured(published, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        publish_both()
        published.assert_none()
    assert {event.via for event in published.events} == {"on_commit", "outbox"}

@pytest.mark.django_db
def test_no_commit_no_event(published):
    publish_both()
    published.assert_none()

@pytest.mark.django_db
@pytest.mark.sockudo(immediate_on_commit=True)
def test_recorded_at_the_call(published):
    publish_both()
    published.assert_count(2)

@pytest.mark.django_db(transaction=True)
def test_rollback_to_a_savepoint(published):
    with transaction.atomic():
        publish_both()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            publish_both()
            raise ZeroDivisionError
    published.assert_count(2)

def test_settings_of_a_test(settings, published):
    settings.SOCKUDO = {"APPS": {"eu": "http://k:s@127.0.0.1:9/apps/eu"}}
    publish.delay("a", "e", 1, app="eu")
    with pytest.raises(ConfigurationError):
        publish.delay("a", "e", 1, app="us")

def test_settings_are_back(published):
    publish.delay("a", "e", 1, app="us")  # without settings every name has a dummy
    published.assert_one("a", app="us")

@pytest.mark.django_db
def test_sent_to_a_server(sockudo_server, sockudo_subscriber, django_capture_on_commit_callbacks):
    sockudo_subscriber.subscribe("orders")
    with django_capture_on_commit_callbacks(execute=True):
        transaction.on_commit(lambda: publish("orders", "shipped", 1))
    sockudo_subscriber.wait_for("orders", "shipped")

@capture_published()
class TestOrders(TestCase):
    def test_in_a_test_case(self, published):
        with self.captureOnCommitCallbacks(execute=True):
            publish_both()
        published.assert_count(2)

@pytest.mark.django_db(transaction=True)
def test_blocked():
    publish.delay_on_commit("orders", "shipped", 1)
"""


def check(directory: Path, *arguments: str, without: str, failed: set[str], errors: set[str], passed: int) -> None:
    done = run_pytest(directory, *arguments, without=(without,))
    found = outcomes(done.stdout)
    text = done.stdout + done.stderr
    assert {name for name, outcome in found.items() if outcome == "FAILED"} == failed, text
    assert {name for name, outcome in found.items() if outcome == "ERROR"} == errors, text
    assert sum(outcome == "PASSED" for name, outcome in found.items() if name not in errors) == passed, text
    blocked = done.stdout.count(f"E   Failed: {SENTENCE}") + done.stdout.count(f"\n{SENTENCE}")
    assert blocked == len((failed | errors) - {"test_other_host"}), text
    assert ("connects to 192.0.2.1 (sockudo_block)" in done.stdout) is ("test_other_host" in failed), text


@pytest.mark.parametrize(
    ("mode", "arguments"),
    [
        pytest.param("strict", (), id="strict"),
        pytest.param("auto", ("-n", "2"), id="auto, and xdist", marks=pytest.mark.long),
    ],
)
def test_with_pytest_asyncio(tmp_path: Path, mode: str, arguments: tuple[str, ...]) -> None:
    pytest.importorskip("pytest_asyncio")
    (tmp_path / "pytest.ini").write_text(f"{INI}asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n")
    (tmp_path / "test_shop.py").write_text(ASYNC_TESTS)
    failed = {"test_blocked", "test_blocked_bulk_job", "test_other_host"}
    check(tmp_path, *arguments, without="django", failed=failed, errors={"test_blocked_and_swallowed"}, passed=8)


@pytest.mark.parametrize("arguments", in_depth({"one process": (), "xdist": ("-n", "2")}, quick=["one process"]))
def test_with_pytest_django(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    pytest.importorskip("pytest_django")
    (tmp_path / "pytest.ini").write_text(f"{INI}DJANGO_SETTINGS_MODULE = shop_settings\npythonpath = .\n")
    (tmp_path / "shop_settings.py").write_text(DJANGO_SETTINGS)
    (tmp_path / "test_shop.py").write_text(DJANGO_TESTS)
    check(tmp_path, *arguments, without="asyncio", failed={"test_blocked"}, errors=set(), passed=8)
