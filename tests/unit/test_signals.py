"""What the receivers of `event_dead` get."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sockudo_publisher.signals import DeadEvent, event_dead

pytestmark = pytest.mark.unit


def letter(item: bytes) -> DeadEvent:
    return DeadEvent("1-5-0", "default", "c", "e", "m", "refused", "why", 1, 5, 6, len(item), False, item)


@pytest.mark.parametrize(
    ("item", "data"),
    [(b'{"channel":"c","data":"payload"}', "payload"), (b"not JSON", None), (b"[1]", None), (b"{}", None)],
)
def test_payload_is_there_on_demand_alone(item: bytes, data: str | None) -> None:
    one = letter(item)
    assert one.data == data
    assert "payload" not in repr(one)


def test_receiver_for_one_app_gets_its_letters_alone() -> None:
    got = []

    def receive(sender: str, letter: DeadEvent, **_: object) -> None:
        got.append((sender, letter))

    one = letter(b"{}")
    event_dead.connect(receive, sender="eu")
    try:
        assert event_dead.has_listeners("eu")
        assert not event_dead.has_listeners("default")
        event_dead.send(sender="default", letter=one)
        event_dead.send(sender="eu", letter=one)
    finally:
        event_dead.disconnect(receive, sender="eu")
    assert got == [("eu", one)]


def test_module_loads_nothing_that_publishes() -> None:
    """A receiver's module is imported in any process."""
    source = (
        "import sys, sockudo_publisher.signals\n"
        "print([name for name in sys.modules if name.startswith('sockudo_publisher.')])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    loaded = done.stdout
    assert "sockudo_publisher.signals" in loaded
    for room in ("tasks", "journal", "client.", "wiring", "workerapp", "delivery"):
        assert f"sockudo_publisher.{room}" not in loaded
