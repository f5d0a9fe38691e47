"""Events at rest in Redis: lanes, leases, holds, dead letters, the key ledger.

Imports redis and the error tree; gets the settings' values as arguments. Knows nothing of HTTP, of Celery or of the
meaning of an item's bytes. Each state change is one Lua script in ``lua/``; time is Redis'. Keys and fields:
docs/journal.md; states and steps: docs/protocol.md and ``protocol.py``; the reasons: docs/decisions.
"""
