"""Doorbells: Celery messages that request the drain of a lane.

A lost doorbell costs time, never an event: the sweep of any worker finds a lane with entries that is not drained. So
ringing never raises and never takes long: one attempt, on its own connection with short timeouts. After a failure it
sends none for a while; the sweep rings.

Where the broker is the journal's Redis, as it is by default, a ring needs neither Celery nor kombu
(:mod:`.redis_ring`): theirs costs a millisecond, by which an event on a quiet lane would be later. For other brokers
:func:`load_client` loads them, which modules of long-lived processes call when they are imported.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterable
from typing import Any

from ..config.settings import Settings, get_settings, on_configure
from ..errors import SockudoError
from ..redaction import package_logger
from ..telemetry.untraced import untraced
from .fork_gate import inside_client
from .redis_ring import DRAIN_TASK, RedisRing, is_broker_the_journal

__all__ = ["Doorbell", "doorbell", "load_client"]

logger = package_logger("sockudo_publisher.doorbell")

#: Seconds to connect and seconds to send: their sum is the maximum cost of a ring for a caller.
CONNECT_S = 0.25
SEND_S = 0.25

#: Seconds after a failure in which no doorbell is sent.
SKIP_S = 5.0


def load_client() -> None:
    """Load what rings need: a fork in the middle of an import leaves the module locked in the child, for ever."""
    from . import broker, private_celery  # noqa: F401


class Doorbell:
    """Rings lanes through the private Celery app's broker. Safe for threads and after a fork."""

    def __init__(self) -> None:
        self.failures = 0
        self._lock = threading.Lock()
        self._ringer = 0  # the thread that has the lock
        self._pid = 0
        self._connection: Any = None
        self._producer: Any = None
        self._skip_until = 0.0
        self._is_outdated = False
        #: The ring without Celery, and the settings that it was made for; ``None``: the broker is another server.
        self._direct: tuple[Settings | None, RedisRing | None] = (None, None)

    def ring(self, app: str, lanes: Iterable[int], *, after_s: float = 0.0, channel: str | None = None) -> bool:
        """Ring lanes (or one held channel of a lane); ``False``: not rung; the sweep finds them."""
        if time.monotonic() < self._skip_until:
            return False
        me, lock = threading.get_ident(), self._lock
        # A signal handler that publishes may have interrupted this thread's own ring.
        if self._ringer == me or not lock.acquire(timeout=CONNECT_S + SEND_S):
            return False  # another thread is waiting for a frozen broker
        self._ringer = me
        try:
            with inside_client, untraced():
                direct = self._direct_ring()
                if direct is not None and not after_s:
                    direct.ring(app, lanes, channel)
                else:
                    producer = self._open()
                    for lane in lanes:
                        _send(producer, (app, lane, channel), after_s)
        except Exception as error:  # noqa: BLE001 -- whatever a broker's client raises, the event is stored
            self.failures += 1
            self._skip_until = time.monotonic() + SKIP_S
            self._close()
            logger.warning("doorbell not sent, the sweep rings app=%s error=%s", app, _describe(error))
            return False
        finally:
            self._ringer = 0
            lock.release()
        return True

    def after_fork(self) -> None:
        """Replace the lock: a thread that held it at the fork does not exist in the child."""
        self._lock = threading.Lock()
        self._ringer = 0

    def forget(self) -> None:
        """Connect again before the next ring, to the broker of the current settings."""
        self._is_outdated = True
        self._skip_until = 0.0

    def _direct_ring(self) -> RedisRing | None:
        """The ring without Celery, if the broker of the current settings is the journal's Redis."""
        settings = get_settings()
        made_for, ring = self._direct
        if made_for is not settings:
            if ring is not None:
                ring.close()
            ring = RedisRing(settings, timeout_s=SEND_S) if is_broker_the_journal(settings) else None
            self._direct = (settings, ring)
        return ring

    def _open(self) -> Any:
        if self._pid != os.getpid():
            # Not closed: the socket belongs to the parent.
            self._connection = self._producer = None
            self._pid = os.getpid()
        if self._is_outdated:
            self._is_outdated = False  # before the settings are looked at, which may change again meanwhile
            self._close()
        if self._producer is None:
            from .broker import bounded_connection
            from .private_celery import celery_app

            self._connection = bounded_connection(celery_app, connect_s=CONNECT_S, send_s=SEND_S)
            self._producer = celery_app.amqp.Producer(self._connection, auto_declare=False)
        return self._producer

    def _close(self) -> None:
        _, direct = self._direct
        if direct is not None:
            direct.close()
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            try:
                connection.release()
            except Exception as error:  # noqa: BLE001 -- it is broken already
                logger.debug("broker connection not closed error=%s", type(error).__name__)


def _describe(error: Exception) -> str:
    if isinstance(error, SockudoError):  # their texts contain no secret
        return str(error)
    from .broker import describe_failure

    return describe_failure(error)


def _send(producer: Any, args: tuple[str, int, str | None], after_s: float) -> None:
    """Make and send a drain's message without Celery's `send_task`.

    That would make it a child of the calling task, whose result then never ends, give it that task's ids and
    priority, and call the application's signal handlers, which put their headers into it.
    """
    from .private_celery import celery_app, queue_name

    amqp, queue = celery_app.amqp, queue_name()
    message = amqp.as_task_v2(uuid.uuid4().hex, DRAIN_TASK, args, countdown=after_s or None, ignore_result=True)
    producer.publish(
        message.body,
        exchange="",
        routing_key=queue,
        serializer="json",
        headers=message.headers,
        delivery_mode="persistent",
        declare=[amqp.queues[queue]],
        retry=False,
        **message.properties,
    )


#: The doorbell of this process.
doorbell = Doorbell()
os.register_at_fork(after_in_child=doorbell.after_fork)
on_configure(doorbell.forget)
