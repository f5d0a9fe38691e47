"""Events at rest in Redis: lanes, leases, holds, dead letters, the key ledger.

Imports redis, the settings' values it is given and the error tree; knows nothing of HTTP, of Celery
or of what an item's bytes mean. Every state change is one Lua script in ``lua/``; time is Redis'.
Facts: docs/journal.md; the design that decided them is recorded in docs/decisions.
"""
