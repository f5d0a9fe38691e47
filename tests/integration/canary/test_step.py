"""The worker's step that keeps asking: one holder, who is followed; silent while the app is paused; ends at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from sockudo_publisher import configure
from sockudo_publisher.canaries.ask import CHANNEL
from sockudo_publisher.canaries.store import DedupMemory
from sockudo_publisher.dev.embedded import DevServerProcess
from sockudo_publisher.dev.embedded.process import wait_for
from sockudo_publisher.dev.subscriber import Subscriber
from sockudo_publisher.journal.app.operator import OperatorRecords
from sockudo_publisher.journal.keys import AppKeys
from sockudo_publisher.wiring import stop
from sockudo_publisher.wiring.app import App, app_named
from sockudo_publisher.workerapp.steps.canaries import CanaryStep, beat_once
from tests.support.proxy import Hang, Proxy

pytestmark = pytest.mark.integration

NAME = "default"


@pytest.fixture
def app(redis_url: str, devserver: DevServerProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An app with a window of six seconds, and so a beat of a quarter."""
    for name, value in {
        "SOCKUDO_URL": devserver.url,
        "SOCKUDO_REDIS_URL": redis_url,
        "SOCKUDO_DEDUP_WINDOW": "6",
        "SOCKUDO_DELIVERY_TIMEOUT": "0.9",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stop, "flag", stop.StopFlag())
    configure()
    yield app_named()
    monkeypatch.undo()
    configure()


def beats(app: App) -> int:
    return int(app.journal.link.call("HGET", AppKeys.of(NAME).memory, "beat") or 0)


def test_one_owner_beats_until_it_gives_up(app: App) -> None:
    """The others look, and find that it is another's."""
    assert beat_once(NAME, "a")
    assert not beat_once(NAME, "b")
    assert beat_once(NAME, "a")
    assert beats(app) == 2
    DedupMemory(app.journal.link, NAME).drop_right("a")
    assert beat_once(NAME, "b")


def test_holder_that_died_is_followed(app: App) -> None:
    """Its right runs out."""
    assert beat_once(NAME, "dead")
    assert wait_for(lambda: beat_once(NAME, "heir"), 60)


def test_paused_app_is_not_asked(app: App) -> None:
    """Only the prober sends to it."""
    app.journal.shared.pause("unknown", 0.0)
    assert not beat_once(NAME, "a")
    OperatorRecords(app.journal.link, app.name).resume("test")
    assert beat_once(NAME, "a")


def test_steps_of_two_workers_measure_together_and_end_at_once(app: App, devserver: DevServerProcess) -> None:
    """Only the canaries' channel sees anything: planted ones, as all are remembered. Then the right is free."""
    with Subscriber(devserver.ws_url(), CHANNEL, secret=devserver.apps[0].secret) as subscriber:
        steps = [CanaryStep(None), CanaryStep(None)]
        for step in steps:
            step.start(None)
        memory = DedupMemory(app.journal.link, NAME)
        assert wait_for(lambda: memory.report().verdict == "remembers", 60)
        for step in steps:
            step.stop(None)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("sockudo-canary")]
        assert set(subscriber.data()) == {"planted"}
        assert len(subscriber.data()) >= 10
    assert memory.take_right("next", 1000)


def test_step_that_meets_trouble_goes_on(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails is said, and the next beat comes."""
    asked: list[object] = []

    def fail(app: object) -> object:
        asked.append(app)
        raise RuntimeError("ours")

    step = CanaryStep(None)
    with monkeypatch.context() as patch:
        patch.setattr("sockudo_publisher.workerapp.steps.canaries.run_drain.canaries_of", fail)
        step.start(None)
        assert wait_for(lambda: len(asked) >= 3, 60)
    assert wait_for(lambda: beats(app) >= 1, 60)
    step.stop(None)


def test_hung_server_of_one_app_holds_up_no_other(
    app: App, devserver: DevServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each app has a beat of its own: while one question waits in vain, the other app's go on."""
    with Proxy(devserver.port, Hang()) as proxy:
        monkeypatch.setenv("SOCKUDO_APPS", json.dumps({"hung": proxy.url(devserver.url)}))
        monkeypatch.setenv("SOCKUDO_DELIVERY_TIMEOUT", "5")
        monkeypatch.setenv("SOCKUDO_DEDUP_WINDOW", "12")
        configure()
        step = CanaryStep(None)
        step.start(None)
        try:
            assert wait_for(lambda: len(proxy.connections) > 0, 60)
            before = beats(app_named())
            assert wait_for(lambda: beats(app_named()) >= before + 3, 60)
            assert len(proxy.connections) == 1
            assert not proxy.connections[0].closed, "it still waits for its answer"
        finally:
            step.stop(None)
