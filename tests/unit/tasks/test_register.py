"""`publish` in two Celery apps: ours, and the one that registers it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, Signature, chain, chord, group
from celery.exceptions import Retry
from celery.local import Proxy

from sockudo_publisher import configure, publish, register
from sockudo_publisher.tasks.other_apps import find_canvas_app, is_registered
from sockudo_publisher.wiring.private_celery import celery_app

pytestmark = pytest.mark.unit


@pytest.fixture
def shop() -> Iterator[Celery]:
    """An application's own Celery app."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    yield app
    app.close()


def test_registering_elsewhere_leaves_publish_with_its_own_app(shop: Celery) -> None:
    """A countdown of `publish` goes to our broker, also after `register`."""
    register(shop)
    assert publish.app is celery_app
    assert celery_app.tasks[publish.name] is publish


def test_registered_task_belongs_to_the_app_that_registered_it(shop: Celery) -> None:
    """Two apps, two tasks, each bound to its own; settings and signatures are the same."""
    other = Celery("other", broker="memory://", set_as_current=False)
    ours, theirs = register(shop), register(other)
    assert (ours.app, theirs.app) == (shop, other)
    assert shop.tasks[publish.name] is ours
    assert ours.request_stack is not publish.request_stack
    other.close()


def test_signature_names_no_queue_and_hides_the_payload(shop: Celery) -> None:
    """The app that it is used in routes it; and nothing of the arguments where Celery shows them."""
    for task in (publish, register(shop)):
        options = task.s("orders", "shipped", {"id": 1}).options
        assert options == {"argsrepr": "(...)", "kwargsrepr": "(...)"}


def test_printed_signature_shows_no_payload(shop: Celery) -> None:
    """Alone, cloned, in a chain, in a group, as a link: logs print them."""
    for task in (publish, register(shop)):
        one = task.s("orders", "shipped", "SECRET", extras={"x": "SECRET"})
        canvases = [one, one.clone(), one | one, chain(one, one), group([one, one]), chord([one], one)]
        for canvas in [*canvases, task.si("orders", "shipped", "SECRET"), {"link": [one]}]:
            assert "SECRET" not in repr(canvas)
            assert "sockudo_publisher.publish(...)" in repr(canvas)
        assert dict(one)["args"] == ("orders", "shipped", "SECRET")
        assert one.clone().type is one.type
        assert one.subtask_type is None, "other programs would not know it"


@pytest.mark.parametrize("how", ["map", "starmap", "chunks"])
def test_mapping_is_refused_with_the_name_of_what_does_it(how: str) -> None:
    """Celery would call the body in a worker: sent at once, past the journal."""
    with pytest.raises(TypeError, match="publish_many"):
        getattr(publish, how)([("c", "e", 1)], *([10] if how == "chunks" else []))


def test_publish_survives_pickling(shop: Celery) -> None:
    """As what a process pool is given; the task of another app too."""
    assert pickle.loads(pickle.dumps(publish)) is publish
    assert pickle.loads(pickle.dumps(publish.delay)) == publish.delay
    theirs = register(shop)
    assert pickle.loads(pickle.dumps(theirs)) is theirs


@pytest.mark.parametrize(
    ("args", "kwargs", "error_text"),
    [("abc", None, "task args must be a list or tuple"), ((), "abc", "task keyword arguments must be a mapping")],
)
def test_arguments_that_are_none_are_refused_as_celery_does(
    args: Any, kwargs: Any, error_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A str is a sequence too: its letters are no channel, event and data."""
    monkeypatch.setenv("SOCKUDO_URL", "http://k:s@127.0.0.1:1/apps/a")
    with pytest.raises(TypeError, match=error_text):
        publish.apply_async(args, kwargs)


def test_importing_puts_nothing_into_other_apps(shop: Celery) -> None:
    """Only `register` does, with the three tasks: `celery report`, beat and worker of an app list its own tasks."""
    assert not [name for name in shop.tasks if name.startswith("sockudo")]
    register(shop)
    assert sorted(name for name in shop.tasks if name.startswith("sockudo")) == [
        "sockudo_publisher.append",
        "sockudo_publisher.drain",
        "sockudo_publisher.publish",
    ]
    assert shop.tasks["sockudo_publisher.drain"].app is shop
    register(shop)  # once more, without a word
    register(celery_app)
    assert celery_app.tasks[publish.name] is publish


def test_registering_does_not_read_the_configuration() -> None:
    """As `@app.task` does not: an app is made first, and configured later."""
    app = Celery("late", set_as_current=False, autofinalize=False)
    task = register(app)
    assert not app.finalized
    assert not app.configured
    app.conf.task_default_queue = "theirs"
    app.finalize()
    assert app.tasks[publish.name] is task
    assert task.app is app
    app.close()


def test_steps_of_the_stand_in_tell_no_app(shop: Celery) -> None:
    """A shared task in a thread without an app belongs to Celery's stand-in; the registered app is the one."""
    register(shop)
    stand_in = Celery("default", set_as_current=False)
    for link in (Signature("a", app=stand_in), Signature("a", app=shop), {"task": "a"}):
        assert find_canvas_app(celery_app, {"link": [link]}) is shop
    stand_in.close()


def test_stand_in_registers_the_app_it_stands_for(shop: Celery) -> None:
    """`register(current_app)`: the stand-in is another app in another thread, whose broker no worker reads."""
    other = Celery("other", broker="memory://", set_as_current=False)
    here = [shop]
    task = register(Proxy(lambda: here[0]))  # type: ignore[arg-type]
    here[0] = other
    assert task.app is shop
    assert is_registered(shop)
    assert find_canvas_app(celery_app, {}) is shop
    other.close()


@pytest.mark.parametrize("given", [None, "shop", object()], ids=["None", "name", "object"])
def test_what_is_no_celery_app_is_refused_by_name(given: Any) -> None:
    with pytest.raises(TypeError, match=r"^register\(\) expects a Celery app, got (NoneType|str|object)$"):
        register(given)


def test_annotations_for_all_tasks_limit_no_retries(shop: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is away, and the application has `max_retries` for its tasks: the event is kept all the same."""
    monkeypatch.setenv("SOCKUDO_URL", "http://k:s@127.0.0.1:1/apps/a")
    monkeypatch.setenv("SOCKUDO_REDIS_URL", "redis://127.0.0.1:1/0")
    configure()
    shop.conf.task_annotations = {"*": {"max_retries": 0}}
    task = register(shop)
    assert shop.tasks[publish.name].max_retries == 0
    task.push_request(id="m", called_directly=False, delivery_info={"routing_key": "celery"}, retries=7)
    try:
        with pytest.raises(Retry):
            task.run("orders", "shipped", {"id": 1})
    finally:
        task.pop_request()
        monkeypatch.undo()
        configure()
