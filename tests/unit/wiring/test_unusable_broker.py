"""A broker that kombu cannot use: the caller gets an error of this package, whatever kombu raises."""

from __future__ import annotations

import kombu
import pytest
from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from sockudo_publisher.errors import ConfigurationError, JournalUnavailable
from sockudo_publisher.wiring.broker import bounded_send

pytestmark = pytest.mark.unit

SECRET = "not-to-be-shown"


#: They connect when something is sent, if at all; ours never uses them.
LAZY = {"memory", "pyro", "sqla", "sqlalchemy"}

#: Its own error handling fails before kombu 5.6 (UnboundLocalError).
BROKEN = {"filesystem"} if kombu.VERSION < (5, 6) else set()


@pytest.mark.parametrize("alias", sorted(set(TRANSPORT_ALIASES) - LAZY - BROKEN))
def test_no_transport_raises_an_error_of_kombu(alias: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an application's own app, whose broker nothing checks before a canvas message goes there."""
    monkeypatch.chdir(tmp_path)  # some of them write files
    app = Celery("shop", broker=f"{alias}://u:{SECRET}@127.0.0.1:1", set_as_current=False)
    with pytest.raises((ConfigurationError, JournalUnavailable)) as caught:
        bounded_send(app, lambda producer: producer.publish({}, routing_key="nowhere"))
    assert SECRET not in str(caught.value)
    if isinstance(caught.value, ConfigurationError):
        assert "SOCKUDO_BROKER_URL" in str(caught.value)
    else:
        assert caught.value.stored is not True


def test_transport_without_times_gets_none(tmp_path) -> None:
    """SQLAlchemy's raises TypeError at options that it does not know."""
    app = Celery("shop", broker=f"sqla+sqlite:///{tmp_path}/broker.db", set_as_current=False)
    assert bounded_send(app, lambda producer: producer.connection.transport.driver_type) == "sql"


def test_missing_library_is_named() -> None:
    """What to install is no secret."""
    app = Celery("shop", broker="mongodb://127.0.0.1:1/x", set_as_current=False)
    with pytest.raises(ConfigurationError, match=r"'shop' cannot be used .*pymongo is not installed"):
        bounded_send(app, lambda _producer: None)


@pytest.mark.parametrize("setting", ["broker_url", "broker_write_url"])
@pytest.mark.parametrize("kind", [list, tuple, ";".join], ids=["list", "tuple", "text"])
def test_several_brokers_as_celery_takes_them(kind, setting: str) -> None:
    """The first that answers is used."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf[setting] = kind(["memory://localhost", "memory://elsewhere"])
    assert bounded_send(app, lambda producer: producer.connection.transport.driver_type) == "memory"
