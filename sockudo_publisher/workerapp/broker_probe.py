"""Whether the broker answers, where it is another server than the journal's Redis.

A frozen broker keeps its connections open, so a consumer looks attached for as long as its client waits: with Redis ten
seconds, with RabbitMQ the minutes of a heartbeat. A connection of the probe's own shows it within a second.
"""

from __future__ import annotations

from typing import Final

from ..config.settings import get_settings
from ..errors import ConfigurationError
from ..metrics.scrape import MAX_WAIT_S, Cached
from ..redaction import printable
from ..wiring.broker import bounded_connection, describe_failure
from ..wiring.private_celery import celery_app
from ..wiring.redis_ring import is_broker_the_journal

__all__ = ["FRESH_S", "PROBE_S", "BrokerProbe", "broker_probe"]

#: Seconds to connect, and for each answer. The probe as a whole waits at most :data:`..metrics.scrape.MAX_WAIT_S`.
PROBE_S: Final = 0.4

#: Seconds for which an answer is shown again: bounds the connections that probes open. RabbitMQ logs each.
FRESH_S: Final = 5.0

#: Transports on which a further connection costs nothing worth mentioning.
_CHEAP: Final = ("redis", "sentinel", "valkey")


class BrokerProbe:
    """Asks the broker of this process' settings, at most once in :data:`FRESH_S` and in a thread. Safe for threads."""

    def __init__(self) -> None:
        self._answer = Cached(_ask, fresh_s=FRESH_S, thread_name="sockudo-broker-probe")

    def find_problem(self) -> str | None:
        """Why the broker does not answer, ``""``: it does, ``None``: it is the journal's Redis.

        Waits at most :data:`..metrics.scrape.MAX_WAIT_S`.
        """
        if is_broker_the_journal(get_settings()):
            return None
        problem = self._answer.get()
        return f"does not answer within {MAX_WAIT_S:g} s" if problem is None else problem

    def is_known_to_be_away(self) -> bool:
        """Whether a Redis broker does not answer. Others are not asked: each connection is a line in their logs."""
        return get_settings().broker_url.startswith(_CHEAP) and bool(self.find_problem())


def _ask() -> str:
    """Connect, and let the broker answer once."""
    connection = None
    try:
        connection = bounded_connection(celery_app, connect_s=PROBE_S, send_s=PROBE_S)
        connection.default_channel  # noqa: B018 -- connects, and has an answer: PING of Redis, the handshake of AMQP
    except ConfigurationError as error:
        return printable(str(error))
    except Exception as error:  # noqa: BLE001 -- each transport has its own types; their texts may hold the URL
        if connection is not None:
            connection.collect()  # sends nothing: the broker may be frozen
        return f"does not answer: {describe_failure(error)}"
    connection.release()
    return ""


#: Of this process: the HTTP port and the announcements share its answer.
broker_probe: Final = BrokerProbe()
