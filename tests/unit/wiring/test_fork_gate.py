"""A fork waits for threads that are inside a client, whose locks it would copy locked."""

from __future__ import annotations

import threading
import time

import pytest

from sockudo_publisher.wiring import fork_gate
from sockudo_publisher.wiring.fork_gate import inside_client

pytestmark = pytest.mark.unit


def test_inner_end_does_not_open_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler that published has left; the call that it interrupted goes on."""
    monkeypatch.setattr(fork_gate, "WAIT_S", 0.05)
    entered, leave = threading.Event(), threading.Event()

    def publish() -> None:
        with inside_client:
            with inside_client:
                pass
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        assert entered.wait(30)
        started = time.monotonic()
        fork_gate._wait()
        assert time.monotonic() - started >= 0.05
    finally:
        leave.set()
        thread.join()
    assert not fork_gate._inside


def test_child_leaves_what_its_parent_entered() -> None:
    """A handler forks in the middle of its thread's call: it waits for no other, and its child begins with none."""
    with inside_client:
        fork_gate._wait()
        fork_gate._inside.clear()  # as in the child
    assert not fork_gate._inside
