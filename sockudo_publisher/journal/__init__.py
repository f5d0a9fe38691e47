"""Events at rest in Redis: lanes, leases, holds, dead letters, keys of callers.

``producer`` appends, ``holder`` is the workers' end; ``redis`` is the connection and the scripts, ``layout`` the number
of lanes, ``app`` what all workers of an app share. Imports redis and the error tree; knows nothing of HTTP or Celery,
and looks into an item's bytes in ``wellformed`` only. Every state change is one Lua script in ``lua/``; time is Redis'.
Facts: docs/journal.md; the design that decided them is recorded in docs/decisions.
"""
