"""Check whether a deployment can keep the promise: collect facts, then judge them.

``facts`` asks Redis, the broker, the journal and Sockudo, and decides nothing; ``facts.values`` holds the answers.
``checks`` is pure: facts in, findings out; each module explains what its facts mean and where that is documented.
``finding`` is the result of one check; ``diagnosis`` runs all checks in parallel within a time limit.

The doctor changes no setting and no app's events. Events that the server accepts go to one channel without subscribers
(``facts.sockudo.CHANNEL``); limits are tested with batches that the server refuses as a whole.
"""

from __future__ import annotations

from .diagnosis import Diagnosis, diagnose
from .finding import CheckFinding, State

__all__ = ["CheckFinding", "Diagnosis", "State", "diagnose"]
