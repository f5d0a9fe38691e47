"""A deterministic simulation: the real drain loop in virtual time, against models of the journal and the server.

A seed makes a *plan* (``plan``): events, culprits, faults, accidents. ``world`` lets it happen: worker processes whose
drains run as greenlets, switched at each call of the journal, the server or a sleep, by a ``scheduler`` that knows no
clock but its own. ``journal`` and ``server`` are the models; tests/integration/simulation compares them with the real
ones. ``oracle`` says what must be true, and which duplicates are unavoidable. A plan runs the same every time:
``python -m tests.simulation --seed 4711`` shows what happens in it.
"""
