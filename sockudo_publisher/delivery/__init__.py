"""Delivery: what comes before a request, what its answer means, what follows, and the loop that does it.

Decisions are pure, values in and values out: ``gates`` (the next move), ``outcome`` (what an answer proves), ``decide``
(what follows), ``window``, ``uncertain``, ``dedup_check``, ``bounds``, ``backoff``. ``drain`` is the loop, ``run`` its
state and actions, with ``attempt`` for a request, ``ask`` for canaries, ``probe`` for the pauses of the app,
``history``, ``watch`` and the two logs. They act on a journal and on functions that they are given: no HTTP, no Celery.
The tables are in docs/outcomes.md.
"""
