"""The seam of the recorder: what it replaces exists, takes the same arguments, and is found by all who use it."""

from __future__ import annotations

import inspect
import sys

import pytest
from celery import Celery

from sockudo_publisher import testing
from sockudo_publisher.journal.producer import Producer
from sockudo_publisher.testing import capture_published, extra, plugin
from sockudo_publisher.testing.block import Block, is_loopback
from sockudo_publisher.testing.replaced import Replacements
from sockudo_publisher.testing.watched_commits import PendingRows
from sockudo_publisher.wiring import broker
from tests.support.warm import run_python

pytestmark = pytest.mark.unit


def test_replacements_take_the_arguments_of_the_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    """`wraps` shows the original's signature; the replacement's own must bind what that binds."""
    seen: list[str] = []
    replace = Replacements.replace

    def look(self: Replacements, owner: object, name: str, make: object) -> None:
        def checked(original):
            made = make(original)
            theirs, ours = inspect.signature(original), inspect.signature(made)
            kinds = {one.kind for one in ours.parameters.values()}
            if inspect.Parameter.VAR_POSITIONAL not in kinds:
                kinds_of = {key: one.kind for key, one in theirs.parameters.items()}
                named = [key for key, kind in kinds_of.items() if kind is inspect.Parameter.KEYWORD_ONLY]
                placed = [key for key, kind in kinds_of.items() if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
                ours.bind(*placed, **dict.fromkeys(named))
            seen.append(name)
            return made

        replace(self, owner, name, checked)

    monkeypatch.setattr(Replacements, "replace", look)
    with capture_published():
        pass
    assert {
        "append",
        "remember_keys",
        "add",
        "cancel",
        "now_ms",
        "bounded_send",
        "call",
        "payload",
        "delay",
        "_insert",
    } <= set(seen)


def test_the_block_replaces_what_exists() -> None:
    """A name that has moved would end pytest with an internal error."""
    block = Block([])
    before = broker.bounded_connection, dict(vars(Producer))
    block.pytest_sessionstart()
    try:
        assert broker.bounded_connection is not before[0]
        assert vars(Producer)["append"] is not before[1]["append"]
        with pytest.raises(pytest.fail.Exception, match=r"this test connects to 192\.0\.2\.1 \(sockudo_block\)"):
            broker.bounded_connection(Celery(broker="redis://192.0.2.1:1/0"), connect_s=1, send_s=1)
    finally:
        block.pytest_sessionfinish()
    assert (broker.bounded_connection, dict(vars(Producer))) == before


def test_the_plugin_loads_nothing_of_weight() -> None:
    """It is loaded in every session of every project that has this package installed."""
    source = (
        "import sys, pytest; before = set(sys.modules); import sockudo_publisher.testing.plugin; "
        "print(*sorted(name for name in set(sys.modules) - before))"
    )
    done = run_python(["-S", "-c", source], env={"PYTHONPATH": ":".join(sys.path)}, timeout=280)
    loaded = done.stdout.split()
    assert "sockudo_publisher.testing.plugin" in loaded, done.stderr
    ours = [name for name in loaded if name.startswith("sockudo_publisher")]
    assert ours == [
        "sockudo_publisher",
        "sockudo_publisher.errors",
        "sockudo_publisher.testing",
        "sockudo_publisher.testing.plugin",
    ]
    assert not {"celery", "redis", "requests", "nacl", "websockets"} & set(loaded)


def test_fixtures_outside_of_pytest_are_explained() -> None:
    for name in ("published", "sockudo_server", "sockudo_stack"):
        with pytest.raises(AttributeError, match="is a fixture of pytest: name it as an argument"):
            getattr(testing, name)
        assert callable(getattr(plugin, name))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        testing.nothing  # noqa: B018
    for name in testing.__all__:
        assert getattr(testing, name)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sockudo-publisher[demo]` has the same modules; without any, the text says what to install."""
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    advice = r" needs an extra \(not installed: starlette, uvicorn, websockets\): .*sockudo-publisher\[testing\]"
    with pytest.raises(ModuleNotFoundError, match="sockudo_stack" + advice):
        extra.require_extra("sockudo_stack")
    with pytest.raises(ModuleNotFoundError, match="Subscriber" + advice):
        testing.Subscriber(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "a.localhost", "LOCALHOST.", ""]
)
def test_loopback_hosts(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "redis", "0.0.0.0", "localhost.example.com", "::2"])
def test_other_hosts(host: str) -> None:
    assert not is_loopback(host)


def test_pending_rows_follow_savepoints() -> None:
    """The outer savepoint is rolled back while an inner one is open, and names are used again."""
    rows = PendingRows()
    rows.add(["a"])
    rows.begin_savepoint("1")
    rows.add(["b"])
    rows.begin_savepoint("2")
    rows.add(["c"])
    rows.roll_back_to("1")
    rows.add(["d"])
    rows.begin_savepoint("2")
    rows.roll_back_to("2")
    assert rows.take() == ["a", "d"]
    rows.add(["e"])
    rows.roll_back_to("1")  # of a transaction of before: not known any more
    assert rows.take() == []
