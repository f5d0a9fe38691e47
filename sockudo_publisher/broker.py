"""Connections to a Celery app's broker that never keep their caller: short timeouts, no waits between tries.

Celery's own pool waits ten seconds and more for a broker that is away, and raises kombu's error. Doorbells
and the messages of callers go through these; a worker, where nobody waits, uses Celery's.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

from celery import Celery
from celery.exceptions import CeleryError
from kombu.exceptions import OperationalError
from redis.exceptions import InvalidResponse, RedisError

from .errors import JournalUnavailable

__all__ = ["bounded_connection", "bounded_send"]

logger = logging.getLogger("sockudo_publisher.broker")

_Sent = TypeVar("_Sent")

#: Seconds to connect and seconds to send, where a caller waits for its message: a try that fails and the one
#: with a new connection after it stay within the two seconds that `delay` keeps to.
CONNECT_S = 0.4
SEND_S = 0.4

#: Seconds after its last use that a connection is still trusted; a new one proves that the broker answers.
REUSE_S = 5.0

#: Idle connections that one process keeps to one broker.
MOST_FREE = 16


def bounded_connection(app: Celery, *, connect_s: float, send_s: float, read_s: float | None = None) -> Any:
    """A connection of this app's, not opened yet, that gives up after these times; `read_s` is `send_s` by default."""
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
    return app.connection_for_write(connect_timeout=connect_s, transport_options=options)


def bounded_send(app: Celery, send: Callable[[Any], _Sent]) -> _Sent:
    """``send(producer)``, again where a connection that was used before has ended meanwhile.

    So only messages may go this way whose second copy does no harm. Raises :class:`JournalUnavailable` with
    ``.stored``: ``False`` where no broker could be reached or it refused, ``None`` where it did not answer.
    """
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
        connection = bounded_connection(self._app, connect_s=CONNECT_S, send_s=SEND_S)
        producer = self._app.amqp.Producer(connection, auto_declare=False)
        try:
            connection.default_channel  # noqa: B018 -- connects, and a broker that is frozen does not answer
        except _away(producer) as error:
            _drop(producer)
            raise JournalUnavailable(f"the broker cannot be reached: {_word(error)}", stored=stored) from None
        try:
            return self._sent(producer, send)
        except CeleryError:
            raise  # before anything was sent; kombu counts every KeyError as one of Redis
        except _away(producer) as error:
            if stored is False and _is_refusal(producer, error):
                raise JournalUnavailable(f"the broker refused: {_word(error)}", stored=False) from None
            raise JournalUnavailable(f"the broker did not answer: {_word(error)}", stored=None) from None

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
        if len(self._free) < MOST_FREE:
            self._free.append((time.monotonic(), producer))
        else:
            _drop(producer)
        return result


#: The links of this process, by app and by the broker that its configuration names now.
_links: dict[tuple[Celery, str], _Link] = {}

#: What a child process does not use and must not close: the sockets are its parent's.
_parents: list[_Link] = []


def _link_to(app: Celery) -> _Link:
    url = app.conf.broker_write_url or app.conf.broker_url
    link = _links.get((app, url))
    return link if link is not None else _links.setdefault((app, url), _Link(app))


def _after_fork() -> None:
    _parents.extend(_links.values())
    _links.clear()


os.register_at_fork(after_in_child=_after_fork)


def _away(producer: Any) -> tuple[type[BaseException], ...]:
    """What a broker's client raises for a broker that is away, frozen, or takes nothing."""
    connection = producer.connection
    return (OperationalError, OSError, RedisError, *connection.connection_errors, *connection.channel_errors)


def _is_refusal(producer: Any, error: BaseException) -> bool:
    """Whether the broker has answered, and taken nothing: no right, no memory, a queue of another kind."""
    cause = _cause(error)
    return isinstance(cause, tuple(producer.connection.channel_errors)) and not isinstance(cause, InvalidResponse)


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ or error  # kombu's own words around a client's


def _word(error: BaseException) -> str:
    """The error's kind: its text may hold a URL."""
    return type(_cause(error)).__name__


def _drop(producer: Any) -> None:
    """Close without a word to the broker, which may be frozen."""
    try:
        producer.connection.collect()
    except Exception as error:  # noqa: BLE001 -- it is broken already
        logger.debug("closing a broker's connection: %s", type(error).__name__)
