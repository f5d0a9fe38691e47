"""Delivery: what an answer means, what follows, and the loop that does it.

``outcome``, ``decide``, ``window``, ``uncertain`` and ``backoff`` are pure: values in, values out, no clock,
no socket. ``drain`` is the loop over the journal and a ``post`` function, with ``probe`` for the pauses of the
app and ``control`` for what it asks of its process; it knows neither HTTP nor Celery. ``memory`` and
``canaries`` tell whether the server remembers. The tables are in docs/outcomes.md.
"""
