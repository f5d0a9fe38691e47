"""PostgreSQL's LISTEN/NOTIFY: a commit wakes the relay, which otherwise looks at the table every ``INTERVAL_S``.

An insert sends NOTIFY in the caller's transaction, so PostgreSQL passes it on at the commit and drops it at a rollback.
The relay keeps looking at its interval: a lost connection, or a pooler that drops LISTEN, costs time and no event.
Imports no framework and no driver: a connection is one of psycopg 3 or psycopg2, in autocommit.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable
from typing import Any

from ..errors import ConfigurationError
from ..redaction import package_logger

__all__ = ["CHANNEL", "LISTEN", "NOTIFY", "Listener"]

logger = package_logger("sockudo_publisher.outbox")

#: PostgreSQL's channel, for all tables: a wake-up for another table costs one look.
CHANNEL = "sockudo_outbox"
LISTEN = f"LISTEN {CHANNEL}"
NOTIFY = f"NOTIFY {CHANNEL}"

#: Seconds after which a waiting relay looks whether it has to stop.
SLICE_S = 0.25


class Listener:
    """Waits for the next commit of an event, on a connection of its own.

    ``connect()`` opens a driver's connection that listens; it raises one of ``failures`` if the database is away.
    """

    def __init__(
        self, connect: Callable[[], Any], *, failures: tuple[type[Exception], ...], stop: threading.Event
    ) -> None:
        self._connect = connect
        self._failures = failures
        self._stop = stop
        self._connection: Any = None
        self._is_away = False

    def wait(self, timeout_s: float) -> None:
        """Return after a commit, after ``timeout_s``, or when ``stop`` is set.

        Returns at once after it has connected: rows may have been committed before. Raises
        :class:`ConfigurationError` for a driver that has no notifications.
        """
        until = time.monotonic() + timeout_s
        if self._connection is None:
            if not self._open():
                self._stop.wait(timeout_s)
            return
        try:
            while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
                if _is_notified(self._connection, min(left, SLICE_S)):
                    return
        except (OSError, ValueError, self._connection.Error) as error:  # ValueError: it has no socket any more
            self._log_away(error)
            self.close()

    def close(self) -> None:
        """Close the connection; :meth:`wait` opens a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError, connection.Error):  # the server has closed it
                connection.close()

    def _open(self) -> bool:
        try:
            connection = self._connect()
        except self._failures as error:
            self._log_away(error)
            return False
        if not hasattr(connection, "pgconn") and not hasattr(connection, "notifies"):
            raise ConfigurationError(
                f"listen: the driver {type(connection).__module__} has no notifications, "
                "expected PostgreSQL with psycopg or psycopg2"
            )
        self._connection = connection
        self._is_away = False
        return True

    def _log_away(self, error: Exception) -> None:
        if not self._is_away:  # once, when the trouble begins
            logger.warning("no notifications, the relay looks at its interval error=%s", type(error).__name__)
        self._is_away = True


def _is_notified(connection: Any, timeout_s: float) -> bool:
    """Whether a notification has come within that time; takes all that have."""
    if not select.select([connection.fileno()], [], [], timeout_s)[0]:
        return False
    low_level = getattr(connection, "pgconn", None)
    if low_level is None:  # psycopg2
        connection.poll()
        is_notified = bool(connection.notifies)
        del connection.notifies[:]
        return is_notified
    low_level.consume_input()
    is_notified = False
    while low_level.notifies() is not None:
        is_notified = True
    return is_notified
