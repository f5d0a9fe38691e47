"""Delivery: what an answer means, what follows, and the loop that does it.

``outcome``, ``decide``, ``window`` and ``backoff`` are pure: values in, values out, no clock, no
socket. ``drain`` is the loop over the journal and a ``post`` function; it knows neither HTTP nor
Celery. The tables are in docs/outcomes.md.
"""
