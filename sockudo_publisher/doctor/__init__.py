"""Whether a deployment can keep the promise: facts are collected, then judged.

``facts`` asks Redis, the broker, the journal and Sockudo, and decides nothing; ``facts.values`` is what was found out.
``checks`` is pure: facts in, findings out; what a fact means is said and sourced there. ``finding`` is what a check
says, ``diagnosis`` runs all of them side by side within a time limit.

Nothing is changed anywhere: requests that the server is to take go to one channel that nobody reads
(``facts.sockudo.CHANNEL``), limits are asked for with batches that the server refuses whole.
"""

from __future__ import annotations

from .diagnosis import Diagnosis, diagnose
from .finding import Finding, State

__all__ = ["Diagnosis", "Finding", "State", "diagnose"]
