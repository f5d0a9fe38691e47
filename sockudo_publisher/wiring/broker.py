"""Connections to a Celery app's broker with short timeouts and no waits between attempts.

Celery's own pool waits ten seconds and more for an absent broker, and raises kombu's error. Doorbells and the messages
of callers use these connections. A worker, where no caller waits, uses Celery's.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from celery import Celery
from celery.exceptions import CeleryError
from kombu.exceptions import OperationalError
from redis.exceptions import InvalidResponse, RedisError, ResponseError

from ..config.settings import on_configure
from ..errors import ConfigurationError, JournalUnavailable
from ..journal.redis.refusal import describe_refusal
from ..redaction import package_logger
from ..redaction.frame_locals import without_locals
from .fork_gate import inside_client

__all__ = ["bounded_connection", "bounded_send", "describe_failure"]

logger = package_logger("sockudo_publisher.broker")

_Sent = TypeVar("_Sent")

#: Seconds to connect and seconds to send, where a caller waits for its message: a try that fails and the one
#: with a new connection after it stay within the two seconds that `delay` keeps to.
CONNECT_S = 0.4
SEND_S = 0.4

#: Seconds after its last use that a connection is still trusted; a new one proves that the broker answers.
REUSE_S = 5.0

#: Kinds of transports that know these times.
_TIMED = frozenset({"amqp", "redis"})

#: Idle connections that one process keeps to one broker.
MAX_FREE = 16


def bounded_connection(app: Celery, *, connect_s: float, send_s: float, read_s: float | None = None) -> Any:
    """A connection of this app's, not opened yet, that gives up after these times; `read_s` is `send_s` by default.

    Raises what kombu raises for a transport that cannot be loaded.
    """
    options = {
        **app.conf.broker_transport_options,
        "socket_connect_timeout": connect_s,
        "socket_timeout": send_s,
        "read_timeout": send_s if read_s is None else read_s,
        "write_timeout": send_s,
        "retry_on_timeout": False,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0,
        "interval_max": 0,
    }
    connection = app.connection_for_write(connect_timeout=connect_s, transport_options=options)
    if connection.transport.driver_type not in _TIMED:
        # Others raise at options that they do not know.
        return app.connection_for_write(connect_timeout=connect_s)
    return connection


@without_locals
def bounded_send(app: Celery, send: Callable[[Any], _Sent]) -> _Sent:
    """``send(producer)``, again where a connection that was used before has ended meanwhile.

    So only messages may go this way whose second copy does no harm. Raises :class:`JournalUnavailable` with
    ``.stored``: ``False`` where no broker could be reached or it refused, ``None`` where it did not answer; and
    :class:`ConfigurationError` for a broker's URL that kombu cannot use (of another app: ours is checked before).
    """
    with inside_client:
        _load_for_messages()
        return _link_to(app).send(send)


class _Link:
    """Open producers of one app, shared by the threads of one process."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        # When each was last used, and the producer; list.append and list.pop are atomic.
        self._free: list[tuple[float, Any]] = []

    def send(self, send: Callable[[Any], _Sent]) -> _Sent:
        used = self._recent()
        if used is not None:
            try:
                return self._sent(used, send)
            except CeleryError:
                raise
            except _away(used):
                self._free.clear()
        stored = False if used is None else None
        producer = self._connected(stored)
        try:
            return self._sent(producer, send)
        except CeleryError:
            raise  # before anything was sent; kombu counts every KeyError as one of Redis
        except _away(producer) as error:
            if stored is False and _is_refusal(producer, error):
                raise JournalUnavailable(f"the broker refused: {describe_failure(error)}", stored=False) from None
            raise JournalUnavailable(f"the broker did not answer: {describe_failure(error)}", stored=None) from None

    def close(self) -> None:
        """Close what is idle; a call that is under way ends with its own."""
        while self._free:
            try:
                _, producer = self._free.pop()
            except IndexError:  # another thread was faster
                break
            _drop(producer)

    def _connected(self, stored: bool | None) -> Any:
        """A producer on a new connection that is open. Raises as :func:`bounded_send`; ``stored`` by an earlier try."""
        try:
            connection = bounded_connection(self._app, connect_s=CONNECT_S, send_s=SEND_S)
            # Asked for here, as it loads the transport.
            producer = self._app.amqp.Producer(connection, auto_declare=False)
            away = _away(producer)
        except Exception as error:  # noqa: BLE001 -- ImportError, ValueError, NameError: by transport
            raise self._unusable(error, stored) from None
        try:
            connection.default_channel  # noqa: B018 -- connects, and a broker that is frozen does not answer
        except away as error:
            _drop(producer)
            raise JournalUnavailable(
                f"the broker cannot be reached: {describe_failure(error)}", stored=stored
            ) from None
        except Exception as error:  # noqa: BLE001 -- idem: options that its URL or the app's configuration lacks
            _drop(producer)
            raise self._unusable(error, stored) from None
        return producer

    def _unusable(self, error: Exception, stored: bool | None) -> Exception:
        """The error of this package for one of kombu's that no repeat mends."""
        # A ModuleNotFoundError names the module, which is no secret; other texts may hold the URL.
        missing = f", {error.name} is not installed" if isinstance(error, ImportError) and error.name else ""
        what = f"the broker of the Celery app {self._app.main!r} cannot be used ({type(error).__name__}{missing})"
        if stored is None:
            return JournalUnavailable(what, stored=None)
        return ConfigurationError(f"{what}: correct SOCKUDO_BROKER_URL, or the app's broker_url and its options")

    def _recent(self) -> Any:
        while self._free:
            try:
                used_at, producer = self._free.pop()
            except IndexError:  # another thread was faster
                break
            if time.monotonic() - used_at < REUSE_S:
                return producer
            _drop(producer)
        return None

    def _sent(self, producer: Any, send: Callable[[Any], _Sent]) -> _Sent:
        try:
            result = send(producer)
        except BaseException:
            _drop(producer)
            raise
        if len(self._free) < MAX_FREE:
            self._free.append((time.monotonic(), producer))
        else:
            _drop(producer)
        return result


#: What the first call would load. Loaded now: a fork in the middle of an import leaves the module locked in the child,
#: for ever, and a signal handler that interrupts one finds half a module.
for _name in ("celery.app.amqp", "encodings.idna", "importlib.readers", "kombu.transport.redis", "secrets"):
    import_module(_name)

#: What the first Celery message loads beside it: the half of all, and most publishers send none.
_FOR_MESSAGES = (
    "celery.app.events",
    "celery.backends.redis",
    "celery.events.dispatcher",
    "celery.events.receiver",
    "sockudo_publisher.wiring.result_backend",
)

#: Threads that load it now: one, or a signal handler that has interrupted it.
_loading: set[int] = set()


def _load_for_messages() -> None:
    """Load it inside the gate, so that forks wait for it.

    Raises :class:`JournalUnavailable` in a signal handler that interrupts its own thread here: it would find half a
    module.
    """
    me = threading.get_ident()
    if me in _loading:
        raise JournalUnavailable("the broker's client is still being loaded, below a signal handler", stored=False)
    _loading.add(me)
    try:
        for name in _FOR_MESSAGES:
            import_module(name)
    finally:
        _loading.discard(me)


#: The links of this process, by app and by the broker that its configuration names now.
_links: dict[tuple[Celery, str], _Link] = {}

#: What a child process does not use and must not close: the sockets are its parent's.
_parents: list[_Link] = []


def _link_to(app: Celery) -> _Link:
    named = app.conf.broker_write_url or app.conf.broker_url
    url = named if isinstance(named, str) else ";".join(named or ())  # several may be a list
    link = _links.get((app, url))
    return link if link is not None else _links.setdefault((app, url), _Link(app))


def _after_fork() -> None:
    _parents.extend(_links.values())
    _links.clear()


os.register_at_fork(after_in_child=_after_fork)


def _forget() -> None:
    links = tuple(_links.values())
    _links.clear()
    for link in links:
        link.close()


on_configure(_forget)


def _away(producer: Any) -> tuple[type[BaseException], ...]:
    """What a broker's client raises for a broker that is away, frozen, or takes nothing."""
    connection = producer.connection
    named = (*connection.connection_errors, *connection.channel_errors)
    # Where a transport's library is missing, some name None.
    kinds = [kind for kind in named if isinstance(kind, type) and issubclass(kind, BaseException)]
    return (OperationalError, OSError, RedisError, *kinds)


def _is_refusal(producer: Any, error: BaseException) -> bool:
    """Whether the broker has answered, and taken nothing: no right, no memory, a queue of another kind."""
    cause = _cause(error)
    return isinstance(cause, tuple(producer.connection.channel_errors)) and not isinstance(cause, InvalidResponse)


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ or error  # kombu's own words around a client's


def describe_failure(error: BaseException) -> str:
    """The error's kind, as its text may hold a URL; what Redis answers as an error, whose text holds none."""
    cause = _cause(error)
    return describe_refusal(cause) if isinstance(cause, ResponseError) else type(cause).__name__


def _drop(producer: Any) -> None:
    """Close and send the broker nothing: it may be frozen."""
    try:
        producer.connection.collect()
    except Exception as error:  # noqa: BLE001 -- it is broken already
        logger.debug("broker connection not closed error=%s", type(error).__name__)
