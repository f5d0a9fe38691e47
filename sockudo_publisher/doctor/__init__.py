"""Whether a deployment can keep the promise: facts are collected, then judged.

``finding`` is what a check says. The modules ``redis_health``, ``broker_health``, ``doorbells``, ``access``,
``limits``, ``remembering`` and ``delivering`` are pure: facts in, findings out; what a fact means is said and sourced
there. The modules ``look_at_redis``, ``look_at_broker``, ``look_at_sockudo`` and ``dropped_request``
collect facts and decide nothing; ``diagnosis`` runs them side by side within a time limit. May import the
client, the journal, the delivery's outcomes, Celery's configuration and the settings; only the command
line imports this room.

Nothing is changed anywhere: requests that the server is to take go to one channel that nobody reads
(``look_at_sockudo.CHANNEL``), limits are asked for with batches that the server refuses whole.
"""

from __future__ import annotations

from .diagnosis import Diagnosis, diagnose
from .finding import Finding, State

__all__ = ["Diagnosis", "Finding", "State", "diagnose"]
