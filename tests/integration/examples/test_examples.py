"""The examples run as they stand, each as a process of its own, and subscribers see what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sockudo_publisher.dev.embedded import RedisServer
from tests.support.celery_worker import ForeignWorker
from tests.support.stack import Stack
from tests.support.warm import run_python

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[3]


def run(stack: Stack, *args: str, stdin: str = "", **env: str) -> str:
    """Run an example to its end, and give what it printed."""
    done = run_python(args, cwd=ROOT, env={**stack.python(), **env}, stdin=stdin.encode(), timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_orders_publishes_once_per_key_later_and_now(stack: Stack) -> None:
    """Packed, shipped once though published twice, rate-us after its countdown; the courier's event at once."""
    order = stack.channel("order")
    seen = stack.subscribe(f"orders-{order}", f"orders-{order}-courier")
    stack.worker()
    printed = run(stack, "examples/orders.py", order)
    seen.wait_for_count(4, 30)
    seen.wait_until_quiet(1.0)
    events = [event.event for event in seen.events() if event.channel == f"orders-{order}"]
    assert events == ["packed", "shipped", "rate-us"]
    assert seen.data(f"orders-{order}-courier") == ["by bicycle"]
    assert "stored as" in printed
    assert "accepted as" in printed


def test_import_prices_run_twice_publishes_once(stack: Stack) -> None:
    """A second run of the same import stores nothing new."""
    symbol = stack.channel("ACME")
    seen = stack.subscribe(f"prices-{symbol}")
    stack.worker()
    lines = "".join(f"{symbol},{price}.5\n" for price in range(50))
    run_id = stack.channel("import")
    assert "50 events, 0 of them" in run(stack, "examples/import_prices.py", run_id, stdin=lines)
    assert "50 events, 50 of them" in run(stack, "examples/import_prices.py", run_id, stdin=lines)
    seen.wait_for_count(50, 30)
    seen.wait_until_quiet(1.0)
    assert [json.loads(data)["price"] for data in seen.data()] == [price + 0.5 for price in range(50)]


def test_tickets_are_told_of_once_and_only_when_they_are_sold(stack: Stack, tmp_path: Path) -> None:
    """Three seats are sold, the third one twice: the second sale is rolled back with its event."""
    show = stack.channel("matinee")
    seen = stack.subscribe(f"seats-{show}")
    stack.worker()
    printed = run(stack, "examples/tickets.py", f"sqlite:///{tmp_path}/tickets.db", show, "3")
    assert printed.splitlines() == ["seat 3 is sold already", "3 events stored"]
    seen.wait_for_count(3, 30)
    seen.wait_until_quiet(1.0)
    assert [json.loads(data)["seat"] for data in seen.data()] == [1, 2, 3]


def test_own_celery_app_chains_through_publish(stack: Stack, tmp_path: Path) -> None:
    """A chain of a foreign app, with a broker of its own, publishes its first task's result and goes on."""
    seen = stack.subscribe("invoices")
    stack.worker()
    with RedisServer(tmp_path / "their-broker", appendonly=False) as broker:
        env = {**stack.python(), "MY_BROKER": broker.url}
        with ForeignWorker("examples.own_celery_app", "celery,sockudo", env, tmp_path, ROOT):
            printed = run(stack, "-m", "examples.own_celery_app", MY_BROKER=broker.url)
        assert printed.startswith("stored ")
    seen.wait_for_count(1, 30)
    assert [json.loads(data) for data in seen.data()] == [{"total": 30.0}]
