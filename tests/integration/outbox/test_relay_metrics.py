"""`/metrics` of a relay: what it has stored, and the rows of its table, on both databases."""

from __future__ import annotations

import os
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from sockudo_publisher import configure
from sockudo_publisher.dev.embedded.ports import free_port
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.outbox import relay_metrics
from tests.integration.metrics.page import scrape, wait_for_value
from tests.integration.outbox.conftest import on
from tests.integration.outbox.sqlalchemy_app import metadata, outbox
from tests.integration.outbox.test_sqlalchemy import place
from tests.support.warm import run_python, start_python

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A scrape counts the rows again at once."""
    monkeypatch.setattr(relay_metrics, "FRESH_S", 0.0)


@on("sqlite", "postgresql")
def test_relay_shows_its_table(engine: Engine, environ: dict[str, str], fresh: None) -> None:
    port = free_port()
    before = _stored()
    for number in range(3):
        place(engine, number)
    with Session(engine) as session, session.begin():
        parked_id = outbox.add(session, "orders", "n", {"n": 9})
        waiting_id = outbox.add(session, "orders", "n", {"n": 10}, app="eu")
    table = outbox.table
    hour_ago = datetime.now(timezone.utc) - timedelta(hours=1)
    with engine.begin() as connection:
        connection.execute(update(table).where(table.c.message_id == parked_id).values(parked="conflict: of a test"))
        connection.execute(update(table).where(table.c.message_id == waiting_id).values(created_at=hour_ago))
    # The other app is not in these settings: its rows wait.
    configure(metrics_port=port, apps={})
    end = threading.Event()
    thread = threading.Thread(target=outbox.run, args=(engine,), kwargs={"stop": end, "every_s": 0.05})
    thread.start()
    try:
        page = wait_for_value(port, "events_stored_total", before + 3)
        page = wait_for_value(port, "outbox_rows", 0)
        assert page.value("outbox_parked_rows") == 1
        assert page.value("outbox_oldest_row_age_seconds") == 0
        assert page.value("outbox_rows", app="eu") is None, "only apps of the settings are labels"
    finally:
        end.set()
        thread.join(20)
        configure()


def _stored() -> float:
    from prometheus_client import REGISTRY

    return REGISTRY.get_sample_value("sockudo_publisher_events_stored_total", {"app": "default"}) or 0


@on("sqlite", "postgresql")
def test_database_that_fails_hides_its_gauges(
    engine: Engine, environ: dict[str, str], fresh: None, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of the page is there; the error's text, which may quote a payload, is in no log line."""
    port = free_port()
    configure(metrics_port=port)
    end = threading.Event()
    thread = threading.Thread(target=outbox.run, args=(engine,), kwargs={"stop": end, "every_s": 0.05})
    thread.start()
    try:
        wait_for_value(port, "outbox_rows", 0)
        metadata.drop_all(engine)
        assert wait_for(lambda: "outbox_rows" not in scrape(port).names(), 20)
        assert "events_stored_total" in scrape(port).names()
        assert "SELECT" not in caplog.text
    finally:
        end.set()
        thread.join(20)
        configure()


def test_djangos_relay_shows_its_table(environ: dict[str, str], tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/app.sqlite3"
    project = ["-m", "tests.integration.outbox.django_app", database]
    port = free_port()
    env = {**os.environ, **environ, "SOCKUDO_METRICS_PORT": str(port)}
    code = (
        "from tests.integration.outbox import django_app; import sys\n"
        "django_app.configure({'default': sys.argv[1]})\n"
        "from django.core.management import call_command\n"
        "from sockudo_publisher.outbox.django import add\n"
        "from sockudo_publisher.outbox.django.models import OutboxRow\n"
        "call_command('migrate', verbosity=0)\n"
        "[add('orders', 'n', n) for n in range(3)]\n"
        "OutboxRow.objects.filter(id=1).update(parked='conflict: of a test')\n"
    )
    filled = run_python(["-c", code, database], env=env, cwd=ROOT, timeout=60)
    assert filled.returncode == 0, filled.stderr
    relay = start_python([*project, "sockudo_relay", "--interval=0.1"], env=env, cwd=ROOT)
    try:
        wait_for_value(port, "events_stored_total", 2)
        wait_for_value(port, "outbox_parked_rows", 1)
        wait_for_value(port, "outbox_rows", 0)
    finally:
        relay.terminate()
        relay.wait(20)
