"""The result of an event that is stored at once, without Redis and without a backend."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Iterator

import pytest
from celery import Celery
from celery.result import GroupResult, ResultSet

from sockudo_publisher import register
from sockudo_publisher.tasks.result import StoredResult

pytestmark = pytest.mark.unit


@pytest.fixture
def shop() -> Iterator[Celery]:
    """A registered app without a result backend."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    register(app)
    yield app
    app.close()


@pytest.mark.parametrize("kind", [ResultSet, lambda results: GroupResult("g", results)], ids=["set", "group"])
def test_sets_need_no_backend(shop: Celery, kind: type[ResultSet]) -> None:
    """Where nothing keeps results, those that are there can be got."""
    results = kind([StoredResult("a"), StoredResult("b")])
    assert results.get() == ["a", "b"]
    assert results.ready()
    assert results.successful()
    results.forget()
    assert results.get() == ["a", "b"]


def test_revoked_result_stays_a_success() -> None:
    """The event is stored; an unpickled copy has the same state."""
    result = StoredResult("a")
    result.revoke(terminate=True)
    result.revoke_by_stamped_headers({"a": "b"})
    result.forget()
    for one in (result, pickle.loads(pickle.dumps(result))):
        assert (one.state, one.get(), one.result) == ("SUCCESS", "a", "a")


def test_result_that_is_dropped_asks_no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand calls make as many results: their end must not make a backend."""
    asked = []
    monkeypatch.setattr(StoredResult, "backend", property(lambda _: asked.append(1)))
    StoredResult("a")
    gc.collect()
    assert asked == []
