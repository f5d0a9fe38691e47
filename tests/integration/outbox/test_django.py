"""Django on real databases: what is stored on commit, the outbox's migration, its relay and its command."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from sockudo_publisher import IdempotencyConflict, JournalUnavailable, ValidationError, configure, publish
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.outbox.django import add, parked, relay, release
from sockudo_publisher.wiring.app import app_named
from sockudo_publisher.wiring.private_celery import celery_app
from tests.integration.journal.raw import read_lane
from tests.integration.outbox import django_app
from tests.integration.outbox.conftest import LANES
from tests.support.cases import in_depth
from tests.support.mariadb import find_mariadb
from tests.support.parts import need, not_for_this_case
from tests.support.postgres import find_postgres
from tests.support.warm import run_python, start_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]
PROJECT = ["-m", "tests.integration.outbox.django_app"]

SERVERS = {"postgresql": ("postgres", find_postgres), "mariadb": ("mariadb", find_mariadb)}
#: Aliases: SQLite is the default one.
KINDS = ["default", *SERVERS]


@pytest.fixture(scope="module")
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Django configured in this process, with a migrated database of each kind; their URLs."""
    urls = {"default": f"sqlite:///{tmp_path_factory.mktemp('django')}/app.sqlite3"}
    for alias, (part, find) in SERVERS.items():
        if find() is not None:
            server = request.getfixturevalue(part)
            name = f"django_{uuid.uuid4().hex[:8]}"
            server.run(f"CREATE DATABASE {name}")
            urls[alias] = server.url(name)
    django_app.configure(urls)
    for alias in urls:
        call_command("migrate", database=alias, verbosity=0)
    yield urls
    connections.close_all()


#: For what stores, locks and deletes rows, MariaDB is there in `make test` too.
on_all = pytest.mark.parametrize("using", KINDS, indirect=True)


@pytest.fixture(params=in_depth(KINDS, quick=["default", "postgresql"]))
def using(request: pytest.FixtureRequest, project: dict[str, str], environ: dict[str, str]) -> Iterator[str]:
    """The alias of a database with an empty outbox."""
    if request.param not in project:
        need(SERVERS[request.param][0])
    from sockudo_publisher.outbox.django.models import OutboxRow

    OutboxRow.objects.using(request.param).all().delete()
    yield request.param
    connections.close_all()


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """The journal's Redis, which is the broker too."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def left(using: str) -> int:
    from sockudo_publisher.outbox.django.models import OutboxRow

    return OutboxRow.objects.using(using).count()


@contextmanager
def transaction_of(connection) -> Iterator[Any]:
    """A cursor of another connection than the alias' own, in a transaction that is rolled back."""
    connection.set_autocommit(False)
    with connection.cursor() as cursor:
        yield cursor
    connection.rollback()


# -- publish.delay_on_commit ----------------------------------------------------------------------------


@on_all
def test_stored_after_the_commit_in_order(using: str, journal) -> None:
    """Not before; the message id is known at the call."""
    with transaction.atomic(using=using):
        ids = [publish.delay_on_commit("orders", "n", number, using=using) for number in range(3)]
        assert journal() == []
    assert journal("orders") == [0, 1, 2]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


@on_all
def test_nothing_is_stored_after_a_rollback(using: str, journal) -> None:
    """Of the whole transaction, or of a savepoint in it; an inner one that is released waits for the outer."""
    with transaction.atomic(using=using):
        publish.delay_on_commit("orders", "n", 1, using=using)
        transaction.set_rollback(True, using=using)
    with transaction.atomic(using=using):
        publish.delay_on_commit("orders", "n", 2, using=using)
        with transaction.atomic(using=using):
            publish.delay_on_commit("orders", "n", 3, using=using)
            transaction.set_rollback(True, using=using)
        with transaction.atomic(using=using):
            publish.delay_on_commit("orders", "n", 4, using=using)
        assert journal() == []
    assert journal("orders") == [2, 4]


def test_outside_a_transaction_it_is_stored_at_once(using: str, journal) -> None:
    """As Django's own on_commit."""
    publish.delay_on_commit("orders", "n", 1, using=using)
    assert journal("orders") == [1]


def test_bad_input_raises_inside_the_transaction(using: str, journal) -> None:
    """So that the application can still decide; without Redis."""
    with transaction.atomic(using=using):
        for arguments in [("no channel", "n", 1), ("orders", "n", float("nan")), ("orders", "", 1)]:
            with pytest.raises(ValidationError):
                publish.delay_on_commit(*arguments, using=using)
        refused = {"expires": "soon", "countdown": "30", "eta": 5, "link": 5, "task_id": "x" * 129}
        for name, value in refused.items():
            options = {"countdown": 5, name: value}
            with pytest.raises(ValidationError, match=f"^{name}: "):
                publish.apply_async_on_commit(("orders", "n", 1), using=using, **options)
        with pytest.raises(TypeError, match="is it 'countdown'"):
            publish.apply_async_on_commit(("orders", "n", 1), count_down=5, using=using)
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            publish.delay_on_commit("orders", "n", 1, colour="red", using=using)
    assert journal() == []


def test_what_changes_after_the_call_changes_nothing(using: str, journal, redis_client: redis.Redis) -> None:
    """The event is decided at the call."""
    data, channels, tags, extras = {"n": [1]}, ["orders", "audit"], {"t": "1"}, {"headers": {"a": "1"}}
    with transaction.atomic(using=using):
        publish.delay_on_commit(channels, "n", data, tags=tags, extras=extras, using=using)
        data["n"].append(2)
        channels.append("not a channel")
        tags["t"] = extras["headers"]["a"] = "2"
    assert journal("orders") == journal("audit") == [{"n": [1]}]
    items = [item for lane in range(LANES) for item in read_lane(redis_client, "default", lane).queue.items]
    assert all(b'"t":"1"' in item.body and b'"a":"1"' in item.body for item in items)


def test_collapse_keys_are_stored_after_the_commit(using: str, journal, collapse_fields) -> None:
    """By `delay_on_commit` at the commit, by the outbox when its relay moves the row."""
    with transaction.atomic(using=using):
        publish.delay_on_commit("orders", "n", 1, collapse="k", using=using)
        add("audit", "n", 2, collapse="é", using=using)
        add("audit", "n", 3, using=using)
        assert collapse_fields() == set()
    assert collapse_fields() == {b"6:ordersk"}
    assert relay(using=using).stored == 2
    assert collapse_fields() == {b"6:ordersk", "5:audité".encode()}


def test_options_of_apply_async_count_from_the_commit(using: str, journal, redis_client: redis.Redis) -> None:
    """Expiry is with the stored event; an event with a countdown is scheduled after the commit."""
    with transaction.atomic(using=using):
        publish.apply_async_on_commit(("orders", "n", 1), expires="2999-01-01T00:00:00Z", priority=3, using=using)
        message_id = publish.apply_async_on_commit(("orders", "n", 2), countdown=60, using=using)
        assert app_named().schedule_book().summary().count == 0
        with pytest.raises(ValidationError, match=r"^expires: "):
            publish.apply_async_on_commit(("orders", "n", 3), countdown=60, expires=30, using=using)
    assert journal("orders") == [1]
    assert [event.message_id for event in app_named().schedule_book().events()] == [message_id]


def test_eager_mode_sends_at_the_commit(using: str, environ, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `delay` does in a project's tests; here no server listens, so it fails there."""
    monkeypatch.setitem(celery_app.conf, "task_always_eager", True)
    sent = []
    monkeypatch.setattr(type(publish), "apply", lambda _self, *args, **options: sent.append(options["task_id"]))
    with transaction.atomic(using=using):
        message_id = publish.delay_on_commit("orders", "n", 1, using=using)
        assert sent == []
    assert sent == [message_id]


@pytest.mark.parametrize("robust", [False, True])
def test_journal_away_after_the_commit(
    using: str, project, environ, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, robust: bool
) -> None:
    """It raises out of the block with the id to repeat it under; `robust=True` logs, and runs the other callbacks."""
    monkeypatch.setenv("SOCKUDO_REDIS_URL", "redis://127.0.0.1:9/0")
    configure()
    others: list[int] = []
    ids: list[str] = []

    def commit() -> None:
        with transaction.atomic(using=using):
            ids.append(publish.delay_on_commit("orders", "n", 1, using=using, robust=robust))
            transaction.on_commit(lambda: others.append(1), using=using)

    if robust:
        commit()
        assert others == [1]
        assert "JournalUnavailable" in caplog.text
    else:
        with pytest.raises(JournalUnavailable) as raised:
            commit()
        assert raised.value.message_id == ids[0]
        assert others == []


def test_conflict_of_a_key_is_found_after_the_commit(using: str, journal) -> None:
    """A key is looked up where it is remembered, in Redis."""
    publish.delay("orders", "n", 0, key="k")
    with pytest.raises(IdempotencyConflict), transaction.atomic(using=using):
        publish.delay_on_commit("orders", "n", 1, key="k", using=using)


@pytest.mark.parametrize("using", in_depth(KINDS, quick=["postgresql"]), indirect=True)
def test_death_between_commit_and_append_loses_the_event_only(
    project: dict[str, str], environ, journal, using: str
) -> None:
    """The gap of on_commit, and what the outbox is for."""
    done = run_python([*PROJECT, project[using], "die-on-commit"], env={**os.environ, **environ}, cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert relay(using=using).stored == 1
    assert journal() == [("outbox", 1)]


#: No import of Django succeeds, nor of what the process that forks has of it already.
ABSENT = """
import sys
names = {"django", *(name for name in sys.modules if name.startswith("django."))}
sys.modules.update(dict.fromkeys(names))
"""


@pytest.mark.parametrize(
    ("prelude", "message"),
    [
        pytest.param(ABSENT, "sockudo_publisher.outbox.sqlalchemy", id="absent"),
        pytest.param("", "Django is not configured", id="not configured"),
        pytest.param(
            "from django.conf import settings; settings.configure()", "Django is not configured", id="no database"
        ),
    ],
)
def test_without_django_the_error_says_what_to_do(environ, prelude: str, message: str) -> None:
    """A setting is missing, or a package."""
    source = f"{prelude}\nfrom sockudo_publisher import publish\npublish.delay_on_commit('c', 'e', 1)"
    done = run_python(["-c", source], env={**os.environ, **environ}, cwd=ROOT, timeout=60)
    assert done.stderr.splitlines()[-1].startswith("sockudo_publisher.errors.ConfigurationError: publish.delay_on_")
    assert message in done.stderr.splitlines()[-1]


# -- the outbox -----------------------------------------------------------------------------------------


def test_model_and_migration_agree(project: dict[str, str]) -> None:
    """`makemigrations` would write nothing."""
    call_command("makemigrations", "sockudo_outbox", check=True, dry_run=True, verbosity=0)
    call_command("check")


@on_all
def test_committed_rows_go_out_once_in_order(using: str, journal) -> None:
    """And none of a rolled back transaction or savepoint."""
    with transaction.atomic(using=using):
        for number in range(10):
            add(["orders", "audit"], "n", number, using=using)
        with transaction.atomic(using=using):
            add("orders", "n", -1, using=using)
            transaction.set_rollback(True, using=using)
        with pytest.raises(ValidationError):
            add("orders", "n", "x" * 20_000, using=using)
    assert relay(using=using, batch=3).stored == 20
    assert journal("orders") == journal("audit") == list(range(10))
    assert left(using) == 0


@on_all
def test_conflict_is_parked_and_blocks_no_row(using: str, journal) -> None:
    """With the reason in its row."""
    from sockudo_publisher.outbox.django.models import OutboxRow

    publish.delay("orders", "n", 0, key="taken")
    add("orders", "n", 1, key="taken", using=using)
    add("orders", "n", 2, using=using)
    assert relay(using=using).parked == 1
    assert relay(using=using).parked == 0, "it is not tried again"
    assert journal("orders") == [0, 2]
    assert OutboxRow.objects.using(using).get().parked.startswith("conflict: key: used before")
    assert (release([0], using=using), release(using=using), release(using=using)) == (0, 1, 0)
    assert relay(using=using).parked == 1, "it is tried again"


def test_app_that_cannot_go_on_lets_the_others(using: str, journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows of it stand before theirs."""
    for number in range(3):
        add("orders", "n", number, app="eu", using=using)
    add("orders", "n", 3, using=using)
    monkeypatch.delenv("SOCKUDO_APPS")
    configure()
    relayed = relay(using=using, batch=2)
    assert (relayed.stored, list(relayed.waiting)) == (1, ["eu"])
    assert journal("orders") == [3]
    assert left(using) == 3


@on_all
def test_rows_of_another_relay_are_not_overtaken(using: str, project: dict[str, str], journal) -> None:
    """What is locked is left, and what is behind it."""
    if using == "default":
        not_for_this_case("SQLite has no row locks: the ledger alone keeps each event single there")
    for number in range(4):
        add("orders", "n", number, using=using)
    with closing(connections[using].copy()) as other, transaction_of(other) as cursor:
        cursor.execute("SELECT min(id) + 1 FROM sockudo_outbox")
        cursor.execute("SELECT 1 FROM sockudo_outbox WHERE id = %s FOR UPDATE", cursor.fetchone())
        assert relay(using=using).stored == 1
    assert relay(using=using).stored == 3
    assert journal("orders") == [0, 1, 2, 3]


@on_all
def test_relay_killed_between_append_and_delete_stores_each_once(
    using: str, project: dict[str, str], environ, journal
) -> None:
    """The command, killed; the next one appends nothing twice."""
    for number in range(6):
        add("orders", "n", number, using=using)
    env = {**os.environ, **environ, "SOCKUDO_FAULTPOINT": "rung:2"}
    command = [*PROJECT, project[using], "sockudo_relay", "--once", "--batch=2"]
    done = run_python(command, env=env, cwd=ROOT, timeout=60)
    assert done.returncode == -signal.SIGKILL, "the fault must have fired"
    assert left(using) == 4
    said: list[str] = []

    def has_stored() -> bool:
        """The database holds the rows for the killed relay until it has seen its end."""
        output = io.StringIO()
        call_command("sockudo_relay", once=True, database=using, stdout=output)
        said.append(output.getvalue())
        return not said[-1].startswith("0 stored")

    assert wait_for(has_stored, 60)
    assert said[-1] == "4 stored, 2 of them by an earlier attempt; 0 parked\n"
    assert journal("orders") == list(range(6))


def test_command_once_fails_when_something_is_left(using: str, environ, monkeypatch: pytest.MonkeyPatch) -> None:
    """With why; the rows stay."""
    add("orders", "n", 1, using=using)
    monkeypatch.setenv("SOCKUDO_REDIS_URL", "redis://127.0.0.1:9/0")
    configure()
    with pytest.raises(CommandError, match="app default: rows wait"):
        call_command("sockudo_relay", once=True, database=using, stdout=io.StringIO())
    assert left(using) == 1
    with pytest.raises(CommandError, match="--batch"):
        call_command("sockudo_relay", once=True, database=using, batch=0)


@pytest.mark.parametrize("using", in_depth(KINDS, quick=["postgresql"]), indirect=True)
def test_command_relays_until_sigterm(
    using: str, project: dict[str, str], environ, journal: Callable[..., list]
) -> None:
    """It goes on when its database comes back, and ends with 0."""
    env = {**os.environ, **environ}
    running = start_python([*PROJECT, project[using], "sockudo_relay", "--interval=0.05"], env=env, cwd=ROOT)
    try:
        add("orders", "n", 1, using=using)
        assert wait_for(lambda: journal("orders") == [1], 60)
        if using == "postgresql":
            with connections[using].cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        add("orders", "n", 2, using=using)
        assert wait_for(lambda: journal("orders") == [1, 2], 60)
        running.terminate()
        assert running.wait(20) == 0
    finally:
        running.kill()
        running.wait()


@pytest.mark.parametrize("using", in_depth(KINDS, quick=["default"]), indirect=True)
def test_command_announces_what_it_relays(using: str, project: dict[str, str], environ, journal) -> None:
    """At its start: table, database, apps, interval; at its end, by SIGTERM: what it did, and what is parked."""
    publish.delay("orders", "n", 0, key="taken")
    running = start_python(
        [*PROJECT, project[using], "sockudo_relay", "--interval=0.05"],
        env={**os.environ, **environ},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        start = running.stdout.readline().decode()
        assert start == "relay started table=sockudo_outbox database=default apps=default,eu every_s=0.05 batch=200\n"
        add("orders", "n", "the payload", key="taken", using=using)
        add("orders", "n", 2, using=using)
        assert wait_for(lambda: journal("orders") == [0, 2], 60)
        assert wait_for(lambda: left(using) == 1, 60)
    finally:
        running.terminate()
        said, complaints = (text.decode() for text in running.communicate(timeout=60))
    assert running.returncode == 0
    assert said == "relay ended: 1 stored, 0 of them by an earlier attempt; 1 parked\n"
    assert "rows are parked: 1 parked, not tried again: row=" in complaints
    assert "channel=orders message_id=taken app=default: conflict" in complaints
    assert "the payload" not in said + complaints


def test_command_once_fails_for_parked_rows(using: str, journal) -> None:
    """Each time, until a person has deleted or released them; the rows are named."""
    publish.delay("orders", "n", 0, key="taken")
    for number in range(5):
        add(f"orders-{number}", "n", number, key="again", using=using)
    call_command("sockudo_relay", once=True, database=using, stdout=io.StringIO(), stderr=io.StringIO())
    add("orders", "n", "the payload", key="taken", using=using)
    for stored in (0, 0):
        said, announced = io.StringIO(), io.StringIO()
        with pytest.raises(CommandError, match=r"1 parked, not tried again: row=.*message_id=taken") as raised:
            call_command("sockudo_relay", once=True, database=using, stdout=said, stderr=announced)
        assert said.getvalue().startswith(f"{stored} stored")
        assert announced.getvalue().startswith("relay started table=sockudo_outbox")
        assert "the payload" not in str(raised.value)
    [row] = parked(using=using)
    assert (row.app, row.channel, row.message_id) == ("default", "orders", "taken")
    assert row.reason.startswith("conflict")


def test_command_once_names_the_row_that_waits(using: str, environ, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one that cannot go on: those behind it wait for it."""
    message_id = add("orders", "n", 1, using=using)
    monkeypatch.setenv("SOCKUDO_REDIS_URL", "redis://127.0.0.1:9/0")
    configure()
    with pytest.raises(CommandError, match=f"row=\\d+ channel=orders message_id={message_id}: "):
        call_command("sockudo_relay", once=True, database=using, stdout=io.StringIO(), stderr=io.StringIO())


@pytest.mark.parametrize("task", ["delay", "apply_async"])
def test_robust_callback_logs_which_event_was_lost(
    using: str, environ, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, task: str
) -> None:
    """App, channel, event and id, also as fields; never the payload."""
    monkeypatch.setenv("SOCKUDO_REDIS_URL", "redis://:of-mine@127.0.0.1:9/0")
    configure()
    channels = ["orders", "audit", "stock", "mail"]
    with transaction.atomic(using=using):
        if task == "delay":
            channel = "orders"
            message_id = publish.delay_on_commit(channel, "shi\x1bpped", "the payload", using=using, robust=True)
        else:
            channel = "orders,audit,stock,+1"
            arguments = (channels, "shi\x1bpped", "the payload")
            message_id = publish.apply_async_on_commit(arguments, using=using, robust=True)
    [record] = [record for record in caplog.records if record.name == "sockudo_publisher.tasks"]
    text = f"app=default channel={channel} event=shi\\x1bpped message_id={message_id} error=JournalUnavailable: "
    assert record.levelname == "ERROR"
    assert text in record.getMessage()
    assert (record.app, record.channel, record.message_id) == ("default", channel, message_id)
    assert not any(word in caplog.text for word in ("the payload", "of-mine"))
