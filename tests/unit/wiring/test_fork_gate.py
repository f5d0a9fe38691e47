"""A fork waits for threads that are inside a client, whose locks it would copy locked."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from sockudo_publisher.config.settings import DEFAULT_APP, Settings
from sockudo_publisher.wiring import fork_gate
from sockudo_publisher.wiring.app import App
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
        fork_gate._wait_for_others()
        assert time.monotonic() - started >= 0.05
    finally:
        leave.set()
        thread.join()
    assert not fork_gate._inside


def test_child_leaves_what_its_parent_entered() -> None:
    """A handler forks in the middle of its thread's call: it waits for no other, and its child begins with none."""
    with inside_client:
        fork_gate._wait_for_others()
        fork_gate._inside.clear()  # as in the child
    assert not fork_gate._inside


class SlowSettings(Settings):
    """Settings whose URL, once `is_slow`, is only known when `go_on` is set."""

    is_slow = False
    entered, go_on = threading.Event(), threading.Event()

    def url_of(self, app: str) -> str:
        if self.is_slow:
            self.entered.set()
            self.go_on.wait(30)
        return super().url_of(app)


def test_child_makes_the_client_that_a_thread_was_making() -> None:
    """Outside the gate no lock is held: the thread is not in the child."""
    url = "http://key:secret@127.0.0.1:9/apps/app"
    app, slow_app = App(Settings(url=url), DEFAULT_APP), App(SlowSettings(url=url), DEFAULT_APP)
    SlowSettings.is_slow = True
    thread = threading.Thread(target=lambda: slow_app.client)
    thread.start()
    try:
        assert SlowSettings.entered.wait(30)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)
            os._exit(0 if app.client is app.client else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        SlowSettings.go_on.set()
        thread.join()


def test_threads_share_the_client_that_each_of_them_made() -> None:
    """The first one counts: connections are kept once."""
    app = App(Settings(url="http://key:secret@127.0.0.1:9/apps/app"), DEFAULT_APP)
    barrier, clients = threading.Barrier(4), []

    def use() -> None:
        barrier.wait()
        clients.append(app.client)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clients) == 4
    assert len({id(one) for one in clients}) == 1
